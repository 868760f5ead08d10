"""What is seen at the gateway between two ticks: only what was counted after the change is known to be in effect."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from analysis.measure import Measurer
from analysis.providers.prometheus import PrometheusProvider
from analysis.providers.provider import Instant, ProviderError, Series
from analysis.sightings import Sightings
from analysis.spec import Arm, Comparison, Plan

AT = datetime(2026, 1, 1, tzinfo=UTC)
KEY = ("ml", "iris")


def comparison(**fields) -> Comparison:
    return Comparison(
        key=KEY,
        stable=Arm("ml", "iris-1", ("iris-1-default",)),
        canary=Arm("ml", "iris-2", ("iris-2-default",)),
        plan=Plan(),
        **{"started_at": AT, **fields},
    )


class Gateway:
    """A provider of what one gateway counts, as it was scraped last."""

    def __init__(self) -> None:
        self.scraped: datetime | None = None
        self.counts: dict[str, int] = {}
        self.away = False

    def scrape(self, seconds: float, **counts: int) -> None:
        self.scraped, self.counts = AT + timedelta(seconds=seconds), counts

    async def instant(self, query: str, at: datetime) -> Instant:
        if self.away:
            raise ProviderError("connection refused")
        if query.startswith("min(timestamp("):
            return Instant([b"{}"], [self.scraped.timestamp()]) if self.scraped else Instant([], [])
        labels = {"destination_service_namespace": "ml", "response_code": "200", "pod": "gw"}
        written = [
            orjson.dumps(labels | {"destination_service_name": f"iris-{1 if arm == 'stable' else 2}-default"})
            for arm in self.counts
        ]
        return Instant(written, list(map(float, self.counts.values())))

    async def between(self, query: str, start: datetime, end: datetime, step: int) -> tuple[Series, ...]:
        raise AssertionError("nothing is read again")


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
def sightings(gateway) -> Sightings:
    """A change of weights is in effect at second 10."""
    made = Sightings(Measurer(gateway))
    made.expect(comparison(), at=AT + timedelta(seconds=10))
    return made


async def seen(sightings: Sightings) -> tuple[int, int] | None:
    await sightings.look(AT)
    found = sightings.traffic(KEY)
    return None if found is None else (found.stable_requests, found.canary_requests)


async def test_a_window_begins_with_a_scrape_after_the_change_and_grows(sightings, gateway) -> None:
    gateway.scrape(9.9, stable=1000)
    assert await seen(sightings) is None
    gateway.scrape(10.2, stable=1100)
    assert await seen(sightings) is None, "one scrape counts nothing"
    gateway.scrape(10.4, stable=1140, canary=10)
    assert await seen(sightings) == (40, 10), "who was not counted before counts from 0"
    gateway.scrape(10.6, stable=1180, canary=25)
    assert await seen(sightings) == (80, 25)
    window = sightings.traffic(KEY)
    assert (window.since, window.at) == (AT + timedelta(seconds=10.2), AT + timedelta(seconds=10.6))


async def test_only_what_is_new_is_told(sightings, gateway) -> None:
    gateway.scrape(11, stable=5, canary=5)
    told = [await sightings.look(AT) for _ in range(2)]
    gateway.scrape(12, stable=15, canary=5)
    told += [await sightings.look(AT) for _ in range(2)]
    assert told == [frozenset(), frozenset(), frozenset({KEY}), frozenset()]


async def test_a_gateway_that_began_anew_counts_from_0(sightings, gateway) -> None:
    gateway.scrape(11, stable=500, canary=300)
    assert await seen(sightings) is None
    gateway.scrape(12, stable=30, canary=20)
    assert await seen(sightings) == (30, 20)


@pytest.mark.parametrize("away", [True, False], ids=["Prometheus is away", "nothing is scraped"])
async def test_where_nothing_can_be_read_nothing_is_seen(sightings, gateway, away) -> None:
    gateway.away = away
    assert await seen(sightings) is None


async def test_what_was_seen_is_kept_until_the_weights_change(sightings, gateway) -> None:
    for seconds, count in ((11, 5), (12, 45)):
        gateway.scrape(seconds, stable=count, canary=count)
        await sightings.look(AT)
    sightings.enough(comparison())
    gateway.scrape(13, stable=500, canary=500)
    assert await seen(sightings) == (40, 40), "nobody looks any more"
    sightings.enough(comparison(restarts=(AT + timedelta(seconds=20),)))
    assert sightings.traffic(KEY) is None


async def test_another_change_begins_anew(sightings, gateway) -> None:
    for seconds, count in ((11, 5), (12, 45)):
        gateway.scrape(seconds, stable=count, canary=count)
        await sightings.look(AT)
    sightings.expect(comparison(restarts=(AT + timedelta(seconds=12),)), at=AT + timedelta(seconds=13))
    assert await seen(sightings) is None


@pytest.mark.parametrize(
    "unseen",
    [
        comparison(mirrored=True),
        replace(comparison(), stable=Arm("ml", "iris-1"), canary=Arm("ml", "iris-2")),
    ],
    ids=["copies", "stable lives on copies"],
)
async def test_copies_are_not_looked_for_at_the_gateway(sightings, gateway, unseen) -> None:
    sightings.expect(unseen, at=AT)
    gateway.away = True
    assert await sightings.look(AT) == frozenset()
    assert sightings.traffic(KEY) is None
    assert not sightings.awaited


@pytest.mark.slow
async def test_a_real_prometheus_shows_the_split_soon(exporter, prometheus, poll) -> None:
    """Each scrape finds ninety requests more at stable and ten at the canary."""
    exporter.gateway("iris-1-default", requests=90)
    exporter.gateway("iris-2-default", requests=10)
    prometheus.scrape("gateway-iris-1-default", "gateway-iris-2-default")
    await prometheus.start()
    begun = datetime.now(UTC)
    sightings = Sightings(Measurer(PrometheusProvider(prometheus.url, attempts=1)))
    sightings.expect(comparison(started_at=begun), at=begun)

    async def counted() -> bool:
        await sightings.look(datetime.now(UTC))
        found = sightings.traffic(KEY)
        return found is not None and found.stable_requests > 0 and found.canary_requests > 0

    await poll(counted, seconds=20)
    window = sightings.traffic(KEY)
    assert begun <= window.since < window.at
    assert (window.stable_requests % 90, window.canary_requests % 10) == (0, 0)
