"""Rollouts with a history, as the API gives them."""

from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(minute: float) -> datetime:
    """An instant, in minutes from the start."""
    return START + timedelta(minutes=minute)


def entry(minute: float, kind: str, message: str = "", revision: int = 2) -> dict[str, Any]:
    return {"at": at(minute).isoformat(), "type": kind, "message": message or kind, "revision": revision}


def rollout(*history: dict[str, Any], namespace: str = "ml", **status: Any) -> dict[str, Any]:
    """A rollout whose revision 2 is the canary."""
    meta = {"namespace": namespace, "name": "iris", "uid": "u1", "labels": {"team": "a"}, "generation": 1}
    canary = {"hash": "b", "number": 2}
    return {
        "metadata": meta,
        "status": {"phase": "Progressing", "canaryRevision": canary, "history": history, **status},
    }
