"""Header blocks and gRPC's own notation, held to the hpack library and to grpc's rules."""

import gzip
import zlib

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.http2 import fields, messages
from orchestrator.http2.faults import Code, Http2Error
from orchestrator.http2.fields import Decoder, Fields, Shape
from orchestrator.http2.status import RpcError, Status, of_http

NAMES = st.sampled_from([b":path", b"content-type", b"x-request-id", b"grpc-timeout", b"authorization", b"x-y"])
VALUES = st.one_of(st.binary(max_size=12), st.sampled_from([b"a" * 200, b"/x.Y/Z", b"application/grpc"]))
PAIRS = st.lists(st.tuples(NAMES, VALUES), max_size=6).map(tuple)


@given(st.lists(PAIRS, max_size=8), st.booleans())
def test_what_another_encoder_writes_is_read_however_its_table_changes(lists, huffman):
    encoder, decoder = hpack.Encoder(), Decoder(1 << 20)

    blocks = [encoder.encode(pairs, huffman=huffman) for pairs in [*lists, *lists]]

    assert [decoder.decode(block).pairs for block in blocks] == [*lists, *lists]


@given(PAIRS)
def test_what_we_write_is_read_by_another_decoder_and_changes_nothing_there(pairs):
    decoder = hpack.Decoder()

    read = [tuple(decoder.decode(fields.block(pairs), raw=True)) for _ in range(2)]

    assert read == [pairs, pairs]
    assert not decoder.header_table.dynamic_entries


def test_a_block_that_comes_again_is_the_same_object_until_the_table_changes():
    encoder, decoder = hpack.Encoder(), Decoder(1 << 20)
    pairs = [(b":path", b"/a"), (b"x", b"y")]
    decoder.decode(encoder.encode(pairs))
    block = encoder.encode(pairs)

    first, second = decoder.decode(block), decoder.decode(block)
    decoder.decode(encoder.encode([(b"other", b"field")]))
    shifted = decoder.decode(block)  # the same bytes now mean other fields

    assert first is second
    assert first.pairs == tuple(pairs)
    assert shifted.pairs == ((b"x", b"y"), (b"other", b"field"))


@given(st.binary(max_size=60))
def test_any_bytes_are_a_block_or_an_error_of_compression(block):
    try:
        code = Decoder(1000).decode(block) and None
    except Http2Error as error:
        code = error.code

    assert code in {None, Code.COMPRESSION_ERROR}


def test_a_list_that_unfolds_to_too_much_is_told_and_the_table_stays_right():
    encoder, decoder = hpack.Encoder(), Decoder(1000)
    big = (b"x", b"y" * 900)
    decoder.decode(encoder.encode([big]))

    bomb = decoder.decode(encoder.encode([big] * 50))
    after = decoder.decode(encoder.encode([(b"a", b"b")]))

    assert (bomb.too_long, len(bomb.pairs)) == (True, 1)
    assert (after.too_long, after.pairs) == (False, ((b"a", b"b"),))


REQUEST = ((b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/"))


@pytest.mark.parametrize(
    ("pairs", "shape"),
    [
        (REQUEST, Shape.REQUEST),
        ((*REQUEST, (b":authority", b"a"), (b"te", b"trailers")), Shape.REQUEST),
        (((b":status", b"200"), (b"x", b"y")), Shape.RESPONSE),
        (((b"grpc-status", b"0"),), Shape.TRAILERS),
        ((), Shape.TRAILERS),
        (REQUEST[:2], Shape.MALFORMED),
        ((*REQUEST, REQUEST[0]), Shape.MALFORMED),
        ((*REQUEST, (b":status", b"200")), Shape.MALFORMED),
        (((b"x", b"y"), *REQUEST), Shape.MALFORMED),
        ((*REQUEST[:2], (b":path", b"")), Shape.MALFORMED),
        ((*REQUEST, (b"X", b"y")), Shape.MALFORMED),
        ((*REQUEST, (b"x y", b"y")), Shape.MALFORMED),
        ((*REQUEST, (b"", b"y")), Shape.MALFORMED),
        ((*REQUEST, (b"x", b"a\r\nb")), Shape.MALFORMED),
        ((*REQUEST, (b"connection", b"close")), Shape.MALFORMED),
        ((*REQUEST, (b"te", b"gzip")), Shape.MALFORMED),
        ((*REQUEST, (b"content-length", b"ten")), Shape.MALFORMED),
        ((*REQUEST, (b"content-length", b"1"), (b"content-length", b"2")), Shape.MALFORMED),
    ],
)
def test_what_fields_are(pairs, shape):
    assert Fields(pairs).shape is shape


# ---------------------------------------------------------------- gRPC's notation


@given(st.lists(st.binary(max_size=300), max_size=5), st.data())
def test_messages_are_found_however_they_are_cut(bodies, data):
    stream = b"".join([messages.prefix(body) + body for body in bodies])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    assembly = messages.Assembly(1000)

    found = [one for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True) for one in assembly.take(stream[a:b])]

    assert found == bodies
    assert not assembly.started


@pytest.mark.parametrize(
    ("packed", "encoding", "status"),
    [
        (gzip.compress(b"hello"), b"gzip", None),
        (zlib.compress(b"hello"), b"deflate", None),
        (gzip.compress(b"hello"), b"", Status.INTERNAL),
        (gzip.compress(b"hello"), b"snappy", Status.INTERNAL),
        (gzip.compress(b"hello")[:-9], b"gzip", Status.INTERNAL),
        (b"no gzip", b"gzip", Status.INTERNAL),
        (gzip.compress(bytes(2000)), b"gzip", Status.RESOURCE_EXHAUSTED),
    ],
    ids=[
        "gzip",
        "deflate",
        "no word of it",
        "not known",
        "cut",
        "broken",
        "long",
    ],  # gzip's bytes have the time in them
)
def test_packed_messages(packed, encoding, status):
    assembly = messages.Assembly(1000, encoding)
    stream = b"\1" + len(packed).to_bytes(4, "big") + packed
    try:
        outcome = assembly.take(stream)
    except RpcError as error:
        outcome = error.status

    assert outcome == ([b"hello"] if status is None else status)


@given(st.floats(0.0005, 1e7))
def test_a_time_is_said_no_shorter_than_it_is(seconds):
    read = messages.timeout(messages.said_timeout(seconds))

    assert read is not None
    assert seconds - 1e-6 <= read <= seconds + (0.001 if seconds < 99_000 else 1.0) + 1e-6


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (b"1H", 3600), (b"2M", 120), (b"3S", 3), (b"4m", 0.004), (b"5u", 5e-6), (b"6n", 6e-9), (b"7", None),
        (b"m", None), (b"-1S", None), (b"123456789S", None), (b"1.5S", None),
    ],
)  # fmt: skip
def test_times_are_read(said, seconds):
    assert messages.timeout(said) == (None if seconds is None else pytest.approx(seconds))


@given(st.sampled_from(list(Status)), st.text(st.characters(codec="utf-8"), max_size=30), st.binary(max_size=20))
def test_an_outcome_is_read_as_it_was_said(status, details, binary):
    error = RpcError(status, details, (("grpc-status-details-bin", binary), ("why", "rain"), ("x-bin", binary)))

    read = messages.outcome(messages.trailing(error))

    assert (read.status, read.details) == (status, details)
    assert sorted(read.trailing) == sorted(error.trailing)


@pytest.mark.parametrize(
    ("pairs", "status"),
    [
        ([], Status.UNKNOWN),
        ([(b"grpc-status", b"17")], Status.UNKNOWN),
        ([(b"grpc-status", b"x")], Status.UNKNOWN),
        ([(b"grpc-status", b"5"), (b"grpc-message", b"%zz")], Status.NOT_FOUND),
    ],
)
def test_outcomes_that_are_said_badly(pairs, status):
    assert messages.outcome(pairs).status is status


def test_metadata_that_has_no_place_in_fields_is_left_out():
    said = (
        ("ok", "yes"),
        ("Upper", "x"),
        ("a b", "x"),
        ("te", "x"),
        ("grpc-timeout", "1S"),
        ("line", "a\nb"),
        ("k-bin", b"\0"),
    )

    assert messages.fields(said) == [(b"ok", b"yes"), (b"k-bin", b"AA")]


def test_what_a_proxy_answers_is_a_status():
    codes = {
        code: of_http(code.encode()).name for code in ("400", "401", "403", "404", "429", "502", "503", "504", "418")
    }

    assert codes == {
        "400": "INTERNAL", "401": "UNAUTHENTICATED", "403": "PERMISSION_DENIED", "404": "UNIMPLEMENTED",
        "429": "UNAVAILABLE", "502": "UNAVAILABLE", "503": "UNAVAILABLE", "504": "UNAVAILABLE", "418": "UNKNOWN",
    }  # fmt: skip
