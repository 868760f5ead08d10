"""The core of HTTP/2, without I/O: its rules, its windows, and its patience."""

import hpack
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator.http2 import fields, frames
from orchestrator.http2.connection import Connection
from orchestrator.http2.faults import Code
from orchestrator.http2.frames import END_HEADERS, END_STREAM, PREFACE, frame
from orchestrator.http2.sending import Bounds
from orchestrator.http2.streams import ARRIVES, Broken, Data, GoneAway, Head, Patience, Ponged, Reset, Settled, State

ASKED = fields.block([(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/x.Y/Z")])
ANSWERED = fields.block([(b":status", b"200")])
TRAILERS = fields.block([(b"grpc-status", b"0")])
SMALL = Bounds(streams=8, stream_window=300, window=70_000, frame=16_384)
HELLO = PREFACE + frames.settings({})


def plain(event):
    """An event as something that can be compared."""
    stream = getattr(event, "stream", None)
    rest = [value.pairs if isinstance(value, fields.Fields) else value for value in event if value is not stream]
    return (type(event).__name__, stream and stream.id, *rest)


def asked(number, flags=END_STREAM, block=ASKED):
    return frame(frames.HEADERS, flags | END_HEADERS, number, block)


# ---------------------------------------------------------------- any cut of the bytes


@given(st.data())
def test_bytes_mean_the_same_however_they_are_cut(data):
    client = Connection(server=False)
    for size in data.draw(st.lists(st.integers(0, 40_000), min_size=1, max_size=4)):
        client.open(ASKED, b"pre", bytes(size))
    client.ping(b"12345678")
    client.pump(50_000)
    wire = client.take()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=8)))
    whole, cut = Connection(server=True), Connection(server=True)

    once = [plain(event) for event in whole.receive(wire, 0.0)]
    pieces = [
        plain(event)
        for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)
        for event in cut.receive(wire[a:b], 0.0)
    ]

    assert pieces == once
    assert cut.take() == whole.take()


@given(st.binary(max_size=200), st.booleans(), st.booleans())
def test_any_bytes_break_a_connection_at_most(garbage, greeted, server):
    connection = Connection(server=server)

    events = connection.receive((HELLO if server else frames.settings({})) if greeted else b"", 0.0)
    events += connection.receive(garbage, 0.0)
    after = connection.receive(b"more", 0.0) if connection.broken else []

    assert [type(event) for event in events].count(Broken) == connection.broken
    assert after == []


@given(st.data())
def test_a_damaged_conversation_breaks_a_connection_at_most(data):
    client = Connection(server=False)
    for _ in range(3):
        client.open(
            hpack.Encoder().encode([(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/")]), b"", b"abc"
        )
    wire = bytearray(client.take())
    for _ in range(data.draw(st.integers(1, 4))):
        wire[data.draw(st.integers(24, len(wire) - 1))] = data.draw(st.integers(0, 255))
    server = Connection(server=True)

    events = server.receive(bytes(wire), 0.0)

    assert isinstance(events[-1], Broken) == server.broken if events else not server.broken


# ---------------------------------------------------------------- two sides

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(0, 2000)),
        st.tuples(st.just("answer"), st.integers(0, 2000)),
        st.tuples(st.just("cancel"), st.integers(0, 7)),
        st.tuples(st.just("pump"), st.integers(1, 3000)),
        st.tuples(st.just("carry"), st.integers(1, 4000)),
    ),
    max_size=40,
)


class Two:
    """A client and a server of small windows, and the bytes between them."""

    def __init__(self):
        self.client, self.server = Connection(server=False, bounds=SMALL), Connection(server=True, bounds=SMALL)
        self.to_server = self.to_client = b""
        self.waiting = {}  # the server's streams that are whole
        self.cancelled = set()
        self.got, self.sent = {}, {}
        self.bodies = {}

    def do(self, what, number):
        if what == "ask" and len(self.client.streams) < SMALL.streams:
            self.client.open(ASKED, b"p", bytes(number))
        elif what == "answer" and self.waiting:
            stream = self.waiting.pop(min(self.waiting))
            if stream.state is not State.CLOSED:
                self.sent[stream.id] = number
                self.server.respond(stream, ANSWERED, b"p", bytes(number), TRAILERS)
        elif what == "cancel" and self.client.streams:
            stream = list(self.client.streams.values())[number % len(self.client.streams)]
            self.cancelled.add(stream.id)
            self.client.reset(stream, Code.CANCEL)
        elif what == "pump":
            self.client.pump(number)
            self.server.pump(number)
        elif what == "carry":
            self.carry(number)

    def carry(self, number):
        self.to_server += self.client.take()
        self.to_client += self.server.take()
        piece, self.to_server = self.to_server[:number], self.to_server[number:]
        for event in self.server.receive(piece, 0.0):
            assert isinstance(event, Head | Data | Settled | Reset), event
            if isinstance(event, Reset):
                assert event.by_peer
                self.waiting.pop(event.stream.id, None)
            elif isinstance(event, Head | Data) and event.ended:
                self.waiting[event.stream.id] = event.stream
        piece, self.to_client = self.to_client[:number], self.to_client[number:]
        for event in self.client.receive(piece, 0.0):
            assert isinstance(event, Head | Data | Settled), event
            if isinstance(event, Data):
                self.got[event.stream.id] = self.got.get(event.stream.id, 0) + len(event.data)
        for side in (self.client, self.server):
            assert side._window >= 0
            assert side._credit >= 0
            assert all(stream.credit >= 0 for stream in side.streams.values())

    def finish(self):
        while True:
            before = (self.to_server, self.to_client, len(self.client.out), len(self.server.out), len(self.waiting))
            moved = self.client.pump(10_000) | self.server.pump(10_000)
            while self.waiting:
                self.do("answer", 100)
            self.carry(100_000)
            if not moved and before[:2] == (b"", b"") and before[2:] == (0, 0, 0):
                return


@settings(max_examples=60)
@example([("ask", 0), ("carry", 99), ("answer", 300)])  # a stream that is older than the peer's knowledge of its window
@example([("ask", 400), ("pump", 400), ("carry", 600)])  # and one that has had more of it than there is
@given(STEPS)
def test_whatever_both_sides_do_windows_hold_and_all_answers_come(steps):
    two = Two()

    for step in steps:
        two.do(*step)
    two.finish()

    assert not two.client.streams
    assert not two.server.streams
    assert not two.client.waits
    assert not two.server.waits
    whole = {number: size + 1 for number, size in two.sent.items() if number not in two.cancelled}
    assert {number: size for number, size in two.got.items() if number in whole} == whole


def test_a_window_that_the_peer_makes_smaller_holds_back_what_is_under_way():
    client = Connection(server=False)
    client.receive(frames.settings({frames.INITIAL_WINDOW_SIZE: 20_000}), 0.0)
    stream = client.open(ASKED, b"", bytes(30_000))
    client.pump(1 << 20)
    client.receive(frames.settings({frames.INITIAL_WINDOW_SIZE: 5_000}), 0.0)
    client.take()

    client.receive(frames.window_update(stream.id, 15_000), 0.0)
    stuck = client.pump(1 << 20)
    client.receive(frames.window_update(stream.id, 10_000), 0.0)
    went = client.pump(1 << 20)

    assert (stuck, went, client.waits) == (False, True, False)
    assert len(client.take()) == 10_000 + 9


def test_long_fields_are_cut_into_frames_and_read_again():
    client, server = Connection(server=False), Connection(server=True)
    client.open(ASKED + fields.literal(b"x", b"y" * 40_000), b"", b"abc")

    found = server.receive(client.take(), 0.0)

    assert dict(found[1].fields.pairs)[b"x"] == b"y" * 40_000


# ---------------------------------------------------------------- rules

BIG = Bounds().frame + 1
RULES = {
    "no preface": (b"GET / HTTP/1.1\r\n\r\n" * 2, Code.PROTOCOL_ERROR),
    "no settings": (PREFACE + frame(frames.PING, 0, 0, bytes(8)), Code.PROTOCOL_ERROR),
    "a frame too long": (HELLO + frames.HEAD.pack(BIG >> 8, BIG & 255, 0, 0, 1), Code.FRAME_SIZE_ERROR),
    "data without a stream": (HELLO + frame(frames.DATA, 0, 0), Code.PROTOCOL_ERROR),
    "data of an idle stream": (HELLO + frame(frames.DATA, 0, 1), Code.PROTOCOL_ERROR),
    "an even stream": (HELLO + asked(2), Code.PROTOCOL_ERROR),
    "a lower stream": (HELLO + asked(5) + asked(3), Code.STREAM_CLOSED),
    "an unreadable block": (HELLO + asked(1, block=b"\xff\xff\xff\xff\xff\xff\xff"), Code.COMPRESSION_ERROR),
    "a frame within a block": (HELLO + frame(frames.HEADERS, 0, 1, ASKED) + asked(3), Code.PROTOCOL_ERROR),
    "a continuation of nothing": (HELLO + frame(frames.CONTINUATION, END_HEADERS, 1, b""), Code.PROTOCOL_ERROR),
    "a push": (HELLO + frame(frames.PUSH_PROMISE, END_HEADERS, 1, bytes(4)), Code.PROTOCOL_ERROR),
    "settings of a stream": (HELLO + frame(frames.SETTINGS, 0, 1), Code.PROTOCOL_ERROR),
    "settings of an odd size": (HELLO + frame(frames.SETTINGS, 0, 0, bytes(5)), Code.FRAME_SIZE_ERROR),
    "a window too large": (HELLO + frames.settings({frames.INITIAL_WINDOW_SIZE: 2**31}), Code.FLOW_CONTROL_ERROR),
    "frames too small": (HELLO + frames.settings({frames.MAX_FRAME_SIZE: 100}), Code.PROTOCOL_ERROR),
    "a ping of 7 bytes": (HELLO + frame(frames.PING, 0, 0, bytes(7)), Code.FRAME_SIZE_ERROR),
    "a window of nothing": (HELLO + frames.window_update(0, 0), Code.PROTOCOL_ERROR),
    "windows that sum up": (HELLO + frames.window_update(0, 2**31 - 1), Code.FLOW_CONTROL_ERROR),
    "padding of all": (HELLO + asked(1, 0) + frame(frames.DATA, frames.PADDED, 1, b"\x09abc"), Code.PROTOCOL_ERROR),
    "a stream of its own parent": (
        HELLO + asked(1, frames.PRIORITIZED, bytes((0, 0, 0, 1, 0)) + ASKED), Code.PROTOCOL_ERROR
    ),
}  # fmt: skip


@pytest.mark.parametrize(("wire", "code"), RULES.values(), ids=RULES)
def test_who_breaks_a_rule_is_told_which_and_sent_away(wire, code):
    server = Connection(server=True)

    events = server.receive(wire, 0.0)
    server.out = server.out[-1:]
    told = Connection(server=False).receive(frames.settings({}) + server.take(), 0.0)

    assert (type(events[-1]), events[-1].code) == (Broken, code)
    assert [event.code for event in told if isinstance(event, GoneAway)] == [code]


STREAM_RULES = {
    "no path": (asked(1, block=fields.block([(b":method", b"GET"), (b":scheme", b"http")])), Code.PROTOCOL_ERROR),
    "data after the end": (asked(1) + frame(frames.DATA, 0, 1, b"x"), Code.STREAM_CLOSED),
    "fields after the end": (asked(1) + asked(1), Code.STREAM_CLOSED),
    "trailers that do not end": (asked(1, 0) + asked(1, 0, TRAILERS), Code.PROTOCOL_ERROR),
    "less than was announced": (
        asked(1, 0, ASKED + fields.literal(b"content-length", b"9")) + frame(frames.DATA, END_STREAM, 1, b"x"),
        Code.PROTOCOL_ERROR,
    ),
    "more than the window": (asked(1, 0) + frame(frames.DATA, 0, 1, bytes(301)), Code.FLOW_CONTROL_ERROR),
    "a window of nothing": (asked(1, 0) + frames.window_update(1, 0), Code.PROTOCOL_ERROR),
    "too many": (b"".join([asked(number, 0) for number in range(1, 19, 2)]), Code.REFUSED_STREAM),
    "fields that unfold to too much": (
        asked(1, 0, ASKED + b"\x40\x01x\x7f\x81\x1e" + b"y" * 3_968 + b"\xbe" * 100), Code.ENHANCE_YOUR_CALM
    ),
}  # fmt: skip


@pytest.mark.parametrize(("wire", "code"), STREAM_RULES.values(), ids=STREAM_RULES)
def test_who_breaks_a_streams_rule_loses_that_stream_alone(wire, code):
    server = Connection(server=True, bounds=SMALL)
    server.receive(HELLO + frame(frames.SETTINGS, frames.ACK, 0), 0.0)
    server.take()

    events = server.receive(wire + frame(frames.PING, 0, 0, b"and then"), 0.0)
    sent = server.take()

    assert not any(isinstance(event, Broken) for event in events)
    assert frames.reset(17 if code is Code.REFUSED_STREAM else 1, code) in sent
    assert sent.endswith(frame(frames.PING, frames.ACK, 0, b"and then"))


FLOODS = {
    "resets": b"".join([asked(number, 0) + frames.reset(number, Code.CANCEL) for number in range(1, 401, 2)]),
    "pings": frame(frames.PING, 0, 0, bytes(8)) * 6000,
    "settings": frames.settings({}) * 200,
    "empty data": asked(1, 0) + frame(frames.DATA, 0, 1) * 200,
    "unknown frames": frame(99, 0, 0) * 200,
    "refused streams": b"".join([asked(number, 0) for number in range(1, 401, 2)]),
    "continuations": frame(frames.HEADERS, 0, 1, ASKED) + frame(frames.CONTINUATION, 0, 1) * 200,
    "a long block": frame(frames.HEADERS, 0, 1, ASKED) + frame(frames.CONTINUATION, 0, 1, bytes(16_000)) * 5,
}


@pytest.mark.parametrize("wire", FLOODS.values(), ids=FLOODS)
def test_a_flood_is_ended(wire):
    server = Connection(server=True, bounds=Bounds(streams=10, nuisances=100.0, nuisances_per_second=1.0))
    server.receive(HELLO, 0.0)

    events = server.receive(wire, 0.0)

    assert (type(events[-1]), events[-1].code) == (Broken, Code.ENHANCE_YOUR_CALM)
    assert len(server.streams) <= 10


def test_a_peer_that_measures_each_round_trip_with_a_ping_is_no_flood():
    server = Connection(server=True)
    server.receive(HELLO, 0.0)

    for tenth in range(100):
        server.receive(frame(frames.PING, 0, 0, bytes(8)) * 500, tenth / 10)  # 5,000 in a second

    assert not server.broken
    assert server.take().count(frame(frames.PING, frames.ACK, 0, bytes(8))) == 50_000


def test_patience_comes_back_with_time():
    patience = Patience(2.0, 1.0)

    said = [patience.allows(now) for now in (0.0, 0.0, 0.0, 2.0, 2.0, 2.0)]

    assert said == [True, True, False, True, False, False]


def test_what_was_under_way_when_we_left_a_stream_is_passed_over():
    server = Connection(server=True)
    server.receive(HELLO + asked(1, 0), 0.0)
    server.reset(server.streams[1], Code.CANCEL)
    server.take()

    events = server.receive(
        frame(frames.DATA, 0, 1, b"late") + frames.window_update(1, 5) + asked(1, END_STREAM, TRAILERS), 0.0
    )

    assert (events, server.take()) == ([], b"")


def test_a_client_passes_interim_answers_over_and_takes_none_that_it_did_not_ask_for():
    client = Connection(server=False)
    client.open(ASKED, b"", b"x")
    client.receive(frames.settings({}), 0.0)

    interim = client.receive(asked(1, 0, fields.block([(b":status", b"100")])), 0.0)
    answer = client.receive(asked(1, 0, ANSWERED), 0.0)
    unasked = client.receive(asked(3, 0, ANSWERED), 0.0)

    assert interim == []
    assert [plain(event)[:2] for event in answer] == [("Head", 1)]
    assert unasked[0].code is Code.PROTOCOL_ERROR


def test_streams_above_the_last_word_are_refused():
    server = Connection(server=True)
    server.receive(HELLO + asked(1), 0.0)
    server.close()
    server.take()

    events = server.receive(asked(3), 0.0)

    assert [type(event) for event in events] == []
    assert frames.reset(3, Code.REFUSED_STREAM) in server.take()


def test_a_ping_comes_back():
    client, server = Connection(server=False), Connection(server=True)
    client.ping(b"12345678")
    server.receive(client.take(), 0.0)

    events = client.receive(server.take(), 0.0)

    assert [event for event in events if isinstance(event, Ponged)] == [Ponged(b"12345678")]


def test_every_state_has_a_verdict_on_every_frame():
    kinds = (frames.DATA, frames.HEADERS, frames.RST_STREAM, frames.WINDOW_UPDATE)

    assert set(ARRIVES) == {(state, kind) for state in State for kind in kinds}
