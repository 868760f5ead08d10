"""Endings: how a rollout of a revision ended, how long it took and why, out of the status before and after. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from controller.api.rollout import HistoryEntry, RolloutStatus

OUTCOMES = {
    "Promoted": "promoted",
    "RolledBack": "rolledBack",
    "Superseded": "superseded",
    "ShadowEnded": "shadowed",
}
"""Entries of the history that end something, and the word for each."""
USUAL = (
    *(("promoted", reason) for reason in ("judge", "person", "rollbackWindow", "first")),
    *(
        ("rolledBack", reason)
        for reason in ("errorRate", "latency", "analysisRun", "progressDeadline", "pause", "person", "group")
    ),
    *(("shadowed", verdict) for verdict in ("Good", "Bad", "Inconclusive", "NoData")),
    ("superseded", "templateChanged"),
)
"""Outcomes and reasons that are there from the start, at zero: an increase is only seen from a value before."""
_BEGINNINGS = frozenset({"RevisionCreated", "Retried", "RollbackBegun"})
_OTHERS = {"deadline": "progressDeadline", "analysis": "analysisRun", "time": "pause", "group": "group"}
"""Who rolls back, beside the judge and people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """One end; `outcome` and `reason` are from small closed sets, fit to be labels."""

    outcome: str
    reason: str
    took: timedelta


def endings(before: RolloutStatus, after: RolloutStatus) -> Iterator[Ending]:
    """Yield what ended between two statuses of one rollout, oldest first."""
    last = before.history[-1] if before.history else None
    known = after.history.index(last) + 1 if last in after.history else 0
    for index in range(known, len(after.history)):
        entry = after.history[index]
        if entry.type in OUTCOMES:
            began = _began(after.history[: index + 1])
            yield Ending(outcome=OUTCOMES[entry.type], reason=_reason(entry, before, after), took=entry.at - began.at)


def _began(entries: tuple[HistoryEntry, ...]) -> HistoryEntry:
    """Return the entry that began what the last one ends; the oldest of the revision where the history lost it."""
    last = oldest = entries[-1]
    for entry in reversed(entries[:-1]):
        if entry.revision != last.revision:
            break
        oldest = entry
        if entry.type in _BEGINNINGS:
            break
    return oldest


def _reason(entry: HistoryEntry, before: RolloutStatus, after: RolloutStatus) -> str:
    match OUTCOMES[entry.type]:
        case "promoted":
            return _promoted(before, after)
        case "rolledBack":
            return _rolled_back(entry, after)
        case "shadowed":
            return after.shadow.verdict if after.shadow is not None else "NoData"
        case _:
            return "templateChanged"


def _promoted(before: RolloutStatus, after: RolloutStatus) -> str:
    if before.stable_revision is None:
        return "first"
    asked = after.last_intent is not None and after.last_intent != before.last_intent
    if before.forced_by or before.passed is not None or (asked and before.phase != "Promoting"):
        return "person"
    return "rollbackWindow" if before.skip_reason else "judge"


def _rolled_back(entry: HistoryEntry, after: RolloutStatus) -> str:
    found = next((each for each in after.rejected if each.number == entry.revision), None)
    if found is None:
        return "unknown"
    if found.by == "judge":
        return found.reason.metric if found.reason is not None else "unknown"
    return _OTHERS.get(found.by, "person")
