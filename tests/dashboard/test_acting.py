"""Who may see and do what: Kubernetes' RBAC decides, each act is the person's own, and no other site can forge one."""

import json
import logging
from typing import Any

import httpx
import pytest

from controller.kube import resources

pytestmark = pytest.mark.asyncio(loop_scope="module")
EDITOR, VIEWER, STRANGER = "editors-token", "viewers-token", "strangers-token"
ACTS = "/api/v1/rollouts/default/iris/acts"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    ("headers", "status", "says"),
    [
        ({}, 401, "sign in"),
        (bearer("made-up"), 401, "sign in"),
        (bearer(VIEWER), 403, "vic may not patch SeldonRollout default/iris"),
        (bearer(STRANGER), 403, "sam may not patch"),
        ({**bearer(EDITOR), "Sec-Fetch-Site": "cross-site"}, 403, "another site"),
        ({**bearer(EDITOR), "Origin": "https://evil.example"}, 403, "another site"),
    ],
)
async def test_who_may_not_is_told_so_and_nothing_is_written(
    running: Any, headers: dict[str, str], status: int, says: str
) -> None:
    async with httpx.AsyncClient(base_url=running.url, headers=headers) as http:
        answer = await http.post(ACTS, json={"verb": "abort", "reason": "a test"})
    assert (answer.status_code, says in answer.json()["detail"]) == (status, True)
    live = await running.client.get(resources.SELDON_ROLLOUT, "default", "iris")
    assert "annotations" not in live["metadata"]


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"verb": "resume"}, 409, "not paused"),
        ({"verb": "explode"}, 422, "promote"),
        ({"verb": "abort", "by": "somebody else"}, 422, "by"),
        ({"verb": "abort", "reason": "x" * 501}, 422, "500"),
    ],
)
async def test_what_cannot_be_asked_is_answered(running: Any, body: dict[str, Any], status: int, says: str) -> None:
    async with httpx.AsyncClient(base_url=running.url, headers=bearer(EDITOR)) as http:
        answer = await http.post(ACTS, json=body)
    assert (answer.status_code, says in answer.text) == (status, True)


async def test_a_form_of_another_site_is_no_json(running: Any) -> None:
    async with httpx.AsyncClient(base_url=running.url, cookies={"seldon-rollouts-token": EDITOR}) as http:
        answer = await http.post(ACTS, data={"verb": "abort"})
    assert (answer.status_code, "application/json" in answer.json()["detail"]) == (403, True)


async def test_an_act_is_written_with_the_persons_own_token_and_audited(
    running: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "seldon_rollouts.audit")
    async with httpx.AsyncClient(base_url=running.url, headers=bearer(EDITOR)) as http:
        answer = await http.post(ACTS, json={"verb": "pause", "reason": "lunch"})
    live = await running.client.get(resources.SELDON_ROLLOUT, "default", "iris")
    await running.client.merge_patch(resources.SELDON_ROLLOUT, "default", "iris", {"metadata": {"annotations": None}})
    intent = json.loads(live["metadata"]["annotations"]["rollouts.seldon.io/intent"])
    assert (intent["verb"], intent["by"], intent["reason"]) == ("pause", "ada", "lunch")
    # Nobody reconciles here: the intent stands, and that is said.
    assert (answer.status_code, "no controller answered" in answer.json()["detail"]) == (504, True)
    said = json.loads(caplog.records[-1].getMessage())
    assert (said["person"], said["verb"], said["rollout"]) == ("ada", "pause", "default/iris")
    assert EDITOR not in caplog.text


@pytest.mark.parametrize(("token", "allowed"), [("", False), (VIEWER, False), (EDITOR, True)])
async def test_what_is_offered_is_what_is_legal_now_and_allowed(running: Any, token: str, allowed: bool) -> None:
    headers = bearer(token) if token else {}
    async with httpx.AsyncClient(base_url=running.url, headers=headers) as http:
        offered = (await http.get(ACTS)).json()
    legal = {act["verb"] for act in offered["items"] if act["legal"]}
    assert offered["allowed"] is allowed
    assert {"promote", "abort", "pause", "skip"} <= legal
    assert not {"resume", "retry"} & legal


async def test_signing_in_keeps_the_token_where_no_script_reads_it(running: Any) -> None:
    async with httpx.AsyncClient(base_url=running.url) as http:
        wrong = await http.post("/api/v1/session", json={"token": "made-up"})
        right = await http.post("/api/v1/session", json={"token": VIEWER})
        who = (await http.get("/api/v1/session")).json()
        await http.delete("/api/v1/session")
        nobody = (await http.get("/api/v1/session")).json()
    assert wrong.status_code == 401
    cookie = right.headers["set-cookie"].lower()
    assert all(word in cookie for word in ("httponly", "samesite=strict"))
    assert VIEWER not in right.text
    assert (who["person"], nobody["person"]) == ("vic", "")


@pytest.mark.parametrize("path", ["/api/v1/rollouts", "/api/v1/rollouts/default/iris", "/api/v1/changes"])
async def test_behind_a_login_nobody_sees_anything(closed: Any, path: str) -> None:
    async with httpx.AsyncClient(base_url=closed.url) as http:
        answer = await http.get(path)
    assert answer.status_code == 401


@pytest.mark.parametrize(("token", "total", "status"), [(VIEWER, 1, 200), (STRANGER, 0, 404)])
async def test_behind_a_login_each_sees_what_they_may_list(closed: Any, token: str, total: int, status: int) -> None:
    async with httpx.AsyncClient(base_url=closed.url, headers={"X-Forwarded-Access-Token": token}) as http:
        page = (await http.get("/api/v1/rollouts")).json()
        one = await http.get("/api/v1/rollouts/default/iris")
    assert (page["total"], one.status_code) == (total, status)
