"""Webhooks: asks what gates want to know, beside the passes, and wakes the rollout with the answer."""

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from analysis.providers.asked.answer import AskError
from analysis.providers.asked.http import Http, Request
from controller.beside import Beside
from controller.queue import Key
from controller.rollout.observed import Answer, Question

log = logging.getLogger("seldon_rollouts.rollout")
_TIMEOUT = 5.0
_MESSAGE = 200
_JSON = {"Content-Type": "application/json"}


@dataclass(slots=True)
class _Asked:
    question: Question
    answer: Answer | None = None
    task: asyncio.Task[None] | None = None


class Webhooks:
    """One question for each rollout at a time. What was answered is kept until it is asked again."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._http, self._beside = Http(now), Beside()
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
            asked.task = self._beside.start(self._ask(key, asked, wake))
        return asked.answer

    def forget(self, key: Key) -> None:
        """Drop a question and stop waiting for its answer."""
        asked = self._asked.pop(key, None)
        if asked is not None and asked.task is not None:
            asked.task.cancel()

    async def run(self) -> None:
        """Keep the connections while we lead; then nothing is asked any more, and they are closed."""
        try:
            await asyncio.Event().wait()
        finally:
            self._asked.clear()
            await self._beside.end()
            await self._http.close()

    async def _ask(self, key: Key, asked: _Asked, wake: Callable[[Key], None]) -> None:
        try:
            opened, message = await self._post(asked.question)
        finally:
            asked.task = None
        asked.answer = Answer(question=asked.question, open=opened, message=message, at=self._now())
        log.info("rollout=%s/%s event=GateAsked open=%s", *key, opened)
        wake(key)

    async def _post(self, question: Question) -> tuple[bool, str]:
        """Ask once: whether the answer is 2xx, and what it says."""
        body = {name: value for name, value in asdict(question).items() if name not in ("url", "since")}
        request = Request(
            url=question.url, method="POST", headers=_JSON, content=json.dumps(body).encode(), timeout=_TIMEOUT
        )
        try:
            answer = await self._http.send(request)
        except AskError as error:
            return False, str(error)[:_MESSAGE]
        text = " ".join(answer.body[: 4 * _MESSAGE].decode(errors="replace").split())[:_MESSAGE]
        return 200 <= answer.status < 300, f"HTTP {answer.status}" + (f": {text}" if text else "")
