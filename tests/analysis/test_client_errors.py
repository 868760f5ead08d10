"""clientErrorRate: raw counters of orchestrators and gateways in, and what the judge says of them out."""

from datetime import UTC, datetime

import pytest

from analysis import columns, session
from analysis.checks import ClientErrorRate
from analysis.columns import Counted, laid_out
from analysis.samples import ArmReading, PodReading, Reading
from analysis.session import Session
from analysis.spec import Arm, Comparison, ErrorRate, Latency, Plan
from analysis.verdict import Finding, Verdict

START = 1_700_000_000
LONG = float("inf")


def judged(check: ClientErrorRate, canary: dict, stable: dict, *, ticks: int = 90, at: str = "pods") -> Session:
    """Both arms count so much in each tick: by code at the orchestrators, or by outcome at the gateway, too."""
    plan = Plan(metrics=(ErrorRate(), Latency(), check))
    arms = {"stable": Arm("ml", "iris-1"), "canary": Arm("ml", "iris-2")}
    began = datetime.fromtimestamp(START, UTC)
    state, counted = session.begin(Comparison(key=("ml", "iris"), plan=plan, started_at=began, **arms)), Counted()
    for number in range(67 + ticks):
        reading = Reading(START - 600 + 10 * number, _arm(stable, number, at), _arm(canary, max(0, number - 66), at))
        [(counted, tick)] = columns.advance_all([(counted, laid_out(reading))])
        if tick is not None:
            state = session.step(state, tick)
    return state


def _arm(each: dict, times: int, at: str) -> ArmReading:
    total = float(times * sum(each.values()))
    codes = {"200": total} if at == "gateway" else {code: float(times * count) for code, count in each.items()}
    good = codes.get("200", 0.0) + codes.get("OK", 0.0)
    pods = {"p/1": PodReading(codes, {0.1: good, LONG: good})}
    gateways = {"g/iris": {outcome: float(times * count) for outcome, count in each.items()}} if at == "gateway" else {}
    return ArmReading(pods, gateways)


def found(state: Session) -> Finding:
    return next(each for each in session.judge(state).findings if each.metric == "clientErrorRate")


BY_GATEWAY = {("200", "-", ""): 860, ("404", "-", ""): 20, ("200", "-", "3"): 20, ("0", "DC", ""): 9}


@pytest.mark.parametrize(
    ("canary", "stable", "at", "share"),
    [
        ({"200": 92, "400": 6, "404": 2}, {"200": 891, "400": 9}, "pods", 0.08),
        ({"OK": 90, "INVALID_ARGUMENT": 5, "NotFound": 5, "CANCELLED": 9}, {"OK": 900}, "pods", 0.1),
        ({("200", "-", ""): 80, ("422", "-", ""): 10, ("200", "-", "5"): 10}, BY_GATEWAY, "gateway", 0.2),
    ],
    ids=["rest", "grpc", "gateway"],
)
def test_a_canary_that_refuses_what_stable_takes_is_said_and_stops_nothing(canary, stable, at, share):
    state = judged(ClientErrorRate(), canary, stable, at=at)
    finding = found(state)
    assert (finding.verdict, finding.action, finding.required) == (Verdict.BAD, "warn", False)
    assert finding.canary == pytest.approx(share)
    assert finding.message.startswith("requests refused as the client's fault: ")
    assert finding.message.endswith("both have the same clients, so look at which inputs the canary takes")
    assert session.judge(state).verdict is not Verdict.BAD


def test_where_it_is_to_abort_the_canary_is_rolled_back_with_the_sentence():
    state = judged(ClientErrorRate(action="abort"), {"200": 50, "400": 50}, {"200": 900}, ticks=20)
    judgement = session.judge(state)
    assert judgement.verdict is Verdict.BAD
    assert "requests refused as the client's fault: 50 % against 0 % on stable, " in judgement.message


@pytest.mark.parametrize(
    ("canary", "stable"),
    [
        ({"200": 80, "400": 20}, {"200": 720, "400": 180}),
        ({"200": 100, "400": 0}, {"200": 810, "400": 90}),
        ({"200": 99, "499": 40}, {"200": 900}),
    ],
    ids=["clients of both err alike", "the canary refuses less", "clients went away"],
)
def test_what_clients_do_to_both_is_no_fault_of_the_canarys(canary, stable):
    assert found(judged(ClientErrorRate(), canary, stable, ticks=200)).verdict is Verdict.GOOD


def test_a_ceiling_of_ones_own_stands_beside_the_comparison():
    state = judged(ClientErrorRate(max=0.1), {"200": 80, "400": 20}, {"200": 720, "400": 180})
    assert found(state).verdict is Verdict.BAD


def test_nobody_who_asks_is_no_data():
    assert found(judged(ClientErrorRate(), {"200": 0}, {"200": 900}, ticks=20)).verdict is Verdict.NO_DATA
