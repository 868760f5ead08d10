"""The VirtualService: REST and gRPC routes to predictors by weight, and copies to shadows (reference, section 2.7)."""

from typing import Any

from controller.api.deployment import PredictorSpec
from controller.api.names import prediction_prefix, service_host
from controller.deployment.configuration import Configuration
from controller.deployment.names import service_of
from controller.deployment.render import labels
from controller.deployment.render.destinations import NETWORKING
from controller.deployment.render.services import serving_ports
from controller.deployment.subject import Subject

GRPC_METHODS = ".*tensorflow.*|.*seldon.protos.*|.*inference.*"
HOST_ANNOTATION = "seldon.io/istio-host"
GATEWAY_ANNOTATION = "seldon.io/istio-gateway"
MESH = "mesh"
RETRY_ON = "gateway-error,connect-failure,refused-stream"


def render_route(subject: Subject, configuration: Configuration) -> dict[str, Any] | None:
    """Return the VirtualService; None for the stable revision of a rollout, which the rollout's own route serves."""
    if subject.routed_by_rollout:
        return None
    rest = {
        "match": [{"uri": {"prefix": prediction_prefix(subject.namespace, subject.name)}}],
        "rewrite": {"uri": "/"},
        **_destinations(subject, configuration, 0),
    }
    headers = {"seldon": {"exact": subject.name}, "namespace": {"exact": subject.namespace}}
    grpc = {"match": [{"uri": {"regex": GRPC_METHODS}, "headers": headers}], **_destinations(subject, configuration, 1)}
    return {
        "apiVersion": NETWORKING,
        "kind": "VirtualService",
        "metadata": labels.metadata(subject, subject.name, {}),
        "spec": {
            "hosts": hosts(subject),
            "gateways": gateways(subject, configuration),
            "http": [rest, grpc],
        },
    }


def hosts(subject: Subject) -> list[str]:
    """Return the hosts that a SeldonDeployment is served under."""
    return _listed(subject.annotation(HOST_ANNOTATION, "*"))


def gateways(subject: Subject, configuration: Configuration) -> list[str]:
    """Return the Gateways that a SeldonDeployment is served at; `mesh` is Istio's word for every sidecar."""
    return _listed(subject.annotation(GATEWAY_ANNOTATION, configuration.istio_gateway))


def _listed(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def _destinations(subject: Subject, configuration: Configuration, kind: int) -> dict[str, Any]:
    """Return the destinations of one route; `kind` is 0 for HTTP and 1 for gRPC."""
    live = [each for each in subject.spec.predictors if not each.shadow]
    shadows = [each for each in subject.spec.predictors if each.shadow]
    done: dict[str, Any] = {
        "route": [
            {
                "destination": _destination(subject, predictor, configuration, kind),
                "weight": 100 if len(live) == 1 else predictor.traffic or 0,
            }
            for predictor in live
        ]
    }
    if len(shadows) == 1:
        done["mirror"] = _destination(subject, shadows[0], configuration, kind)
        if shadows[0].traffic:
            done["mirrorPercentage"] = {"value": shadows[0].traffic}
    elif shadows:
        done["mirrors"] = [
            {
                "destination": _destination(subject, each, configuration, kind),
                "percentage": {"value": each.traffic or 100},
            }
            for each in shadows
        ]
    attempts = int(subject.annotation("seldon.io/istio-retries", "0"))
    if attempts > 0:
        seconds = subject.annotation("seldon.io/istio-retries-timeout", "1")
        done["retries"] = {"attempts": attempts, "perTryTimeout": f"{seconds}s", "retryOn": RETRY_ON}
    return done


def _destination(subject: Subject, predictor: PredictorSpec, configuration: Configuration, kind: int) -> dict[str, Any]:
    host = service_host(service_of(subject.name, predictor), subject.namespace)
    return {"host": host, "subset": predictor.name, "port": {"number": serving_ports(predictor, configuration)[kind]}}
