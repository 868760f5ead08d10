"""Streams of one connection, and what may arrive on them (RFC 9113, 5.1), as a table."""

from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import Any, NamedTuple

from orchestrator.http2.faults import Code
from orchestrator.http2.fields import Fields
from orchestrator.http2.frames import DATA, HEADERS, RST_STREAM, WINDOW_UPDATE


class State(Enum):
    """How far a stream is, seen from here. LEFT is one that we have reset: what still comes was sent before that."""

    IDLE = auto()
    OPEN = auto()
    WE_ENDED = auto()
    THEY_ENDED = auto()
    CLOSED = auto()
    LEFT = auto()


class Verdict(Enum):
    """What becomes of a frame."""

    TAKE = auto()
    IGNORE = auto()
    STREAM_IS_CLOSED = auto()  # an error of the stream
    CONNECTION_IS_BROKEN = auto()  # STREAM_CLOSED, for all streams
    NONSENSE = auto()  # PROTOCOL_ERROR, for all streams


_TAKE, _IGNORE, _CLOSED = Verdict.TAKE, Verdict.IGNORE, Verdict.STREAM_IS_CLOSED
_ROWS: dict[State, tuple[Verdict, Verdict, Verdict, Verdict]] = {
    #                  DATA              HEADERS                       RST_STREAM        WINDOW_UPDATE
    State.IDLE:       (Verdict.NONSENSE, _TAKE,                        Verdict.NONSENSE, Verdict.NONSENSE),
    State.OPEN:       (_TAKE,            _TAKE,                        _TAKE,            _TAKE),
    State.WE_ENDED:   (_TAKE,            _TAKE,                        _TAKE,            _TAKE),
    State.THEY_ENDED: (_CLOSED,          _CLOSED,                      _TAKE,            _TAKE),
    State.CLOSED:     (_CLOSED,          Verdict.CONNECTION_IS_BROKEN, _IGNORE,          _IGNORE),
    State.LEFT:       (_IGNORE,          _IGNORE,                      _IGNORE,          _IGNORE),
}  # fmt: skip
ARRIVES: Mapping[tuple[State, int], Verdict] = MappingProxyType(
    {
        (state, kind): verdict
        for state, row in _ROWS.items()
        for kind, verdict in zip((DATA, HEADERS, RST_STREAM, WINDOW_UPDATE), row, strict=True)
    }
)
"""The verdict on a frame, by the state of its stream and its kind."""


class Stream:
    """One call. `owner` is for whoever uses the connection."""

    __slots__ = ("began", "credit", "expected", "id", "owner", "queue", "state", "tail", "window")

    def __init__(self, number: int, window: int, credit: int, state: State = State.OPEN) -> None:
        self.id = number
        self.state = state
        self.window = window  # bytes that we may send
        self.credit = credit  # bytes that the peer may send
        self.began = False  # whether its first fields have come
        self.expected: int | None = None  # bytes of the body that are still to come, where the fields say so
        self.queue: list[memoryview] = []  # what the windows leave no place for
        self.tail: bytes | None = None  # the block behind the queue; empty: the queue's end is the stream's
        self.owner: Any = None


class Head(NamedTuple):
    """Fields have come: the first ones of a stream, or its trailers."""

    stream: Stream
    fields: Fields
    ended: bool


class Data(NamedTuple):
    """A piece of a body."""

    stream: Stream
    data: bytes
    ended: bool


class Reset(NamedTuple):
    """The stream is over: the peer reset it, or had to be told so."""

    stream: Stream
    code: Code
    by_peer: bool


class Settled(NamedTuple):
    """The peer's settings have come, for the first time or anew."""


class Ponged(NamedTuple):
    """A PING of ours came back."""

    payload: bytes


class GoneAway(NamedTuple):
    """The peer takes no further streams; those above `last` it has not looked at."""

    last: int
    code: Code
    why: bytes


class Broken(NamedTuple):
    """The connection is over for its peer's fault. What is still to be written says so."""

    code: Code
    why: str


Event = Head | Data | Reset | Settled | Ponged | GoneAway | Broken


class Patience:
    """How many frames that lead nowhere a peer may send: `burst` at once, and `per_second` in the long run.

    Streams that are reset, pings, settings and empty frames cost us something and their sender nothing.
    """

    __slots__ = ("_burst", "_left", "_per_second", "_seen")

    def __init__(self, burst: float, per_second: float) -> None:
        self._burst = self._left = burst
        self._per_second = per_second
        self._seen = 0.0

    def allows(self, now: float, cost: float = 1.0) -> bool:
        """Whether the peer may do so once more at `now`, in seconds that only rise."""
        self._left = min(self._burst, self._left + max(0.0, now - self._seen) * self._per_second) - cost
        self._seen = max(now, self._seen)
        return self._left >= 0.0
