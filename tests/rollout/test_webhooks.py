"""A gate's webhook is asked once at a time, beside the passes, and wakes the rollout with its answer."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controller.rollout.observed import Question
from controller.rollout.webhooks import Webhooks, post

START = datetime(2026, 1, 1, tzinfo=UTC)
KEY = ("ml", "iris")
Served = Callable[..., AbstractContextManager[str]]


class Service:
    """A gate's service: it answers one thing always and keeps what it was told."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self.bodies: list[dict] = []

    @contextmanager
    def saying(self, code: int, text: str = "") -> Iterator[tuple[str, list[dict]]]:
        def answer(asked: Any) -> tuple[int, str]:
            self.bodies.append(json.loads(asked.body))
            return code, text

        with self._served(answer) as url:
            yield f"{url}/confirm", self.bodies


@pytest.fixture
def service(served: Served) -> Service:
    return Service(served)


def question(url: str, step: int = 1) -> Question:
    return Question(
        url=url, namespace="ml", name="iris", revision=2, hash="abc", step=step, weight=10, since=START
    )  # fmt: skip


@pytest.mark.parametrize(("code", "opened"), [(200, True), (204, True), (302, False), (403, False), (500, False)])
async def test_only_2xx_opens(code: int, opened: bool, service: Service) -> None:
    with service.saying(code) as (url, bodies):
        found, message = await post(question(url))
    assert (found, message) == (opened, f"HTTP {code}")
    assert bodies == [{"namespace": "ml", "name": "iris", "revision": 2, "hash": "abc", "step": 1, "weight": 10}]


async def test_a_service_that_is_not_there_keeps_the_gate_closed_and_says_why() -> None:
    opened, message = await post(question("http://127.0.0.1:1/confirm"))
    assert not opened
    assert "ConnectError" in message


class Clock:
    now = START

    def __call__(self) -> datetime:
        return self.now


async def test_a_question_is_asked_once_and_again_after_the_interval(service: Service) -> None:
    clock, woken = Clock(), asyncio.Event()
    hooks, minute = Webhooks(clock), timedelta(minutes=1)
    with service.saying(403, "not\nyet") as (url, bodies):

        async def answer():
            woken.clear()
            first = hooks.answer(KEY, question(url), minute, lambda _key: woken.set())
            again = hooks.answer(KEY, question(url), minute, lambda _key: woken.set())
            await asyncio.wait_for(woken.wait(), 5)
            return first, again, hooks.answer(KEY, question(url), minute, lambda _key: woken.set())

        first, again, last = await answer()
        assert (first, again, last.open, last.message) == (None, None, False, "HTTP 403: not yet")
        assert len(bodies) == 1
        clock.now += timedelta(minutes=1)
        await answer()
        assert len(bodies) == 2


async def test_an_open_gate_is_not_asked_again_but_another_step_is(service: Service) -> None:
    clock, woken = Clock(), asyncio.Event()
    hooks, minute = Webhooks(clock), timedelta(minutes=1)
    with service.saying(200) as (url, bodies):
        for step in (1, 1, 2):
            woken.clear()
            if hooks.answer(KEY, question(url, step), minute, lambda _key: woken.set()) is None:
                await asyncio.wait_for(woken.wait(), 5)
            clock.now += timedelta(hours=1)
        assert hooks.answer(KEY, question(url, 2), minute, lambda _key: None).open
    assert [body["step"] for body in bodies] == [1, 2]
