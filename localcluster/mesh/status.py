"""The status that the mesh writes on a VirtualService: was it obeyed, and which weights are in effect."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from localcluster.mesh.objects import Key, Object
from localcluster.mesh.routes import Share

CONDITION = "Reconciled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What became of one VirtualService. `shares` are those in effect: of its last accepted version."""

    key: Key
    generation: int
    accepted: bool
    reason: str
    message: str
    shares: tuple[Share, ...] = ()


def status(report: Report, previous: Object | None, now: datetime) -> dict[str, Any] | None:
    """The status to write, or None when it says this already. Times are those of the last change of the condition."""
    held = {
        "type": CONDITION,
        "status": "True" if report.accepted else "False",
        "reason": report.reason,
        "message": report.message,
        "observedGeneration": report.generation,
    }
    before: dict[str, Any] = next(
        (each for each in (previous or {}).get("conditions") or () if each.get("type") == CONDITION), {}
    )
    same = before.get("status") == held["status"] and before.get("lastTransitionTime")
    stamp = before["lastTransitionTime"] if same else now.strftime("%Y-%m-%dT%H:%M:%SZ")
    wanted = {
        "observedGeneration": report.generation,
        "conditions": [{**held, "lastTransitionTime": stamp}],
        "weights": _weights(report.shares),
    }
    current = {field: (previous or {}).get(field) for field in wanted}
    return None if current == wanted else wanted


def _weights(shares: Sequence[Share]) -> list[dict[str, Any]]:
    return [
        {"route": share.route, "host": share.host, "port": share.port, "percent": share.percent}
        | ({"subset": share.subset} if share.subset else {})
        for share in shares
    ]
