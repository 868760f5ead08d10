"""The Kubernetes REST API, as far as controllers, kubectl and clients use it, over a store that refuses impossible states."""
