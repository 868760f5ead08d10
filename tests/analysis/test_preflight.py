"""Whether a comparison can be judged: each thing that may be missing is named, with how to get it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from analysis import counters, preflight, session
from analysis.checks import PredictionDrift, ShadowAgreement
from analysis.counters import Counters
from analysis.forecast import CATCH_OVERHEAD, Look, compared_by, smallest
from analysis.information import Worse, counted_until
from analysis.measure import Measurer
from analysis.monitor import Monitor
from analysis.preflight import Found
from analysis.providers.prometheus import PrometheusProvider
from analysis.providers.provider import Instant, ProviderError
from analysis.samples import ArmReading, PodReading, Reading
from analysis.spec import Arm, Comparison, ErrorRate, Latency, Plan
from analysis.verdict import Preflight

START = 1_700_000_000
STABLE, CANARY = Arm("ml", "iris-1"), Arm("ml", "iris-2")
DRIFT = PredictionDrift()


def comparison(*metrics, **fields) -> Comparison:
    plan = Plan(metrics=metrics or (ErrorRate(), Latency()))
    started = datetime.fromtimestamp(START, UTC)
    return Comparison(key=("ml", "iris"), stable=STABLE, canary=CANARY, plan=plan, started_at=started, **fields)


def arm(each: int, until: int, *, born=START, buckets=(0.05, 0.1, 0.25), fast: float = 0.9, **counted) -> ArmReading:
    """One pod with so many requests every ten seconds; 1 % fail, and `fast` of the others take less than 100 ms."""
    requests = each * (until - born) // 10
    good = requests * 0.99
    within = {edge: (fast * good if edge >= 0.1 else 0.0) for edge in buckets} | (
        {float("inf"): good} if buckets else {}
    )
    signals = {"a": dict.fromkeys(counted["signals"], 10.0 * requests)} if "signals" in counted else {}
    fine, failed = counted.get("codes", ("200", "500"))
    return ArmReading({"a": PodReading({fine: good, failed: requests - good}, within)}, signals=signals)


def looked(watched: Comparison, stable, canary, *, until: int = 120, found: Found | None = None, **more) -> Preflight:
    """What is said `until` seconds after the start; each arm is a function of the instant."""
    state, last = session.begin(watched), Counters()
    for at in range(START - 600, START + until + 1, 10):
        arms = (
            ArmReading() if stable is None else stable(at),
            ArmReading() if canary is None or at < START else canary(at),
        )
        last, tick = counters.advance(last, Reading(at, *arms))
        state = session.step(state, tick) if tick else state
    return preflight.look(watched, state, last, found or Found(), **more)


def steady(each: int, **fields):
    born = START if each < 500 else START - 2000  # few requests are the canary's
    return lambda at: arm(each, at, born=born, **fields)


def test_what_is_there_is_told_with_its_rate_and_what_is_compared() -> None:
    found = looked(comparison(), steady(900), steady(100))
    assert (found.ready, found.reason, found.message) == (True, "Measured", "")
    assert found.requests == pytest.approx(94, abs=4)
    assert found.shares[0] == ("errorRate", None, pytest.approx(0.01, rel=0.02))
    assert ("latency", 0.1, 0.1) in found.shares


def test_copies_are_not_live_requests() -> None:
    live, copied = (
        looked(comparison(), steady(900), steady(900)),
        looked(comparison(mirrored=True), steady(900), steady(400)),
    )
    assert live.requests > copied.requests == pytest.approx(90, abs=2)


@pytest.mark.parametrize(
    ("canary", "found", "reason", "says"),
    [
        (None, Found(), "NoSeries", "requests_seconds_count with deployment_name iris-2 in namespace ml"),
        (None, Found({"iris-2": frozenset({""})}), "LabelMissing", "of iris-2 has no label namespace"),
        (None, Found({"iris-2": frozenset({"monitoring"})}), "LabelMissing", "the namespace monitoring instead of ml"),
        (None, Found(nameless=True), "LabelMissing", "has no label deployment_name"),
        (steady(0), Found(), "NoTraffic", "the canary has had no requests yet"),
        (steady(100, buckets=()), Found(), "NoHistogram", "_bucket of iris-2 is not there"),
    ],
)  # fmt: skip
def test_what_is_missing_of_the_canary_is_named(canary, found: Found, reason: str, says: str) -> None:
    told = looked(comparison(), steady(900), canary, found=found)
    assert (told.ready, told.reason) == (False, reason)
    assert says in told.message


def test_soon_after_the_start_what_is_missing_may_still_come() -> None:
    told = looked(comparison(), steady(900), None, until=30)
    assert (told.ready, told.reason) == (None, "Measuring")
    assert "iris-2" in told.message


def test_without_stable_nothing_can_be_compared() -> None:
    assert looked(comparison(), None, steady(100)).reason == "NoSeries"


def test_an_arm_that_had_requests_and_gets_no_more_is_told_after_some_minutes() -> None:
    ended = lambda at: arm(100, min(at, START + 60))  # noqa: E731 - one line is clearer here
    assert looked(comparison(), steady(900), ended, until=300).ready
    told = looked(comparison(), steady(900), ended, until=370)
    assert (told.ready, told.reason) == (False, "NoTraffic")
    assert "the canary has had no requests for 5 minutes" in told.message


def test_latency_needs_a_bucket_that_holds_enough_and_errors_do_not() -> None:
    slow = {"fast": 0.1, "buckets": (0.05, 0.1)}
    told = looked(comparison(), steady(900, **slow), steady(100, **slow))
    assert (told.ready, told.reason) == (False, "NoUsableBucket")
    assert looked(comparison(ErrorRate()), steady(900, **slow), steady(100, **slow)).ready


@pytest.mark.parametrize(("check", "ready"), [(DRIFT, True), (replace(DRIFT, required=True), False)])
def test_a_check_that_nobody_counts_is_named_and_holds_up_only_where_it_is_required(check, ready: bool) -> None:
    told = looked(comparison(ErrorRate(), check), steady(900), steady(100))
    assert told.ready is ready
    assert "seldon_prediction_class_total" in told.message
    counted = {"signals": [("class", "cat")]}
    assert looked(comparison(ErrorRate(), check), steady(900, **counted), steady(100, **counted)).message == ""


def test_only_the_canary_has_to_compare_answers() -> None:
    watched = comparison(ErrorRate(), ShadowAgreement(required=True))
    told = looked(watched, steady(900), steady(100))
    assert (told.ready, told.reason) == (False, "NoSignal")
    assert "seldon_shadow_compare_total of iris-2 is not there: it is our orchestrator's" in told.message
    assert "iris-1" not in told.message
    assert looked(watched, steady(900), steady(100, signals=[("compare", "canary/agree")])).message == ""


def test_a_prometheus_that_fails_says_nothing_about_the_series() -> None:
    told = looked(comparison(), steady(900), None, failure="http://prometheus did not answer")
    assert (told.ready, told.reason) == (None, "PrometheusFails")
    assert "http://prometheus did not answer" in told.message


def test_the_smallest_change_is_where_the_time_just_suffices() -> None:
    look, metric, plan = Look(0.05, 100.0, 600.0), ErrorRate(), Plan()
    least = smallest(plan, metric, 0.001, look)
    assert metric.lines.rollback.at(0.001) < least < 0.02
    asked, weight = compared_by(plan, metric, 1)
    needed = counted_until(Worse(asked, 0.001, 0.05, weight=weight).of(least), plan.needed)
    assert needed * CATCH_OVERHEAD == pytest.approx(100 * 600, rel=0.01)
    assert smallest(plan, metric, 0.001, replace(look, seconds=6000.0)) < least
    assert smallest(plan, metric, 0.001, replace(look, requests=0.01)) is None
    assert smallest(plan, metric, 0.001, replace(look, share=0.0)) is None
    assert smallest(Plan(metrics=(metric,)), metric, 0.001, look) < least  # it has all of the evidence then


class Empty:
    """A Prometheus without any series, which keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.refuses = False

    async def instant(self, query: str, _at: datetime) -> Instant:
        self.asked.append(query)
        if self.refuses and query.startswith("group"):
            raise ProviderError("not now")
        return Instant([], [])

    async def between(self, query: str, *_: object) -> tuple:
        return ()


async def test_for_all_whose_series_are_missing_one_query_looks_elsewhere_and_not_in_each_tick() -> None:
    provider = Empty()
    judge = Monitor(Measurer(provider), settle=timedelta(0))
    for number in range(8):
        each = (Arm("ml", f"iris{number}-1"), Arm("ml", f"iris{number}-2"))
        judge.track(replace(comparison(), key=("ml", f"iris{number}"), stable=each[0], canary=each[1]))
    start, looks = datetime.fromtimestamp(START, UTC), []
    for second in range(0, 401, 10):
        await judge.tick(start + timedelta(seconds=second))
        looks.append(sum(query.startswith("group") for query in provider.asked))
    assert (looks[5], looks[6], looks[35], looks[36]) == (0, 1, 1, 2)
    assert judge.judgement(("ml", "iris7")).preflight.reason == "NoSeries"


async def test_a_look_elsewhere_that_fails_changes_no_verdict_and_is_tried_again() -> None:
    provider = Empty()
    provider.refuses = True
    judge = Monitor(Measurer(provider), settle=timedelta(0))
    judge.track(comparison())
    for second in (0, 60, 70):
        await judge.tick(datetime.fromtimestamp(START + second, UTC))
    assert sum(query.startswith("group") for query in provider.asked) == 2
    assert judge.judgement(("ml", "iris")).verdict.value == "NoData"


@pytest.mark.slow
async def test_a_real_prometheus_tells_where_series_are(exporter, prometheus, poll) -> None:
    exporter.pod("iris-1", "stable-a", requests=100)
    exporter.pod("iris-2", "canary-a", requests=10)
    exporter.pod("", "nobody-a", requests=10)
    prometheus.scrape("stable-a", "nobody-a", elsewhere={"canary-a": "monitoring"})
    await prometheus.start()
    measurer = Measurer(PrometheusProvider(prometheus.url, attempts=1))

    async def there() -> bool:
        found = await measurer.whereabouts([STABLE, CANARY], datetime.now(UTC))
        return len(found.spaces) == 2 and found.nameless

    await poll(there, seconds=20)
    found = await measurer.whereabouts([STABLE, CANARY], datetime.now(UTC))
    assert found.spaces == {"iris-1": frozenset({"ml"}), "iris-2": frozenset({"monitoring"})}
