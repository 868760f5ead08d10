"""The dashboard's API on a real API server: what it shows, and to whom it answers."""

from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_list_and_one_rollout_are_json(running: Any) -> None:
    async with httpx.AsyncClient(base_url=running.url) as http:
        page = (await http.get("/api/v1/rollouts")).json()
        one = (await http.get("/api/v1/rollouts/default/iris")).json()
        curve = (await http.get("/api/v1/rollouts/default/iris/evidence")).json()
        charts = (await http.get("/api/v1/rollouts/default/iris/charts")).json()
    assert (page["total"], page["items"][0]["canaryWeight"], page["namespaces"]) == (1, 5, ["default"])
    assert one["metrics"][0]["message"] == "failed requests: 1 %"
    assert curve[-1]["evidence"] == {"errorRate": 3.0}
    assert "no Prometheus" in charts["problem"]


async def test_around_a_rollout_stand_its_revisions_and_how_they_differ(running: Any) -> None:
    async with httpx.AsyncClient(base_url=running.url) as http:
        around = (await http.get("/api/v1/rollouts/default/iris/around")).json()
    (run,) = around["runs"]
    assert (run["phase"], run["metrics"][0]["value"]) == ("Failed", "0.61")
    newest, oldest = around["revisions"]
    assert (newest["role"], oldest["role"]) == ("canary", "stable")
    assert newest["predictors"][0]["graph"]["modelUri"] == "gs://m/v2"
    changed = [line["text"].strip() for line in newest["diff"] if line["kind"] in ("added", "removed")]
    assert changed == ["modelUri: gs://m/v1", "modelUri: gs://m/v2"]


async def test_past_rollouts_are_told_by_revision(running: Any) -> None:
    async with httpx.AsyncClient(base_url=running.url) as http:
        past = (await http.get("/api/v1/rollouts/default/iris/past")).json()
    assert [(each["revision"], each["outcome"]) for each in past] == [(2, ""), (1, "Promoted")]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/rollouts/default/nothing", 404),
        ("/api/v1/rollouts/default/nothing/evidence", 404),
        ("/api/v1/rollouts/default/nothing/around", 404),
        ("/api/v1/rollouts?limit=0", 422),
        ("/api/v1/rollouts?offset=-1", 422),
        ("/api/v1/rollouts?urgency=none", 422),
        ("/api/v1/rollouts/default/iris/charts?began=2026-01-01T00:00:00", 422),
        ("/api/v1/rollouts/default/iris/charts?began=2026-01-02T00:00:00Z&ended=2026-01-01T00:00:00Z", 422),
        ("/static/../app.py", 404),
    ],
)
async def test_bad_requests_get_clear_answers(running: Any, path: str, status: int) -> None:
    async with httpx.AsyncClient(base_url=running.url) as http:
        answer = await http.get(path)
    assert answer.status_code == status


@pytest.mark.parametrize("verb", ["PUT", "PATCH", "DELETE"])
async def test_nothing_can_be_written_through_it_but_intents(running: Any, verb: str) -> None:
    async with httpx.AsyncClient(base_url=running.url) as http:
        answer = await http.request(verb, "/api/v1/rollouts/default/iris", json={})
    assert answer.status_code == 405


async def test_every_answer_forbids_foreign_scripts_and_frames(running: Any) -> None:
    async with httpx.AsyncClient(base_url=running.url) as http:
        for path in ("/", "/api/v1/rollouts", "/static/app.js"):
            policy = (await http.get(path)).headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy


async def test_a_name_that_is_not_its_own_gets_no_answer(running: Any) -> None:
    async with httpx.AsyncClient(base_url=running.url) as http:
        answer = await http.get("/api/v1/rollouts", headers={"Host": "rebound.example"})
    assert answer.status_code == 400


async def test_a_change_is_told_as_a_server_sent_event(running: Any) -> None:
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


async def test_below_a_path_it_answers_whether_the_proxy_takes_the_path_off_or_not(below: Any) -> None:
    root = below.url.removesuffix("/team/rollouts")
    async with httpx.AsyncClient(base_url=root) as http:
        kept, taken_off = [await http.get(f"{path}/api/v1/rollouts") for path in ("/team/rollouts", "")]
        page, file = [await http.get(f"/team/rollouts/{path}") for path in ("", "static/app.js")]
        bare = await http.get("/team/rollouts")
    assert [each.status_code for each in (kept, taken_off, page, file)] == [200] * 4
    assert kept.json()["items"] == taken_off.json()["items"]
    assert bare.headers["location"] == "/team/rollouts/"
