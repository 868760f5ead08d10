"""Labels and metadata of what is rendered, as Seldon Core v1 sets them."""

from collections.abc import Iterable, Mapping
from typing import Any

from controller.api.deployment import PredictiveUnit
from controller.api.meta import MANAGED_BY
from controller.deployment.subject import Subject

ID = "seldon-deployment-id"
APP = "seldon-app"
APP_SERVICE = "seldon-app-svc-"
HAS_ENGINE = "seldon-deployment-contains-svcorch"

_KIND_LABELS = {
    "MODEL": "seldon.io/model",
    "ROUTER": "seldon.io/router",
    "COMBINER": "seldon.io/combiner",
    "TRANSFORMER": "seldon.io/transformer",
    "OUTPUT_TRANSFORMER": "seldon.io/output-transformer",
}


def metadata(
    subject: Subject, name: str, labels: Mapping[str, str], annotations: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the metadata of an object that belongs to the SeldonDeployment."""
    done: dict[str, Any] = {
        "name": name,
        "namespace": subject.namespace,
        "labels": {ID: subject.name, MANAGED_BY: "seldon-core", **labels},
        "ownerReferences": [subject.owner_reference],
    }
    if annotations:
        done["annotations"] = dict(annotations)
    return done


def of_kinds(units: Iterable[PredictiveUnit]) -> dict[str, str]:
    """Return the labels that say what the nodes of a pod are."""
    return {_KIND_LABELS[unit.type]: "true" for unit in units if unit.type in _KIND_LABELS}


def of_container(container: str, service: str) -> dict[str, str]:
    """Return the label by which the Service of a node's container finds its pods; the key is kept to 63 characters."""
    return {f"{APP_SERVICE}{container}"[:63]: service}
