"""The demo's users: real rows to the gateway at a steady rate, and every answer accounted for."""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import aiohttp
import orjson

REVISION_HEADER = "seldon-revision"
UNKNOWN = "?"
WINDOW_SECONDS = 10.0
KEPT_LATENCIES = 20_000


@dataclass(slots=True)
class Tally:
    """What one revision answered."""

    requests: int = 0
    failed: int = 0
    right: int = 0
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT_LATENCIES))
    """Seconds, of the latest answers."""
    recent: deque[tuple[float, bool]] = field(default_factory=deque)
    """(when, failed) within the window."""

    def add(self, at: float, seconds: float, *, failed: bool, right: bool) -> None:
        """Count one answer."""
        self.requests += 1
        self.failed += failed
        self.right += right
        self.latencies.append(seconds)
        self.recent.append((at, failed))

    def quantile(self, q: float) -> float | None:
        """Return the latency, in seconds, that a share q of answers did not exceed; None without answers."""
        if not self.latencies:
            return None
        ordered = sorted(self.latencies)
        return ordered[min(int(q * len(ordered)), len(ordered) - 1)]

    def accuracy(self) -> float | None:
        """Return the share of answers that named the right digit; None without good answers."""
        answered = self.requests - self.failed
        return self.right / answered if answered else None


@dataclass(slots=True)
class Failure:
    """A request that was not answered with 200."""

    revision: str
    status: int
    detail: str


class Users:
    """Sends rows from several connections at a steady rate until stopped.

    Args:
        url: where predictions are asked.
        rows: what is asked, in turn.
        labels: the right answers.
        rate: requests a second, over all connections.
        connections: how many ask at the same time.
        patience: seconds after which an answer is not waited for any more.
    """

    def __init__(
        self,
        url: str,
        rows: Sequence[Sequence[float]],
        labels: Sequence[int],
        *,
        rate: float,
        connections: int = 12,
        patience: float = 10,
    ) -> None:
        self._url = url
        self._labels = labels
        self._bodies = [orjson.dumps({"data": {"ndarray": [list(row)]}}) for row in rows]
        self._rate = rate
        self._connections = connections
        self._patience = patience
        self._next = 0
        self._stopping = asyncio.Event()
        self.tallies: dict[str, Tally] = {}
        self.failures: list[Failure] = []

    @property
    def sent(self) -> int:
        """All requests that were answered or failed."""
        return sum(tally.requests for tally in self.tallies.values())

    def answered(self, revision: str) -> int:
        """Return how many requests a revision has answered, well or badly."""
        return self.tallies[revision].requests if revision in self.tallies else 0

    async def run(self) -> None:
        """Ask until `stop`; each connection keeps its own pace, so that a slow answer holds up only itself."""
        timeout = aiohttp.ClientTimeout(total=self._patience)
        connector = aiohttp.TCPConnector(limit=self._connections)
        headers = {"content-type": "application/json"}
        async with aiohttp.ClientSession(timeout=timeout, connector=connector, headers=headers) as session:
            await asyncio.gather(*(self._ask_on(session, index) for index in range(self._connections)))

    def stop(self) -> None:
        """End after the requests that are under way."""
        self._stopping.set()

    async def _ask_on(self, session: aiohttp.ClientSession, index: int) -> None:
        interval = self._connections / self._rate
        due = time.monotonic() + index / self._rate
        while not self._stopping.is_set():
            await asyncio.sleep(max(due - time.monotonic(), 0))
            due = max(due + interval, time.monotonic() - interval)
            await self._ask(session)

    async def _ask(self, session: aiohttp.ClientSession) -> None:
        which = self._next % len(self._bodies)
        self._next += 1
        started = time.monotonic()
        revision, status, body, detail = UNKNOWN, 0, b"", ""
        try:
            async with session.post(self._url, data=self._bodies[which]) as answer:
                revision = answer.headers.get(REVISION_HEADER, UNKNOWN)
                status = answer.status
                body = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            detail = f"{type(error).__name__}: {error}"
        ended = time.monotonic()
        failed = status != 200
        if failed:
            self.failures.append(Failure(revision, status, detail or body[:200].decode(errors="replace")))
        right = not failed and _answer(body) == self._labels[which]
        tally = self.tallies.setdefault(revision, Tally())
        tally.add(ended, ended - started, failed=failed, right=right)
        while tally.recent and tally.recent[0][0] < ended - WINDOW_SECONDS:
            tally.recent.popleft()


def _answer(body: bytes) -> int | None:
    """Return the most probable digit of an answer in the Seldon protocol."""
    try:
        probabilities = orjson.loads(body)["data"]["ndarray"][0]
        return max(range(len(probabilities)), key=probabilities.__getitem__)
    except (orjson.JSONDecodeError, KeyError, IndexError, TypeError, ValueError):
        return None
