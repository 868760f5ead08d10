"""What is sent to Prometheus, and what becomes of its failures."""

import base64
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from math import inf, nan

import pytest
from aiohttp import web

from analysis.providers.prometheus import PrometheusProvider
from analysis.providers.provider import Instant, ProviderError

AT = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)


class Server:
    """Speaks the two calls of the API; refuses the first so many."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.asked: list[Mapping[str, str]] = []
        self.refuse: list[web.Response] = []
        self.beside: dict[str, object] = {}
        """What stands beside the data in an answer."""
        self.metrics, self.value = [{"pod": "a"}], "42"
        self.url = ""

    async def _asked(self, request: web.Request) -> Mapping[str, str]:
        self.requests.append(request)
        self.asked.append({key: str(value) for key, value in [*request.query.items(), *(await request.post()).items()]})
        return self.asked[-1]

    async def instant(self, request: web.Request) -> web.Response:
        asked = await self._asked(request)
        if self.refuse:
            return self.refuse.pop(0)
        found = [{"metric": each, "value": [float(asked["time"]), self.value]} for each in self.metrics]
        return web.json_response(
            {"status": "success", "data": {"resultType": "vector", "result": found}, **self.beside}
        )

    async def between(self, request: web.Request) -> web.Response:
        asked = await self._asked(request)
        start, step = int(asked["start"]), int(asked["step"])
        found = [{"metric": {"pod": "a"}, "values": [[start, "1"], [start + step, "2"]]}]
        return web.json_response(
            {"status": "success", "data": {"resultType": "matrix", "result": found}, **self.beside}
        )


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    app = web.Application()
    app.router.add_route("*", "/prom/api/v1/query", server.instant)
    app.router.add_route("*", "/prom/api/v1/query_range", server.between)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/prom/"
    yield server
    await runner.cleanup()


async def test_instants_and_ranges_are_asked_at_whole_seconds_and_in_whole(server):
    provider = PrometheusProvider(server.url)
    assert await provider.instant("up", AT) == Instant([b'{"pod": "a"}'], [42.0])
    (found,) = await provider.between("up", AT, AT, 10)
    assert found.samples == [(int(AT.timestamp()), 1.0), (int(AT.timestamp()) + 10, 2.0)]
    for asked in server.asked:
        assert asked["query"] == "up"
        assert asked["partial_response"] == "false"
        assert asked["deny_partial_response"] == "1"


@pytest.mark.parametrize("status", [301, 403, 405, 501])
async def test_where_nothing_may_be_posted_the_query_travels_in_the_url(server, status):
    server.refuse = [web.Response(status=status, headers={"Location": "/prom/elsewhere"})]
    provider = PrometheusProvider(server.url)
    assert await provider.instant("up", AT)
    assert await provider.between("up", AT, AT, 10)
    assert [request.method for request in server.requests] == ["POST", "GET", "GET"]
    assert [asked["query"] for asked in server.asked] == ["up", "up", "up"]


@pytest.mark.parametrize("code", [301, 307])
async def test_a_login_is_redirected_to_nobody_else(server, code):
    other = server.url.replace("127.0.0.1", "localhost") + "api/v1/query"
    server.refuse = [web.Response(status=code, headers={"Location": other})] * 2
    provider = PrometheusProvider(server.url, token="s3cret", headers={"X-Key": "s3cret"})
    with pytest.raises(ProviderError, match="redirects to http://localhost, which is not followed"):
        await provider.instant("up", AT)
    assert len(server.requests) == 1


async def test_who_may_ask_in_no_way_is_told_so_and_may_ask_in_both_again(server):
    server.refuse = [web.Response(status=403, text="no"), web.Response(status=403, text="no")]
    provider = PrometheusProvider(server.url)
    with pytest.raises(ProviderError, match="HTTP Status Code 403"):
        await provider.instant("up", AT)
    assert await provider.instant("up", AT)
    assert [request.method for request in server.requests] == ["POST", "GET", "POST"]


async def test_a_login_and_headers_are_sent_along(server):
    await PrometheusProvider(server.url, token="s3cret", headers={"X-Scope-OrgID": "ml"}).instant("up", AT)
    await PrometheusProvider(server.url, basic=("ada", "s3cret")).instant("up", AT)
    tokens = iter(["first", "second"])
    turning = PrometheusProvider(server.url, token=lambda: next(tokens))
    await turning.instant("up", AT)
    await turning.instant("up", AT)
    sent = [request.headers.get("Authorization") for request in server.requests]
    basic = "Basic " + base64.b64encode(b"ada:s3cret").decode()
    assert sent == ["Bearer s3cret", basic, "Bearer first", "Bearer second"]
    assert server.requests[0].headers["X-Scope-OrgID"] == "ml"


async def test_a_passing_failure_is_tried_again(server):
    server.refuse = [web.Response(status=503), web.Response(status=429)]
    assert await PrometheusProvider(server.url).instant("up", AT)
    assert len(server.requests) == 3


async def test_a_wrong_query_is_an_error_at_once_with_the_reason(server):
    server.refuse = [web.json_response({"status": "error", "error": "parse error"}, status=400)]
    with pytest.raises(ProviderError, match=r"did not answer: HTTP Status Code 400 .*parse error"):
        await PrometheusProvider(server.url).instant("up{", AT)
    assert len(server.requests) == 1


@pytest.mark.parametrize("body", ["not json", "{}", '{"data": {"result": 5}}'])
async def test_an_answer_that_is_none_is_an_error(server, body):
    server.refuse = [web.Response(text=body)]
    with pytest.raises(ProviderError, match="answer"):
        await PrometheusProvider(server.url).instant("up", AT)


@pytest.mark.parametrize(
    "beside",
    [
        {"warnings": ["No StoreAPIs matched for this query", "receive series: rpc error"]},
        {"isPartial": True},
    ],
    ids=["Thanos", "VictoriaMetrics"],
)
async def test_an_answer_in_part_is_an_error_and_not_zeros(server, beside):
    server.beside = beside
    provider = PrometheusProvider(server.url)
    with pytest.raises(ProviderError, match="answered in part"):
        await provider.instant("up", AT)
    with pytest.raises(ProviderError, match="answered in part"):
        await provider.between("up", AT, AT, 10)


@pytest.mark.parametrize(
    "beside", [{"isPartial": False}, {"warnings": []}, {"infos": ["metric might not be a counter"]}]
)
async def test_what_says_nothing_of_a_part_is_whole(server, beside):
    server.beside = beside
    assert await PrometheusProvider(server.url).instant("up", AT)


async def test_an_unreachable_server_is_an_error_without_its_password():
    provider = PrometheusProvider("http://ada:s3cret@127.0.0.1:9/prom", attempts=2)
    with pytest.raises(ProviderError) as caught:
        await provider.instant("up", AT)
    assert str(caught.value).startswith("http://127.0.0.1:9/prom did not answer: ")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("url", ["prometheus:9090", "ftp://prometheus", ""])
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(ValueError, match="must look like"):
        PrometheusProvider(url)


def test_two_logins_are_one_too_many():
    with pytest.raises(ValueError, match="not both"):
        PrometheusProvider("http://127.0.0.1:9090", token="a", basic=("b", "c"))


async def test_the_same_series_are_handed_out_as_the_same_sequence_and_others_as_theirs(server):
    provider = PrometheusProvider(server.url)
    first = await provider.instant("up", AT)
    server.metrics = [{"pod": "b"}, {"pod": "a"}]
    other, again = await provider.instant("up", AT), await provider.instant("up", AT)
    assert first.written == [b'{"pod": "a"}']
    assert other.written == [b'{"pod": "b"}', b'{"pod": "a"}']
    assert again.written is other.written
    assert (await provider.instant("down", AT)).written == other.written


@pytest.mark.parametrize(("written", "value"), [("+Inf", inf), ("-Inf", -inf), ("1e-05", 1e-05), ("NaN", nan)])
async def test_values_are_read_as_prometheus_writes_them(server, written, value):
    server.value, server.metrics = written, [{"le": "+Inf"}]
    found = await PrometheusProvider(server.url).instant("up", AT)
    assert found.written == [b'{"le": "+Inf"}']
    assert found.values == [pytest.approx(value, rel=0, nan_ok=True)]
