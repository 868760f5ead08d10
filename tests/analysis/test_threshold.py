"""The threshold judge, and the checks of what a plan may hold."""

from datetime import UTC, datetime, timedelta

import pytest

from analysis import session
from analysis.samples import ArmTick, Count, Latencies, Tick
from analysis.session import Session
from analysis.spec import Arm, Comparison, ErrorRate, Latency, Line, Plan
from analysis.verdict import Verdict

START = 1_700_000_000
ERRORS = Plan(judge="threshold", warmup=timedelta(0), metrics=(ErrorRate(max=0.02),))
SLOW = Plan(
    judge="threshold", warmup=timedelta(0), metrics=(Latency(slower_than=timedelta(milliseconds=300), max=0.1),)
)


def begin(plan: Plan) -> Session:
    arms = Arm("ml", "iris-1"), Arm("ml", "iris-2")
    started = datetime.fromtimestamp(START, UTC)
    return session.begin(Comparison(key=("ml", "iris"), stable=arms[0], canary=arms[1], plan=plan, started_at=started))


def feed(state: Session, *canaries: ArmTick) -> Session:
    for canary in canaries:
        at = (START if state.at is None else state.at) + 10
        state = session.step(state, Tick(at, 10, ArmTick(served=Count(100, 1)), canary))
    return state


def failing(requests: int, bad: int) -> ArmTick:
    return ArmTick(served=Count(requests, bad))


def slow(between: int, beyond: int) -> ArmTick:
    """Of 200 requests, so many took 0.25 to 0.5 s, and so many longer."""
    return ArmTick(served=Count(200, 0), latencies=Latencies(200, {0.25: 200 - between - beyond, 0.5: 200 - beyond}))


@pytest.mark.parametrize(
    ("plan", "canary", "verdict", "says"),
    [
        (ERRORS, failing(200, 10), Verdict.BAD, "failed requests: 5.0 % against at most 2.0 %, 200 requests, too many"),
        (ERRORS, failing(200, 2), Verdict.GOOD, "1.0 % against at most 2.0 %, 200 requests, good enough"),
        (ERRORS, failing(99, 99), Verdict.INCONCLUSIVE, "needs at least 100 requests in the window"),
        (ERRORS, failing(0, 0), Verdict.INCONCLUSIVE, "none on the canary, 0 requests"),
        (SLOW, slow(0, 40), Verdict.BAD, "requests slower than 300 ms: 20 % against at most 10 %"),
        (SLOW, slow(10, 2), Verdict.GOOD, "6.0 % against at most 10 %"),
        (SLOW, slow(40, 2), Verdict.INCONCLUSIVE, "no histogram edge is near enough to slowerThan to tell"),
    ],
)
def test_a_share_against_a_ceiling(plan, canary, verdict, says):
    judgement = session.judge(feed(begin(plan), canary))
    assert judgement.verdict is verdict
    assert says in judgement.message


def test_no_series_never_pass():
    state = feed(begin(ERRORS), failing(500, 0), *[ArmTick(present=False)] * 3)
    assert session.judge(state).verdict is Verdict.NO_DATA


def test_what_is_older_than_the_window_is_forgotten():
    state = feed(begin(ERRORS), failing(500, 5), *[failing(0, 0)] * 29)
    assert session.judge(state).verdict is Verdict.GOOD
    assert session.judge(feed(state, failing(0, 0))).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Plan(alpha=0), "alpha must be within 1e-9 <= alpha <= 0.5, got 0"),
        (lambda: Plan(beta=0.6), "beta must be within"),
        (lambda: Plan(step_beta=0.04), "stepBeta must be within beta <= stepBeta <= 1, here 0.05 to 1"),
        (lambda: Plan(step_beta=1.1), "never asks for more than the promotion; got 1.1"),
        (lambda: Plan(min_samples=0), "minSamples must be at least 1, got 0"),
        (lambda: Plan(warmup=timedelta(seconds=-1)), "warmup must not be negative"),
        (lambda: Plan(metrics=()), "metrics must name at least one check"),
        (lambda: Plan(judge="threshold"), "the threshold judge needs `max`"),
        (lambda: ErrorRate(max=2), "errorRate.max is a share of requests and must lie between 0 and 1"),
        (lambda: Latency(max=0.1), "latency.slowerThan and latency.max belong together"),
        (lambda: Latency(slower_than=timedelta(0), max=0.1), "latency.slowerThan must be longer than 0"),
        (lambda: Line(-1, 0), "a line needs ratio >= 0"),
        (lambda: Line(0, 0), "needs an offset > 0"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_times_without_a_timezone_are_refused():
    arm = Arm("ml", "iris")
    with pytest.raises(ValueError, match="must carry a timezone"):
        Comparison(key=("ml", "iris"), stable=arm, canary=arm, plan=Plan(), started_at=datetime(2026, 1, 1))  # noqa: DTZ001
