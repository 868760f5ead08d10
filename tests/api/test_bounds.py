"""Numbers and durations at and beyond their bounds: what the API server stores, the webhook lets in, `lint` takes."""

from collections.abc import AsyncIterator
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
import yaml

from controller.admission.review import opinion
from controller.deployment.configuration import Configuration
from controller.kube.client import Client
from controller.kube.connection import fixed
from controller.kube.errors import InvalidError
from controller.kube.resources import ANALYSIS_RUN, ANALYSIS_TEMPLATE, SELDON_ROLLOUT, Resource
from localcluster.testserver import running_server
from seldon_rollouts.documents import documents
from seldon_rollouts.lint import lint

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.asyncio(loop_scope="module")

GRAPH = {"name": "m", "implementation": "SKLEARN_SERVER", "modelUri": "gs://m"}
PROMETHEUS = {"prometheus": {"query": "up", "rangeQuery": {"start": "now()", "end": "now()", "step": "10s"}}}
METRIC = {"name": "m", "successCondition": "result[0] > 0", "interval": "10s", "provider": PROMETHEUS}
WEB = {**METRIC, "successCondition": "result.ok", "provider": {"web": {"url": "http://x"}}}
SPECS: dict[str, tuple[Resource, dict[str, Any]]] = {
    "AnalysisTemplate": (ANALYSIS_TEMPLATE, {"metrics": [METRIC, {**WEB, "name": "w"}]}),
    "AnalysisRun": (ANALYSIS_RUN, {"metrics": [METRIC, {**WEB, "name": "w"}], "ttlStrategy": {}}),
    "SeldonRollout": (
        SELDON_ROLLOUT,
        {"template": {"spec": {"predictors": [{"name": "p", "graph": GRAPH}]}}, "analysis": {"metrics": []}},
    ),
}


class Bound(NamedTuple):
    """A field with its kind, the values at its bounds, and those beyond."""

    kind: str
    field: str
    good: tuple[Any, ...]
    bad: tuple[Any, ...]


LATER = {(kind, field) for kind in ("AnalysisTemplate", "AnalysisRun") for field in ("interval", "initialDelay")}
"""What a schema cannot say of templates and runs: it is said by `lint`, and by the run before it measures."""
ANY_KIND = [
    Bound("metrics.0.provider.prometheus.timeout", "", (1, 300), (-1, 0, 301, 2**40)),
    Bound("metrics.1.provider.web.timeoutSeconds", "", (0, 300, "300", "{{args.n}}"), (-1, 301, "301", "-1", "9" * 99)),
    Bound("metrics.0.provider.prometheus.rangeQuery.step", "", ("1ms", "24h"), ("0s", "-1s", "9999999999h")),
    Bound("metrics.0.interval", "", ("1ms", "87600h"), ("0s", "-1s", "87601h", "999999999999h", "9" * 30 + "s")),
    Bound("metrics.0.initialDelay", "", ("0s", "87600h"), ("-1s", "87600h1s", "99999999999999ms")),
    Bound("metrics.0.count", "", (0, 2**31 - 1, "7"), (-1, 2**31, 2**40, "99999999999")),
    Bound("metrics.0.failureLimit", "", (0, 2**31 - 1, "2"), (-2, 2**31, "-2")),
    Bound("metrics.0.inconclusiveLimit", "", (0, 2**31 - 1), (-1, 2**31)),
    Bound("metrics.0.consecutiveErrorLimit", "", (0, 2**31 - 1), (-1, 2**31)),
    Bound("metrics.0.consecutiveSuccessLimit", "", (0, 2**31 - 1), (-1, 2**31)),
]
BOUNDS = [
    *[Bound(kind, each.kind, each.good, each.bad) for each in ANY_KIND for kind in ("AnalysisTemplate", "AnalysisRun")],
    Bound("AnalysisRun", "ttlStrategy.secondsAfterCompletion", (0, 315_360_000), (-1, 315_360_001)),
    Bound("AnalysisRun", "ttlStrategy.secondsAfterSuccess", (0, 315_360_000), (-1, 315_360_001)),
    Bound("AnalysisRun", "ttlStrategy.secondsAfterFailure", (0, 315_360_000), (-1, 2**40)),
    Bound("AnalysisRun", "measurementRetention.0.limit", (1, 1000), (0, 1001)),
    *[
        Bound("SeldonRollout", field, good, bad)
        for field, good, bad in (
            ("analysis.alpha", (1e-9, 0.5), (0, -1, 0.51, 1e-300)),
            ("analysis.beta", (1e-9, 0.5), (0, -1, 0.51, 1e-300)),
            ("analysis.stepBeta", (0.05, 1), (0, 0.01, 1.1)),
            ("analysis.minSamples", (1, 10**9), (0, -1, 10**9 + 1)),
            ("analysis.warmup", (0, "0s", "87600h", 315_360_000), (-1, "-1s", "87601h", "99999999h", 315_360_001)),
            ("analysis.startingStep", (0, 1), (-1, 101)),
            ("analysis.metrics.0.errorRate.max", (1e-6, 0.999), (0, 1, -0.1)),
            ("analysis.metrics.0.clientErrorRate.max", (1e-6, 0.999), (0, 1, -0.1)),
            ("analysis.metrics.0.outlierRate.max", (1e-6, 0.999), (0, 1)),
            ("analysis.metrics.0.latency", ({"slowerThan": "1ms", "max": 0.1},), ({"slowerThan": "0s", "max": 0.1},)),
            ("analysis.metrics.0.traffic.tolerance", (1.01, 10), (1, 10.1, -2)),
            ("analysis.metrics.0.predictionDrift.max", (0.001, 100), (0, -1, 101)),
            ("analysis.metrics.0.reward.high", (0.5, 1e9), (0, 1.1e9)),
            ("analysis.metrics.0.reward.low", (-1e9, 0.5), (1, -1.1e9)),
            ("analysis.metrics.0.reward.tolerance", (0.001, 0.29), (0, 0.3)),
            ("analysis.metrics.0.reward.delay", ("0s", "87600h"), ("-1s", "999999h")),
            ("strategy.canary.steps.1.analysis.maxDuration", ("1s", "87600h"), ("-1s", "87601h", "9" * 40 + "h")),
            ("strategy.canary.steps.1.analysis.minDuration", ("0s", "87600h"), ("-1s", "999999h")),
        )
    ],
]


def made(kind: str, field: str, value: Any) -> dict[str, Any]:
    """An object of the kind with one field set; what lies on the way there is made."""
    spec = deepcopy(SPECS[kind][1])
    if field.startswith("strategy"):
        spec["strategy"] = {"canary": {"steps": [{"setWeight": 5}, {"analysis": {}}]}}
    if field.startswith("measurementRetention"):
        spec["measurementRetention"] = [{"metricName": "m"}]
    if field.endswith("startingStep"):
        spec["analysis"]["templates"] = [{"templateName": "t"}]
    if kind == "SeldonRollout":
        spec["analysis"]["metrics"] = [{field.split(".")[3]: {}, "required": True}] if "metrics.0." in field else []
        if not spec["analysis"]["metrics"]:
            del spec["analysis"]["metrics"]
    place: Any = spec
    *way, last = field.split(".")
    for part in way:
        place = place[int(part)] if part.isdecimal() else place.setdefault(part, {})
    place[last] = value
    return {
        "apiVersion": "rollouts.seldon.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": "x", "namespace": "default"},
        "spec": spec,
    }


def linted(obj: dict[str, Any], folder: Path) -> str:
    """What `lint` holds against it, warnings aside."""
    file = folder / "x.yaml"
    file.write_text(yaml.safe_dump(obj))
    found = lint(list(documents([file])))
    return "; ".join(one.message for one in found if not one.warning and "args.n" not in one.message)


def admitted(obj: dict[str, Any]) -> str:
    """What our webhook holds against it."""
    about = {"group": "rollouts.seldon.io", "kind": obj["kind"]}
    return "; ".join(opinion(about, obj, Configuration()).problems)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client() -> AsyncIterator[Client]:
    async with (
        running_server(crds=[ROOT / "crds"]) as server,
        Client(fixed(server.url, server.admin_token, tls=server.ssl_context())) as found,
    ):
        yield found


async def stored(client: Client, obj: dict[str, Any]) -> str:
    """Why the API server does not store it, if so."""
    try:
        await client.create(SPECS[obj["kind"]][0], obj)
    except InvalidError as error:
        return error.message
    await client.delete(SPECS[obj["kind"]][0], "default", "x")
    return ""


@pytest.mark.parametrize("bound", BOUNDS, ids=lambda bound: f"{bound.kind}.{bound.field}")
async def test_a_bound_is_held_by_server_webhook_and_lint(client: Client, bound: Bound, tmp_path: Path) -> None:
    field = bound.field.split(".")[-1]
    for value in bound.good:
        obj = made(bound.kind, bound.field, value)
        assert [await stored(client, obj), admitted(obj), linted(obj, tmp_path)] == ["", "", ""], value
    for value in bound.bad:
        obj = made(bound.kind, bound.field, value)
        refused = await stored(client, obj) or admitted(obj)
        assert field in refused or ((bound.kind, field) in LATER and str(value).startswith("8760")), (value, refused)
        assert field in linted(obj, tmp_path), (value, linted(obj, tmp_path))


ROLLOUTS = [each for each in BOUNDS if each.kind == "SeldonRollout"]


@pytest.mark.parametrize("name", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("bound", ROLLOUTS, ids=lambda bound: bound.field)
async def test_what_is_no_number_is_refused_by_lint(bound: Bound, name: str, tmp_path: Path) -> None:
    """YAML has words for it; JSON, which an API server reads, has none."""
    assert linted(made(bound.kind, bound.field, float(name)), tmp_path)
