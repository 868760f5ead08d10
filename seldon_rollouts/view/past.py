"""Past rollouts: each revision's time, from its first entry in the history to its last."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from seldon_rollouts.view.base import View, status_of
from seldon_rollouts.view.detail import Happened

_ENDS = frozenset({"Promoted", "RolledBack", "Superseded", "Shadowed"})


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
    found: list[list[Happened]] = []
    for entry in status_of(rollout).history:
        happened = Happened(**entry.model_dump(include=set(Happened.model_fields)))
        begins = not found or found[-1][-1].type in _ENDS or found[-1][-1].revision != happened.revision
        if begins:
            found.append([])
        found[-1].append(happened)
    return tuple(_episode(entries) for entries in reversed(found))


def _episode(entries: list[Happened]) -> Episode:
    last = entries[-1]
    over = last.type in _ENDS
    return Episode(
        revision=last.revision,
        began=entries[0].at,
        ended=last.at if over else None,
        outcome=last.type if over else "",
        message=last.message,
        entries=tuple(entries),
    )
