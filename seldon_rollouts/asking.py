"""Asking: leave a person's intent on a rollout, and wait for the controller's answer."""

import asyncio
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controller import clock
from controller.api.meta import INTENT_ANNOTATION
from controller.api.rollout import Intent, RolloutStatus
from controller.errors import ControllerError
from controller.kube import resources
from controller.kube.client import Client
from controller.kube.errors import ConflictError
from controller.rollout.intents import parse_intent, pending
from controller.rollout.phases import Event, Phase, legal, refusal

ANSWER_SECONDS = 15.0


class RefusedError(ControllerError):
    """The verb is not legal now; the text says why."""


class UnansweredError(ControllerError):
    """The intent stands, and no controller has answered it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a person asks for."""

    verb: str
    by: str
    reason: str = ""
    revision: int = 0
    """With rollback: which."""
    gate: str = ""
    """With approve: which; the one that the rollout waits at when empty."""

    def annotation(self, number: str) -> str:
        """Return the intent as it stands in the annotation."""
        said = {"verb": self.verb, "by": self.by, "reason": self.reason, "revision": self.revision, "gate": self.gate}
        return json.dumps({"id": number, **{key: value for key, value in said.items() if value}})


async def ask(
    client: Client, namespace: str, name: str, asked: Asked, *, patience: float = ANSWER_SECONDS
) -> RolloutStatus:
    """Leave an intent and return the status that answers it.

    Args:
        client: asks with the rights of the person.
        namespace: the rollout's.
        name: the rollout's.
        asked: what is asked for.
        patience: seconds to wait for the answer.

    Raises:
        RefusedError: the verb is not legal now, or the controller refused it.
        UnansweredError: no controller answered in time, this or what was asked before; or another verb took its place.
        ApiError: the API server refused the write, or has no such rollout.
    """
    number, deadline = uuid.uuid4().hex[:12], clock.now().timestamp() + patience
    await _leave(client, namespace, name, asked, number, deadline)
    while clock.now().timestamp() < deadline:
        rollout = await client.get(resources.SELDON_ROLLOUT, namespace, name)
        found = RolloutStatus.model_validate(rollout.get("status") or {})
        if found.last_intent is not None and found.last_intent.id == number:
            if found.last_intent.outcome == "refused":
                raise RefusedError(f"{asked.verb} was refused: {found.last_intent.message}")
            return found
        if (other := _unanswered(rollout)) is not None and other.id != number:
            raise UnansweredError(f"{asked.verb} was not answered before {_said(other)} took its place; ask again")
        await asyncio.sleep(0.2)
    raise UnansweredError(
        f"the intent is on {namespace}/{name}, but no controller answered within {patience:g} s; is one running?"
    )


async def _leave(client: Client, namespace: str, name: str, asked: Asked, number: str, deadline: float) -> None:
    """Write the intent once what was asked before is answered: there is one annotation, so that it would be lost.

    An abort waits for nobody. The write holds what it was decided on, so that no two who ask at once write both.
    """
    patch = {"metadata": {"annotations": {INTENT_ANNOTATION: asked.annotation(number)}}}
    while True:
        rollout = await client.get(resources.SELDON_ROLLOUT, namespace, name)
        _check(rollout, asked.verb)
        late = clock.now().timestamp() >= deadline
        other = _unanswered(rollout) if asked.verb != Event.ABORT else None
        if other is not None and late:
            said = f"{_said(other)} is on {namespace}/{name} and was not answered yet, so nothing was asked"
            raise UnansweredError(f"{said}; is a controller running?")
        if other is None:
            try:
                version = rollout["metadata"]["resourceVersion"]
                await client.merge_patch(resources.SELDON_ROLLOUT, namespace, name, patch, resource_version=version)
                return
            except ConflictError:
                if late:
                    raise
        await asyncio.sleep(0.2)


def _check(rollout: Mapping[str, Any], verb: str) -> None:
    meta, status = rollout["metadata"], rollout.get("status") or {}
    phase = Phase(status.get("phase", "Pending"))
    if not legal(phase, Event(verb)):
        where = f"{meta['namespace']}/{meta['name']}"
        raise RefusedError(f"{verb} is not possible while {where} is {phase}: {refusal(phase, Event(verb))}")


def _unanswered(rollout: Mapping[str, Any]) -> Intent | None:
    """Return what was asked of a rollout and is not answered yet."""
    annotations = rollout["metadata"].get("annotations") or {}
    status = RolloutStatus.model_validate(rollout.get("status") or {})
    return pending(parse_intent(annotations.get(INTENT_ANNOTATION)), status)


def _said(intent: Intent) -> str:
    return f"{intent.verb or 'an intent'} by {intent.by or 'somebody'}"
