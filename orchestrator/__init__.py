"""The data plane: runs the inference graph for each request.

`graph/` and `protocols/` are pure; `engine.py` walks a graph through the node clients; `servers/` are the doors;
`node/` serves a Python class as a graph node. It knows no Kubernetes.
"""
