"""Who answers are compared with: another orchestrator, which is asked what we were asked, marked, and as it came."""

import asyncio
import logging
from dataclasses import dataclass

from orchestrator.clients.context import Metadata, handed_on
from orchestrator.clients.pool import Pool
from orchestrator.errors import NodeError
from orchestrator.http2.channel import Channel
from orchestrator.http2.status import RpcError, Status
from orchestrator.protocols.payload import SPLIT, Payload, Protobuf

log = logging.getLogger(__name__)

MARK = "seldon-comparison"
"""The header, or metadata, that marks a request as a comparison's."""
LONGEST_ANSWER = 1024 * 1024
"""Bytes of its answer."""
_SECONDS = 30.0  # for one answer
_SKIP = "seldon-skip-logging"
_OWN = frozenset({"accept-encoding", "traceparent", "tracestate", "b3", _SKIP, MARK})


@dataclass(frozen=True, slots=True)
class Asked:
    """A copied request over REST, as it came in."""

    target: bytes
    headers: list[tuple[bytes, bytes]]
    payload: Payload
    puid: bytes


@dataclass(frozen=True, slots=True)
class Called:
    """A copied call over gRPC, as it came in."""

    method: str
    metadata: Metadata
    payload: Protobuf


class Counterpart:
    """Asks by the way that a request came; without a channel it cannot be asked over gRPC.

    Args:
        authority: its host and port over REST.
        pool: the connections to it over REST.
        channel: the way to it over gRPC.
    """

    def __init__(self, authority: bytes, pool: Pool, channel: Channel | None) -> None:
        self._authority, self._pool, self._channel = authority, pool, channel

    @property
    def over_grpc(self) -> bool:
        """Whether it can be asked over gRPC."""
        return self._channel is not None

    async def answer(self, asked: Asked | Called) -> Payload | None:
        """Its answer to the same request; None where it has none in time."""
        try:
            async with asyncio.timeout(_SECONDS):
                return await (self._call(asked) if isinstance(asked, Called) else self._ask(asked))
        except (NodeError, RpcError, TimeoutError) as error:
            log.debug("no answer to compare with: %s", error)
            return None

    async def close(self) -> None:
        """Close all connections to it."""
        self._pool.close()
        if self._channel is not None:
            await self._channel.close()

    async def _ask(self, asked: Asked) -> Payload | None:
        reply = await self._pool.request(self._head(asked), asked.payload.body, within=_SECONDS, again=True)
        return reply.payload if reply.status == 200 else None

    async def _call(self, asked: Called) -> Payload | None:
        if self._channel is None:
            return None
        kept = [each for each in asked.metadata if not _is_own(each[0])]
        try:
            metadata = (*kept, (MARK, "true"), (_SKIP, "true"))
            return Protobuf(await self._channel.call(asked.method, asked.payload.body, metadata, _SECONDS))
        except RpcError as error:
            if error.status is Status.UNAVAILABLE:
                await self._channel.look_again()
            raise

    def _head(self, asked: Asked) -> bytes:
        payload = asked.payload
        lines = handed_on([each for each in asked.headers if not _is_own(each[0].decode("latin-1"))], asked.puid)
        if payload.encoding:
            lines += b"Content-Encoding: %b\r\n" % payload.encoding
        if payload.split:
            lines += b"%b: %d\r\n" % (SPLIT, payload.split)
        lines += f"{MARK}: true\r\n{_SKIP}: true\r\n".encode()
        lines += b"Content-Type: %b\r\nContent-Length: %d\r\n" % (payload.content_type, len(payload.body))
        return b"POST %b HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (asked.target, self._authority, lines)


def _is_own(name: str) -> bool:
    """Whether a lower-case name is of one request alone, such as its trace, and not of its repetition."""
    return name in _OWN or name.startswith(("x-b3-", "ce-"))
