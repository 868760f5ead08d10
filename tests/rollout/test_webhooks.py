"""A gate's webhook is asked once at a time, beside the passes, and wakes the rollout with its answer."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controller.rollout.observed import Answer, Question
from controller.rollout.webhooks import Webhooks

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


class Clock:
    now = START

    def __call__(self) -> datetime:
        return self.now


class Gate:
    """A rollout at a gate, and the webhooks that are asked for it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.hooks = Webhooks(self.clock)
        self.woken = asyncio.Event()

    def look(self, asked: Question) -> Answer | None:
        """What is known; asks where that is due."""
        return self.hooks.answer(KEY, asked, timedelta(minutes=1), lambda _key: self.woken.set())

    async def answer(self, asked: Question) -> Answer:
        """What is known, once anything is."""
        while (known := self.look(asked)) is None:
            await self.waked()
        return known

    async def waked(self) -> None:
        """Wait until the rollout is woken."""
        await asyncio.wait_for(self.woken.wait(), 10)
        self.woken.clear()

    @asynccontextmanager
    async def leading(self) -> AsyncIterator[None]:
        """While we lead."""
        running = asyncio.create_task(self.hooks.run())
        await asyncio.sleep(0)
        yield
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
async def gate() -> AsyncIterator[Gate]:
    made = Gate()
    async with made.leading():
        yield made


@pytest.mark.parametrize(("code", "opened"), [(200, True), (204, True), (304, False), (403, False), (500, False)])
async def test_only_2xx_opens(code: int, opened: bool, service: Service, gate: Gate) -> None:
    with service.saying(code) as (url, bodies):
        found = await gate.answer(question(url))
    assert (found.open, found.message) == (opened, f"HTTP {code}")
    assert bodies == [{"namespace": "ml", "name": "iris", "revision": 2, "hash": "abc", "step": 1, "weight": 10}]


async def test_a_service_that_is_not_there_keeps_the_gate_closed_and_says_why(gate: Gate) -> None:
    found = await gate.answer(question("http://127.0.0.1:1/confirm?token=hush"))
    assert not found.open
    assert "ConnectError" in found.message
    assert "hush" not in found.message


async def test_an_answer_without_end_keeps_the_gate_closed(service: Service, gate: Gate) -> None:
    with service.saying(200, "x" * 2_000_000) as (url, _):
        found = await gate.answer(question(url))
    assert not found.open
    assert "answered with more than" in found.message


async def test_a_question_is_asked_once_and_again_after_the_interval(service: Service, gate: Gate) -> None:
    with service.saying(403, "not\nyet") as (url, bodies):
        assert gate.look(question(url)) is None
        first = await gate.answer(question(url))
        assert (first.open, first.message, len(bodies)) == (False, "HTTP 403: not yet", 1)
        gate.clock.now += timedelta(minutes=1)
        assert [gate.look(question(url)) for _ in range(2)] == [first, first]
        await gate.waked()
    assert len(bodies) == 2


async def test_an_open_gate_is_not_asked_again_but_another_step_is(service: Service, gate: Gate) -> None:
    with service.saying(200) as (url, bodies):
        for step in (1, 1, 2):
            assert (await gate.answer(question(url, step))).open
            gate.clock.now += timedelta(hours=1)
    assert [body["step"] for body in bodies] == [1, 2]


async def test_nothing_is_asked_any_more_once_another_leads(silent: Any) -> None:
    gate = Gate()
    async with asyncio.timeout(60):
        async with gate.leading():
            gate.look(question(silent.url))
            await silent.asked.wait()
        await silent.gone.wait()
