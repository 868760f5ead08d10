"""Compares the answers to copied requests with those of another orchestrator, after they were given.

A copy that falls into the sample is answered as always. Then the same request is sent twice to who is compared with,
marked, so that it is counted apart there. The graph's answer against the first one is the pair `canary`; the two of
stable against each other are the pair `stable`: how much one revision differs from itself.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from time import monotonic

from orchestrator.clients.counterpart import Asked, Called, Counterpart
from orchestrator.errors import BadPayloadError
from orchestrator.protocols.agreement import Answered, agree, answered
from orchestrator.protocols.codec import Codec
from orchestrator.protocols.payload import Payload
from orchestrator.telemetry.families import Shown
from orchestrator.telemetry.metrics import PREDICTOR, Identity

log = logging.getLogger(__name__)

PAIRS = ("canary", "stable")
RESULTS = ("agree", "disagree", "error")
BOTH = {
    ("agree", "agree"): "agree",
    ("disagree", "disagree"): "disagree",
    ("disagree", "agree"): "canary",
    ("agree", "disagree"): "stable",
}
"""Of both pairs of one copy: whether they agree alike, or which of them differs alone."""
_DROPPED = ("busy", "long")
_LONGEST = 256 * 1024  # bytes of a body that is compared: reading it holds nobody up
AT_A_TIME = 4
"""Comparisons of one process; further ones are dropped."""
REST = 9.0
"""How many times as long as it was asked the other side is left alone: a model of one thread keeps nine tenths of its
time for the requests of users."""
_LONGEST_REST = 60.0
"""Seconds."""


def is_copy(host: bytes) -> bool:
    """Whether the Host (or :authority) of a request says that it is a copy: Envoy appends `-shadow` to the name."""
    return host.partition(b":")[0].endswith(b"-shadow")


class Sample:
    """A share of what comes, and no more than so many a second: those of one second may come at once. Fewer where the
    other side is slow.

    Args:
        share: what is drawn, 0 to 1.
        per_second: how many are taken at most.
        draw: gives numbers that are uniform in [0, 1).
        now: the time in seconds.
    """

    def __init__(
        self, share: float, per_second: float, draw: Callable[[], float], now: Callable[[], float] = monotonic
    ) -> None:
        self._share, self._rate = share, per_second
        self._most = max(1.0, per_second)
        self._draw, self._now = draw, now
        self._left, self._at = self._most, now()
        self._rests = self._at

    async def timed(self, asking: Callable[[], Awaitable[None]]) -> None:
        """Ask the other side, and take nothing while it is left alone afterwards."""
        began = self._now()
        await asking()
        ended = self._now()
        self._rests = max(self._rests, ended + min(REST * (ended - began), _LONGEST_REST))

    def takes(self) -> bool:
        """Whether the next one belongs to the sample."""
        if self._share < 1 and self._draw() >= self._share:
            return False
        now = self._now()
        if now < self._rests:
            return False
        self._left = min(self._most, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Comparer:
    """Asks who is compared with, a few requests at a time, and counts. What does not fit is dropped and counted.

    Args:
        other: who is compared with.
        tolerance: how near numbers have to be.
        identity: whose answers are compared.
        codec: of the graph.
        sample: which copies are compared.
    """

    def __init__(self, other: Counterpart, tolerance: float, identity: Identity, codec: Codec, sample: Sample) -> None:
        values = (identity.deployment, identity.predictor, identity.version)
        self._labels = tuple(zip(PREDICTOR, values, strict=True))
        self._other, self._tolerance, self._codec, self._sample = other, tolerance, codec, sample
        self._tasks: set[asyncio.Task[None]] = set()
        self.counts = {(pair, result): 0 for pair in PAIRS for result in RESULTS}
        self.counts |= {("both", result): 0 for result in BOTH.values()}
        self.dropped = dict.fromkeys(_DROPPED, 0)

    def takes(self) -> bool:
        """Whether the answer to the next copy shall be offered."""
        return self._sample.takes()

    @property
    def over_grpc(self) -> bool:
        """Whether copies over gRPC can be compared."""
        return self._other.over_grpc

    def offer(self, asked: Asked | Called, answer: Payload | None) -> None:
        """Compare the answer to a copy soon; None is one that failed."""
        if answer is None:
            self.counts["canary", "error"] += 1
        elif self._fits(asked.payload) and self._fits(answer):
            if len(self._tasks) >= AT_A_TIME:
                self.dropped["busy"] += 1
                return
            task = asyncio.get_running_loop().create_task(self._sample.timed(lambda: self._compare(asked, answer)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    @property
    def under_way(self) -> int:
        """Comparisons that have not ended."""
        return len(self._tasks)

    def shown(self) -> Iterable[Shown]:
        """What was compared, and what was not; all series from the start, so that nothing is missed."""
        yield Shown(
            "seldon_shadow_compare_total",
            "Answers to copied requests: the canary's against stable's, and stable's against each other",
            "counter",
            {
                (*self._labels, ("pair", pair), ("result", result)): float(count)
                for (pair, result), count in self.counts.items()
            },
        )
        yield Shown(
            "seldon_shadow_compare_dropped_total",
            "Copies of the sample that were not compared: too many under way, or a body that is too long",
            "counter",
            {(*self._labels, ("reason", reason)): float(count) for reason, count in self.dropped.items()},
        )

    async def close(self) -> None:
        """Give up what is under way."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._other.close()

    def _fits(self, payload: Payload) -> bool:
        if payload.flow is None and len(payload.body) <= _LONGEST:
            return True
        self.dropped["long"] += 1
        return False

    async def _compare(self, asked: Asked | Called, answer: Payload) -> None:
        first = await self._asked(asked)
        ours = self._count("canary", self._read(answer), first)
        second = await self._asked(asked) if first is not None else None
        theirs = self._count("stable", first, second)
        if (ours, theirs) in BOTH:
            self.counts["both", BOTH[ours, theirs]] += 1

    def _count(self, pair: str, one: Answered | None, other: Answered | None) -> str:
        result = "error"
        if one is not None and other is not None:
            result = "agree" if agree(one, other, self._tolerance) else "disagree"
        self.counts[pair, result] += 1
        return result

    def _read(self, answer: Payload) -> Answered | None:
        try:
            return answered(self._codec, answer)
        except (BadPayloadError, OverflowError, RecursionError) as error:
            log.debug("an answer could not be compared: %s", error)
            return None

    async def _asked(self, asked: Asked | Called) -> Answered | None:
        answer = await self._other.answer(asked)
        return None if answer is None else self._read(answer)
