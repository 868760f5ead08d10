"""What a command sends with: answers in every shape that HTTP/1.1 has, and connections that end when they like."""

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.kube import requests
from controller.kube.brief import Brief
from controller.kube.connection import Connection, Secret
from controller.kube.requests import Request
from controller.kube.resources import POD
from controller.kube.transport import LostError, Reply

ASK = requests.get(POD, "ml", "iris")
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
SQUEEZED = gzip.compress(b'{"a": 1}')


class Server:
    """Gives each request on each connection the next of its answers; None hangs up. Remembers what it was sent."""

    def __init__(self, answers: list[list[bytes] | None]) -> None:
        self.answers, self.heads, self.connections, self.url = answers, list[str](), 0, ""
        self.serving: list[asyncio.Task[Any] | None] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.serving.append(asyncio.current_task())
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head.decode())
                parts = self.answers.pop(0)
                for part in parts or ():
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(0)
                if parts is None or b"close" in parts[0]:
                    break
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@asynccontextmanager
async def answering(*answers: list[bytes] | None) -> AsyncIterator[tuple[Server, Brief]]:
    made, transport = Server(list(answers)), Brief()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/behind"
    async with server:
        try:
            yield made, transport
        finally:
            await transport.close()
            await asyncio.gather(*filter(None, made.serving))


async def ask(server: Server, transport: Brief, request: Request = ASK, seconds: float = 30) -> Reply:
    to = Connection(url=server.url, authorization=Secret(None))
    return await transport.exchange(to, request, {"Accept": "x"}, limit=timedelta(seconds=seconds))


async def test_one_connection_carries_request_after_request_and_a_path_before_the_apis() -> None:
    async with answering([WHOLE], [WHOLE]) as (server, transport):
        assert [(await ask(server, transport)).body for _ in range(2)] == [b"{}", b"{}"]
    assert server.connections == 1
    assert server.heads[0].startswith("GET /behind/api/v1/namespaces/ml/pods/iris HTTP/1.1\r\nHost: 127.0.0.1:")


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", b"{}"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(SQUEEZED), SQUEEZED),
            b'{"a": 1}',
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + WHOLE, b"{}"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}", b"{}"),
    ],
    ids=["chunked", "gzip", "empty", "announced", "closing"],
)
async def test_a_body_is_read_in_whatever_shape_it_comes(answer: bytes, body: bytes) -> None:
    async with answering([answer], [WHOLE]) as (server, transport):
        assert (await ask(server, transport)).body == body
        assert (await ask(server, transport)).body == b"{}", "and the next request is not harmed"


@given(cuts=st.lists(st.integers(0, len(WHOLE)), max_size=6))
@settings(max_examples=20, deadline=None)
def test_an_answer_may_come_in_pieces(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(WHOLE)]
    pieces = [WHOLE[start:end] for start, end in pairwise(edges)]

    async def story() -> Reply:
        async with answering(pieces) as (server, transport):
            return await ask(server, transport)

    reply = asyncio.run(story())
    assert (reply.status, reply.body) == (200, b"{}")


async def test_what_a_head_says_of_patience_and_warnings_is_kept() -> None:
    head = b"HTTP/1.1 429 Slow\r\nretry-after: 7\r\nWarning: a\r\nWarning: b\r\nContent-Length: 0\r\n\r\n"
    async with answering([head]) as (server, transport):
        reply = await ask(server, transport)
    assert (reply.status, reply.retry_after, reply.warnings) == (429, "7", ("a", "b"))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "ConnectionLost"),
        ([b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n\r\n{"], "ConnectionLost"),
        ([b"SSH-2.0-x\r\n"], "NoAnswer"),
        ([b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}"], "NoAnswer"),
    ],
    ids=["hung up", "cut", "another protocol", "no gzip"],
)
async def test_no_answer_or_half_of_one_is_lost(answer: list[bytes] | None, reason: str) -> None:
    async with answering(answer, [WHOLE]) as (server, transport):
        with pytest.raises(LostError) as caught:
            await ask(server, transport)
        assert caught.value.reason == reason
        assert (await ask(server, transport)).body == b"{}", "the next request has a connection of its own"


async def test_a_silent_server_is_left_after_the_limit_and_its_connection_not_used_again() -> None:
    async with answering([b""], [WHOLE]) as (server, transport):
        with pytest.raises(LostError) as caught:
            await ask(server, transport, seconds=0.05)
        assert caught.value.reason == "Timeout"
        assert (await ask(server, transport)).body == b"{}"
    assert server.connections == 2
