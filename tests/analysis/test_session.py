"""Sessions: what they decide, that they can be replayed, and what they say."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import session
from analysis.judges import emergency
from analysis.judges.sequential import Sequential
from analysis.samples import ArmTick, Count, Half, Latencies, Tick
from analysis.session import Session
from analysis.spec import Arm, Comparison, ErrorRate, Latency, Plan
from analysis.verdict import Verdict

START = 1_700_000_000
EDGES = (0.1, 0.25, 0.5)


def comparison(plan: Plan | None = None, *, restarts: tuple[int, ...] = ()) -> Comparison:
    return Comparison(
        key=("ml", "iris"),
        stable=Arm("ml", "iris-1"),
        canary=Arm("ml", "iris-2"),
        plan=plan or Plan(),
        started_at=datetime.fromtimestamp(START, UTC),
        restarts=tuple(datetime.fromtimestamp(START + at, UTC) for at in restarts),
    )


def arm(requests: int, bad: int = 0, slow: int = 0, *, gateway: bool = False) -> ArmTick:
    """An arm whose `slow` requests take between 0.25 and 0.5 s, and the others under 0.1 s."""
    good = requests - bad
    latencies = Latencies(good, {0.1: good - slow, 0.25: good - slow, 0.5: good})
    count = Count(requests, bad)
    half = Half(Count(requests // 2, bad // 2), latencies)
    return ArmTick(served=count, latencies=latencies, gateway=count if gateway else None, halves=(half, half))


def run(
    canary: ArmTick, stable: ArmTick, *, ticks: int, begun: Session | None = None, since: int = -600, until=()
) -> Session:
    """Feed the same tick so many times, or until one of the verdicts is reached."""
    state = begun or session.begin(comparison())
    first = since if state.at is None else state.at - START
    for number in range(1, ticks + 1):
        state = session.step(state, Tick(START + first + 10 * number, 10, stable, canary))
        if session.judge(state).verdict in until:
            break
    return state


def learned(plan: Plan | None = None, **fields) -> Session:
    """A session at the end of its warm-up, after ten minutes of stable with 1 % errors and 1 % slow requests."""
    return run(ArmTick(), arm(1000, 10, 10), ticks=67, begun=session.begin(comparison(plan, **fields)), since=-610)


def judged(state: Session) -> Sequential:
    assert isinstance(state.judge, Sequential)
    return state.judge


def test_a_canary_that_fails_more_often_is_bad_and_the_sentence_says_so():
    state = run(arm(100, 6), arm(1000, 10, 10), ticks=100, begun=learned(), until={Verdict.BAD})
    judgement = session.judge(state)
    assert judgement.verdict is Verdict.BAD
    assert judgement.message.startswith("failed requests: 6.0 % against 1.0 % on stable, ")
    assert judgement.message.endswith(":1 (needs 100:1)")
    errors, latency = judgement.findings
    assert errors.verdict is Verdict.BAD
    assert errors.evidence >= errors.needed == 100
    assert latency.verdict is not Verdict.BAD
    assert judgement.updated_at == datetime.fromtimestamp(state.at, UTC)


def test_a_bad_verdict_is_final():
    bad = run(arm(100, 6), arm(1000, 10, 10), ticks=100, begun=learned(), until={Verdict.BAD})
    later = run(arm(100, 0), arm(1000, 10, 10), ticks=200, begun=bad)
    assert session.judge(later).message == session.judge(bad).message
    assert session.judge(later).verdict is Verdict.BAD


def test_a_slower_canary_is_bad_at_the_edge_that_tells():
    state = run(arm(100, 1, 8), arm(1000, 10, 10), ticks=100, begun=learned(), until={Verdict.BAD})
    judgement = session.judge(state)
    assert judgement.verdict is Verdict.BAD
    assert "requests slower than" in judgement.message
    assert "8.1 % against 1.0 % on stable" in judgement.message


def test_an_equal_canary_is_good_once_the_evidence_suffices():
    state = run(arm(100, 1, 1), arm(1000, 10, 10), ticks=300, begun=learned(), until={Verdict.GOOD, Verdict.BAD})
    judgement = session.judge(state)
    assert judgement.verdict is Verdict.GOOD
    assert all(
        finding.promote_evidence >= finding.promote_needed == pytest.approx(20) for finding in judgement.findings
    )
    assert "good enough, evidence" in judgement.message


def test_until_then_it_is_inconclusive_and_says_how_much_is_missing():
    judgement = session.judge(run(arm(100, 1, 1), arm(1000, 10, 10), ticks=2, begun=learned()))
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "more requests" in judgement.message
    assert "(needs 6:1 for the next step, 20:1 to promote)" in judgement.message


def test_a_canary_is_promising_before_it_is_good_and_only_then():
    state, seen = learned(), []
    while not seen or seen[-1][0] is Verdict.INCONCLUSIVE:
        state = run(arm(100, 1, 1), arm(1000, 10, 10), ticks=1, begun=state)
        found = session.judge(state)
        seen.append((found.verdict, found.promising))
        least = min(finding.promote_evidence for finding in found.findings)
        assert found.promising == (least >= 6) == session.standing(state).promising
        assert (found.verdict is Verdict.GOOD) == (least >= 20)
    assert (Verdict.INCONCLUSIVE, True) in seen
    assert seen[-1] == (Verdict.GOOD, True)


@pytest.mark.parametrize(("bad", "samples"), [(1, 10_000), (6, 1)], ids=["too few requests", "it may be worse"])
def test_what_speaks_against_a_good_verdict_speaks_against_a_promising_canary(bad, samples):
    plan = Plan(min_samples=samples, beta=0.5, metrics=(ErrorRate(),))
    state = run(arm(100, 1), arm(1000, 10, 10), ticks=60, begun=learned(plan))
    for _ in range(10):
        state = run(arm(100, bad), arm(1000, 10, 10), ticks=1, begun=state)
        if samples > 1 or judged(state).metrics[0].evidence >= 1.5:
            break
    found = session.judge(state)
    assert found.findings[0].promote_evidence > 2
    assert (found.verdict, found.promising) == (Verdict.INCONCLUSIVE, False)
    assert ("more requests" if samples > 1 else "speaks for a worse one (needs less than 1.5:1)") in found.message


def test_with_the_same_probability_for_both_a_step_asks_for_as_much_as_the_promotion():
    state = learned(Plan(step_beta=0.05))
    for _ in range(60):
        state = run(arm(100, 1, 1), arm(1000, 10, 10), ticks=1, begun=state)
        found = session.judge(state)
        assert found.promising == (found.verdict is Verdict.GOOD)
    assert found.promising


def test_an_incident_common_to_both_arms_rolls_nobody_back():
    state = learned()
    for number in range(120):
        factor = 10 if number % 20 < 6 else 1
        state = run(arm(100, factor, factor), arm(1000, 10 * factor, 10 * factor), ticks=1, begun=state)
        assert session.judge(state).verdict is not Verdict.BAD


def test_one_burst_does_not_decide():
    state = run(arm(100, 30), arm(1000, 10, 10), ticks=1, begun=learned())
    assert session.judge(state).verdict is not Verdict.BAD
    state = run(arm(100, 0, 1), arm(1000, 10, 10), ticks=60, begun=state)
    assert session.judge(state).verdict is not Verdict.BAD


def test_a_canary_that_fails_most_requests_is_out_within_two_ticks():
    state = run(arm(100, 90), arm(1000, 10, 10), ticks=2, begun=learned(), until={Verdict.BAD})
    assert session.judge(state).verdict is Verdict.BAD
    assert emergency.read(judged(state).watch).evidence > 1000


def test_when_stable_fails_as_well_there_is_no_emergency():
    state = run(arm(100, 90), arm(1000, 900), ticks=6, begun=learned())
    assert session.judge(state).verdict is not Verdict.BAD


def test_a_good_verdict_needs_the_minimum_of_requests_since_the_last_step_change():
    plan = Plan(min_samples=500)
    good = run(arm(100, 1, 1), arm(1000, 10, 10), ticks=400, begun=learned(plan), until={Verdict.GOOD})
    changed = comparison(plan, restarts=(good.at - START,))
    after = run(arm(100, 1, 1), arm(1000, 10, 10), ticks=1, begun=session.with_restarts(good, changed))
    assert session.judge(after).verdict is Verdict.INCONCLUSIVE
    assert "about 400 more requests" in session.judge(after).message
    after = run(arm(100, 1, 1), arm(1000, 10, 10), ticks=6, begun=after)
    assert session.judge(after).verdict is Verdict.GOOD


def test_the_warm_up_is_dropped():
    state = run(arm(100, 100), arm(1000, 10, 10), ticks=66, begun=session.begin(comparison()))
    judgement = session.judge(state)
    assert judged(state).evidence == pytest.approx(1)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert judgement.message == "warming up: what is measured before 22:14:20 UTC is dropped"


@pytest.mark.parametrize(
    ("canary", "stable", "names"),
    [(ArmTick(present=False), arm(10), "the canary"), (arm(10), ArmTick(present=False), "stable")],
)
def test_no_series_is_no_data_and_never_a_pass(canary, stable, names):
    good = run(arm(100, 1, 1), arm(1000, 10, 10), ticks=400, begun=learned(), until={Verdict.GOOD})
    missed = run(canary, stable, ticks=1, begun=good)
    assert session.judge(missed).verdict is Verdict.GOOD  # one missed scrape
    judgement = session.judge(run(canary, stable, ticks=3, begun=good))
    assert judgement.verdict is Verdict.NO_DATA
    assert names in judgement.message


def test_no_requests_are_inconclusive_and_not_no_data():
    judgement = session.judge(run(arm(0), arm(1000, 10, 10), ticks=5, begun=learned()))
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "none on the canary" in judgement.message


def test_before_the_first_tick_nothing_was_measured():
    judgement = session.judge(session.begin(comparison()))
    assert (judgement.verdict, judgement.message) == (Verdict.NO_DATA, "nothing was measured yet")


def test_the_gateway_tells_outcomes_where_it_counts_the_canary():
    crashed = ArmTick(gateway=Count(100, 60), served=Count(40, 0))
    state = run(crashed, arm(1000, 10, gateway=True), ticks=30, begun=learned(), until={Verdict.BAD})
    assert session.judge(state).findings[0].canary == pytest.approx(0.6)


def test_mirrored_copies_are_judged_by_the_orchestrators():
    mirrored = arm(1000, 60)._replace(gateway=Count(2, 0))  # two requests to the preview URL
    state = run(mirrored, arm(1000, 10, gateway=True), ticks=30, begun=learned(), until={Verdict.BAD})
    assert session.judge(state).findings[0].canary == pytest.approx(0.06)
    state = run(mirrored._replace(served=Count(1000, 10)), arm(1000, 10, gateway=True), ticks=3, begun=learned())
    assert session.traffic(state, mirrored=True).canary_share == pytest.approx(0.5)
    assert session.traffic(state, mirrored=False).canary_share == pytest.approx(2 / 1002)


@pytest.mark.parametrize("part", [0.0, 0.4, 0.999])
def test_the_share_after_a_change_is_of_windows_that_began_after_it(part):
    """A change right after a look does not spoil the windows after it: the second next look verifies it."""
    change = datetime.fromtimestamp(START + 60 + part, UTC)
    begun = session.begin(replace(comparison(), restarts=(change,)))
    state = run(arm(500), arm(500), ticks=66, begun=begun, since=-600)
    assert session.traffic(state, mirrored=False).canary_requests == 0, "the window of the change itself"
    seen = session.traffic(run(arm(200), arm(800), ticks=2, begun=state), mirrored=False)
    assert seen.since >= change
    assert (seen.stable_requests, seen.canary_requests) == (800, 200)


def test_a_gateway_that_was_missed_counts_nothing_twice():
    state = run(arm(100, 1, gateway=True), arm(1000, 10, gateway=True), ticks=5, begun=learned())
    missed = run(arm(100, 1), arm(1000, 10), ticks=3, begun=state)
    assert judged(missed).metrics[0].statement(0).total == judged(state).metrics[0].statement(0).total


def test_a_ceiling_of_ones_own_is_judged_beside_the_comparison():
    plan = Plan(metrics=(ErrorRate(max=0.02),))
    # Both arms fail equally often, so only the ceiling can say that it is too much.
    state = run(arm(200, 12), arm(1000, 60), ticks=200, begun=learned(plan), until={Verdict.BAD})
    judgement = session.judge(state)
    assert judgement.verdict is Verdict.BAD
    assert "6.0 % against at most 2.0 %" in judgement.message


def test_a_ceiling_needs_no_stable_requests():
    plan = Plan(metrics=(ErrorRate(max=0.02),))
    state = run(arm(500, 60), arm(0), ticks=60, begun=learned(plan), until={Verdict.BAD})
    assert session.judge(state).verdict is Verdict.BAD


def test_a_latency_ceiling_between_two_edges_blames_by_the_upper_and_clears_by_the_lower():
    plan = Plan(metrics=(Latency(slower_than=timedelta(milliseconds=300), max=0.02),))
    # Every slow request takes 0.25 to 0.5 s, so nobody can tell whether it took more than 0.3 s.
    state = run(arm(500, 0, 50), arm(1000, 0, 100), ticks=100, begun=learned(plan))
    assert session.judge(state).verdict is Verdict.INCONCLUSIVE
    assert "requests slower than 250 ms: 10 % against at most 2.0 %" in session.judge(state).message
    state = run(arm(500, 0, 1), arm(1000, 0, 2), ticks=100, begun=learned(plan), until={Verdict.GOOD})
    assert session.judge(state).verdict is Verdict.GOOD


def test_a_latency_that_no_edge_can_tell_stays_inconclusive():
    always_slow = arm(1000)._replace(latencies=Latencies(1000, dict.fromkeys(EDGES, 0)))
    state = run(always_slow, always_slow, ticks=100, begun=session.begin(comparison()))
    assert session.judge(state).verdict is Verdict.INCONCLUSIVE
    assert "no edge that 60 % of them stay under" in session.judge(state).message


TICKS = st.lists(
    st.tuples(
        st.integers(0, 200),
        st.integers(0, 20),
        st.integers(0, 20),
        st.integers(0, 900),
        st.integers(0, 40),
        st.booleans(),
    ),
    min_size=1,
    max_size=25,
)


def stream(draws) -> list[Tick]:
    found = []
    for number, (canary, bad, slow, stable, stable_bad, gateway) in enumerate(draws):
        mine = arm(canary + bad + slow, bad, slow, gateway=gateway)
        theirs = arm(stable + stable_bad, stable_bad, min(stable, slow), gateway=gateway)
        found.append(Tick(START + 60 + 10 * (number + 1), 10, theirs, mine))
    return found


@given(draws=TICKS, changes=st.lists(st.integers(60, 300), max_size=3, unique=True).map(sorted))
@settings(max_examples=60, deadline=None)
def test_a_session_rebuilt_from_the_start_equals_the_one_that_lived_through_it(draws, changes):
    ticks = stream(draws)
    lived = session.begin(comparison())
    announced: list[int] = []
    for tick in ticks:
        while len(announced) < len(changes) and START + changes[len(announced)] < tick.at:
            announced.append(changes[len(announced)])
            lived = session.with_restarts(lived, comparison(restarts=tuple(announced)))
            assert lived is not None
        lived = session.step(lived, tick)
    rebuilt = session.begin(comparison(restarts=tuple(announced)))
    for tick in ticks:
        rebuilt = session.step(rebuilt, tick)
    assert rebuilt == lived


def test_a_step_change_that_lies_in_the_past_of_a_session_asks_for_a_replay():
    state = run(arm(10), arm(100), ticks=6, begun=learned())
    assert session.with_restarts(state, comparison(restarts=(state.at - START - 20,))) is None
    assert session.with_restarts(state, comparison(restarts=(state.at - START,))) is not None
    assert session.with_restarts(state, comparison(restarts=(5,))) is not None  # within the warm-up


@given(draws=TICKS)
@settings(max_examples=60, deadline=None)
def test_evidence_is_finite_and_never_negative(draws):
    state = learned()
    for number, tick in enumerate(stream(draws)):
        state = session.step(state, tick._replace(at=state.at + 10))
        judge = judged(state)
        assert 0 <= judge.evidence < float("inf"), number
        for metric in judge.metrics:
            assert 0 <= metric.promote_evidence < float("inf")
        found = session.judge(state)
        assert found.promising or found.verdict is not Verdict.GOOD
        assert found.verdict in (Verdict.GOOD, Verdict.INCONCLUSIVE) or not found.promising


def test_ticks_must_go_forward():
    state = learned()
    with pytest.raises(ValueError, match="ticks must go forward"):
        session.step(state, Tick(state.at, 10, arm(1), arm(1)))
