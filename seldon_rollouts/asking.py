"""Asking: leave a person's intent on a rollout, and wait for the controller's answer."""

import asyncio
import json
import uuid
from dataclasses import dataclass

from controller import clock
from controller.api.meta import INTENT_ANNOTATION
from controller.api.rollout import RolloutStatus
from controller.errors import ControllerError
from controller.kube import resources
from controller.kube.client import Client
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
        UnansweredError: no controller answered in time.
        ApiError: the API server refused the write, or has no such rollout.
    """
    rollout = await client.get(resources.SELDON_ROLLOUT, namespace, name)
    phase = Phase((rollout.get("status") or {}).get("phase", "Pending"))
    verb = Event(asked.verb)
    if not legal(phase, verb):
        raise RefusedError(f"{asked.verb} is not possible while {namespace}/{name} is {phase}: {refusal(phase, verb)}")
    number = uuid.uuid4().hex[:12]
    patch = {"metadata": {"annotations": {INTENT_ANNOTATION: asked.annotation(number)}}}
    await client.merge_patch(resources.SELDON_ROLLOUT, namespace, name, patch)
    deadline = clock.now().timestamp() + patience
    while clock.now().timestamp() < deadline:
        rollout = await client.get(resources.SELDON_ROLLOUT, namespace, name)
        found = RolloutStatus.model_validate(rollout.get("status") or {})
        if found.last_intent is not None and found.last_intent.id == number:
            if found.last_intent.outcome == "refused":
                raise RefusedError(f"{asked.verb} was refused: {found.last_intent.message}")
            return found
        await asyncio.sleep(0.2)
    raise UnansweredError(
        f"the intent is on {namespace}/{name}, but no controller answered within {patience:g} s; is one running?"
    )
