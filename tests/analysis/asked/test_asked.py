"""PromQL and web services are asked over real connections: values, refusals, bounds, and no secret that gets away."""

import asyncio
import json
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import pytest

from analysis.providers.asked import path, promql, web
from analysis.providers.asked.answer import AskError, written
from analysis.providers.asked.http import LARGEST, Credentials, Http, parsed
from analysis.providers.asked.promql import Query, Range
from analysis.providers.asked.web import Service

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class World:
    """A service: what it answers by path, and what it was asked."""

    answers: dict[str, tuple[int, bytes, dict[str, str]]] = field(default_factory=dict)
    asked: list[Any] = field(default_factory=list)
    held: Event = field(default_factory=Event)
    url: str = ""

    def answer(self, path: str, body: Any, code: int = 200, **headers: str) -> None:
        self.answers[path] = code, body if isinstance(body, bytes) else json.dumps(body).encode(), headers

    def __call__(self, asked: Any) -> tuple[int, bytes, dict[str, str]]:
        self.asked.append(asked)
        path = asked.path.partition("?")[0]
        if path == "/held":
            self.held.wait(10)
        return self.answers.get(path, (404, b"", {}))


@pytest.fixture
def world(served: Callable[..., AbstractContextManager[str]]) -> Iterator[World]:
    made = World()
    with served(made) as made.url:
        yield made
        made.held.set()


@pytest.fixture
async def http() -> Any:
    made = Http(lambda: NOW)
    yield made
    await made.close()


def prometheus(kind: str, result: Any, **more: Any) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": kind, "result": result}, **more}


@pytest.mark.parametrize(
    ("kind", "result", "value"),
    [
        ("scalar", [1.0, "0.25"], 0.25),
        ("vector", [], []),
        ("vector", [{"metric": {"a": "b"}, "value": [1, "0.5"]}, {"metric": {}, "value": [1, "2"]}], [0.5, 2.0]),
        ("matrix", [{"metric": {}, "values": [[1, "1"], [2, "+Inf"]]}], [1.0, math.inf]),
    ],
)
async def test_a_scalar_is_a_number_and_a_vector_a_list(
    world: World, http: Http, kind: str, result: Any, value: Any
) -> None:
    world.answer("/api/v1/query", prometheus(kind, result, warnings=["partial"]))
    found = await promql.ask(http, Query(address=world.url, query="up"), NOW)
    assert found.value == value
    assert found.metadata == {"query": "up", "warnings": "partial"}
    assert "query=up" in world.asked[0].body
    assert f"time={NOW.timestamp():.3f}" in world.asked[0].body


async def test_an_answer_in_part_is_not_asked_for_and_not_taken(world: World, http: Http) -> None:
    world.answer("/api/v1/query", prometheus("vector", [{"metric": {}, "value": [1, "0.5"]}], isPartial=True))
    with pytest.raises(AskError, match="answered in part"):
        await promql.ask(http, Query(address=world.url, query="up"), NOW)
    world.answer("/api/v1/query", prometheus("vector", [], isPartial=False))
    assert (await promql.ask(http, Query(address=world.url, query="up"), NOW)).value == []
    for asked in world.asked:
        assert "partial_response=false&deny_partial_response=1" in asked.body


async def test_not_a_number_stays_one(world: World, http: Http) -> None:
    world.answer("/api/v1/query", prometheus("vector", [{"metric": {}, "value": [1, "NaN"]}]))
    found = await promql.ask(http, Query(address=world.url, query="0/0"), NOW)
    assert isinstance(found.value, list)
    assert math.isnan(found.value[0])
    assert written(found.value) == "[NaN]"


async def test_a_range_is_asked_between_two_instants(world: World, http: Http) -> None:
    world.answer("/api/v1/query_range", prometheus("matrix", []))
    around = Range(start='now() - duration("10m")', end="now()", step=timedelta(minutes=1))
    await promql.ask(http, Query(address=world.url, query="up", range=around), NOW)
    assert f"start={NOW.timestamp() - 600:.3f}&end={NOW.timestamp():.3f}&step=60" in world.asked[0].body


@pytest.mark.parametrize(
    ("start", "step", "said"),
    [
        ("now() - duration('ten')", 60, "is no duration"),
        ("later()", 60, "unknown function 'later'"),
        ("now() + duration('1h')", 60, "expected start before end"),
        ("now() - duration('1000h')", 1, "at most 11000 steps"),
        ("'yesterday'", 60, "needs a number"),
    ],
)
async def test_a_range_that_cannot_be_is_refused(http: Http, start: str, step: int, said: str) -> None:
    around = Range(start=start, end="now()", step=timedelta(seconds=step))
    with pytest.raises(AskError, match=said.replace("(", r"\(")):
        await promql.ask(http, Query(address="http://127.0.0.1:1", query="up", range=around), NOW)


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        ({"status": "error", "error": "parse error: bad query"}, 400, "HTTP 400: parse error: bad query"),
        ({"status": "error", "error": "late"}, 200, "without success: late"),
        (b"<html>", 200, "did not answer with JSON"),
        (prometheus("string", [1, "a"]), 200, "gives a string; expected a scalar"),
        ({"status": "success", "data": {}}, 200, "not Prometheus's"),
        (b"[" * 100_000, 200, "did not answer with JSON"),
    ],
)
async def test_what_prometheus_refuses_is_told(world: World, http: Http, answer: Any, code: int, said: str) -> None:
    world.answer("/api/v1/query", answer, code)
    with pytest.raises(AskError, match=said):
        await promql.ask(http, Query(address=world.url, query="up"), NOW)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("", {"ok": True, "items": [{"name": "a", "n": 1}, {"name": "b", "n": 2}], "gone": None}),
        ("{$.ok}", True),
        ("$.ok", True),
        ("{.items[0].n}", 1),
        ("{$.items[?(@.name == 'b')].n}", 2),
        ("{$.items[*].n}", 1),
        ("{$.missing}", None),
        ("{$.gone}", None),
        ("{$.500}", 7),
        ("{$.http-status.a}", 8),
        (r"{.x\.y}", 9),
        ("{$..n}", 1),
    ],
)
async def test_a_path_finds_the_first_value(world: World, http: Http, path: str, value: Any) -> None:
    items = [{"name": "a", "n": 1}, {"name": "b", "n": 2}]
    loose = {"500": 7, "http-status": {"a": 8}, "x.y": 9} if value in (7, 8, 9) else {}
    world.answer("/v", {"ok": True, "items": items, "gone": None, **loose})
    assert (await web.ask(http, Service(url=f"{world.url}/v", path=path))).value == value


async def test_an_answer_that_is_no_json_is_a_text(world: World, http: Http) -> None:
    world.answer("/v", b"fine")
    assert (await web.ask(http, Service(url=f"{world.url}/v"))).value == "fine"


@pytest.mark.parametrize(
    "written",
    [
        *("{$.a[}", "{$.a[?match(@.b, '(a+)+')]}", "{$.a[?@.b =~ /x/]}", "$" + ".a" * 600),
        *("$[?$.a == 1]", "$[?@..a]", "$[?count(@.*) > 1]", "$[?@[?@.a]]", "$[?!@.*]"),
    ],
)
def test_a_path_that_cannot_be_read_or_looks_at_too_much_is_refused(written: str) -> None:
    with pytest.raises(AskError, match="jsonPath"):
        path.compiled(written)


@pytest.mark.parametrize(
    "written",
    ["$..*..*..*.x", "$" + "[*,*]" * 100 + ".x", "$[" + ",".join("0" * 300) + "][?@.x]", "$" + "..*" * 99 + ".x"],
)
def test_what_a_path_looks_at_is_bounded(written: str) -> None:
    nested: Any = [[1]] * 500
    for _ in range(90):
        nested = [nested, nested[:1]]
    with pytest.raises(AskError, match="looks at more than"):
        path.found([[[1]] * 500, nested], written)


@pytest.mark.parametrize(("document", "value"), [("[1, 2]", "[1, 2]"), ("fine", "fine"), (3, 3), (None, None)])
def test_an_answer_that_is_a_text_is_no_document(document: Any, value: Any) -> None:
    assert path.found(document, "{$}") == value
    assert path.found(document, "{$.a}") is None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"a": "\\ud800"}', "did not answer with JSON"),
        (b"[" * 101 + b"]" * 101, "more than 100 levels"),
        (b'{"a":' * 101 + b"1" + b"}" * 101, "more than 100 levels"),
        (b"[" * 100_000, "did not answer with JSON"),
    ],
)
def test_json_that_nobody_can_write_again_is_refused(body: bytes, said: str) -> None:
    with pytest.raises(AskError, match=said):
        parsed(body, "the service")


def test_ordinary_json_is_read() -> None:
    assert parsed(b'["\\ud83d\\ude00", ' + b"[]," * 200 + b"1]", "the service")[0] == "\U0001f600"
    assert parsed(b"[" * 100 + b"]" * 100, "the service")


async def test_body_headers_and_login_are_sent(world: World, http: Http) -> None:
    world.answer("/v", {})
    asked = Service(
        url=f"{world.url}/v?a=b", method="POST", headers={"X-Token": "t"}, content=b'{"a": 1}', basic=("me", "pass")
    )
    await web.ask(http, asked)
    method, path, headers, text = world.asked[0]
    assert (method, path, text) == ("POST", "/v?a=b", '{"a": 1}')
    assert (headers["x-token"], headers["authorization"]) == ("t", "Basic bWU6cGFzcw==")


async def test_client_credentials_are_exchanged_once_while_the_token_lives(world: World) -> None:
    clock = [NOW]
    http = Http(lambda: clock[0])
    world.answer("/token", {"access_token": "bearer-of-one", "expires_in": 300})
    world.answer("/v", {"ok": True})
    login = Credentials(token_url=f"{world.url}/token", client_id="id", client_secret="hush", scopes=("a", "b"))
    asked = Service(url=f"{world.url}/v", oauth2=login)
    for seconds in (0, 60, 400):
        clock[0] = NOW + timedelta(seconds=seconds)
        await web.ask(http, asked)
    await http.close()
    assert [path for _, path, _, _ in world.asked] == ["/token", "/v", "/v", "/token", "/v"]
    assert "scope=a+b" in world.asked[0].body
    assert world.asked[1].headers["authorization"] == "Bearer bearer-of-one"
    assert "hush" not in repr(asked)


async def test_a_redirect_is_not_followed(world: World, http: Http) -> None:
    world.answer("/v", b"", 302, Location="http://elsewhere.example/steal?token=1")
    with pytest.raises(AskError, match=r"redirects to http://elsewhere\.example/steal, which is not followed"):
        await web.ask(http, Service(url=f"{world.url}/v", headers={"Authorization": "Bearer hush"}))
    assert len(world.asked) == 1


async def test_size_and_time_of_an_answer_are_bounded(world: World, http: Http) -> None:
    world.answer("/large", b"x" * (LARGEST + 1))
    with pytest.raises(AskError, match="more than 1000000 bytes"):
        await web.ask(http, Service(url=f"{world.url}/large"))
    with pytest.raises(AskError, match=r"did not answer within 0\.2 s"):
        await web.ask(http, Service(url=f"{world.url}/held", timeout=0.2))


@pytest.mark.parametrize(
    "ask",
    [
        lambda http: web.ask(http, Service(url="http://user:hush@127.0.0.1:1/v?token=hush")),
        lambda http: web.ask(http, Service(url="no address hush")),
        lambda http: promql.ask(http, Query(address="http://u:hush@127.0.0.1:1", query="up"), NOW),
    ],
)
async def test_no_answer_is_told_without_login_and_query(http: Http, ask: Callable[[Http], Any]) -> None:
    with pytest.raises(AskError, match="did not answer") as caught:
        await ask(http)
    assert "token" not in str(caught.value)
    assert "user:hush" not in str(caught.value)


async def test_many_questions_at_once_share_connections(world: World, http: Http) -> None:
    world.answer("/v", {"ok": True})
    found = await asyncio.gather(*(web.ask(http, Service(url=f"{world.url}/v", path="$.ok")) for _ in range(50)))
    assert [one.value for one in found] == [True] * 50
