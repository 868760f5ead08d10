"""One connection of HTTP/2 without I/O: bytes in, events out; what is to be sent waits in `out`."""

from collections.abc import Callable

from orchestrator.http2 import frames
from orchestrator.http2.faults import Code, Http2Error, StreamError
from orchestrator.http2.fields import Decoder, Fields, Shape
from orchestrator.http2.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEAD,
    HEAD_SIZE,
    HEADERS,
    LARGEST,
    PADDED,
    PREFACE,
    PRIORITIZED,
    RST_STREAM,
    WINDOW_UPDATE,
)
from orchestrator.http2.sending import Bounds, Sending
from orchestrator.http2.streams import (
    ARRIVES,
    Broken,
    Data,
    Event,
    GoneAway,
    Head,
    Patience,
    Ponged,
    Reset,
    Settled,
    State,
    Stream,
    Verdict,
)

_PRIORITY_SIZE = 5


class Connection(Sending):
    """Both halves, of a server or of a client."""

    def __init__(self, *, server: bool, bounds: Bounds | None = None) -> None:
        super().__init__(server=server, bounds=bounds or Bounds())
        self.broken = False
        self._rest = bytearray()
        self._need = 1  # bytes that make it worth while to look again
        self._greeting = PREFACE if server else b""  # what of it has still to come
        self.settled = False
        self._decoder = Decoder(self.bounds.fields)
        self._credit = self.bounds.window
        self._patience = Patience(self.bounds.nuisances, self.bounds.nuisances_per_second)
        self._now = 0.0
        self._block: list[bytes] | None = None  # pieces of a header block that is not whole
        self._block_of: tuple[int, int] = (0, 0)  # its stream, and its flags
        self._closing_at = LARGEST  # streams above it are not taken any more
        self._reads: tuple[Callable[[int, int, bytes, list[Event]], None], ...] = (
            self._on_data, self._on_headers, self._on_priority, self._on_reset, self._on_settings, self._on_push,
            self._on_ping, self._on_goaway, self._on_window, self._on_continuation,
        )  # fmt: skip

    def receive(self, data: bytes, now: float) -> list[Event]:
        """What these bytes mean. `now`, in seconds that only rise, is for counting what leads nowhere."""
        if self.broken:
            return []
        events: list[Event] = []
        rest = self._rest
        if rest:
            rest += data
            if len(rest) < self._need:
                return events
            data = bytes(rest)
            rest.clear()
        self._now = now
        try:
            at = self._read(data, events)
        except Http2Error as error:
            self.broken = True
            self.go_away(code=error.code, why=str(error))
            events.append(Broken(error.code, str(error)))
            return events
        if at < len(data):
            rest += data[at:] if at else data
        return events

    def _read(self, data: bytes, events: list[Event]) -> int:
        at = self._greeted(data) if self._greeting else 0
        size, longest = len(data), self.bounds.frame
        while at + HEAD_SIZE <= size and not self._greeting:
            high, low, kind, flags, number = HEAD.unpack_from(data, at)
            length = high << 8 | low
            if length > longest:
                raise Http2Error(Code.FRAME_SIZE_ERROR, f"a frame of {length} bytes")
            start = at + HEAD_SIZE
            at = start + length
            if at > size:
                self._need = length + HEAD_SIZE
                return start - HEAD_SIZE
            if self._block is not None and kind != CONTINUATION:
                raise Http2Error(Code.PROTOCOL_ERROR, "a frame in the middle of a header block")
            if not self.settled and kind != frames.SETTINGS:
                raise Http2Error(Code.PROTOCOL_ERROR, "the first frame is not SETTINGS")
            if kind <= CONTINUATION:
                try:
                    self._reads[kind](number & LARGEST, flags, data[start:at], events)
                except StreamError as error:
                    self._fail(error, events)
            else:
                self._nuisance("unknown frames")
        self._need = HEAD_SIZE
        return at

    def _greeted(self, data: bytes) -> int:
        size = min(len(self._greeting), len(data))
        if data[:size] != self._greeting[:size]:
            raise Http2Error(Code.PROTOCOL_ERROR, "this is not HTTP/2")
        self._greeting = self._greeting[size:]
        return size

    def _fail(self, error: StreamError, events: list[Event]) -> None:
        stream = self.streams.get(error.stream)
        if stream is None:
            self._nuisance("frames of closed streams")
            self._leave(error.stream, error.code)
        else:
            self.reset(stream, error.code)
            events.append(Reset(stream, error.code, by_peer=False))

    def _nuisance(self, what: str, cost: float = 1.0) -> None:
        if not self._patience.allows(self._now, cost):
            raise Http2Error(Code.ENHANCE_YOUR_CALM, f"too many {what}")

    # ------------------------------------------------------------ streams

    def _of(self, number: int, kind: int) -> Stream | None:
        """The stream that a frame is for; None when the frame is to be ignored, or a HEADERS frame opens it."""
        if number == 0:
            raise Http2Error(Code.PROTOCOL_ERROR, f"a frame of kind {kind} without a stream")
        stream = self.streams.get(number)
        state = stream.state if stream is not None else self._state(number)
        verdict = ARRIVES[state, kind]
        if verdict is Verdict.TAKE:
            return stream
        if verdict is Verdict.STREAM_IS_CLOSED:
            raise StreamError(number, Code.STREAM_CLOSED)
        if verdict is Verdict.CONNECTION_IS_BROKEN:
            raise Http2Error(Code.STREAM_CLOSED, f"fields on stream {number}, which is closed")
        if verdict is Verdict.NONSENSE:
            raise Http2Error(Code.PROTOCOL_ERROR, f"a frame of kind {kind} on stream {number}, which is idle")
        return None

    def _state(self, number: int) -> State:
        """Of a stream that is not there."""
        if number in self._left:
            return State.LEFT
        clients = number & 1
        if not clients:
            raise Http2Error(Code.PROTOCOL_ERROR, f"stream {number} would be a server's")
        return State.IDLE if number > self._highest else State.CLOSED

    def _on_data(self, number: int, flags: int, payload: bytes, events: list[Event]) -> None:
        size = len(payload)
        self._credit -= size
        if self._credit < 0:
            raise Http2Error(Code.FLOW_CONTROL_ERROR, "more than the connection's window")
        if self._credit < self.bounds.window >> 1:
            self.out.append(frames.window_update(0, self.bounds.window - self._credit))
            self._credit = self.bounds.window
        data = frames.unpadded(payload, flags) if flags & PADDED else payload
        stream = self._of(number, DATA)
        if stream is None:
            return
        if not stream.began:
            raise StreamError(number, Code.PROTOCOL_ERROR)
        stream.credit -= size
        if stream.credit < 0:
            raise StreamError(number, Code.FLOW_CONTROL_ERROR)
        ended = bool(flags & END_STREAM)
        if not data and not ended:
            self._nuisance("empty frames")
        if stream.expected is not None:
            stream.expected -= len(data)
            if stream.expected < 0 or (ended and stream.expected):
                raise StreamError(number, Code.PROTOCOL_ERROR)
        if ended:
            self._they_ended(stream)
        elif stream.credit < self.bounds.stream_window >> 1:
            self._grant(stream)
        events.append(Data(stream, data, ended))

    def _grant(self, stream: Stream) -> None:
        self.out.append(frames.window_update(stream.id, self.bounds.stream_window - stream.credit))
        stream.credit = self.bounds.stream_window

    def _they_ended(self, stream: Stream) -> None:
        if stream.state is State.OPEN:
            stream.state = State.THEY_ENDED
        else:
            self._forget(stream)

    def _on_headers(self, number: int, flags: int, payload: bytes, events: list[Event]) -> None:
        if number == 0:
            raise Http2Error(Code.PROTOCOL_ERROR, "fields without a stream")
        if flags & PADDED:
            payload = frames.unpadded(payload, flags)
        if flags & PRIORITIZED:
            if len(payload) < _PRIORITY_SIZE:
                raise Http2Error(Code.FRAME_SIZE_ERROR, "a HEADERS frame that is too short for its priority")
            depends = frames.number(payload[:4], "HEADERS") & LARGEST
            if depends == number:
                raise Http2Error(Code.PROTOCOL_ERROR, "a stream that depends on itself")
            payload = payload[_PRIORITY_SIZE:]
        if flags & END_HEADERS:
            self._on_block(number, flags, payload, events)
        else:
            self._block, self._block_of = [payload], (number, flags)

    def _on_continuation(self, number: int, flags: int, payload: bytes, events: list[Event]) -> None:
        pieces = self._block
        if pieces is None or number != self._block_of[0]:
            raise Http2Error(Code.PROTOCOL_ERROR, "a CONTINUATION of nothing")
        pieces.append(payload)
        if len(pieces) > self.bounds.continuations or sum(map(len, pieces)) > self.bounds.fields:
            raise Http2Error(Code.ENHANCE_YOUR_CALM, "a header block that is too long")
        if flags & END_HEADERS:
            self._block = None
            self._on_block(*self._block_of, b"".join(pieces), events)

    def _on_block(self, number: int, flags: int, block: bytes, events: list[Event]) -> None:
        if len(block) > self.bounds.fields:
            raise Http2Error(Code.ENHANCE_YOUR_CALM, "a header block that is too long")
        fields = self._decoder.decode(block)  # also of a stream that is gone: it changes the table
        stream = self._of(number, HEADERS)
        if stream is None:
            if number in self._left:
                return
            if not self.server:
                raise Http2Error(Code.PROTOCOL_ERROR, f"an answer on stream {number}, which is idle")
            stream = self._opened(number)
        self._headed(stream, fields, ended=bool(flags & END_STREAM), events=events)

    def _headed(self, stream: Stream, fields: Fields, *, ended: bool, events: list[Event]) -> None:
        if fields.too_long:
            raise StreamError(stream.id, Code.ENHANCE_YOUR_CALM)
        shape = fields.shape
        if stream.began:
            good = shape is Shape.TRAILERS and ended
        else:
            good = shape is (Shape.REQUEST if self.server else Shape.RESPONSE)
            if good and not self.server and fields.get(b":status").startswith(b"1"):
                self._nuisance("interim answers")
                if not ended:
                    return
                good = False
        if not good:
            raise StreamError(stream.id, Code.PROTOCOL_ERROR)
        if not stream.began:
            stream.began = True
            stream.expected = fields.length
        if ended:
            if stream.expected:
                raise StreamError(stream.id, Code.PROTOCOL_ERROR)
            self._they_ended(stream)
        events.append(Head(stream, fields, ended))

    def _opened(self, number: int) -> Stream:
        """A client's new stream."""
        self._highest = number
        if len(self.streams) >= self.bounds.streams or number > self._closing_at:
            self._nuisance("streams")
            raise StreamError(number, Code.REFUSED_STREAM)
        stream = self.streams[number] = Stream(number, self._first_window, self._first_credit)
        return stream

    def _on_priority(self, number: int, _: int, payload: bytes, __: list[Event]) -> None:
        if number == 0:
            raise Http2Error(Code.PROTOCOL_ERROR, "a priority without a stream")
        if len(payload) != _PRIORITY_SIZE:
            raise StreamError(number, Code.FRAME_SIZE_ERROR)
        if frames.number(payload[:4], "PRIORITY") & LARGEST == number:
            raise StreamError(number, Code.PROTOCOL_ERROR)
        self._nuisance("priorities", 0.1)

    def _on_reset(self, number: int, _: int, payload: bytes, events: list[Event]) -> None:
        code = frames.number(payload, "RST_STREAM")
        stream = self._of(number, RST_STREAM)
        self._nuisance("streams that are reset", 0.02 if stream is None else 1.0)
        if stream is not None:
            self._forget(stream)
            events.append(Reset(stream, Code.of(code), by_peer=True))

    def _on_window(self, number: int, _: int, payload: bytes, __: list[Event]) -> None:
        more = frames.number(payload, "WINDOW_UPDATE") & LARGEST
        if number == 0:
            self._window += more
            if more == 0 or self._window > LARGEST:
                code = Code.PROTOCOL_ERROR if more == 0 else Code.FLOW_CONTROL_ERROR
                raise Http2Error(code, f"a window that grows by {more} bytes")
            return
        stream = self._of(number, WINDOW_UPDATE)
        if stream is None:
            return
        stream.window += more
        if more == 0 or stream.window > LARGEST:
            raise StreamError(number, Code.PROTOCOL_ERROR if more == 0 else Code.FLOW_CONTROL_ERROR)

    # ------------------------------------------------------------ the connection

    def _on_settings(self, number: int, flags: int, payload: bytes, events: list[Event]) -> None:
        if number:
            raise Http2Error(Code.PROTOCOL_ERROR, "settings of a stream")
        if flags & ACK:
            if payload:
                raise Http2Error(Code.FRAME_SIZE_ERROR, "an acknowledgement with a payload")
            self._know_ours()
            return
        for key, value in frames.read_settings(payload):
            self._set(key, value)
        self._nuisance("settings")
        self.settled = True
        self.out.append(frames.frame(frames.SETTINGS, ACK, 0))
        events.append(Settled())

    def _know_ours(self) -> None:
        """The peer counts by our window from here on, also for what it has begun (RFC 9113, 6.9.2)."""
        more, self._first_credit = self.bounds.stream_window - self._first_credit, self.bounds.stream_window
        for stream in self.streams.values() if more else ():
            if stream.state is not State.THEY_ENDED:
                stream.credit += more
                if stream.credit < self.bounds.stream_window >> 1:
                    self._grant(stream)

    def _set(self, key: int, value: int) -> None:
        if key == frames.MAX_CONCURRENT_STREAMS:
            self.most = value
        elif key == frames.INITIAL_WINDOW_SIZE:
            if value > LARGEST:
                raise Http2Error(Code.FLOW_CONTROL_ERROR, f"a window of {value} bytes")
            more, self._first_window = value - self._first_window, value
            for stream in self.streams.values():
                stream.window += more
                if stream.window > LARGEST:
                    raise Http2Error(Code.FLOW_CONTROL_ERROR, f"a window of {stream.window} bytes")
        elif key == frames.MAX_FRAME_SIZE:
            if not 2**14 <= value < 2**24:
                raise Http2Error(Code.PROTOCOL_ERROR, f"frames of {value} bytes")
            self._frame = value
        elif key == frames.ENABLE_PUSH and value > (1 if self.server else 0):
            raise Http2Error(Code.PROTOCOL_ERROR, f"ENABLE_PUSH is {value}")

    def _on_push(self, _: int, __: int, ___: bytes, ____: list[Event]) -> None:
        raise Http2Error(Code.PROTOCOL_ERROR, "a push that nobody asked for")

    def _on_ping(self, number: int, flags: int, payload: bytes, events: list[Event]) -> None:
        if number:
            raise Http2Error(Code.PROTOCOL_ERROR, "a PING of a stream")
        if len(payload) != 8:
            raise Http2Error(Code.FRAME_SIZE_ERROR, f"a PING of {len(payload)} bytes")
        if flags & ACK:
            events.append(Ponged(payload))
        else:
            self._nuisance("pings", 0.02)  # some peers measure with one for each round trip
            self.out.append(frames.frame(frames.PING, ACK, 0, payload))

    def _on_goaway(self, number: int, _: int, payload: bytes, events: list[Event]) -> None:
        if number:
            raise Http2Error(Code.PROTOCOL_ERROR, "a GOAWAY of a stream")
        self._nuisance("farewells")
        events.append(GoneAway(*frames.read_goaway(payload)))

    def close(self) -> None:
        """A server takes no streams any more above the last one that came."""
        self._closing_at = self._highest
        self.go_away()
