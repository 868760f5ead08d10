"""Names of what is rendered for a SeldonDeployment, as Seldon Core v1 gives them."""

import hashlib
from collections.abc import Mapping
from typing import Any

from controller.api.deployment import ComponentSpec, PredictorSpec
from controller.api.names import MAX_NAME, predictor_service, shorten

ENGINE = "seldon-container-engine"
"""The orchestrator's container."""


def containers(component: ComponentSpec) -> list[dict[str, Any]]:
    """Return the containers of a component."""
    return list(component.spec.get("containers") or ())


def service_of(sdep: str, predictor: PredictorSpec) -> str:
    """Return the name of the predictor's Service and DestinationRule; also the value of its label `seldon-app`."""
    return predictor_service(sdep, predictor.name, predictor.annotations)


def container_service(sdep: str, predictor: str, container: str) -> str:
    """Return the name of the Service of one graph node's container."""
    return shorten(f"{sdep}-{predictor}-{container}")


def component_deployment(sdep: str, predictor: PredictorSpec, index: int, *, name_as_prefix: bool = False) -> str:
    """Return the name of a component's Deployment: `<sdep>-<predictor>-<index>-<tail>`.

    The tail is the component's own name, else its containers' names. Too long a name becomes `seldon-<md5>`, or
    `<sdep>-<md5>` with `name_as_prefix` where that fits.
    """
    component = predictor.component_specs[index]
    tail = component.metadata.get("name") or "-".join(each["name"] for each in containers(component))
    name = f"{sdep}-{predictor.name}-{index}-{tail}" if tail else f"{sdep}-{predictor.name}-{index}"
    if len(name) > MAX_NAME and name_as_prefix:
        prefixed = f"{sdep}-{hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()}"
        if len(prefixed) <= MAX_NAME:
            return prefixed
    return shorten(name)


def engine_deployment(sdep: str, predictor: str) -> str:
    """Return the name of a separate orchestrator's Deployment."""
    return shorten(f"{sdep}-{predictor}-svc-orch")


def successor(deployment: str, selector: Mapping[str, str]) -> str:
    """Return the name of a Deployment that replaces one of the same name with another selector, which cannot change."""
    digest = hashlib.md5(repr(sorted(selector.items())).encode(), usedforsecurity=False).hexdigest()[:6]
    return f"{deployment[: MAX_NAME - 7]}-{digest}"


def initializer(container: str) -> str:
    """Return the name of the init container that downloads a model."""
    return f"{container}-model-initializer"[:MAX_NAME]


def model_volume(container: str) -> str:
    """Return the name of the volume that a model is downloaded to."""
    return f"{container}-provision-location"[:MAX_NAME]
