"""Small programs to supervise, and waiting for conditions."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from localcluster.ports import free_ports
from localcluster.supervise import Program, Supervised

SERVER = """
import http.server, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *words): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""


def server_program(port: int, **more: Any) -> Program:
    """A program that answers at a port."""
    return Program(
        name="server",
        argv=(sys.executable, "-S", "-c", SERVER, str(port)),
        ready_url=f"http://127.0.0.1:{port}/",
        **more,
    )


@pytest.fixture
async def supervised(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Start a program under supervision: the little server, or the given one."""
    async with AsyncExitStack() as stack:

        async def start(program: Program | None = None) -> Supervised:
            chosen = program or server_program(free_ports(["server"])["server"])
            one = Supervised(chosen, tmp_path / "logs" / f"{chosen.name}.log")
            stack.push_async_callback(one.stop)
            await one.start()
            return one

        yield start
