"""Webhooks: asks what gates want to know, beside the passes, and wakes the rollout with the answer."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import httpx

from controller.queue import Key
from controller.rollout.observed import Answer, Question

log = logging.getLogger("seldon_rollouts.rollout")
_TIMEOUT = 5.0
_MESSAGE = 200


@dataclass(slots=True)
class _Asked:
    question: Question
    answer: Answer | None = None
    task: asyncio.Task[None] | None = None


class Webhooks:
    """One question for each rollout at a time. What was answered is kept until it is asked again."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._asked: dict[Key, _Asked] = {}

    def answer(
        self, key: Key, question: Question | None, interval: timedelta, wake: Callable[[Key], None]
    ) -> Answer | None:
        """Return what is known; ask when nothing is, or when it is older than `interval` and said no."""
        asked = self._asked.get(key)
        if question is None:
            self.forget(key)
            return None
        if asked is None or asked.question != question:
            self.forget(key)
            asked = self._asked[key] = _Asked(question)
        stale = asked.answer is None or (not asked.answer.open and self._now() >= asked.answer.at + interval)
        if stale and asked.task is None:
            asked.task = asyncio.create_task(self._ask(key, asked, wake))
        return asked.answer

    def forget(self, key: Key) -> None:
        """Drop a question and stop waiting for its answer."""
        asked = self._asked.pop(key, None)
        if asked is not None and asked.task is not None:
            asked.task.cancel()

    async def _ask(self, key: Key, asked: _Asked, wake: Callable[[Key], None]) -> None:
        opened, message = await post(asked.question)
        asked.task = None
        asked.answer = Answer(question=asked.question, open=opened, message=message, at=self._now())
        log.info("rollout=%s/%s event=GateAsked open=%s", *key, opened)
        wake(key)


async def post(question: Question) -> tuple[bool, str]:
    """Ask once: whether the answer is 2xx, and what it says."""
    body = {name: value for name, value in asdict(question).items() if name not in ("url", "since")}
    try:
        async with httpx.AsyncClient(timeout=_TIMEOUT, trust_env=False) as client:
            answer = await client.post(question.url, json=body)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        return False, f"{type(error).__name__}: {error}"[:_MESSAGE]
    text = " ".join(answer.text[: 2 * _MESSAGE].split())[:_MESSAGE]
    return answer.is_success, f"HTTP {answer.status_code}" + (f": {text}" if text else "")
