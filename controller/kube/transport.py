"""What carries a request to the API server and brings the answer: the client knows no HTTP library."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from controller.kube.connection import Connection
from controller.kube.requests import Request

CONNECT_TIMEOUT = timedelta(seconds=10)


class LostError(Exception):
    """There was no answer, or only a part of one.

    Args:
        reason: `Timeout`; `ConnectionLost` where the connection broke; `NoAnswer` for whatever else.
        message: what happened.
    """

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer: its status, what its head says, and its body; a stream's body comes in chunks beside it."""

    status: int
    retry_after: str = ""
    warnings: tuple[str, ...] = ()
    body: bytes = b""


class Transport(Protocol):
    """Connections to one API server. Everything raises LostError."""

    async def exchange(
        self, to: Connection, request: Request, headers: Mapping[str, str], *, limit: timedelta
    ) -> Reply:
        """Send a request and return the whole answer, within `limit`."""

    def stream(
        self, to: Connection, request: Request, headers: Mapping[str, str], *, quiet: timedelta
    ) -> AbstractAsyncContextManager[tuple[Reply, AsyncIterator[bytes]]]:
        """Send a request and give the head of its answer and its chunks; `quiet` is the longest silence."""

    async def close(self) -> None:
        """Close all connections."""
