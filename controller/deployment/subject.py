"""The SeldonDeployment under reconciliation: who it is, and what it asks for."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from controller.api.deployment import BUILT_IN, UNKNOWN, PredictiveUnit, SeldonDeploymentSpec
from controller.api.meta import MACHINELEARNING_GROUP, ROLE_LABEL, ROLLOUT_LABEL

API_VERSION = f"{MACHINELEARNING_GROUP}/v1"
KIND = "SeldonDeployment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A SeldonDeployment, read: identity, metadata and spec."""

    name: str
    namespace: str
    uid: str
    generation: int
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    spec: SeldonDeploymentSpec

    def annotation(self, key: str, default: str = "") -> str:
        """Look up a switch: in spec.annotations first, then in metadata.annotations."""
        return self.spec.annotations.get(key) or self.annotations.get(key) or default

    @property
    def separate_engine(self) -> bool:
        """The orchestrator has pods of its own."""
        return self.spec.annotations.get("seldon.io/engine-separate-pod", "").lower() == "true"

    @property
    def routed_by_rollout(self) -> bool:
        """It is the stable revision of a rollout: the rollout's own route serves it, it has none of its own."""
        return self.labels.get(ROLE_LABEL) == "stable"

    @property
    def awaits_route(self) -> bool:
        """It takes the place of the rollout of its name, which hands its route over: until then that is not touched."""
        return self.routed_by_rollout and self.labels.get(ROLLOUT_LABEL) == self.name

    @property
    def owner_reference(self) -> dict[str, Any]:
        """The owner reference that everything rendered for it carries."""
        return {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "name": self.name,
            "uid": self.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }


def nodes(root: PredictiveUnit) -> Iterator[PredictiveUnit]:
    """Walk a graph, parents before children, in the order they are written."""
    yield root
    for child in root.children:
        yield from nodes(child)


def is_built_in(unit: PredictiveUnit) -> bool:
    """Return whether the orchestrator itself implements the node."""
    return unit.implementation in BUILT_IN


def is_prepackaged(unit: PredictiveUnit) -> bool:
    """Return whether a prepackaged server implements the node."""
    return bool(unit.implementation) and unit.implementation != UNKNOWN and not is_built_in(unit)


def protocol_of(spec: SeldonDeploymentSpec) -> str:
    """Return the protocol, with `seldon` for an empty one and `v2` for `kfserving`."""
    return {"": "seldon", "kfserving": "v2"}.get(spec.protocol, spec.protocol)
