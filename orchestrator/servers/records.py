"""A message of a topic as a request to the graph, and what the graph says as a message. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from orchestrator.clients.node import NodeStatusError
from orchestrator.errors import BadPayloadError, OrchestratorError
from orchestrator.protocols import seldon
from orchestrator.protocols.payload import JSON, PROTOBUF, SPLIT, Kind, Payload, Protobuf, split_length

Headers = tuple[tuple[str, bytes], ...]

PUID = "Seldon-Puid"
ERROR = "Seldon-Error"
STATUS = "Seldon-Status"
SOURCE = "Seldon-Source"
PROTO_NAME = "proto-name"
_SPLIT = SPLIT.decode()
# What tells of one message alone, and is written anew for its answer.
_OWN = frozenset(
    {"content-type", "content-encoding", "content-length", _SPLIT, PROTO_NAME}
    | {name.lower() for name in (PUID, ERROR, STATUS, SOURCE)}
)
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]{0,8192}")


class TooLongError(OrchestratorError):
    """A message is longer than it may be: one that was read, or an answer for the topic."""

    status = 413
    reason = "MESSAGE_TOO_LONG"


class UnreadableError(OrchestratorError):
    """A message is no text where it has to be some."""

    status = 400
    reason = "UNREADABLE"


class Record(Protocol):
    """A message as it was read."""

    @property
    def topic(self) -> str:
        """Where it was."""

    @property
    def partition(self) -> int:
        """The part of the topic."""

    @property
    def offset(self) -> int:
        """Its place there."""

    @property
    def key(self) -> bytes | None:
        """What messages of one kind have in common."""

    @property
    def value(self) -> bytes | None:
        """The body; none in what a compacted topic has of a key that was taken back."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]:
        """Names and values, in order; a name may come twice."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The place of a message of which nothing else is known."""

    topic: str
    partition: int
    offset: int
    key: None = None
    value: None = None
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """A message to write."""

    key: bytes | None
    value: bytes
    headers: Headers


def puid(record: Record) -> bytes:
    """The id that a message brought along; nothing when it has none that can be handed on."""
    return _said(record, PUID.lower())


def payload(record: Record, *, longest: int, protobuf: bool) -> Payload:
    """What the graph is asked.

    A message is JSON, unless its content-type says protobuf, it names one (`proto-name`), or all messages are such.

    Raises:
        BadPayloadError: it has no body.
        TooLongError: the body has more than `longest` bytes.
        UnreadableError: it could not be read.
    """
    if isinstance(record, Unreadable):
        raise UnreadableError(
            f"{record.topic}/{record.partition}/{record.offset}: this message, or one before it in its batch,"
            " has a header whose name is not UTF-8"
        )
    if record.value is None:
        raise BadPayloadError("the message has no value; expected a request of the protocol")
    if len(record.value) > longest:
        raise TooLongError(f"the message has {len(record.value)} bytes; expected {longest} at most")
    kind = _said(record, "content-type") or JSON
    if protobuf or kind == PROTOBUF or _said(record, PROTO_NAME):
        return Protobuf(record.value, Kind.REQUEST)
    found = Payload(record.value, kind, _said(record, "content-encoding"), split=split_length(_said(record, _SPLIT)))
    found.longest = longest
    return found


def headers(record: Record) -> list[tuple[bytes, bytes]]:
    """What nodes are told beside the body: the headers that could have come with a request, names in small letters.

    An answer is wanted as it is, so nodes are not asked to compress it.
    """
    return [
        (name.lower().encode(), value)
        for name, value in record.headers
        if value is not None
        and _NAME.fullmatch(name)
        and _VALUE.fullmatch(value)
        and name.lower() not in _OWN | {"accept-encoding"}
    ]


def answer(record: Record, puid: bytes, found: Payload) -> Answer:
    """What the graph answered, with the message's key and its headers."""
    return Answer(record.key, found.body, (*_kept(record), *_about(record, puid), *_described(found)))


def refusal(record: Record, puid: bytes, error: OrchestratorError, *, bare: bool = False) -> Answer:
    """Why there is no answer: the protocol's status, or what the node said; with `bare` without what was brought along.

    Its headers have the status that a client over REST would get, and a word for machines.
    """
    if isinstance(error, NodeStatusError) and not bare:
        told = error.reply.payload
    else:
        told = Payload(seldon.failure(error.status, str(error)[:2048], error.reason))
    said = ((STATUS, b"%d" % error.status), (ERROR, error.reason.encode()))
    kept = () if bare else _kept(record)
    return Answer(record.key, told.body, (*kept, *_about(record, puid), *_described(told), *said))


def _said(record: Record, name: str) -> bytes:
    for key, value in record.headers:
        if key.lower() == name and value is not None and _VALUE.fullmatch(value):
            return value.strip()
    return b""


def _kept(record: Record) -> Headers:
    return tuple((name, value or b"") for name, value in record.headers if name.lower() not in _OWN)


def _about(record: Record, puid: bytes) -> Headers:
    return ((PUID, puid), (SOURCE, f"{record.topic}/{record.partition}/{record.offset}".encode()))


def _described(found: Payload) -> Headers:
    said: Headers = (("content-type", found.content_type or JSON),)
    if found.encoding:
        said += (("content-encoding", found.encoding),)
    if found.split:
        said += ((_SPLIT, b"%d" % found.split),)
    return said
