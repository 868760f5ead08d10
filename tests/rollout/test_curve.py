"""The curve of the evidence in the status: bounded, with its ends and highest points, and never written for itself."""

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.api.arms import ObservedTraffic
from controller.api.rollout import AnalysisStatus, MetricStatus
from controller.rollout import curve
from controller.rollout.decide import decide
from seldon_rollouts.view.base import status_of
from seldon_rollouts.view.detail import kept

from .conftest import START

SPLIT = (20, ObservedTraffic(canary_percent=19.5))


def said(seconds: int | None, *evidence: float, good: float = 1.0, names: str = "errorRate latency") -> AnalysisStatus:
    metrics = tuple(
        MetricStatus(name=name, verdict="Inconclusive", evidence=value, promote_evidence=good)
        for name, value in zip(names.split(), evidence, strict=False)
    )
    at = None if seconds is None else START + timedelta(seconds=seconds)
    return AnalysisStatus(verdict="Inconclusive", message="as measured", metrics=metrics, updated_at=at)


def drawn(series: list[tuple[float, float]]):
    found = None
    for number, values in enumerate(series):
        found = curve.grown(found, said(10 * number, *values, good=values[0] / 2), *SPLIT)
    return found


@given(st.lists(st.tuples(st.floats(1e-3, 1e6), st.floats(1e-3, 1e6)), min_size=1, max_size=160))
def test_however_long_it_gets_ends_and_highest_points_stay(series: list[tuple[float, float]]) -> None:
    found = drawn(series)
    assert len(found.points) == min(len(series), curve.POINTS)
    assert (found.points[0].at, found.points[-1].at) == (START, START + timedelta(seconds=10 * (len(series) - 1)))
    for number in range(2):
        highest = max(curve._logarithm(values[number]) for values in series)
        assert max(point.worse[number] for point in found.points) == highest
    assert max(point.good[0] for point in found.points) == max(curve._logarithm(values[0] / 2) for values in series)


def test_what_is_thinned_leaves_no_large_gap() -> None:
    found = drawn([(1.0, 1.0)] * 400)
    instants = [point.at for point in found.points]
    gaps = [after - before for before, after in pairwise(instants)]
    assert max(gaps) <= 4 * timedelta(seconds=4000 / curve.POINTS)


def test_a_curve_of_many_metrics_stays_small_in_the_status() -> None:
    names = " ".join(f"metric{number}" for number in range(30))
    found = None
    for number in range(200):
        found = curve.grown(found, said(10 * number, *[1e-9] * 30, names=names), *SPLIT)
    assert len(found.metrics) == curve.METRICS
    assert len(found.model_dump_json(by_alias=True)) < 16_000
    usual = drawn([(1e-9, 1e-9)] * 200)
    assert len(usual.model_dump_json(by_alias=True)) < 7_000


@pytest.mark.parametrize("again", [said(10, 5.0, 5.0), said(None, 1.0, 1.0), said(20)])
def test_nothing_new_adds_no_point(again: AnalysisStatus) -> None:
    before = drawn([(1.0, 1.0), (2.0, 2.0)])
    assert curve.grown(before, again, *SPLIT) == before


@pytest.mark.parametrize(("updated", "points"), [(-1200, 0), (-1, 0), (0, 1), (2, 1)])
def test_what_the_judge_reads_of_stables_own_past_is_no_point(updated: int, points: int) -> None:
    past = said(updated, 1.0).model_copy(update={"started_at": START})
    found = curve.grown(None, past, *SPLIT)
    assert len(found.points if found else ()) == points


def test_other_metrics_begin_another_curve() -> None:
    found = curve.grown(drawn([(1.0, 1.0)]), said(10, 3.0, names="reward"), *SPLIT)
    assert (found.metrics, len(found.points)) == (("reward",), 1)


def test_a_rollout_keeps_its_curve_and_a_pass_without_news_writes_nothing(world) -> None:
    world.serving().upgrade().run(4)
    for value in (1.0, 4.0, 2.0):
        metric = MetricStatus(name="errorRate", verdict="Inconclusive", evidence=value)
        world.verdict = AnalysisStatus(verdict="Inconclusive", metrics=(metric,), updated_at=world.now)
        world.run(3)
    found = world.status.analysis.curve
    assert [point.worse for point in found.points] == [(0.0,), (0.6,), (0.3,)]
    assert found.points[-1].weight == 20
    observed = world.observe()
    again = decide(observed, now=world.now)
    assert again.status.analysis == observed.status.analysis
    shown = kept(status_of({"status": world.status.model_dump(by_alias=True, mode="json", exclude_none=True)}))
    assert [point.evidence["errorRate"] for point in shown] == pytest.approx([1.0, 4.0, 2.0], rel=0.02)
    assert {point.revision for point in shown} == {world.hash_of("m/v2")}
