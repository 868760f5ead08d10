"""The controller of AnalysisRuns on an API server, with services that answer over real connections."""

import asyncio
import base64
import json
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from controller.analysisruns.reconciler import AnalysisController
from controller.health import Health
from controller.kube.client import Client
from controller.kube.cluster import Cluster
from controller.kube.resources import ANALYSIS_RUN, JOB, NAMESPACE, SECRET
from controller.manager import Manager
from controller.metrics import Metrics
from controller.settings import Settings
from localcluster.apiserver.process import RunningApiServer
from localcluster.testserver import running_server

CRDS = Path(__file__).parents[2] / "crds"
Until = Callable[[str, Callable[[dict[str, Any]], bool]], Awaitable[dict[str, Any]]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[RunningApiServer]:
    async with running_server(plain_http=True, crds=[CRDS]) as running:
        yield running


@pytest_asyncio.fixture
async def namespace(client: Client) -> str:
    name = f"runs-{random.randrange(10**9)}"
    await client.create(NAMESPACE, {"metadata": {"name": name}})
    return name


class Service:
    """Answers each path with what stands in `answers`, in turn; the last one again and again."""

    def __init__(self) -> None:
        self.answers: dict[str, list[tuple[int, str]]] = {}
        self.asked: list[Any] = []
        self.url = ""

    def __call__(self, asked: Any) -> tuple[int, str]:
        self.asked.append(asked)
        given = self.answers.get(asked.path.partition("?")[0], [(404, "nothing here")])
        return given.pop(0) if len(given) > 1 else given[0]


@pytest.fixture
def service(served: Callable[..., AbstractContextManager[str]]) -> Iterator[Service]:
    made = Service()
    with served(made) as made.url:
        yield made


@asynccontextmanager
async def running(client: Client, namespace: str, prometheus: str = "") -> AsyncIterator[None]:
    """The controller at work; it has ended when the block has."""
    cluster, stop = Cluster(client, namespaces=(namespace,)), asyncio.Event()
    controller = AnalysisController(cluster, Settings(prometheus_url=prometheus))
    manager = Manager(cluster, [controller], health=Health(Metrics()), grace=timedelta(seconds=1))
    task = asyncio.create_task(manager.run(stop))
    yield
    stop.set()
    await task


@pytest_asyncio.fixture
async def until(client: Client, namespace: str, service: Service) -> AsyncIterator[Until]:
    """Run the controller; wait until a run is so, at most 15 seconds."""

    async def wait(name: str, so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        end = time.monotonic() + 15
        while not so(run := await client.get(ANALYSIS_RUN, namespace, name)):
            assert time.monotonic() < end, run.get("status")
            await asyncio.sleep(0.05)
        return run

    async with running(client, namespace, service.url):
        yield wait


async def no_job_left(client: Client, namespace: str) -> None:
    """Wait until every Job is gone or going, at most 15 seconds."""
    end = time.monotonic() + 15
    while [job for job in (await client.list(JOB, namespace))[0] if "deletionTimestamp" not in job["metadata"]]:
        assert time.monotonic() < end
        await asyncio.sleep(0.05)


def run_of(namespace: str, *metrics: dict[str, Any], **spec: Any) -> dict[str, Any]:
    whole = [{"name": f"m{n}", **one} for n, one in enumerate(metrics)]
    return {
        "apiVersion": "rollouts.seldon.io/v1alpha1",
        "kind": "AnalysisRun",
        "metadata": {"name": "one", "namespace": namespace},
        "spec": {"metrics": whole, **spec},
    }


def web(url: str, **more: Any) -> dict[str, Any]:
    return {"web": {"url": url, **more}}


def ended(run: dict[str, Any]) -> bool:
    return (run.get("status") or {}).get("phase", "Pending") not in ("Pending", "Running")


def measured(run: dict[str, Any]) -> bool:
    results = (run.get("status") or {}).get("metricResults") or [{}]
    return bool(results[0].get("measurements"))


def vector(*values: str) -> str:
    series = [{"metric": {}, "value": [1, value]} for value in values]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": series}})


async def test_a_run_that_a_person_makes_is_measured_to_its_end(
    client: Client, namespace: str, service: Service, until: Until
) -> None:
    service.answers["/api/v1/query"] = [(200, vector("0.99")), (503, "busy"), (200, vector("0.98"))]
    metric = {
        "provider": {"prometheus": {"query": "sum(up)"}},
        "successCondition": "result[0] >= 0.95",
        "interval": "100ms",
        "count": 2,
    }
    await client.create(ANALYSIS_RUN, run_of(namespace, metric))
    status = (await until("one", ended))["status"]
    result = status["metricResults"][0]
    assert status["phase"] == "Successful"
    assert (result["count"], result["successful"], result["error"]) == (2, 2, 1)
    assert [one["value"] for one in result["measurements"] if one["phase"] == "Successful"] == ["[0.99]", "[0.98]"]
    assert "HTTP 503: busy" in result["measurements"][1]["message"]


async def test_a_bad_value_fails_the_run_and_ends_its_siblings(
    client: Client, namespace: str, service: Service, until: Until
) -> None:
    service.answers["/v"] = [(200, '{"data": {"rate": 0.2}}')]
    service.answers["/api/v1/query"] = [(200, vector("1"))]
    bad = {"provider": web(f"{service.url}/v", jsonPath="{$.data.rate}"), "failureCondition": "result > 0.1"}
    for_ever = {"provider": {"prometheus": {"query": "up"}}, "interval": "1h"}
    await client.create(ANALYSIS_RUN, run_of(namespace, bad, for_ever))
    status = (await until("one", ended))["status"]
    assert (status["phase"], status["message"]) == (
        "Failed",
        "metric 'm0': 1 failed, and failureLimit is 0: last value 0.2",
    )
    assert status["conditions"][0]["type"] == "Completed"


async def test_what_is_being_measured_and_its_connection_end_with_the_controller(
    client: Client, namespace: str, silent: Any
) -> None:
    async with asyncio.timeout(60):
        async with running(client, namespace):
            await client.create(ANALYSIS_RUN, run_of(namespace, {"provider": web(silent.url, timeoutSeconds=120)}))
            await silent.asked.wait()
        await silent.gone.wait()


async def test_a_secret_is_sent_and_stands_nowhere(
    client: Client, namespace: str, service: Service, until: Until
) -> None:
    secret = {
        "metadata": {"name": "login", "namespace": namespace},
        "data": {"token": base64.b64encode(b"hush-hush").decode()},
    }
    await client.create(SECRET, secret)
    service.answers["/v"] = [(500, "no entry for hush-hush"), (200, '"you said hush-hush"')]
    metric = {
        "provider": web(
            f"{service.url}/v?key={{{{args.token}}}}", headers=[{"key": "X-Key", "value": "{{args.token}}"}]
        ),
        "interval": "50ms",
        "count": 1,
    }
    args = [{"name": "token", "valueFrom": {"secretKeyRef": {"name": "login", "key": "token"}}}]
    await client.create(ANALYSIS_RUN, run_of(namespace, metric, args=args))
    run = await until("one", ended)
    assert service.asked[0].path == "/v?key=hush-hush"
    assert service.asked[0].headers["x-key"] == "hush-hush"
    assert "hush" not in json.dumps(run)
    assert "no entry for *****" in run["status"]["metricResults"][0]["measurements"][0]["message"]


@pytest.mark.parametrize("body", ['"\\ud800"', "[" * 900 + "]" * 900, "[" * 101 + "]" * 101])
async def test_an_answer_that_nobody_foresaw_is_an_error_and_no_run_that_waits_for_ever(
    client: Client, namespace: str, service: Service, until: Until, body: str
) -> None:
    service.answers["/v"] = [(200, body)]
    metric = {
        "provider": web(f"{service.url}/v", jsonPath="{$}"),
        "successCondition": "result == result && result[0] > 1",
        "consecutiveErrorLimit": 0,
    }
    await client.create(ANALYSIS_RUN, run_of(namespace, metric))
    status = (await until("one", ended))["status"]
    assert status["phase"] == "Error"


async def test_what_breaks_while_it_is_measured_is_an_error_of_the_metric(
    client: Client, namespace: str, service: Service, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("hush-hush")

    monkeypatch.setattr(AnalysisController, "_secrets", broken)
    await client.create(ANALYSIS_RUN, run_of(namespace, {"provider": web(service.url), "consecutiveErrorLimit": 0}))
    status = (await until("one", ended))["status"]
    assert status["phase"] == "Error"
    assert "hush" not in json.dumps(status)


async def test_a_secret_that_is_not_there_is_an_error_that_names_it(
    client: Client, namespace: str, service: Service, until: Until
) -> None:
    metric = {"provider": web(f"{service.url}/{{{{args.token}}}}"), "consecutiveErrorLimit": 0}
    args = [{"name": "token", "valueFrom": {"secretKeyRef": {"name": "login", "key": "token"}}}]
    await client.create(ANALYSIS_RUN, run_of(namespace, metric, args=args))
    status = (await until("one", ended))["status"]
    assert status["phase"] == "Error"
    assert f"there is no secret {namespace}/login" in status["message"]
    assert service.asked == []


@pytest.mark.parametrize(("condition", "phase"), [("Complete", "Successful"), ("Failed", "Failed")])
async def test_a_job_is_made_once_watched_and_taken_for_its_end(
    client: Client, namespace: str, until: Until, condition: str, phase: str
) -> None:
    pod = {"containers": [{"name": "check", "image": "busybox:1.37"}]}
    await client.create(ANALYSIS_RUN, run_of(namespace, {"provider": {"job": {"spec": {"template": {"spec": pod}}}}}))
    begun = await until("one", measured)
    measurement = begun["status"]["metricResults"][0]["measurements"][0]
    jobs = (await client.list(JOB, namespace))[0]
    assert [job["metadata"]["name"] for job in jobs] == [measurement["metadata"]["job"]]
    assert jobs[0]["metadata"]["ownerReferences"][0]["uid"] == begun["metadata"]["uid"]
    now = measurement["startedAt"][:19] + "Z"
    conditions = [{"type": condition, "status": "True", "message": "said the test", "lastTransitionTime": now}]
    before = "SuccessCriteriaMet" if condition == "Complete" else "FailureTarget"
    conditions.insert(0, {**conditions[0], "type": before})
    status: dict[str, Any] = {"conditions": conditions, "startTime": now}
    status |= {"completionTime": now, "succeeded": 1} if condition == "Complete" else {"failed": 1}
    job = jobs[0]
    await client.patch_status(
        JOB, namespace, job["metadata"]["name"], status, resource_version=job["metadata"]["resourceVersion"]
    )
    run = await until("one", ended)
    assert run["status"]["phase"] == phase
    assert run["status"]["metricResults"][0]["count"] == 1


async def test_ending_a_run_takes_its_job_away(client: Client, namespace: str, until: Until) -> None:
    pod = {"containers": [{"name": "check", "image": "busybox:1.37"}]}
    await client.create(ANALYSIS_RUN, run_of(namespace, {"provider": {"job": {"spec": {"template": {"spec": pod}}}}}))
    await until("one", measured)
    await client.merge_patch(ANALYSIS_RUN, namespace, "one", {"spec": {"terminate": True}})
    run = await until("one", ended)
    assert run["status"]["phase"] == "Inconclusive"
    await no_job_left(client, namespace)


async def test_what_cannot_be_measured_says_so(client: Client, namespace: str, until: Until) -> None:
    metric = {"provider": {"prometheus": {"query": "up"}}, "successCondition": "reslt > 1"}
    await client.create(ANALYSIS_RUN, run_of(namespace, metric))
    status = (await until("one", ended))["status"]
    assert status["phase"] == "Error"
    assert "unknown name 'reslt'; known are result" in status["message"]
