"""Single requests to a server that sheds load, is silent, answers nonsense or refuses our credentials."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from aiohttp import web

from controller.kube import requests
from controller.kube.brief import Brief
from controller.kube.client import Client
from controller.kube.connection import Connection, Secret, fixed
from controller.kube.errors import ForbiddenError, TooManyRequestsError, UnauthorizedError, UnavailableError
from controller.kube.lasting import Lasting
from controller.kube.resources import CONFIG_MAP, POD
from controller.kube.transport import Transport
from controller.metrics import Metrics

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Faulty:
    """A server that gives one answer after another, the last one for ever."""

    def __init__(self) -> None:
        self.lists: list[Answer] = []
        self.listed = 0
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.listed += 1
        return await (self.lists.pop(0) if len(self.lists) > 1 else self.lists[0])(request)


def a_list(*names: str) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        items = [{"metadata": {"name": name}} for name in names]
        return web.json_response({"kind": "PodList", "metadata": {"resourceVersion": "10"}, "items": items})

    return answer


def a_status(code: int, reason: str = "", headers: dict[str, str] | None = None) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response({"kind": "Status", "code": code, "reason": reason}, status=code, headers=headers)

    return answer


@pytest_asyncio.fixture
async def faulty(listening: Callable[..., AbstractAsyncContextManager[str]]) -> AsyncIterator[Faulty]:
    server = Faulty()
    async with listening(server.handle) as server.url:
        yield server


@pytest.fixture(params=[Lasting, Brief])
def transport(request: pytest.FixtureRequest) -> type[Transport]:
    """What a controller sends with, and what a command does."""
    chosen: type[Transport] = request.param
    return chosen


@pytest_asyncio.fixture
async def client(faulty: Faulty, transport: type[Transport]) -> AsyncIterator[Client]:
    async with Client(fixed(faulty.url), metrics=Metrics(), chance=lambda: 0.0, transport=transport) as made:
        yield made


def count(client: Client, metric: str, **labels: str) -> float:
    return client.metrics.registry.get_sample_value(metric, labels) or 0.0


async def test_shed_load_is_waited_out_as_long_as_the_server_asks(faulty: Faulty, client: Client) -> None:
    faulty.lists = [a_status(429, "TooManyRequests", {"Retry-After": "0"}), a_list("a")]
    items, version = await client.list(POD)
    assert (len(items), version) == (1, "10")
    assert count(client, "seldon_rollouts_api_requests_total", verb="list", code="429") == 1
    assert count(client, "seldon_rollouts_api_requests_total", verb="list", code="200") == 1


async def test_a_server_that_asks_for_too_much_patience_is_the_callers_business(faulty: Faulty, client: Client) -> None:
    faulty.lists = [a_status(429, "TooManyRequests", {"Retry-After": "3600"})]
    with pytest.raises(TooManyRequestsError) as caught:
        await client.list(POD)
    assert caught.value.retry_after == timedelta(hours=1)
    assert faulty.listed == 1


async def test_no_server_is_an_error_of_ours(transport: type[Transport]) -> None:
    async with Client(fixed("http://127.0.0.1:1"), transport=transport) as nobody:
        with pytest.raises(UnavailableError, match="list pods ml") as caught:
            await nobody.list(POD, "ml")
    assert caught.value.status == 0


async def test_an_answer_that_takes_too_long_is_an_error_of_ours(
    client: Client, faulty: Faulty, silence: Answer
) -> None:
    faulty.lists = [silence]
    with pytest.raises(UnavailableError) as caught:
        await client.send(requests.get(POD, "ml", "iris"), timeout=timedelta(seconds=0.1))
    assert caught.value.reason == "Timeout"


async def test_an_answer_that_is_no_json_is_an_error_of_ours(client: Client, faulty: Faulty) -> None:
    async def page(_: web.Request) -> web.StreamResponse:
        return web.Response(text="<html>")

    faulty.lists = [page]
    with pytest.raises(UnavailableError, match="no JSON object"):
        await client.list(POD)


async def test_credentials_are_read_again_once_when_they_are_refused(faulty: Faulty) -> None:
    tokens = iter(["old", "new", "newer"])
    seen: list[str] = []

    async def connect() -> Connection:
        return Connection(url=faulty.url, authorization=Secret(f"Bearer {next(tokens)}"))

    async def check(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers["Authorization"])
        return await (a_list() if seen[-1] == "Bearer new" else a_status(401, "Unauthorized"))(request)

    faulty.lists = [check]
    async with Client(connect) as client:
        await client.list(POD)
    assert seen == ["Bearer old", "Bearer new"]


async def test_credentials_that_stay_refused_are_an_error(faulty: Faulty) -> None:
    faulty.lists = [a_status(401, "Unauthorized")]
    async with Client(fixed(faulty.url, "secret-token")) as client:
        with pytest.raises(UnauthorizedError):
            await client.list(POD)
    assert faulty.listed == 1, "the same credentials are not tried twice"


async def test_credentials_that_have_aged_are_read_again(faulty: Faulty) -> None:
    reads = 0

    async def connect() -> Connection:
        nonlocal reads
        reads += 1
        return Connection(url=faulty.url, authorization=Secret(None), reread_at=datetime(2000, 1, 1, tzinfo=UTC))

    faulty.lists = [a_list()]
    async with Client(connect) as client:
        await client.list(POD)
        await client.list(POD)
    assert reads == 2


async def test_a_token_is_never_shown(faulty: Faulty, caplog: pytest.LogCaptureFixture) -> None:
    token = "very-secret-token"
    faulty.lists = [a_status(403, "Forbidden")]
    with caplog.at_level(logging.DEBUG):
        async with Client(fixed(faulty.url, token)) as client:
            with pytest.raises(ForbiddenError) as caught:
                await client.create(
                    CONFIG_MAP, {"metadata": {"name": "a", "namespace": "ml"}, "data": {"key": "hush-hush"}}
                )
            shown = repr(client._line._connection) + str(caught.value) + repr(vars(caught.value))
    told = caplog.text + shown + (await client.metrics.render()).decode()
    assert token not in told
    assert "hush-hush" not in told


async def test_what_the_server_warns_of_is_told_once(
    faulty: Faulty, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    async def warns(request: web.Request) -> web.StreamResponse:
        answer = await a_list()(request)
        answer.headers["Warning"] = '299 - "unknown field \\"spec.x\\""'
        return answer

    faulty.lists = [warns]
    with caplog.at_level(logging.WARNING, "seldon_rollouts.kube"):
        await client.list(POD)
        await client.list(POD)
    assert len([record for record in caplog.records if "unknown field" in record.getMessage()]) == 1
