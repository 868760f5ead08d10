"""The outcome of a gRPC call."""

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType

from orchestrator.http2.faults import Code

Metadata = tuple[tuple[str, str | bytes], ...]


class Status(IntEnum):
    """The codes of gRPC."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class RpcError(Exception):
    """A call that ended with another status than OK, at either end."""

    def __init__(self, status: Status, details: str = "", trailing: Metadata = ()) -> None:
        super().__init__(f"{status.name}: {details}")
        self.status = status
        self.details = details
        self.trailing = trailing


_BY_HTTP: Mapping[bytes, Status] = MappingProxyType(
    {
        b"400": Status.INTERNAL, b"401": Status.UNAUTHENTICATED, b"403": Status.PERMISSION_DENIED,
        b"404": Status.UNIMPLEMENTED, b"429": Status.UNAVAILABLE, b"502": Status.UNAVAILABLE,
        b"503": Status.UNAVAILABLE, b"504": Status.UNAVAILABLE,
    }
)  # fmt: skip
_BY_RESET: Mapping[Code, Status] = MappingProxyType(
    {
        Code.REFUSED_STREAM: Status.UNAVAILABLE, Code.CANCEL: Status.CANCELLED,
        Code.ENHANCE_YOUR_CALM: Status.RESOURCE_EXHAUSTED, Code.INADEQUATE_SECURITY: Status.PERMISSION_DENIED,
    }
)  # fmt: skip


def of_http(status: bytes) -> Status:
    """What an answer means that is not gRPC's, such as a proxy's own (the protocol's `http-grpc-status-mapping`)."""
    return _BY_HTTP.get(status, Status.UNKNOWN)


def of_reset(code: Code) -> Status:
    """What a stream that was reset means."""
    return _BY_RESET.get(code, Status.INTERNAL)


def of_number(text: bytes) -> Status:
    """What `grpc-status` says; UNKNOWN for a number that there is not."""
    number = int(text) if text.isdigit() and len(text) < 3 else -1
    return Status(number) if 0 <= number <= Status.UNAUTHENTICATED else Status.UNKNOWN
