"""What holds for every test."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
from hypothesis import settings

from controller.backoff import Backoff
from controller.kube.client import Client
from controller.kube.connection import fixed
from controller.kube.reflector import Timing
from controller.metrics import Metrics
from localcluster.apiserver.process import RunningApiServer

# Otherwise pytest-asyncio asks for the current loop, Python 3.11 makes one for the asking, and nobody ever closes it: a
# ResourceWarning, which is an error here, in whatever test runs when it is collected.
asyncio.set_event_loop(None)

# A red test is red again: the same examples in each run, and no limit on time. `make search` draws others.
settings.register_profile("search", deadline=None)
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")


class Asked(NamedTuple):
    """A request as the service got it; the headers' names in small letters."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: str


Answer = tuple[int, str | bytes, Mapping[str, str]] | tuple[int, str | bytes]
"""A status, what is said, and headers where there are any."""
Answering = Callable[[Asked], Answer]


@contextmanager
def _served(answering: Answering) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            code, said, *more = answering(Asked(self.command, self.path, headers, body))
            said = said.encode() if isinstance(said, str) else said
            self.send_response(code)
            for name, value in {**(more[0] if more else {}), "Content-Length": str(len(said))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_POST = do_PUT = answer  # noqa: N815 - the names of the standard library

        def log_message(self, *_: object) -> None:
            pass

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except ConnectionError:  # some clients leave before they are answered
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def served() -> Callable[[Answering], AbstractContextManager[str]]:
    """Answer GET, POST and PUT over real connections by a function, in a thread; gives the URL."""
    return _served


async def _until(condition: Callable[[], Any | Awaitable[Any]], *, seconds: float = 30) -> Any:
    found = None
    end = asyncio.get_running_loop().time() + seconds
    while not found:
        assert asyncio.get_running_loop().time() < end, f"the condition did not come true within {seconds:g} s"
        await asyncio.sleep(0.01)
        found = condition()
        found = await found if inspect.isawaitable(found) else found
    return found


@pytest.fixture(scope="session")
def until() -> Callable[..., Awaitable[Any]]:
    """Wait until a condition, plain or asynchronous, holds; give what it found. Long, for a machine that is busy."""
    return _until


@pytest_asyncio.fixture
async def client(server: RunningApiServer) -> AsyncIterator[Client]:
    """A client of the API server that a folder's own `server` runs; it retries without chance."""
    async with Client(
        fixed(server.url, server.admin_token, tls=server.ssl_context()), metrics=Metrics(), chance=lambda: 0.0
    ) as made:
        yield made


@pytest.fixture
def quick() -> Timing:
    """List and watch at a test's pace."""
    return Timing(
        backoff=Backoff(timedelta(seconds=0.02), timedelta(seconds=0.2)),
        poll=timedelta(seconds=0.1),
        confirm=timedelta(seconds=0.05),
    )


class Silent(NamedTuple):
    """A service that never answers: where it is, whether it was asked, and whether who asked has gone."""

    url: str
    asked: asyncio.Event
    gone: asyncio.Event


@pytest_asyncio.fixture
async def silent() -> AsyncIterator[Silent]:
    asked, gone = asyncio.Event(), asyncio.Event()

    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()
        gone.set()
        writer.close()

    server = await asyncio.start_server(never, "127.0.0.1", 0)
    async with server:
        yield Silent(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v", asked, gone)
