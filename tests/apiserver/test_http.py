"""HTTP as it comes over the wire: pipelines, limits, malformed requests, clients that go away."""

import asyncio
import contextlib
import ssl
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from localcluster.apiserver.process import running_api_server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server():
    async with running_api_server() as running:
        yield running


pytestmark = pytest.mark.asyncio(loop_scope="module")


class Wire:
    """A bare connection."""

    def __init__(self, reader, writer, token):
        self.reader, self.writer, self.token = reader, writer, token

    def send(self, method, path, body=b"", *headers):
        lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {self.token}", *headers]
        if body:
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + body)

    async def answer(self):
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)
        lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return int(lines[0].split()[1]), headers, body


@pytest_asyncio.fixture(loop_scope="module")
async def wire(server):
    where = urlsplit(server.url)
    context: ssl.SSLContext = server.ssl_context()
    reader, writer = await asyncio.open_connection(where.hostname, where.port, ssl=context)
    yield Wire(reader, writer, server.admin_token)
    writer.close()
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        await writer.wait_closed()


async def test_requests_that_come_together_are_answered_in_order(wire):
    for name in ("default", "kube-system", "nope", "kube-public"):
        wire.send("GET", f"/api/v1/namespaces/{name}")
    answers = [await wire.answer() for _ in range(4)]
    assert [code for code, _, _ in answers] == [200, 200, 404, 200]
    assert b'"kube-public"' in answers[3][2]


async def test_a_request_behind_a_watch_waits_for_its_end(wire):
    wire.send("GET", "/api/v1/namespaces?watch=1&timeoutSeconds=1&resourceVersion=1000000")
    wire.send("GET", "/healthz")
    head = await asyncio.wait_for(wire.reader.readuntil(b"\r\n\r\n"), 5)
    assert b"Transfer-Encoding: chunked" in head
    rest = await asyncio.wait_for(wire.reader.readuntil(b"\r\n\r\nok"), 10)
    assert rest.index(b"0\r\n\r\n") < rest.index(b"HTTP/1.1 200 OK")


async def test_a_request_in_pieces_is_one_request(wire):
    body = b'{"metadata": {"name": "pieces"}}'
    head = (
        f"POST /api/v1/namespaces/default/configmaps?dryRun=All HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {wire.token}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    for at in range(0, len(head + body), 37):
        wire.writer.write((head + body)[at : at + 37])
        await wire.writer.drain()
    assert (await wire.answer())[0] == 201


@pytest.mark.parametrize(
    "raw", [b"nonsense\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n"]
)
async def test_what_is_no_http_is_refused_and_closed(wire, raw):
    wire.writer.write(raw)
    data = await asyncio.wait_for(wire.reader.read(), 10)
    assert data.startswith(b"HTTP/1.1 400 ")


async def test_a_body_beyond_the_limit_is_refused(wire):
    wire.send("POST", "/api/v1/namespaces/default/configmaps", b"x" * (9 * 1024 * 1024))
    data = await asyncio.wait_for(wire.reader.readline(), 20)
    assert data.startswith(b"HTTP/1.1 413 ")


async def test_a_client_that_wants_to_close_is_let_go(wire):
    wire.send("GET", "/healthz", b"", "Connection: close")
    code, headers, body = await wire.answer()
    assert (code, headers["connection"], body) == (200, "close", b"ok")
    assert await asyncio.wait_for(wire.reader.read(), 10) == b""


async def test_a_client_that_expects_to_be_asked_is_asked(wire):
    body = b'{"metadata": {"name": "asked"}}'
    wire.send(
        "POST",
        "/api/v1/namespaces/default/configmaps?dryRun=All",
        b"",
        "Expect: 100-continue",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    )
    assert await asyncio.wait_for(wire.reader.readuntil(b"\r\n\r\n"), 10) == b"HTTP/1.1 100 Continue\r\n\r\n"
    wire.writer.write(body)
    assert (await wire.answer())[0] == 201


async def test_names_in_paths_may_be_escaped(wire):
    wire.send("GET", "/api/v1/namespaces/kube%2Dsystem")
    assert (await wire.answer())[0] == 200


@pytest.mark.parametrize("path", ["/", "/nope", "/api/v2", "/apis/x/y/z", "/apis/apps/v1/namespaces/default", "//api"])
async def test_odd_paths_get_a_clear_answer(wire, path):
    wire.send("GET", path)
    code, headers, _ = await wire.answer()
    assert code in (200, 404)
    assert headers["content-type"].startswith("application/json")
