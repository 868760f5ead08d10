"""What the mesh says of a VirtualService, in its status. Pure.

Istio writes a condition `Reconciled` where its status is switched on (`PILOT_ENABLE_STATUS` with
`PILOT_ENABLE_CONFIG_DISTRIBUTION_TRACKING`), and by default nothing. It is False until all proxies have the route.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class MeshAnswer:
    """What the mesh says of a route.

    Args:
        current: it is about the route as it stands, and not about an earlier generation.
        taken: the mesh has it.
        words: the mesh's own.
    """

    current: bool
    taken: bool
    words: str


def answer(route: Mapping[str, Any]) -> MeshAnswer | None:
    """Return what the mesh says of a VirtualService; None while it is silent."""
    status = route.get("status") or {}
    said = next((each for each in status.get("conditions") or () if each.get("type") == "Reconciled"), None)
    if said is None:
        return None
    seen = said.get("observedGeneration", status.get("observedGeneration"))  # protobuf's JSON makes it a text
    return MeshAnswer(
        current=seen is None or str(seen) == str(route["metadata"].get("generation")),
        taken=said.get("status") == "True",
        words=str(said.get("message") or said.get("reason") or ""),
    )
