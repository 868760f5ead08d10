"""The Mann-Whitney judge: against another implementation of the test, and when it looks."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from scipy import stats

from analysis import session
from analysis.judges import mann_whitney
from analysis.samples import ArmTick, Count, Latencies, Tick
from analysis.spec import Arm, Comparison, ErrorRate, Latency, Plan
from analysis.verdict import Verdict

START = 1_700_000_000


def p_value(experiment: list[float], control: list[float]) -> float:
    tested = stats.mannwhitneyu(experiment, control, alternative="greater", method="asymptotic", use_continuity=True)
    return float(tested.pvalue)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_the_limits_are_where_the_rank_test_just_rejects(seed: int, tied: bool) -> None:
    rng = random.Random(seed)
    digits = 1 if tied else 9
    experiment = [round(rng.gauss(0.5, 1), digits) for _ in range(20)]
    control = [round(rng.gauss(0, 1), digits) for _ in range(25)]
    found = mann_whitney.shift(experiment, control)
    assert found.low <= found.estimate <= found.high
    step = 1e-6
    rejected = p_value([one - found.low + step for one in experiment], control)
    kept = p_value([one - found.low - step for one in experiment], control)
    assert rejected <= 0.0101
    assert kept >= rejected
    assert p_value([one - found.low - 0.2 for one in experiment], control) >= 0.001
    assert p_value([one - found.low - step for one in experiment], control) >= 0.005


def test_the_same_points_are_no_difference() -> None:
    assert mann_whitney.shift([1.0, 2.0, 3.0], [3.0, 1.0, 2.0]) is None
    assert mann_whitney.shift([0.0] * 5, [0.0] * 5) is None


def begin(*metrics) -> session.Session:
    arms, started = (Arm("ml", "iris-1"), Arm("ml", "iris-2")), datetime.fromtimestamp(START, UTC)
    plan = Plan(judge="mannWhitney", warmup=timedelta(0), metrics=metrics or (ErrorRate(),))
    return session.begin(Comparison(key=("ml", "iris"), stable=arms[0], canary=arms[1], plan=plan, started_at=started))


def fed(state: session.Session, share: float, minutes: int, *, slow: float = 0.0, requests: int = 200):
    rng = random.Random(1)
    for _ in range(6 * minutes):
        at = (state.at or START) + 10
        canary, stable = (_arm(rng, requests, each, late) for each, late in ((share, slow), (0.02, 0.0)))
        state = session.step(state, Tick(at, 10, stable, canary))
    return state


def _arm(rng: random.Random, requests: int, share: float, slow: float) -> ArmTick:
    bad = sum(rng.random() < share for _ in range(requests))
    late = sum(rng.random() < slow for _ in range(requests - bad))
    latencies = Latencies(requests - bad, {0.1: requests - bad - late, 0.5: requests - bad})
    return ArmTick(served=Count(requests, bad), latencies=latencies)


def test_a_canary_that_fails_more_often_is_higher() -> None:
    found = session.judge(fed(begin(), 0.10, 5))
    assert found.verdict is Verdict.BAD
    assert found.message.startswith("failed requests, mean of minutes: ")
    assert found.message.endswith("5 points, higher")


def test_an_equal_canary_is_not_higher() -> None:
    found = session.judge(fed(begin(), 0.02, 5))
    assert (found.verdict, found.findings[0].evidence) == (Verdict.GOOD, 0.0)


def test_a_slower_canary_is_higher() -> None:
    found = session.judge(fed(begin(Latency()), 0.02, 5, slow=0.2))
    assert found.verdict is Verdict.BAD
    assert "99th percentile of latency" in found.message


def test_it_looks_every_five_minutes_only() -> None:
    assert session.judge(fed(begin(), 0.5, 4)).verdict is Verdict.INCONCLUSIVE


def test_minutes_without_requests_are_no_points() -> None:
    found = session.judge(fed(begin(), 0.5, 5, requests=0))
    assert (found.verdict, found.findings[0].canary) == (Verdict.INCONCLUSIVE, None)


def test_a_ceiling_is_refused() -> None:
    with pytest.raises(ValueError, match="knows no `max`"):
        Plan(judge="mannWhitney", metrics=(ErrorRate(max=0.1),))
