"""A request that is cancelled, at whatever instant of it, leaves no connection behind."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from controller.kube import requests
from controller.kube.brief import Brief
from controller.kube.connection import Connection, Secret
from controller.kube.lasting import Lasting
from controller.kube.resources import POD
from controller.kube.transport import Transport
from localcluster.apiserver import certificates

ASK = requests.get(POD, "ml", "iris")
Until = Callable[..., Awaitable[Any]]
ESTABLISHED = 1
SOON = 10
"""Seconds. asyncio itself gives up on the farewell after 30."""
TURNS = 24
"""Of the event loop: a connection over plain HTTP is made within ten."""


class Silent:
    """A server that accepts, shakes hands, and says nothing: nor does it answer TLS' farewell."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        self.tls, self.asked = tls, Event()
        self.accepted, self.talking = list[socket.socket](), list[socket.socket]()
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.taking = list[Thread]()
        self.accepting = Thread(target=self._accept, daemon=True)
        self.accepting.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # it is closed
            while True:
                taken, _ = self.listening.accept()
                self.accepted.append(taken.dup())
                self.taking.append(Thread(target=self._take, args=(taken,), daemon=True))
                self.taking[-1].start()

    def _take(self, taken: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the client is gone in the midst of it
            self.talking.append(taken)
            if self.tls is not None:
                self.talking.append(taken := self.tls.wrap_socket(taken, server_side=True))
            if taken.recv(1):
                self.asked.set()

    def open(self) -> int:
        """How many connections have both ends."""
        return sum(each.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == ESTABLISHED for each in self.accepted)

    def close(self) -> None:
        self.listening.shutdown(socket.SHUT_RDWR)
        self.accepting.join()
        for each in self.accepted:
            with contextlib.suppress(OSError):  # the client was quicker
                each.shutdown(socket.SHUT_RDWR)
        for taking in self.taking:
            taking.join()
        for each in (self.listening, *self.accepted, *self.talking):
            each.close()


@pytest.fixture(params=["http", "https"])
def to(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Silent, Connection]]:
    """A silent server, and how to reach it."""
    theirs = ours = None
    if request.param == "https":
        made = certificates.ensure(tmp_path)
        theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        theirs.load_cert_chain(made.certificate, made.key)
        ours = ssl.create_default_context(cafile=str(made.certificate))
    server = Silent(theirs)
    yield server, Connection(url=f"{request.param}://127.0.0.1:{server.port}", authorization=Secret(None), tls=ours)
    server.close()


async def begun(transport: Transport, to: Connection) -> "asyncio.Task[object]":
    return asyncio.create_task(transport.exchange(to, ASK, {}, limit=timedelta(minutes=1)))


async def ended(task: "asyncio.Task[object]", transport: Transport) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await transport.close()


@pytest.mark.parametrize("kind", [Brief, Lasting])
async def test_while_its_connection_is_made(
    to: tuple[Silent, Connection], kind: type[Brief | Lasting], until: Until
) -> None:
    for turns in range(TURNS):
        transport = kind()
        task = await begun(transport, to[1])
        for _ in range(turns):
            await asyncio.sleep(0)
        await ended(task, transport)
    await until(lambda: to[0].open() == 0, seconds=SOON)


@pytest.mark.parametrize("kind", [Brief, Lasting])
async def test_while_its_answer_is_waited_for(
    to: tuple[Silent, Connection], kind: type[Brief | Lasting], until: Until
) -> None:
    server, connection = to
    transport = kind()
    task = await begun(transport, connection)
    assert await asyncio.to_thread(server.asked.wait, 10)
    assert server.open() == 1
    await ended(task, transport)
    await until(lambda: server.open() == 0, seconds=SOON)


class Mute(asyncio.Protocol):
    """What a server does with a connection: nothing."""


def established(port: int) -> int:
    """How many connections to a port are whole on the client's side."""
    ends = [line.split() for line in Path("/proc/self/net/tcp").read_text("ascii").splitlines()[1:]]
    return sum(int(end[2].rpartition(":")[2], 16) == port and int(end[3], 16) == ESTABLISHED for end in ends)


async def test_as_its_handshake_ends(tmp_path: Path) -> None:
    made = certificates.ensure(tmp_path)
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    theirs.load_cert_chain(made.certificate, made.key)
    ours = ssl.create_default_context(cafile=str(made.certificate))
    server = await asyncio.get_running_loop().create_server(Mute, "127.0.0.1", 0, ssl=theirs)
    port = server.sockets[0].getsockname()[1]
    to = Connection(url=f"https://127.0.0.1:{port}", authorization=Secret(None), tls=ours)
    for turns in range(2 * TURNS):
        transport = Lasting()
        task = await begun(transport, to)
        for _ in range(turns):
            await asyncio.sleep(0)
        await ended(task, transport)
        assert established(port) == 0, f"after {turns} turns of the loop"
    server.close()
    await server.wait_closed()
