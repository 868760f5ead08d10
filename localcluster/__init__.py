"""A Kubernetes to try it on: an API server, real Envoy, real Prometheus, and models as local processes.

Everything but `apiserver/` is a client of the Kubernetes API and runs against a real one alike. It shares no code with
`controller/`: a fake that shares code with what it tests cannot catch it.
"""
