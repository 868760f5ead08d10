"""What one side of a connection sends: frames into a buffer, within the peer's windows."""

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.http2 import frames
from orchestrator.http2.faults import Code
from orchestrator.http2.frames import DATA, END_STREAM, HEAD
from orchestrator.http2.streams import State, Stream

WINDOW = 65_535  # until the peer says otherwise (RFC 9113, 6.9.2)
_FRAME = 16_384
_DIRECT = 16_384  # bytes of a body that are written at once; longer ones wait for `pump`
_LEFT_KEPT = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What we let a peer do: sizes in bytes."""

    streams: int = 2048
    stream_window: int = 1 << 20
    window: int = 8 << 20
    frame: int = 1 << 17
    fields: int = 64 * 1024  # of one list, packed and unpacked
    continuations: int = 64
    nuisances: float = 5000.0  # frames that lead nowhere, at once
    nuisances_per_second: float = 500.0

    def settings(self, *, server: bool) -> Mapping[int, int]:
        """The same as SETTINGS."""
        about = {frames.MAX_CONCURRENT_STREAMS: self.streams} if server else {frames.ENABLE_PUSH: 0}
        return {
            **about,
            frames.INITIAL_WINDOW_SIZE: self.stream_window,
            frames.MAX_FRAME_SIZE: self.frame,
            frames.MAX_HEADER_LIST_SIZE: self.fields,
        }


class Sending:
    """The sending half. `out` is what is to be written to the peer, in order; `take` gives it."""

    def __init__(self, *, server: bool, bounds: Bounds) -> None:
        self.server = server
        self.bounds = bounds
        self.out: list[bytes | memoryview] = []
        self.streams: dict[int, Stream] = {}
        self.most = 2**31  # streams that the peer lets us open
        self._window = WINDOW  # of the connection
        self._first_window = WINDOW  # of each new stream
        self._first_credit = max(WINDOW, bounds.stream_window)  # until the peer knows ours (RFC 9113, 6.9.3)
        self._frame = _FRAME  # the longest that the peer takes
        self._queued: dict[int, Stream] = {}  # streams with something that waits
        self._left: dict[int, None] = {}  # the last streams that we have reset
        self._highest = 0  # of the peer's streams (a server), or of ours (a client)
        self.out.append((b"" if server else frames.PREFACE) + frames.settings(bounds.settings(server=server)))
        self.out.append(frames.window_update(0, bounds.window - WINDOW))

    def take(self) -> bytes:
        """What is to be written; afterwards there is nothing."""
        out, self.out = self.out, []
        return b"".join(out)

    # ------------------------------------------------------------ streams

    def open(self, block: bytes, prefix: bytes, body: bytes) -> Stream:
        """A client's request: its fields and its whole body, which begins with `prefix`."""
        number = self._highest + (2 if self._highest else 1)
        self._highest = number
        stream = self.streams[number] = Stream(number, self._first_window, self._first_credit)
        self.out.append(frames.headers(number, block, 0, self._frame))
        self._send(stream, prefix, body, b"")
        return stream

    @property
    def exhausted(self) -> bool:
        """Whether no number is left for a stream."""
        return self._highest >= frames.LARGEST - 1

    def respond(self, stream: Stream, head: bytes, prefix: bytes, body: bytes, trailers: bytes) -> None:
        """A server's answer, whole."""
        self.headers(stream, head)
        self._send(stream, prefix, body, trailers)

    def headers(self, stream: Stream, block: bytes, *, end: bool = False) -> None:
        """Fields, as the first of an answer or (with `end`) as all of it."""
        if stream.state in _SENDS:
            self.out.append(frames.headers(stream.id, block, END_STREAM if end else 0, self._frame))
            if end:
                self._ended(stream)

    def data(self, stream: Stream, body: bytes) -> None:
        """A piece of an answer of several messages."""
        self._send(stream, b"", body, None)

    def finish(self, stream: Stream, trailers: bytes) -> None:
        """The end of an answer of several messages."""
        self._send(stream, b"", b"", trailers)

    def _send(self, stream: Stream, prefix: bytes, body: bytes, tail: bytes | None) -> None:
        if stream.state not in _SENDS:
            return
        size = len(prefix) + len(body)
        if size > _DIRECT or size > stream.window or size > self._window or stream.queue:
            stream.queue += [memoryview(part) for part in (prefix, body) if part]
            stream.tail = tail
            self._queued[stream.id] = stream
            return
        if size:
            stream.window -= size
            self._window -= size
            ends = tail is not None and not tail
            self.out.append(
                HEAD.pack(size >> 8, size & 0xFF, DATA, END_STREAM if ends else 0, stream.id) + prefix + body
            )
        if tail is not None:
            self._last(stream, tail, ended=bool(size))

    def _last(self, stream: Stream, tail: bytes, *, ended: bool) -> None:
        if tail:
            self.out.append(frames.headers(stream.id, tail, END_STREAM, self._frame))
        elif not ended:
            self.out.append(frames.frame(DATA, END_STREAM, stream.id))
        self._ended(stream)

    def _ended(self, stream: Stream) -> None:
        """We have said all on a stream."""
        if stream.state is State.THEY_ENDED:
            stream.state = State.CLOSED
            self.streams.pop(stream.id, None)
        elif self.server:  # what the client still sends is of no use: it has its answer (RFC 9113, 8.1)
            self.reset(stream, Code.NO_ERROR)
        else:
            stream.state = State.WE_ENDED

    def reset(self, stream: Stream, code: Code) -> None:
        """Leave a stream, whatever is under way on it."""
        if stream.state in {State.CLOSED, State.LEFT}:
            return
        self._forget(stream)
        stream.state = State.LEFT
        self._leave(stream.id, code)

    def _leave(self, number: int, code: Code) -> None:
        self._left[number] = None
        if len(self._left) > _LEFT_KEPT:
            del self._left[next(iter(self._left))]
        self.out.append(frames.reset(number, code))

    def _forget(self, stream: Stream) -> None:
        stream.state = State.CLOSED
        stream.queue.clear()
        self._queued.pop(stream.id, None)
        self.streams.pop(stream.id, None)

    # ------------------------------------------------------------ what waits for a window

    @property
    def waits(self) -> bool:
        """Whether something waits to be pumped, or for a window."""
        return bool(self._queued)

    def pump(self, budget: int) -> bool:
        """Put up to about `budget` bytes of what waits into `out`, of all streams in turn. Says whether any went."""
        went = False
        while budget > 0 and self._queued:
            progress = False
            for stream in list(self._queued.values()):
                sent = self._pump_one(stream)
                budget -= sent
                progress = progress or sent > 0 or stream.id not in self._queued
                if budget <= 0:
                    break
            if not progress:
                break
            went = True
        return went

    def _pump_one(self, stream: Stream) -> int:
        queue = stream.queue
        size = 0
        if queue:
            first = queue[0]
            size = min(len(first), stream.window, self._window, self._frame)
            if size <= 0:
                return 0
            stream.window -= size
            self._window -= size
            if size == len(first):
                del queue[0]
            else:
                queue[0] = first[size:]
            ends = not queue and stream.tail is not None and not stream.tail
            self.out.append(HEAD.pack(size >> 8, size & 0xFF, DATA, END_STREAM if ends else 0, stream.id))
            self.out.append(first[:size])
        if queue:  # behind the others, so that all get on
            self._queued[stream.id] = self._queued.pop(stream.id)
        else:
            del self._queued[stream.id]
            if stream.tail is not None:
                self._last(stream, stream.tail, ended=size > 0)
        return size

    # ------------------------------------------------------------ the connection

    def ping(self, payload: bytes) -> None:
        """Ask for a sign of life; `payload` has 8 bytes."""
        self.out.append(frames.frame(frames.PING, 0, 0, payload))

    def go_away(self, *, last: int | None = None, code: Code = Code.NO_ERROR, why: str = "") -> None:
        """Take no streams above `last` any more, which without it is the highest that was taken."""
        self.out.append(frames.goaway(self._taken() if last is None else last, code, why.encode()))

    def _taken(self) -> int:
        return self._highest if self.server else 0


_SENDS = frozenset({State.OPEN, State.THEY_ENDED})
