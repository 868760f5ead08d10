"""What holds for every test."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

# Otherwise pytest-asyncio asks for the current loop, Python 3.11 makes one for the asking, and nobody ever closes it: a
# ResourceWarning, which is an error here, in whatever test runs when it is collected.
asyncio.set_event_loop(None)

Answering = Callable[[str, Mapping[str, str]], tuple[int, str]]
"""From a path and the headers, in small letters, to a status and a text."""


@contextmanager
def _served(answering: Answering) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            code, text = answering(self.path, {key.lower(): value for key, value in self.headers.items()})
            self.send_response(code)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = answer  # noqa: N815 - the names of the standard library

        def log_message(self, *_: object) -> None:
            pass

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
    """Answer GET and POST over real connections by a function, in a thread; gives the URL."""
    return _served
