"""The Kubernetes REST API, as far as controllers, kubectl and clients use it, over a synchronous store."""
