"""Verbs are one annotation: what was asked before is answered first, and who is overwritten by hand is told so."""

import asyncio
import json
from contextlib import suppress

import pytest

from controller.api.meta import INTENT_ANNOTATION
from controller.kube import resources
from controller.kube.errors import NotFoundError
from seldon_rollouts.asking import Asked, UnansweredError, ask

pytestmark = pytest.mark.asyncio(loop_scope="module")
WHERE = (resources.SELDON_ROLLOUT, "default", "asked")


class Rollout:
    """A rollout that nobody looks after but the test."""

    def __init__(self, client) -> None:
        self.client = client

    async def make(self) -> None:
        graph = {"name": "m", "modelUri": "gs://m/v1", "implementation": "SKLEARN_SERVER"}
        template = {"spec": {"predictors": [{"name": "default", "graph": graph}]}}
        spec = {"template": template, "strategy": {"canary": {"steps": [{"setWeight": 20}]}}}
        with suppress(NotFoundError):
            await self.client.delete(*WHERE)
        await self.client.create(WHERE[0], {"metadata": {"name": WHERE[2], "namespace": WHERE[1]}, "spec": spec})
        await self.answer({"phase": "Progressing"})

    async def standing(self) -> dict:
        live = await self.client.get(*WHERE)
        return json.loads((live["metadata"].get("annotations") or {}).get(INTENT_ANNOTATION, "{}"))

    async def asks(self, verb: str) -> dict:
        """Wait until a verb stands in the annotation."""
        async with asyncio.timeout(30):
            while (found := await self.standing()).get("verb") != verb:
                continue
        return found

    async def by_hand(self, verb: str, by: str) -> dict:
        intent = {"id": f"{verb}-{by}", "verb": verb, "by": by}
        patch = {"metadata": {"annotations": {INTENT_ANNOTATION: json.dumps(intent)}}}
        await self.client.merge_patch(*WHERE, patch)
        return intent

    async def answer(self, status: dict) -> None:
        live = await self.client.get(*WHERE)
        told = {"message": "so it is", **(live.get("status") or {}), **status}
        await self.client.patch_status(*WHERE, told, resource_version=live["metadata"]["resourceVersion"])

    async def done(self, intent: dict) -> None:
        await self.answer({"lastIntent": {**intent, "outcome": "done"}})


@pytest.fixture
def rollout(cluster) -> Rollout:
    return Rollout(cluster[1])


async def test_what_was_asked_before_is_answered_first(rollout) -> None:
    await rollout.make()
    first = await rollout.by_hand("pause", "bob")
    asking = asyncio.create_task(ask(rollout.client, *WHERE[1:], Asked(verb="promote", by="ada")))
    for _ in range(3):
        await rollout.standing()
    assert (await rollout.standing())["verb"] == "pause"
    await rollout.done(first)
    await rollout.done(await rollout.asks("promote"))
    assert (await asking).last_intent.by == "ada"


async def test_who_asks_while_nobody_answers_is_told_and_overwrites_nothing(rollout) -> None:
    await rollout.make()
    await rollout.by_hand("pause", "bob")
    with pytest.raises(UnansweredError, match="pause by bob is on default/asked and was not answered yet"):
        await ask(rollout.client, *WHERE[1:], Asked(verb="promote", by="ada"), patience=0)
    assert (await rollout.standing())["by"] == "bob"


async def test_an_abort_waits_for_nobody(rollout) -> None:
    await rollout.make()
    await rollout.by_hand("pause", "bob")
    asking = asyncio.create_task(ask(rollout.client, *WHERE[1:], Asked(verb="abort", by="ada")))
    await rollout.done(await rollout.asks("abort"))
    assert (await asking).last_intent.verb == "abort"


async def test_who_is_overwritten_by_hand_is_told_by_whom(rollout) -> None:
    await rollout.make()
    asking = asyncio.create_task(ask(rollout.client, *WHERE[1:], Asked(verb="promote", by="ada")))
    await rollout.asks("promote")
    await rollout.by_hand("pause", "bob")
    with pytest.raises(UnansweredError, match="promote was not answered before pause by bob took its place"):
        await asking
