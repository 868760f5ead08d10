"""What webhooks are asked with: in the place of HTTP and of asyncio's tasks, on simulated time."""

import json
import random
from collections.abc import Callable, Coroutine
from typing import Any

from analysis.providers.asked.http import Request, Response
from simulated.api import Object
from simulated.client import Pause
from simulated.timeline import Timeline

Ask = Callable[[Object], tuple[float, Response | Exception]]
"""From what is asked to the seconds that the answer takes, and the answer."""
Gone = Callable[[], bool]


class Post:
    """Sends a question, and brings the answer."""

    def __init__(self, ask: Ask, chance: random.Random) -> None:
        self._ask, self._chance = ask, chance

    async def send(self, request: Request) -> Response:
        await Pause(0.01 + 0.05 * self._chance.random())
        seconds, answer = self._ask(json.loads(request.content or b"{}"))
        await Pause(seconds)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Errand:
    """Work that goes on beside the passes.

    Args:
        timeline: the time.
        work: awaits nothing but pauses.
        gone: whether its process has ended.
        skew: seconds by which its process's clock is off.
    """

    def __init__(
        self, timeline: Timeline, work: Coroutine[Any, Any, None], gone: Gone, skew: Callable[[], float]
    ) -> None:
        self._timeline, self._work, self._gone, self._skew = timeline, work, gone, skew
        timeline.after(0.0, self._go_on, counts=False)

    def cancel(self) -> None:
        self._work.close()

    def _go_on(self) -> None:
        if self._gone():
            self._work.close()
            return
        before, self._timeline.skew = self._timeline.skew, self._skew()
        try:
            pause = self._work.send(None)
        except StopIteration:
            return
        except RuntimeError:
            return  # it was cancelled
        finally:
            self._timeline.skew = before
        self._timeline.after(pause, self._go_on, counts=False)


class Errands:
    """In the place of `controller.beside.Beside`."""

    def __init__(self, timeline: Timeline, gone: Gone, skew: Callable[[], float]) -> None:
        self._timeline, self._gone, self._skew = timeline, gone, skew

    def start(self, work: Coroutine[Any, Any, None]) -> Errand:
        return Errand(self._timeline, work, self._gone, self._skew)
