"""Past rollouts: each revision's time, from its first entry in the history to its last."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from seldon_rollouts.view.base import View, status_of
from seldon_rollouts.view.detail import Happened

_ENDS = {"Promoted": "Promoted", "RolledBack": "RolledBack", "Superseded": "Superseded"}
_REPORT = "ShadowEnded"
"""The end of a shadow, unless canary steps follow it."""


class Episode(View):
    """One rollout of one revision, as it was."""

    revision: int
    began: datetime
    ended: datetime | None
    """None while it goes on."""
    outcome: str
    """Promoted, RolledBack, Superseded, Shadowed; empty while it goes on."""
    message: str
    entries: tuple[Happened, ...]
    """Oldest first."""


def episodes(rollout: Mapping[str, Any]) -> tuple[Episode, ...]:
    """Return a rollout's episodes, newest first; the history holds the last 50 entries."""
    status = status_of(rollout)
    found: list[list[Happened]] = []
    for entry in status.history:
        happened = Happened(**entry.model_dump(include=set(Happened.model_fields)))
        begins = not found or found[-1][-1].type in _ENDS or found[-1][-1].revision != happened.revision
        if begins:
            found.append([])
        found[-1].append(happened)
    outcomes = [_ENDS.get(entries[-1].type, "") for entries in found]
    for at, entries in enumerate(found):
        goes_on = at == len(found) - 1 and status.phase != "Shadowed"
        if entries[-1].type == _REPORT and not goes_on:
            outcomes[at] = "Shadowed"
    return tuple(_episode(*each) for each in reversed(list(zip(found, outcomes, strict=True))))


def _episode(entries: list[Happened], outcome: str) -> Episode:
    last = entries[-1]
    return Episode(
        revision=last.revision,
        began=entries[0].at,
        ended=last.at if outcome else None,
        outcome=outcome,
        message=last.message,
        entries=tuple(entries),
    )
