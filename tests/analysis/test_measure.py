"""Grouped queries: few of them, and each series found by its comparison."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import quote_plus

import orjson
import pytest

from analysis.checks import OutlierRate, PredictionDrift, Reward, ShadowAgreement
from analysis.measure import Labels, Measurer
from analysis.providers.provider import Instant, Series
from analysis.samples import PodReading
from analysis.spec import Arm, Comparison, ErrorRate, Plan

AT = datetime(2026, 1, 1, tzinfo=UTC)


class Recorded:
    """A provider that answers from a table, by what the query reads."""

    def __init__(self, **answers: list[Series]) -> None:
        self.answers = answers
        self.queries: list[str] = []

    async def instant(self, query: str, at: datetime) -> Instant:
        found = await self.between(query, at, at, 1)
        return Instant([one.written for one in found], [one.samples[0][1] for one in found])

    async def between(self, query: str, start: datetime, end: datetime, step: int) -> tuple[Series, ...]:
        self.queries.append(query)
        return tuple(
            self.answers.get("count" if "_count{" in query else "bucket" if "_bucket{" in query else "istio", ())
        )


def comparison(name: str, *, services: bool = True) -> Comparison:
    return Comparison(
        key=("ml", name),
        stable=Arm("ml", f"{name}-1", (f"{name}-1-default",) if services else ()),
        canary=Arm("ml", f"{name}-2", (f"{name}-2-a", f"{name}-2-b") if services else ()),
        plan=Plan(),
        started_at=AT,
    )


def series(value: float, **labels: str) -> Series:
    return Series(orjson.dumps(labels), ((int(AT.timestamp()), value),))


async def test_a_thousand_comparisons_take_a_few_queries_each_short_enough_for_an_address():
    provider = Recorded()
    await Measurer(provider).read([comparison(f"a-rather-long-model-name-{n}") for n in range(1000)], AT)
    assert len(provider.queries) == 48
    assert max(len(quote_plus(query)) for query in provider.queries) < 8000


async def test_short_names_take_fewer_queries_and_each_name_is_asked_for_once():
    provider = Recorded()
    asked = [comparison(f"m{n}", services=False) for n in range(1000)]
    await Measurer(provider).read(asked, AT)
    codes = [query for query in provider.queries if "_count{" in query]
    named = [name for query in codes for name in query.split('deployment_name=~"')[1].split('"')[0].split("|")]
    assert len(provider.queries) == 8
    assert sorted(named) == sorted(f"m{n}-{arm}" for n in range(1000) for arm in (1, 2))


async def test_without_services_the_gateway_is_not_asked():
    provider = Recorded()
    await Measurer(provider).read([comparison("iris", services=False)], AT)
    assert len(provider.queries) == 2


async def test_each_series_goes_to_its_arm_pod_and_outcome():
    where = {"namespace": "ml", "deployment_name": "iris-2", "pod": "p", "instance": "127.0.0.9:8000"}
    hosts = {"destination_service_namespace": "ml", "response_flags": "-", "pod": "gw"}
    provider = Recorded(
        count=[
            series(10, **where, code="200"),
            series(2, **where, code="500"),
            series(float("nan"), **where, code="404"),
        ],
        bucket=[series(4, **where, le="0.25"), series(10, **where, le="+Inf")],
        istio=[
            series(7, **hosts, destination_service_name="iris-2-a", response_code="200"),
            series(5, **hosts, destination_service_name="iris-2-b", response_code="503"),
            series(9, **hosts, destination_service_name="another", response_code="503"),
        ],
    )
    found = await Measurer(provider).read([comparison("iris"), comparison("wine")], AT)
    canary = found["ml", "iris"].canary
    assert canary.pods == {"p/127.0.0.9:8000": PodReading({"200": 10, "500": 2}, {0.25: 4, float("inf"): 10})}
    assert canary.gateways == {"gw//iris-2-a": {("200", "-", ""): 7}, "gw//iris-2-b": {("503", "-", ""): 5}}
    assert not found["ml", "iris"].stable.pods
    assert not found["ml", "wine"].canary.gateways


async def test_the_same_deployment_in_another_namespace_is_another_arm():
    where = {"namespace": "other", "deployment_name": "iris-2", "pod": "p", "instance": "i"}
    found = await Measurer(Recorded(count=[series(10, **where, code="200")])).read([comparison("iris")], AT)
    assert not found["ml", "iris"].canary.pods


async def test_names_of_ones_own_labels_are_used():
    where = {"kubernetes_namespace": "ml", "deployment_name": "iris-2", "kubernetes_pod_name": "p", "instance": "i"}
    provider = Recorded(count=[series(10, **where, code="200")])
    labels = Labels(namespace="kubernetes_namespace", pod="kubernetes_pod_name")
    found = await Measurer(provider, labels=labels).read([comparison("iris")], AT)
    assert set(found["ml", "iris"].canary.pods) == {"p/i"}
    assert 'kubernetes_namespace=~"ml"' in provider.queries[0]


def checked(name: str, *checks) -> Comparison:
    return replace(comparison(name), plan=Plan(metrics=(ErrorRate(), *checks)))


async def test_typed_checks_take_one_more_query_and_only_for_those_that_have_some():
    provider = Recorded()
    await Measurer(provider).read([comparison("wine"), checked("iris", OutlierRate(), Reward())], AT)
    assert len(provider.queries) == 4
    asked = provider.queries[-1]
    assert "wine" not in asked
    assert "1|iris" in asked
    for family in ("prediction_outlier_total", "prediction_row_total", "model_feedback_total", "feedback_reward_total"):
        assert family in asked
    assert "prediction_class_total" not in asked


async def test_signals_go_to_their_arm_source_and_kind():
    where = {"namespace": "ml", "deployment_name": "iris-2", "pod": "p", "instance": "i"}
    pairs = where | {"__name__": "seldon_shadow_compare_total", "pair": "stable", "pod": "c", "instance": "j"}
    provider = Recorded()
    provider.answers = {
        "istio": [
            series(3, **where, __name__="seldon_prediction_class_total", **{"class": "setosa"}),
            series(9, **where, __name__="seldon_prediction_score_bucket", le="+Inf"),
            series(1, **pairs, result="disagree"),
        ]
    }
    found = await Measurer(provider).read([checked("iris", PredictionDrift(), ShadowAgreement())], AT)
    assert found["ml", "iris"].canary.signals == {
        "p/i": {("class", "setosa"): 3, ("score", "+Inf"): 9},
        "c/j": {("compare", "stable/disagree"): 1},
    }
    assert not found["ml", "iris"].canary.pods


async def test_looks_between_ticks_leave_alone_what_the_ticks_remember_of_series():
    hosts = {"destination_service_namespace": "ml", "response_flags": "-", "pod": "gw", "response_code": "200"}
    provider = Recorded(
        istio=[
            series(7, **hosts, destination_service_name="iris-2-a"),
            series(5, **hosts, destination_service_name="iris-1-default"),
        ]
    )
    measurer = Measurer(provider)
    await measurer.read([comparison("iris")], AT)
    known = dict(measurer._directory._places)
    provider.answers["istio"] = [series(9, **hosts, destination_service_name="iris-2-b")]
    _, found = await measurer.counted([comparison("iris")], AT)
    assert found["ml", "iris"].canary.gateways == {"gw//iris-2-b": {("200", "-", ""): 9}}
    assert measurer._directory._places == known


class Whole(Recorded):
    """A provider that answers at start, start + step, ..., and tells instants by the nearest whole second."""

    async def between(self, query: str, start: datetime, end: datetime, step: int) -> tuple[Series, ...]:
        span = range(int((end - start).total_seconds()) // step + 1)
        samples = tuple((round(start.timestamp() + turn * step), float(turn)) for turn in span)
        return tuple(Series(each.written, samples) for each in await super().between(query, start, end, step))


@pytest.mark.parametrize("fraction", [0, 400_000, 600_000, 999_999])
async def test_a_past_window_is_read_whole_whatever_the_fraction_of_its_start(fraction: int) -> None:
    where = {"namespace": "ml", "deployment_name": "iris-1", "pod": "p", "instance": "127.0.0.9:8000", "code": "200"}
    start, one = AT + timedelta(microseconds=fraction), comparison("iris", services=False)
    found = await Measurer(Whole(count=[series(0, **where)])).replay([one], start, start + timedelta(minutes=3), 60)
    assert [len(reading.stable.pods) for reading in found[one.key]] == [1, 1, 1, 1]
