"""The typed checks within a session: what they find, what they say, and what a finding does to the verdict."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from analysis import session
from analysis.checks import ClientErrorRate, OutlierRate, PredictionDrift, Reward, ShadowAgreement, TrafficSplit
from analysis.samples import ArmTick, Count, Half, Latencies, Tick
from analysis.session import Session
from analysis.spec import Arm, Comparison, ErrorRate, Latency, Plan, Shift
from analysis.verdict import Finding, Verdict

START = 1_700_000_000
CALM = (ErrorRate(), Latency())


def comparison(*metrics, shifts: tuple[tuple[int, float | None], ...] = (), **plan) -> Comparison:
    return Comparison(
        key=("ml", "iris"),
        stable=Arm("ml", "iris-1"),
        canary=Arm("ml", "iris-2"),
        plan=Plan(metrics=(*CALM, *metrics) if not plan.pop("alone", False) else metrics, **plan),
        started_at=datetime.fromtimestamp(START, UTC),
        shifts=tuple(Shift(at=datetime.fromtimestamp(START + at, UTC), share=share) for at, share in shifts),
    )


def arm(requests: int, bad: int = 0, **signals: float) -> ArmTick:
    """An arm with quick requests. A signal's kind stands after two underscores: `class__a=3`."""
    count, latencies = Count(requests, bad), Latencies(requests - bad, {0.1: requests - bad, 0.25: requests - bad})
    counted = {}
    for name, value in signals.items():
        what, _, kind = name.partition("__")
        counted[what, kind.replace("_", "/")] = value
    return ArmTick(served=count, gateway=count, latencies=latencies, halves=(Half(), Half()), signals=counted)


def run(watched: Comparison, canary: ArmTick, stable: ArmTick, *, ticks: int, begun: Session | None = None) -> Session:
    state = begun
    if state is None:
        state = session.begin(watched)
        for number in range(67):
            state = session.step(state, Tick(START - 600 + 10 * number, 10, stable, arm(0)))
    for _ in range(ticks):
        state = session.step(state, Tick(state.at + 10, 10, stable, canary))
    return state


def found(state: Session, name: str) -> Finding:
    return next(finding for finding in session.judge(state).findings if finding.metric == name)


def test_a_split_that_is_not_the_weight_asks_a_person_and_rolls_nothing_back():
    watched = comparison(TrafficSplit(), shifts=((0, 0.05),))
    state = run(watched, arm(100), arm(900), ticks=20)
    split = found(state, "traffic")
    assert (split.verdict, split.action, split.required) == (Verdict.BAD, "pause", False)
    assert split.message.startswith("traffic: the canary takes 10 % of requests against a weight of 5.0 %, ")
    assert split.message.endswith(": the routing is not as configured")
    assert session.judge(state).verdict is not Verdict.BAD


@pytest.mark.parametrize(("canary", "stable"), [(50, 950), (51, 949), (58, 942), (44, 956)])
def test_a_split_near_the_weight_is_as_configured(canary, stable):
    state = run(comparison(TrafficSplit(), shifts=((0, 0.05),)), arm(canary), arm(stable), ticks=60)
    assert found(state, "traffic").verdict is Verdict.GOOD


def test_all_requests_on_stable_are_found_within_a_minute():
    state = run(comparison(TrafficSplit(), shifts=((0, 0.25),)), arm(0), arm(1000), ticks=7)
    assert found(state, "traffic").verdict is Verdict.BAD
    assert "takes 0 % of requests against a weight of 25 %" in found(state, "traffic").message


def test_ticks_around_a_change_of_the_weight_are_not_held_against_it():
    watched = comparison(TrafficSplit(), shifts=((0, 0.05), (120, 0.5)))
    early = run(watched, arm(50), arm(950), ticks=6)
    late = run(watched, arm(50), arm(950), ticks=4, begun=early)  # the mesh takes 30 s to follow
    assert found(late, "traffic").evidence == pytest.approx(found(early, "traffic").evidence, abs=0.3)
    after = run(watched, arm(500), arm(500), ticks=20, begun=late)
    assert found(after, "traffic").verdict is Verdict.GOOD


def test_without_a_weight_that_can_be_held_against_nothing_is_said_of_the_split():
    state = run(comparison(TrafficSplit(), shifts=((0, None),)), arm(500), arm(500), ticks=60)
    assert found(state, "traffic").verdict is Verdict.INCONCLUSIVE
    assert "no requests yet at a weight" in found(state, "traffic").message


def test_other_classes_than_stables_are_said_and_stop_nothing():
    watched = comparison(PredictionDrift())
    canary = arm(100, class__a=60, class__b=40)
    state = run(watched, canary, arm(900, class__a=720, class__b=180), ticks=60)
    drift = found(state, "predictionDrift")
    assert (drift.verdict, drift.action) == (Verdict.BAD, "warn")
    assert "predicted classes: they differ by a stability index of 0.19" in drift.message
    assert "class a 60 % against 80 % on stable" in drift.message or "class b 40 % against 20 %" in drift.message
    assert session.judge(state).verdict is Verdict.GOOD


def test_the_same_classes_are_good_also_while_they_move_with_the_hour():
    watched, state = comparison(PredictionDrift()), None
    for number in range(40):
        part = 20 + number  # of a hundred answers
        stable = arm(900, class__a=9 * part, class__b=9 * (100 - part))
        state = run(watched, arm(100, class__a=part, class__b=100 - part), stable, ticks=1, begun=state)
    drift = found(state, "predictionDrift")
    assert drift.verdict is Verdict.GOOD
    assert drift.canary == pytest.approx(0, abs=0.001)


def test_a_difference_that_does_not_matter_is_not_bad_however_sure_it_is():
    watched = comparison(PredictionDrift())
    canary = arm(10_000, class__a=7_800, class__b=2_200)
    state = run(watched, canary, arm(90_000, class__a=72_000, class__b=18_000), ticks=60)
    drift = found(state, "predictionDrift")
    assert drift.evidence > 100
    assert drift.verdict is not Verdict.BAD


def test_other_scores_show_in_the_bins():
    watched = comparison(PredictionDrift(action="abort"), alone=True)
    canary = {"score__0.5": 50, "score__0.9": 70, "score__+Inf": 100}
    stable = {"score__0.5": 90, "score__0.9": 630, "score__+Inf": 900}
    state = run(watched, arm(100, **canary), arm(900, **stable), ticks=60)
    judgement = session.judge(state)
    assert judgement.verdict is Verdict.BAD
    assert "scores in the bin up to 0.5 50 % against 10 % on stable" in judgement.message


def test_no_predictions_are_no_data_and_block_only_where_they_are_required():
    free = run(comparison(PredictionDrift()), arm(100, 1), arm(900, 9), ticks=200)
    assert found(free, "predictionDrift").verdict is Verdict.NO_DATA
    assert session.judge(free).verdict is Verdict.GOOD
    bound = run(comparison(PredictionDrift(required=True)), arm(100, 1), arm(900, 9), ticks=200)
    assert session.judge(bound).verdict is Verdict.NO_DATA
    assert (
        session.judge(bound).message
        == "predictions: the orchestrators of both revisions count neither classes nor scores"
    )


@pytest.mark.parametrize(("mine", "theirs"), [(8, 18), (4, 90)])
def test_outliers_that_differ_either_way_point_at_the_routing(mine, theirs):
    state = run(
        comparison(OutlierRate()), arm(200, row=200, outlier=mine), arm(1800, row=1800, outlier=theirs), ticks=120
    )
    outliers = found(state, "outlierRate")
    assert (outliers.verdict, outliers.action) == (Verdict.BAD, "pause")
    assert "look at the routing" in outliers.message


def test_equal_outlier_rates_are_good():
    state = run(comparison(OutlierRate()), arm(200, row=200, outlier=2), arm(1800, row=1800, outlier=18), ticks=120)
    assert found(state, "outlierRate").verdict is Verdict.GOOD


def test_disagreement_is_held_against_what_stable_disagrees_on_with_itself():
    watched = comparison(ShadowAgreement())
    equal = arm(100, compare__both_agree=93, compare__both_disagree=4, compare__both_canary=2, compare__both_stable=1)
    assert found(run(watched, equal, arm(100), ticks=300), "shadowAgreement").verdict is not Verdict.BAD
    worse = arm(100, compare__both_agree=79, compare__both_disagree=4, compare__both_canary=16, compare__both_stable=1)
    agreement = found(run(watched, worse, arm(100), ticks=60), "shadowAgreement")
    assert (agreement.verdict, agreement.action) == (Verdict.BAD, "pause")
    assert "20 % against 5.0 % between two of its own" in agreement.message


def test_a_bound_on_disagreement_needs_no_pairs_of_stables_own():
    watched = comparison(ShadowAgreement(max=0.1, action="abort"))
    fine = arm(100, compare__canary_agree=96, compare__canary_disagree=4)
    assert found(run(watched, fine, arm(100), ticks=60), "shadowAgreement").verdict is Verdict.GOOD
    state = run(watched, arm(100, compare__canary_agree=80, compare__canary_disagree=20), arm(100), ticks=60)
    assert session.judge(state).verdict is Verdict.BAD
    assert "20 % against at most 10 %" in session.judge(state).message


def test_a_lower_mean_reward_is_found_and_an_equal_one_is_good():
    watched = comparison(Reward(), beta=0.05)
    lower = run(watched, arm(100, feedback=50, reward=30), arm(900, feedback=450, reward=360), ticks=40)
    assert found(lower, "reward").verdict is Verdict.BAD
    assert found(lower, "reward").message.startswith("reward: a mean of 0.6 against 0.8 on stable, ")
    equal = run(watched, arm(100, feedback=50, reward=40), arm(900, feedback=450, reward=360), ticks=200)
    assert found(equal, "reward").verdict is Verdict.GOOD


def test_early_feedback_is_dropped_and_rewards_out_of_range_are_an_error():
    late = comparison(Reward(delay=timedelta(hours=1)))
    state = run(late, arm(100, feedback=50, reward=0), arm(900, feedback=450, reward=450), ticks=60)
    assert found(state, "reward").verdict is Verdict.NO_DATA
    state = run(comparison(Reward()), arm(100, feedback=50, reward=100), arm(900, feedback=450, reward=450), ticks=5)
    assert found(state, "reward").verdict is Verdict.ERROR
    wide = comparison(Reward(low=0, high=5))
    state = run(wide, arm(100, feedback=50, reward=100), arm(900, feedback=450, reward=2000), ticks=60)
    assert found(state, "reward").verdict is Verdict.BAD


def test_metrics_that_roll_back_share_alpha_and_the_others_have_one_each():
    plan = Plan(metrics=(*CALM, Reward(action="abort"), TrafficSplit(), ErrorRate(max=0.5, action="warn")))
    state = session.begin(replace(comparison(), plan=plan))
    needed = {(one.metric, one.action): one.needed for one in session.judge(state).findings}
    assert needed[("errorRate", "abort")] == needed[("latency", "abort")] == pytest.approx(150)
    assert needed[("reward", "abort")] == pytest.approx(300)
    assert 2 / 150 * 0.5 + 1 / 150 * 0.5 + 1 / 300 < 2 / 100  # the parts of alpha: 2/3 and 1/3 of 1 %
    assert needed[("traffic", "pause")] == needed[("errorRate", "warn")] == pytest.approx(100)


def test_a_metric_of_ones_own_action_rolls_nothing_back():
    watched = comparison(ErrorRate(action="warn"), Latency(), alone=True)
    state = run(watched, arm(100, 20), arm(900, 9), ticks=60)
    errors = found(state, "errorRate")
    assert (errors.verdict, errors.action, errors.required) == (Verdict.BAD, "warn", False)
    assert session.judge(state).verdict is Verdict.GOOD


def test_each_metric_tells_how_noisy_it_is():
    """Equal ticks are as little noisy as can be; a canary whose errors come in bursts is noisier than chance."""
    metrics = (TrafficSplit(), PredictionDrift(), OutlierRate(), Reward(), ClientErrorRate(), ShadowAgreement())
    watched = comparison(*metrics, shifts=((0, 0.1),))
    copies = {"compare__both_agree": 95, "compare__both_canary": 3, "compare__both_stable": 2}
    calm = arm(100, 1, class__a=60, class__b=40, row=100, outlier=1, feedback=9, reward=5, **copies)
    stable = arm(900, 9, class__a=540, class__b=360, row=900, outlier=9, feedback=81, reward=45)
    state = run(watched, calm, stable, ticks=30)
    quiet = {each.metric: each.phi for each in session.judge(state).findings}
    assert len(quiet) == 8
    assert all(phi is not None and 1 <= phi < 2.2 for phi in quiet.values()), quiet  # nobody is slow: the prior
    for number in range(30):
        burst = calm._replace(gateway=Count(100, 20 * (number % 3 == 0)), served=Count(100, 20 * (number % 3 == 0)))
        state = session.step(state, Tick(state.at + 10, 10, stable, burst))
    assert found(state, "errorRate").phi > 1.5 * quiet["errorRate"]


def test_a_plan_without_a_required_metric_is_refused():
    with pytest.raises(ValueError, match="add errorRate or latency, or say"):
        Plan(metrics=(PredictionDrift(), TrafficSplit()))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: TrafficSplit(tolerance=1), "traffic.tolerance"),
        (lambda: PredictionDrift(max=0), "predictionDrift.max"),
        (lambda: ShadowAgreement(max=2), "shadowAgreement.max"),
        (lambda: Reward(low=1, high=1), "reward needs low < high"),
        (lambda: Reward(tolerance=0.5), "reward.tolerance"),
        (lambda: Reward(delay=timedelta(-1)), "reward.delay"),
        (lambda: OutlierRate(max=0), "outlierRate.max"),
        (lambda: ClientErrorRate(max=1), "clientErrorRate.max"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_a_session_with_signals_that_is_rebuilt_equals_the_one_that_lived_through_it():
    metrics = (TrafficSplit(), PredictionDrift(), OutlierRate(), Reward(), ShadowAgreement())
    early, both = ((0, 0.1),), ((0, 0.1), (300, 0.5))
    canary = arm(100, class__a=60, class__b=40, row=100, outlier=1, feedback=9, reward=5, compare__both_agree=9)
    stable = arm(900, class__a=720, class__b=180, row=900, outlier=9, feedback=80, reward=40)
    lived = run(comparison(*metrics, shifts=early), canary, stable, ticks=20)
    lived = session.with_restarts(lived, comparison(*metrics, shifts=both))
    lived = run(comparison(*metrics, shifts=both), canary, stable, ticks=20, begun=lived)
    assert run(comparison(*metrics, shifts=both), canary, stable, ticks=40) == lived
