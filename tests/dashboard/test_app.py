"""The dashboard on a real API server: its JSON, its events, and the page in a real browser."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import uvicorn

from controller import clock
from controller.kube import resources
from controller.kube.client import Client
from controller.kube.cluster import Cluster
from controller.kube.connection import connector
from localcluster.testserver import running_server
from seldon_rollouts.dashboard.app import create

pytestmark = pytest.mark.asyncio(loop_scope="module")
ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium")
QUIET = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-quic",
]  # fmt: skip

ROLLOUT: dict[str, Any] = {
    "apiVersion": "rollouts.seldon.io/v1alpha1",
    "kind": "SeldonRollout",
    "metadata": {"name": "iris", "namespace": "default"},
    "spec": {
        "template": {"spec": {"predictors": [{"name": "default", "graph": {"name": "c", "modelUri": "gs://m/v2"}}]}},
        "strategy": {"canary": {"steps": [{"setWeight": 5}, {"analysis": {}}]}},
    },
}
METRIC = {"name": "errorRate", "verdict": "Inconclusive", "message": "failed requests: 1 %", "evidence": 3.0}
STATUS = {
    "phase": "Progressing",
    "message": "revision 2 is progressing: step 1 of 2",
    "stepCount": 2,
    "stableRevision": {"hash": "aaa", "number": 1, "name": "iris-aaa", "role": "stable"},
    "canaryRevision": {"hash": "bbb", "number": 2, "name": "iris-bbb"},
    "weights": {"stable": 95, "canary": 5},
    "analysis": {"verdict": "Inconclusive", "updatedAt": "2026-01-01T00:01:00Z", "metrics": [METRIC]},
}


class Running:
    """A dashboard over an API server that has one rollout."""

    def __init__(self, url: str, client: Client) -> None:
        self.url, self._client = url, client

    async def say(self, **changes: Any) -> None:
        """Write the rollout's status."""
        live = await self._client.get(resources.SELDON_ROLLOUT, "default", "iris")
        version = live["metadata"]["resourceVersion"]
        status = {**STATUS, **changes}
        await self._client.patch_status(resources.SELDON_ROLLOUT, "default", "iris", status, resource_version=version)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served() -> AsyncIterator[Running]:
    async with (
        running_server(crds=[ROOT / "crds"]) as server,
        Client(connector(str(server.kubeconfig_path), None, now=clock.now)) as client,
    ):
        await client.create(resources.SELDON_ROLLOUT, ROLLOUT)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
        config = uvicorn.Config(
            create(Cluster(client)), host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=1,
            ws="none",
        )  # fmt: skip
        dashboard = uvicorn.Server(config)
        task = asyncio.create_task(dashboard.serve())
        while not dashboard.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.02)
        made = Running(f"http://127.0.0.1:{port}", client)
        yield made
        dashboard.should_exit = True
        await task


@pytest_asyncio.fixture(loop_scope="module")
async def running(served: Running) -> Running:
    """The dashboard, with the rollout as it was at the start."""
    await served.say()
    await until(served, lambda shown: shown["row"]["phase"] == "Progressing")
    return served


async def until(running: Running, check: Any) -> None:
    async with httpx.AsyncClient(base_url=running.url) as http, asyncio.timeout(10):
        while True:
            answer = await http.get("/api/v1/rollouts/default/iris")
            if answer.status_code == 200 and check(answer.json()):
                return
            await asyncio.sleep(0.05)


async def test_the_list_and_one_rollout_are_json(running: Running) -> None:
    async with httpx.AsyncClient(base_url=running.url) as http:
        page = (await http.get("/api/v1/rollouts")).json()
        one = (await http.get("/api/v1/rollouts/default/iris")).json()
        curve = (await http.get("/api/v1/rollouts/default/iris/evidence")).json()
        charts = (await http.get("/api/v1/rollouts/default/iris/charts")).json()
    assert (page["total"], page["items"][0]["canaryWeight"], page["namespaces"]) == (1, 5, ["default"])
    assert one["metrics"][0]["message"] == "failed requests: 1 %"
    assert curve[-1]["evidence"] == {"errorRate": 3.0}
    assert "no Prometheus" in charts["problem"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/rollouts/default/nothing", 404),
        ("/api/v1/rollouts/default/nothing/evidence", 404),
        ("/api/v1/rollouts?limit=0", 422),
        ("/api/v1/rollouts?offset=-1", 422),
        ("/static/../app.py", 404),
    ],
)
async def test_bad_requests_get_clear_answers(running: Running, path: str, status: int) -> None:
    async with httpx.AsyncClient(base_url=running.url) as http:
        answer = await http.get(path)
    assert answer.status_code == status


@pytest.mark.parametrize("verb", ["POST", "PUT", "PATCH", "DELETE"])
async def test_nothing_can_be_changed_through_it(running: Running, verb: str) -> None:
    async with httpx.AsyncClient(base_url=running.url) as http:
        answer = await http.request(verb, "/api/v1/rollouts/default/iris")
    assert answer.status_code == 405


async def test_every_answer_forbids_foreign_scripts_and_frames(running: Running) -> None:
    async with httpx.AsyncClient(base_url=running.url) as http:
        for path in ("/", "/api/v1/rollouts", "/static/app.js"):
            policy = (await http.get(path)).headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy


async def test_a_change_is_told_as_a_server_sent_event(running: Running) -> None:
    async with (
        httpx.AsyncClient(base_url=running.url, timeout=10) as http,
        http.stream("GET", "/api/v1/changes") as told,
    ):
        lines = told.aiter_lines()
        first = [await anext(lines) for _ in range(3)]
        await running.say(phase="Promoting")
        while not (line := await anext(lines)).startswith("id:"):
            pass
    assert first[0] == "event: changed"
    assert int(line.removeprefix("id:")) > int(first[1].removeprefix("id:"))


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH; install Debian's package chromium")
async def test_the_page_shows_a_rollout_and_follows_it_live(running: Running) -> None:
    from playwright.async_api import async_playwright, expect

    problems: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = await browser.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        foreign: list[str] = []
        page.on(
            "request",
            lambda sent: foreign.append(sent.url) if not sent.url.startswith((running.url, "data:")) else None,
        )
        await page.goto(f"{running.url}/")
        await page.get_by_role("link", name="default/iris").click()
        await expect(page.get_by_role("heading", name="default/iris")).to_contain_text("Progressing")
        await expect(page.locator("[aria-current=step]")).to_have_text("weight 5 %")
        rejected = {"hash": "bbb", "number": 2, "at": "2026-01-01T00:02:00Z", "by": "judge", "message": "5 % failed"}
        await running.say(phase="Degraded", message="rolled back", rejected=[rejected])
        await expect(page.get_by_role("heading", name="default/iris")).to_contain_text("Degraded")
        await expect(page.locator(".rollback")).to_contain_text("5 % failed")
        await page.goto(f"{running.url}/#/default/nothing")
        await expect(page.locator("#one")).to_contain_text("There is no rollout")
        await browser.close()
    # The 404 that the page itself handles is the only thing that the console may tell.
    assert [problem for problem in problems if "404" not in problem] == []
    assert foreign == []
