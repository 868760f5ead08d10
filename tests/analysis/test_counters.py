"""Raw counters become increments, whatever happens to pods, gateways and scrapes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.counters import (
    Counters,
    advance,
    gateway_outcome,
    gateway_refusal,
    orchestrator_outcome,
    orchestrator_refusal,
)
from analysis.samples import ArmReading, ArmTick, Count, PodReading, Reading

INF = float("inf")


def pod(good: int = 0, bad: int = 0, quick: int | None = None) -> PodReading:
    codes = {"200": float(good)} | ({"500": float(bad)} if bad else {})
    return PodReading(codes, {0.1: float(good if quick is None else quick), INF: float(good)})


def feed(*arms: ArmReading | dict[str, PodReading]) -> list[ArmTick | None]:
    """The canary's ticks while stable has one idle pod."""
    counters, ticks = Counters(), []
    idle = ArmReading({"stable": pod(1)})
    for number, arm in enumerate(arms):
        arm = arm if isinstance(arm, ArmReading) else ArmReading(arm)
        counters, tick = advance(counters, Reading(10 * number, idle, arm))
        ticks.append(None if tick is None else tick.canary)
    return ticks


def served(*arms: dict[str, PodReading]) -> list[Count]:
    return [tick.served for tick in feed(*arms)[1:]]


def test_the_first_reading_is_the_baseline():
    assert feed({"a": pod(1000, 10)}, {"a": pod(1100, 12)})[0] is None
    assert served({"a": pod(1000, 10)}, {"a": pod(1100, 12)}) == [Count(102, 2)]


def test_a_pod_that_appears_later_counts_from_zero():
    assert served({"a": pod(1000)}, {"a": pod(1010), "b": pod(7, 1)}) == [Count(18, 1)]


def test_an_arm_that_appears_later_counts_from_zero_because_the_other_was_read_before():
    assert served({}, {}, {"a": pod(5, 5)}) == [Count(), Count(10, 5)]


def test_when_nothing_at_all_was_read_before_the_first_pods_are_the_baseline():
    counters, tick = advance(Counters(), Reading(0))
    counters, tick = advance(counters, Reading(10, ArmReading({"a": pod(1_000_000)}), ArmReading()))
    assert tick.stable.served == Count()
    counters, tick = advance(counters, Reading(20, ArmReading({"a": pod(1_000_050)}), ArmReading()))
    assert tick.stable.served == Count(50, 0)


def test_a_restarted_pod_counts_from_zero_in_all_its_counters():
    # 500s rose from 2 to 3, but the process is a new one: three of its requests failed, not one.
    assert served({"a": pod(1000, 2)}, {"a": pod(40, 3)}) == [Count(43, 3)]


def test_a_missed_scrape_adds_nothing_and_then_everything():
    assert served({"a": pod(100)}, {}, {"a": pod(150)}) == [Count(), Count(50)]


def test_a_vanished_pod_adds_nothing_and_a_pod_that_takes_its_place_counts_from_zero():
    assert served({"a": pod(100)}, {"b": pod(20)}, {"b": pod(30)}) == [Count(20), Count(10)]


def test_a_series_missing_beside_others_of_its_pod_keeps_its_last_value():
    partly = PodReading({"500": 4.0}, {})
    assert served({"a": pod(100, 4)}, {"a": partly}, {"a": pod(130, 5)}) == [Count(), Count(31, 1)]


def test_absence_and_presence_are_told_apart_from_no_requests():
    ticks = feed({"a": pod(10)}, {"a": pod(10)}, {})
    assert [(tick.present, tick.served.requests) for tick in ticks[1:]] == [(True, 0), (False, 0)]


def test_latencies_are_counted_by_edge():
    tick = feed({"a": pod(100, quick=90)}, {"a": pod(200, quick=150), "b": pod(10, quick=1)})[1]
    assert tick.latencies.total == 110
    assert tick.latencies.slower(0.1) == Count(110, 49)
    assert tick.latencies.slower(0.2) == Count()


def test_the_halves_of_an_arm_share_its_pods():
    tick = feed({name: pod(0) for name in "abcd"}, {name: pod(10) for name in "abcd"})[1]
    assert [half.served.requests for half in tick.halves] == [20, 20]


def gateway(*series: tuple[str, str, str, float]) -> ArmReading:
    return ArmReading({}, {"gw": {(code, flags, grpc): value for code, flags, grpc, value in series}})


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([("200", "-", "", 100)], [("200", "-", "", 150), ("503", "UH", "", 5)], Count(55, 5)),
        ([("200", "-", "", 100)], [("200", "-", "", 100), ("0", "DC", "", 7)], Count(0, 0)),
        ([("200", "-", "", 100)], [("200", "-", "", 100), ("0", "UC", "", 7)], Count(7, 7)),
        ([("200", "-", "", 100), ("503", "UH", "", 4)], [("200", "-", "", 30)], Count(30, 0)),
        ([("200", "-", "", 100), ("503", "UH", "", 4)], [("200", "-", "", 30), ("503", "UH", "", 6)], Count(2, 2)),
        ([("200", "-", "0", 100)], [("200", "-", "0", 110), ("200", "-", "14", 3), ("200", "-", "3", 2)], Count(15, 3)),
    ],
    ids=["new code", "client left", "upstream broke", "gateway restarted", "one series made anew", "gRPC"],
)
def test_gateway_counters(before, after, expected):
    counters, _ = advance(Counters(), Reading(0, ArmReading(), gateway(*before)))
    counters, tick = advance(counters, Reading(10, ArmReading(), gateway(*after)))
    assert tick.canary.gateway == expected
    assert tick.stable.gateway is None


@pytest.mark.parametrize(
    ("code", "bad"),
    [
        ("200", False),
        ("404", False),
        ("429", False),
        ("500", True),
        ("504", True),
        ("0", True),
        ("499", None),
        ("OK", False),
        ("Unavailable", True),
        ("DEADLINE_EXCEEDED", True),
        ("InvalidArgument", False),
        ("Canceled", None),
        ("SomethingNew", True),
    ],
)
def test_outcomes_of_the_orchestrator(code, bad):
    assert orchestrator_outcome(code) is bad


@pytest.mark.parametrize(
    ("code", "flags", "grpc", "bad"),
    [
        ("200", "-", "", False),
        ("0", "DC", "", None),
        ("0", "UC,DC", "", None),
        ("503", "UF,URX", "", True),
        ("200", "-", "0", False),
        ("200", "-", "13", True),
        ("200", "-", "1", None),
        ("200", "-", "5", False),
    ],
)
def test_outcomes_at_the_gateway(code, flags, grpc, bad):
    assert gateway_outcome(code, flags, grpc) is bad


@pytest.mark.parametrize(
    ("code", "refused"),
    [
        *[(code, True) for code in ("400", "404", "429", "INVALID_ARGUMENT", "NotFound", "ResourceExhausted")],
        *[(code, False) for code in ("200", "302", "499", "500", "0", "OK", "Ok", "CANCELLED", "Internal", "Odd")],
    ],
)
def test_what_the_orchestrator_refuses_as_the_clients_fault(code, refused):
    assert orchestrator_refusal(code) is refused


@pytest.mark.parametrize(
    ("outcome", "refused"),
    [
        *[(outcome, True) for outcome in (("404", "-", ""), ("200", "-", "3"), ("429", "RL", "8"))],
        *[(outcome, False) for outcome in (("200", "-", ""), ("200", "-", "0"), ("200", "-", "14"), ("200", "-", "1"))],
        *[(outcome, False) for outcome in (("404", "DC", ""), ("503", "UF", ""), ("499", "-", ""))],
    ],
)
def test_what_is_refused_at_the_gateway(outcome, refused):
    assert gateway_refusal(*outcome) is refused


def test_time_goes_forward():
    counters, _ = advance(Counters(), Reading(10))
    with pytest.raises(ValueError, match="later than the last one at 10, got 10"):
        advance(counters, Reading(10))


@given(
    pods=st.dictionaries(
        st.sampled_from("abcdef"), st.tuples(st.integers(0, 99), st.integers(0, 99)), min_size=2, max_size=6
    ),
    order=st.randoms(use_true_random=False),
)
def test_the_order_in_which_series_are_answered_changes_nothing(pods, order):
    def readings(names: list[str]) -> list[dict[str, PodReading]]:
        return [{}, {name: pod(*pods[name]) for name in names}, {name: pod(300, 300) for name in names[::-1]}]

    shuffled = list(pods)
    order.shuffle(shuffled)
    assert feed(*readings(sorted(pods))) == feed(*readings(shuffled))


@given(
    steps=st.lists(
        st.tuples(st.integers(0, 50), st.integers(0, 5), st.booleans(), st.booleans()), min_size=1, max_size=30
    )
)
def test_every_request_is_counted_once_however_scrapes_are_missed(steps):
    """Only what a process counted between its last scrape and its death is lost."""
    life = good = bad = counted_good = counted_bad = lost_good = lost_bad = 0
    readings: list[dict[str, PodReading]] = [{}]
    seen = (0, 0)
    for more_good, more_bad, missed, dies in steps:
        good, bad = good + more_good, bad + more_bad
        if not missed:
            readings.append({f"pod-{life}": PodReading({"200": float(good), "500": float(bad)}, {})})
            seen = (good, bad)
        else:
            readings.append({})
        counted_good, counted_bad = counted_good + more_good, counted_bad + more_bad
        if dies:
            lost_good, lost_bad = lost_good + good - seen[0], lost_bad + bad - seen[1]
            life, good, bad, seen = life + 1, 0, 0, (0, 0)
    lost_good, lost_bad = lost_good + good - seen[0], lost_bad + bad - seen[1]
    total = Count()
    for count in served(*readings):
        total = total.plus(count)
    assert total == Count(counted_good + counted_bad - lost_good - lost_bad, counted_bad - lost_bad)


def test_an_older_scrape_is_not_taken_for_a_restart():
    # Two replicas of Prometheus scrape at other moments: when one goes away, the other one's last scrape is older.
    assert served({"a": pod(1000, 9)}, {"a": pod(990, 8)}, {"a": pod(1010, 9)}) == [Count(), Count(10, 0)]


def signals(**counts: float) -> ArmReading:
    return ArmReading(signals={"p": {tuple(name.split("_")): value for name, value in counts.items()}})


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"class_a": 100}, {"class_a": 103, "class_b": 2}, {"class_a": 3, "class_b": 2}),
        ({"class_a": 100, "class_b": 50}, {"class_a": 4}, {"class_a": 4}),
        ({"class_a": 100, "class_b": 50}, {"class_a": 99, "class_b": 52}, {"class_a": 0, "class_b": 2}),
        ({"feedback_": 100, "reward_": 5.0}, {"feedback_": 110, "reward_": 1.5}, {"feedback_": 10, "reward_": -3.5}),
    ],
    ids=["a new kind", "restarted", "an older scrape", "rewards may fall"],
)
def test_signals_are_differenced_by_source(before, after, expected):
    ticks = feed(signals(**before), signals(**after))
    assert ticks[1].signals == {tuple(name.split("_")): value for name, value in expected.items()}


def test_a_source_of_signals_that_appears_later_counts_from_zero():
    other = ArmReading(signals={"p": {("row", ""): 7.0}, "q": {("row", ""): 3.0}})
    assert feed(signals(row_=5), other)[1].signals == {("row", ""): 5.0}
