"""Intents: what a person asks for, by annotation. Each is consumed once, and answered, in the status."""

import json

from controller.api.rollout import Intent, RolloutStatus
from controller.rollout.phases import INTENTS, Event, Phase, legal, refusal

VERBS = tuple(sorted(event.value for event in INTENTS))


def parse_intent(text: str | None) -> tuple[Intent | None, str]:
    """Read the intent annotation.

    Returns:
        The intent, or None and a sentence that says what is wrong with it. Both are empty without an annotation.
    """
    if not text:
        return None, ""
    try:
        raw = json.loads(text)
    except ValueError:
        return None, "the intent annotation is not JSON; expected {id, verb, by, reason}"
    if not isinstance(raw, dict):
        return None, "the intent annotation is not an object; expected {id, verb, by, reason}"
    if not isinstance(raw.get("id"), str) or not raw["id"]:
        return None, "the intent annotation has no id; expected a text that is new for each intent"
    if raw.get("verb") not in VERBS:
        return None, f"intent {raw['id']}: verb {raw.get('verb')!r} is not one of {', '.join(VERBS)}"
    by, reason = str(raw.get("by") or ""), str(raw.get("reason") or "")
    gate = str(raw.get("gate") or "")
    return Intent(id=raw["id"], verb=raw["verb"], by=by[:200], reason=reason[:1000], gate=gate[:40]), ""


def pending(intent: Intent | None, status: RolloutStatus) -> Intent | None:
    """Return the intent if it was not answered yet."""
    if intent is None or (status.last_intent is not None and status.last_intent.id == intent.id):
        return None
    return intent


def verdict_on(intent: Intent, status: RolloutStatus) -> tuple[Event, str]:
    """Return the event that an intent is, and the sentence that refuses it in this phase, empty when it is legal."""
    event, phase = Event(intent.verb), Phase(status.phase)
    return event, "" if legal(phase, event) else refusal(phase, event)
