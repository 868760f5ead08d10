"""The PeerAuthentication: whether a SeldonDeployment's pods speak with the mesh alone."""

from collections.abc import Iterable
from typing import Any

from controller.deployment.configuration import Configuration
from controller.deployment.render import labels
from controller.deployment.render.openings import MTLS_ANNOTATION, SECURITY, STRICT, Object, openings
from controller.deployment.subject import Subject


def mode(subject: Subject) -> str:
    """Return the mode of mutual TLS that is asked for, in Istio's words; empty when none is."""
    return subject.annotation(MTLS_ANNOTATION).strip().upper()


def render_peer_authentication(
    subject: Subject, deployments: Iterable[Object], configuration: Configuration
) -> dict[str, Any] | None:
    """Return the PeerAuthentication; None when nobody asks for one.

    A port with metrics or probes takes plain text as well; what may be read there so, the AuthorizationPolicy says.
    """
    asked = mode(subject)
    if not asked:
        return None
    spec: dict[str, Any] = {"selector": {"matchLabels": {labels.ID: subject.name}}, "mtls": {"mode": asked}}
    opened = openings(deployments, configuration) if asked == STRICT else {}
    if opened:
        spec["portLevelMtls"] = {str(port): {"mode": "PERMISSIVE"} for port in opened}
    return {
        "apiVersion": SECURITY,
        "kind": "PeerAuthentication",
        "metadata": labels.metadata(subject, subject.name, {}),
        "spec": spec,
    }
