"""Clocks that differ: an instant is read once it is over by Prometheus's own clock, so it never reads otherwise."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from wsgiref.handlers import format_date_time

import pytest
from aiohttp import web

from analysis.measure import Measurer
from analysis.monitor import Monitor
from analysis.providers.prometheus import PrometheusProvider
from analysis.samples import ArmReading, PodReading, Reading
from analysis.spec import Arm, Comparison, ErrorRate, Key, Plan

START = datetime(2026, 1, 1, tzinfo=UTC)
STEP = 10
WATCHED = Comparison(
    key=("ml", "iris"),
    stable=Arm("ml", "iris-1"),
    canary=Arm("ml", "iris-2"),
    plan=Plan(warmup=timedelta(0), metrics=(ErrorRate(),)),
    started_at=START,
)


class Late(Measurer):
    """A Prometheus whose clock is so many seconds behind: of an instant it has what was scraped by its own clock."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.now = START
        self.read_at: list[int] = []

    async def read(self, comparisons: Sequence[Comparison], at: datetime) -> dict[Key, Reading]:
        self.read_at.append(int(at.timestamp()))
        return {one.key: self._reading(at) for one in comparisons}

    async def replay(
        self, comparisons: Sequence[Comparison], start: datetime, end: datetime, step: int
    ) -> dict[Key, tuple[Reading, ...]]:
        moments = [start + timedelta(seconds=each) for each in range(0, int((end - start).total_seconds()) + 1, step)]
        return {one.key: tuple(self._reading(at) for at in moments) for one in comparisons}

    def _reading(self, at: datetime) -> Reading:
        scraped = int(min(at, self.now - timedelta(seconds=self.seconds)).timestamp())
        served = scraped - int(START.timestamp()) + 100_000
        failed = 3.0 * (served // 7)
        stable, canary = PodReading({"200": 90.0 * served}), PodReading({"200": 9.0 * served, "500": failed})
        return Reading(int(at.timestamp()), ArmReading({"a/1": stable}), ArmReading({"b/1": canary}))


async def judged(measurer: Late, lag: Callable[[], timedelta], ticks: Sequence[int]) -> object:
    monitor = Monitor(measurer, step=timedelta(seconds=STEP), settle=timedelta(seconds=2), lag=lag)
    monitor.track(WATCHED)
    for seconds in ticks:
        measurer.now = START + timedelta(seconds=seconds)
        await monitor.tick(measurer.now)
    return monitor._tracked[WATCHED.key].session


LIVE = range(3, 124, 3)


@pytest.mark.parametrize("seconds", [0, 1, 5, 9, 25])
async def test_who_reads_as_time_goes_by_and_who_reads_it_all_later_find_the_same(seconds: int) -> None:
    measurer = Late(seconds)
    live = await judged(measurer, lambda: timedelta(seconds=seconds), LIVE)
    later = await judged(Late(0), timedelta, [live.at - int(START.timestamp()) + 2])
    assert later == live
    assert len(measurer.read_at) >= (LIVE[-1] - seconds - 2) // STEP - 1


async def test_without_the_wait_they_would_differ() -> None:
    live = await judged(Late(5), timedelta, LIVE)
    assert await judged(Late(0), timedelta, [live.at - int(START.timestamp()) + 2]) != live


@pytest.mark.parametrize(
    ("seconds", "least", "most"),
    [(0, 0, 0), (300, 300, 360), (-30, 0, 0), (None, 0, 0)],
    ids=["the same", "behind", "ahead", "no date"],
)
async def test_a_clock_is_read_off_the_answers(seconds: float | None, least: float, most: float) -> None:
    async def answer(_: web.Request) -> web.Response:
        found = web.json_response({"status": "success", "data": {"resultType": "vector", "result": []}})
        date = "none" if seconds is None else format_date_time(datetime.now(UTC).timestamp() - seconds)
        found.headers["Date"] = date
        return found

    app = web.Application()
    app.router.add_post("/api/v1/query", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        provider = PrometheusProvider(f"http://127.0.0.1:{runner.addresses[0][1]}")
        assert provider.lag == timedelta(0)
        await provider.instant("up", START)
        assert least <= provider.lag.total_seconds() <= most
    finally:
        await runner.cleanup()
