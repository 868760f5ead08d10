"""Whether rollouts can be judged, as `doctor` asks: the judge's own preflight, with and without a canary."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from analysis.measure import Measurer
from analysis.providers.provider import Instant
from controller.kube.errors import NotFoundError
from seldon_rollouts.checkup import Judged
from seldon_rollouts.judged import judged, looked_at

NOW = datetime(2026, 5, 4, 10, 0, tzinfo=UTC)
SPEC = {"template": {"spec": {"predictors": [{"name": "p", "graph": {"name": "m"}}]}}}
STABLE = {"name": "iris-1", "hash": "1", "number": 1, "role": "stable"}


class Empty:
    """A Prometheus without any series of ours, or with some under another namespace."""

    def __init__(self, elsewhere: bool = False) -> None:
        self.elsewhere = elsewhere

    async def instant(self, query: str, _at: datetime) -> Instant:
        if self.elsewhere and query.startswith("group"):
            return Instant([b'{"namespace": "monitoring", "deployment_name": "iris-1"}'], [1.0])
        return Instant([], [])

    async def between(self, *_: object) -> tuple[()]:
        return ()


def rollout(**status: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "ml", "name": "iris"}, "spec": SPEC, "status": status}


@pytest.mark.parametrize(
    ("elsewhere", "says"),
    [
        (False, "no seldon_api_executor_server_requests_seconds_count with deployment_name iris-1 in namespace ml"),
        (True, "of iris-1 has the namespace monitoring instead of ml"),
    ],
)
async def test_stable_alone_is_looked_for_in_prometheus(elsewhere: bool, says: str) -> None:
    (found,) = await judged([rollout(stableRevision=STABLE)], Measurer(Empty(elsewhere)), NOW)
    assert (found.where, found.ready, found.message.count(says)) == ("ml/iris", False, 1)


@pytest.mark.parametrize("metrics", [[{"traffic": {}}], [{"errorRate": {"max": 2}}]])
async def test_one_that_cannot_be_read_is_left_to_lint_and_stops_no_other(metrics: list[dict[str, Any]]) -> None:
    """Nothing that the first requires could make a canary good; the controller calls it Invalid, too."""
    wrong = rollout(stableRevision=STABLE) | {"spec": SPEC | {"analysis": {"metrics": metrics}}}
    found = await judged([wrong, rollout(stableRevision=STABLE)], Measurer(Empty()), NOW)
    assert [one.ready for one in found] == [False]


@pytest.mark.parametrize(
    ("ready", "told"),
    [
        ("True", [Judged(where="ml/iris", ready=True, message="so it is")]),
        ("False", [Judged(where="ml/iris", ready=False, message="so it is")]),
        ("Unknown", []),
    ],
)
async def test_what_the_controller_found_is_told_as_it_stands(ready: str, told: list[Judged]) -> None:
    seen = {"preflight": {"ready": ready, "reason": "R", "message": "so it is"}}
    assert list(await judged([rollout(stableRevision=STABLE, analysis=seen)], None, NOW)) == told


@pytest.mark.parametrize("spoilt", [rollout(), {**rollout(stableRevision=STABLE), "spec": {"template": 3}}])
async def test_what_serves_nothing_or_cannot_be_read_is_passed_over(spoilt: dict[str, Any]) -> None:
    assert await judged([spoilt], Measurer(Empty()), NOW) == ()


class Cluster:
    """Answers what a client would; reads that come later are answered first."""

    def __init__(self, rows: list[dict[str, Any]], *, gone: str) -> None:
        self.rows, self.gone, self.asked = rows, gone, 0

    async def table(self, *_: object) -> list[dict[str, Any]]:
        return list(self.rows)

    async def get(self, _: object, namespace: str, name: str) -> dict[str, Any]:
        self.asked += 1
        for _ in range(20 - self.asked):
            await asyncio.sleep(0)
        if name == self.gone:
            raise NotFoundError(404, "NotFound", "gone")
        return {"metadata": {"namespace": namespace, "name": name}}


async def test_the_most_urgent_are_read_and_those_that_are_gone_by_then_passed_over() -> None:
    rows = [{"Phase": "Healthy", "metadata": {"namespace": "ml", "name": f"m{number:02}"}} for number in range(30)]
    rows.append({"Phase": "Degraded", "metadata": {"namespace": "ml", "name": "z"}})
    found = await looked_at(Cluster(rows, gone="m01"))  # type: ignore[arg-type]  # as much of a client as is asked
    assert [each["metadata"]["name"] for each in found] == ["z", "m00", *(f"m{number:02}" for number in range(2, 19))]
