"""Intents: what a person asks for, by annotation. Each is consumed once, and answered, in the status."""

import json
from typing import Any

from controller.api import names
from controller.api.rollout import Intent, RolloutStatus
from controller.rollout.phases import INTENTS

VERBS = tuple(sorted(event.value for event in INTENTS))
_EXPECTED = "expected {id, verb, by, reason}"


def parse_intent(text: str | None) -> Intent | None:
    """Read the intent annotation.

    Returns:
        The intent; one without a verb, whose message says what is wrong, when it cannot be read; None without any.
    """
    if not text:
        return None
    try:
        raw = json.loads(text)
    except ValueError:
        return _unreadable(text, f"the intent annotation is not JSON; {_EXPECTED}")
    if not isinstance(raw, dict):
        return _unreadable(text, f"the intent annotation is not an object; {_EXPECTED}")
    if not isinstance(raw.get("id"), str) or not raw["id"]:
        return _unreadable(text, "the intent annotation has no id; expected a text that is new for each intent")
    return _read(raw)


def _read(raw: dict[str, Any]) -> Intent:
    verb, problem = raw.get("verb"), ""
    revision = raw.get("revision")
    if verb not in VERBS:
        verb, problem = "", f"verb {verb!r} is not one of {', '.join(VERBS)}"
    elif revision is not None and (not isinstance(revision, int) or isinstance(revision, bool) or revision < 1):
        verb, problem = "", f"revision {revision!r} is no number of a revision; expected a whole number such as 3"
    said = {name: str(raw.get(name) or "") for name in ("by", "reason", "gate")}
    return Intent(
        id=raw["id"][:200],
        verb=verb,
        by=said["by"][:200],
        reason=said["reason"][:1000],
        gate=said["gate"][:40],
        revision=revision if verb else None,
        message=problem,
    )


def _unreadable(text: str, problem: str) -> Intent:
    return Intent(id=f"unreadable-{names.stable_hash({'text': text})}", message=problem)


def pending(intent: Intent | None, status: RolloutStatus) -> Intent | None:
    """Return the intent if it was not answered yet."""
    if intent is None or (status.last_intent is not None and status.last_intent.id == intent.id):
        return None
    return intent
