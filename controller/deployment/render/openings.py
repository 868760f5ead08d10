"""What of a pod must be reached by those who have no place in the mesh: its metrics, and its probes. Pure.

Prometheus and the kubelet have no certificate of the mesh. With mutual TLS demanded they need an exception, which is as
narrow as it can be: a port, and the paths that may be read there.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from controller.deployment.configuration import Configuration

MTLS_ANNOTATION = "rollouts.seldon.io/istio-mtls"
ALLOW_ANNOTATION = "rollouts.seldon.io/istio-allow"
STRICT = "STRICT"
MODES = (STRICT, "PERMISSIVE", "DISABLE")
"""Istio's words for what a sidecar accepts."""
SECURITY = "security.istio.io/v1"
_PROBES = ("startupProbe", "readinessProbe", "livenessProbe")

Object = Mapping[str, Any]


def openings(deployments: Iterable[Object], configuration: Configuration) -> dict[int, tuple[str, ...]]:
    """Return the paths that anybody may read, by port, in order.

    What an application encrypts itself is left out: a sidecar cannot tell paths there.
    """
    names = (configuration.engine_metrics_port, configuration.node_metrics_port)
    found: dict[int, set[str]] = {}
    for deployment in deployments:
        for port, path in _of_template(deployment["spec"]["template"], names):
            found.setdefault(port, set()).add(path)
    return {port: tuple(sorted(paths)) for port, paths in sorted(found.items())}


def _of_template(template: Object, names: Iterable[str]) -> Iterator[tuple[int, str]]:
    notes = template["metadata"].get("annotations") or {}
    for container in template["spec"]["containers"]:
        probes = [found["httpGet"] for each in _PROBES if "httpGet" in (found := container.get(each) or {})]
        encrypted = {_number(container, each) for each in probes if each.get("scheme") == "HTTPS"}
        opened = [(_number(container, each), str(each.get("path") or "/")) for each in probes]
        if notes.get("prometheus.io/scrape") == "true":
            path = str(notes["prometheus.io/path"])
            opened += [(_number(container, {"port": each}), path) for each in names]
        yield from (each for each in opened if each[0] and each[0] not in encrypted)


def _number(container: Object, probe: Object) -> int:
    """Return the number of a port that is given by number or name; 0 when the container has none of that name."""
    port = probe.get("port")
    if isinstance(port, int):
        return port
    ports = container.get("ports") or ()
    return next((int(each["containerPort"]) for each in ports if each.get("name") == port), 0)
