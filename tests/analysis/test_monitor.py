"""The whole judge against a real Prometheus."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from analysis import session
from analysis.checks import PredictionDrift
from analysis.measure import Measurer
from analysis.monitor import Monitor
from analysis.providers.prometheus import PrometheusProvider
from analysis.spec import Arm, Comparison, ErrorRate, Plan
from analysis.verdict import Verdict

pytestmark = pytest.mark.slow

STEP = timedelta(seconds=1)


def monitor(url: str) -> Monitor:
    return Monitor(Measurer(PrometheusProvider(url, attempts=1)), step=STEP, settle=timedelta(milliseconds=500))


def comparison(started_at: datetime, **fields) -> Comparison:
    return Comparison(
        key=("ml", "iris"),
        stable=Arm("ml", "iris-1", ("iris-1-default",)),
        canary=Arm("ml", "iris-2", ("iris-2-default",)),
        plan=Plan(warmup=timedelta(0)),
        started_at=started_at,
        **fields,
    )


def evidence(judge: Monitor) -> object:
    tracked = judge._tracked["ml", "iris"]
    return tracked.session, tracked.counters


async def test_a_failing_canary_is_found_and_a_new_monitor_finds_the_same_evidence(exporter, prometheus, poll):
    exporter.pod("iris-1", "stable-a", requests=100, failed=1)
    exporter.pod("iris-1", "stable-b", requests=80)
    exporter.pod("iris-2", "canary-a", requests=100, failed=5, slow=1)
    prometheus.scrape("stable-a", "stable-b", "canary-a")
    await prometheus.start()
    watched = comparison(datetime.now(UTC))
    live = monitor(prometheus.url)
    live.track(watched)

    async def decided() -> bool:
        await live.tick(datetime.now(UTC))
        return live.judgement(watched.key).verdict is Verdict.BAD

    await poll(decided, seconds=45)

    judgement = live.judgement(watched.key)
    again = monitor(prometheus.url)
    again.track(watched)
    await again.tick(judgement.updated_at + timedelta(milliseconds=600))
    assert evidence(again) == evidence(live)
    assert again.judgement(watched.key) == judgement
    errors = judgement.findings[0]
    assert errors.canary == pytest.approx(0.05)
    assert errors.evidence >= errors.needed == 100
    assert judgement.message.startswith("failed requests: 5.0 % against 0.56 % on stable")


async def test_while_prometheus_is_away_there_is_an_error_and_afterwards_the_same_evidence(exporter, prometheus, poll):
    exporter.pod("iris-1", "stable-a", requests=200, failed=2)
    exporter.pod("iris-2", "canary-a", requests=100, failed=1)
    prometheus.scrape("stable-a", "canary-a")
    await prometheus.start()
    watched = comparison(datetime.now(UTC))
    live = monitor(prometheus.url)
    live.track(watched)

    def verdict() -> Verdict:
        return live.judgement(watched.key).verdict

    async def measured() -> bool:
        await live.tick(datetime.now(UTC))
        return live._tracked[watched.key].session.arms.judged_ticks > 2 and verdict() is not Verdict.NO_DATA

    await poll(measured, seconds=30)
    before = evidence(live)

    await prometheus.stop()

    async def failing() -> bool:
        await live.tick(datetime.now(UTC))
        return verdict() is Verdict.ERROR

    await poll(failing, seconds=10)
    assert evidence(live) == before
    assert "could not be read" in live.judgement(watched.key).message

    await prometheus.start()
    served = exporter.sources["canary-a"].scrapes

    async def back() -> bool:
        await live.tick(datetime.now(UTC))
        return verdict() is not Verdict.ERROR and exporter.sources["canary-a"].scrapes > served + 2

    await poll(back, seconds=30)
    again = monitor(prometheus.url)
    again.track(watched)
    await again.tick(live.judgement(watched.key).updated_at + timedelta(milliseconds=600))
    assert evidence(again) == evidence(live)


async def test_the_gateway_tells_of_failures_that_no_orchestrator_saw(exporter, prometheus, poll):
    exporter.pod("iris-1", "stable-a", requests=100)
    exporter.gateway("iris-1-default", requests=100)
    exporter.gateway("iris-2-default", requests=100, failed=100)
    prometheus.scrape("stable-a", "gateway-iris-1-default", "gateway-iris-2-default")
    await prometheus.start()
    watched = comparison(datetime.now(UTC))
    live = monitor(prometheus.url)
    live.track(watched)

    async def decided() -> bool:
        await live.tick(datetime.now(UTC))
        return live.judgement(watched.key).verdict is Verdict.BAD

    await poll(decided, seconds=45)

    assert live.judgement(watched.key).findings[0].canary == 1.0
    traffic = live.traffic(watched.key)
    assert traffic.canary_requests > 0
    assert 0.3 < traffic.canary_share < 0.7


async def test_classes_that_differ_are_found_on_a_real_prometheus(exporter, prometheus, poll):
    exporter.pod("iris-1", "stable-a", classes={"cat": 160, "dog": 40}, requests=200)
    exporter.pod("iris-2", "canary-a", classes={"cat": 60, "dog": 40}, requests=100)
    prometheus.scrape("stable-a", "canary-a")
    await prometheus.start()
    metrics = (ErrorRate(), PredictionDrift(action="abort"))
    watched = replace(comparison(datetime.now(UTC)), plan=Plan(warmup=timedelta(0), metrics=metrics))
    live = monitor(prometheus.url)
    live.track(watched)

    async def decided() -> bool:
        await live.tick(datetime.now(UTC))
        return live.judgement(watched.key).verdict is Verdict.BAD

    await poll(decided, seconds=45)
    assert "against 80 % on stable" in live.judgement(watched.key).message or (
        "against 20 % on stable" in live.judgement(watched.key).message
    )


async def test_a_new_step_change_keeps_the_evidence_and_another_plan_replays_it():
    judge = monitor("http://127.0.0.1:9")
    start = datetime(2026, 1, 1, tzinfo=UTC)
    judge.track(comparison(start))
    first = judge._tracked["ml", "iris"]
    judge.track(comparison(start, restarts=(start, start + timedelta(minutes=1))))
    assert judge._tracked["ml", "iris"] is first
    assert first.session.restarts == (int(start.timestamp()), int(start.timestamp()) + 60)
    judge.track(comparison(start + timedelta(seconds=5)))
    assert judge._tracked["ml", "iris"] is not first
    judge.untrack(("ml", "iris"))
    assert judge.judgement(("ml", "iris")) is None
    assert session.begin(comparison(start)).at is None
