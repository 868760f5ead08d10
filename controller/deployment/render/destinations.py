"""DestinationRules: one for each predictor, shadows too (reference, section 2.7)."""

from typing import Any

from controller.api.deployment import PredictorSpec
from controller.api.names import service_host
from controller.deployment.configuration import Configuration
from controller.deployment.names import service_of
from controller.deployment.render import labels
from controller.deployment.render.servers import without_engine
from controller.deployment.subject import Subject

NETWORKING = "networking.istio.io/v1"
IDLE_TIMEOUT = "60s"
"""Below the orchestrator's own 65 seconds, so that Envoy never uses a connection that the pod is closing."""


def render_destination(subject: Subject, predictor: PredictorSpec, configuration: Configuration) -> dict[str, Any]:
    """Return a predictor's DestinationRule."""
    name = service_of(subject.name, predictor)
    done = rule(subject, predictor, name, configuration, idle_timeout=IDLE_TIMEOUT)
    if encrypts(predictor) and configuration.istio_tls_mode not in ("SIMPLE", "MUTUAL"):
        # Any certificate will do, as its Secret may be signed by whomever; who is who, the mesh's own TLS says.
        done["spec"]["trafficPolicy"]["tls"] = {"mode": "SIMPLE", "insecureSkipVerify": True}
    return done


def encrypts(predictor: PredictorSpec) -> bool:
    """Return whether the predictor's orchestrator serves TLS."""
    return bool(predictor.ssl and predictor.ssl.cert_secret_name) and not without_engine(predictor)


def rule(
    subject: Subject, predictor: PredictorSpec, name: str, configuration: Configuration, *, idle_timeout: str
) -> dict[str, Any]:
    """Return the DestinationRule of a Service. TLS is added beside the idle time-out, and does not replace it."""
    policy: dict[str, Any] = {"connectionPool": {"http": {"idleTimeout": idle_timeout}}}
    if configuration.istio_tls_mode:
        policy["tls"] = {"mode": configuration.istio_tls_mode}
    return {
        "apiVersion": NETWORKING,
        "kind": "DestinationRule",
        "metadata": labels.metadata(subject, name, {}),
        "spec": {
            "host": service_host(name, subject.namespace),
            "subsets": [{"name": predictor.name, "labels": {"version": predictor.labels["version"]}}],
            "trafficPolicy": policy,
        },
    }
