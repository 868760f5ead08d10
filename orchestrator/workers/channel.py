"""What a worker and its supervisor say to each other, over a pair of sockets."""

import asyncio
import socket
from typing import Any, Generic, TypeVar

import msgspec

from orchestrator.telemetry.families import Shown

VARIABLE = "SELDON_WORKER_CHANNEL"  # tells a worker the descriptor of its socket
_SIZE = 4  # bytes of the length before each message


class Started(msgspec.Struct, tag=True):
    """The worker listens."""


class Tell(msgspec.Struct, tag=True):
    """The supervisor wants to know what the worker counted."""


class Told(msgspec.Struct, tag=True):
    """What the worker counted."""

    shown: list[Shown]


class Ask(msgspec.Struct, tag=True):
    """The worker wants to know what all workers counted."""


class Total(msgspec.Struct, tag=True):
    """What all workers counted."""

    shown: list[Shown]


FromWorker = Started | Told | Ask
FromSupervisor = Tell | Total
_Said = TypeVar("_Said")
_encoder = msgspec.msgpack.Encoder()


class Channel(Generic[_Said]):
    """One end of the pair, which hears messages of one kind."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, hears: Any) -> None:
        self._reader = reader
        self._writer = writer
        self._decoder: msgspec.msgpack.Decoder[_Said] = msgspec.msgpack.Decoder(hears)

    def say(self, message: msgspec.Struct) -> None:
        """Send; to an end that is gone, nothing."""
        data = _encoder.encode(message)
        self._writer.write(len(data).to_bytes(_SIZE, "big") + data)

    async def hear(self) -> _Said | None:
        """The next message; None when the other end is gone."""
        try:
            size = int.from_bytes(await self._reader.readexactly(_SIZE), "big")
            return self._decoder.decode(await self._reader.readexactly(size))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    def close(self) -> None:
        """Leave."""
        self._writer.close()


async def workers_end(own: socket.socket) -> Channel[FromSupervisor]:
    """The end of a worker."""
    return Channel(*await asyncio.open_connection(sock=own), FromSupervisor)


async def supervisors_end(own: socket.socket) -> Channel[FromWorker]:
    """The end of the supervisor."""
    return Channel(*await asyncio.open_connection(sock=own), FromWorker)
