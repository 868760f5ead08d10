"""Receivers that fail, ask for patience, talk on, or say nothing; and what of them ever stands in a log."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controller.notifications.messages import Mail, Post, message
from controller.notifications.sending import Failure, asked_for, send

from .test_notices import NOTICE, WHOLE, parse

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def answering(*pieces: bytes, pause: float = 0.0) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A receiver that says these bytes, piece by piece, and then keeps the line open; what it heard."""
    heard: list[bytes] = []
    writers: list[asyncio.StreamWriter] = []
    talks: list[asyncio.Task[None]] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(65536))
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(pause)
        await reader.read()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        talks.append(asyncio.ensure_future(talk(reader, writer)))

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", heard
    server.close()
    for each in talks:
        each.cancel()
    await asyncio.gather(*talks, return_exceptions=True)
    for writer in writers:
        writer.transport.abort()
    await server.wait_closed()


def hook(url: str) -> Mail | Post:
    whole = parse(WHOLE.replace("https://hooks.example/T/secret", url))
    return message(NOTICE, whole.services["team"], whole)


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (b"HTTP/1.1 500 No\r\n\r\n", Failure("HTTP 500")),
        (b"HTTP/1.1 429 Slow\r\nRetry-After: 90\r\n\r\n", Failure("HTTP 429", timedelta(seconds=90))),
        (b"HTTP/1.1 503 No\r\nRetry-After: soon\r\n\r\n", Failure("HTTP 503")),
        (b"HTTP/1.1 302 Go\r\nLocation: http://elsewhere.example/\r\n\r\n", Failure("HTTP 302")),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nand on", None),
        (b"SSH-2.0-x\r\n\r\n", Failure("RemoteProtocolError")),
    ],
    ids=["fails", "asks to wait", "asks in no way", "redirects", "talks on", "is no web"],
)
async def test_a_receiver_is_asked_once_and_what_it_says_is_understood(answer: bytes, failure: Failure | None) -> None:
    async with answering(answer) as (where, heard):
        assert await send(hook(f"http://{where}/T/secret")) == failure
    assert len(heard) == 1


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_silent_receiver_is_left(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.notifications.sending.TIMEOUT", 0.5)
    async with answering() as (where, _):
        failure = await send(hook(f"{scheme}://{where}/T/secret"))
    assert failure is not None
    assert failure.problem in ("ReadTimeout", "ConnectTimeout")


async def test_an_answer_that_comes_by_single_bytes_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.notifications.sending.WHOLE", 0.5)
    async with answering(*(b"%c" % byte for byte in b"HTTP/1.1 200 OK\r\n" * 9), pause=0.1) as (where, _):
        assert await send(hook(f"http://{where}/")) == Failure("TimeoutError")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("", 0), ("7", 7), ("-7", 0), ("1e3", 0), ("9" * 30, 0), ("86400", 3600), ("Thu, 01 Jan 2026 00:01:30 GMT", 90),
     ("Thu, 01 Jan 2026 00:01:30", 0), ("Wed, 31 Dec 2025 00:00:00 GMT", 0)],
)  # fmt: skip
def test_how_long_a_service_asks_to_be_left_alone(header: str, seconds: int) -> None:
    assert asked_for(header, datetime(2026, 1, 1, tzinfo=UTC)) == timedelta(seconds=seconds)


def test_no_librarys_log_has_an_address() -> None:
    program = (
        "import asyncio, logging; from controller.__main__ import configure_logging; configure_logging('debug');"
        "from controller.notifications.configuration import Web; from controller.notifications.messages import Post;"
        "from controller.notifications.sending import send;"
        "logging.getLogger('seldon_rollouts').debug('the log is open');"
        "asyncio.run(send(Post(Web(url='http://127.0.0.1:9/T/secret', headers={'Authorization': 'hidden'}), {})))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "the log is open" in done.stderr
    assert not [word for word in ("127.0.0.1", "secret", "hidden") if word in done.stderr]
