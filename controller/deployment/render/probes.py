"""Probes and life cycle of what runs in a pod.

Seldon Core v1 waits 20 seconds before it first asks for readiness. Here readiness is asked for from the first second
on: a pod that is ready serves at once, one that is not is asked again two seconds later.
"""

from typing import Any

READINESS = {"initialDelaySeconds": 1, "periodSeconds": 2, "failureThreshold": 3}


def http(path: str, port: int, scheme: str) -> dict[str, Any]:
    """Return the liveness or readiness check of an HTTP server."""
    return {"httpGet": {"path": path, "port": port, "scheme": scheme}}


def node_probes(port: int) -> dict[str, Any]:
    """Return the probes of a node's container: it listens on its port."""
    return {
        "livenessProbe": {
            "tcpSocket": {"port": port},
            "initialDelaySeconds": 60,
            "periodSeconds": 5,
            "failureThreshold": 3,
            "timeoutSeconds": 1,
        },
        "readinessProbe": {"tcpSocket": {"port": port}, **READINESS, "timeoutSeconds": 1},
    }


def served_probes(ready: str, live: str, port: int, scheme: str = "HTTP") -> dict[str, Any]:
    """Return the probes of a server that answers for itself, such as the orchestrator or MLServer."""
    return {
        "livenessProbe": {
            **http(live, port, scheme),
            "initialDelaySeconds": 20,
            "periodSeconds": 5,
            "failureThreshold": 3,
            "timeoutSeconds": 60,
        },
        "readinessProbe": {**http(ready, port, scheme), **READINESS, "timeoutSeconds": 60},
    }


def linger(seconds: int) -> dict[str, Any]:
    """Return a life cycle that keeps serving this long after deletion, until the mesh has taken the pod out."""
    return {"preStop": {"exec": {"command": ["/bin/sh", "-c", f"/bin/sleep {seconds}"]}}}
