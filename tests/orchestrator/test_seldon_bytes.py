"""The few places where bodies are read or changed."""

import contextlib
import gzip
import json
import math
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import BadPayloadError, BadRouteError
from orchestrator.protocols import jsontext, seldon
from orchestrator.protocols.payload import Payload

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_escaping_keeps_the_meaning_and_leaves_nothing_for_a_browser(value):
    body = json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")

    escaped = jsontext.escaped(body)

    assert json.loads(escaped) == json.loads(body)
    assert not any(mark in escaped for mark in (b"<", b">", b"&", "\u2028".encode(), "\u2029".encode()))


@given(st.dictionaries(st.text(), values), st.dictionaries(st.text(), st.integers(-2, 9)))
def test_routing_is_added_and_all_else_is_kept(message, routing):
    before = json.loads(json.dumps(message))

    after = json.loads(seldon.with_routing(json.dumps(message).encode(), routing))

    meta = before.pop("meta", None)
    found = after.pop("meta")
    assert after == before
    kept = meta if isinstance(meta, dict) else {}
    old = kept.get("routing")
    assert found == {**kept, "routing": {**(old if isinstance(old, dict) else {}), **routing}}


@pytest.mark.parametrize("body", [b"", b"no json", b"[1]", b"7", b'"text"', b"\xff"])
def test_routing_leaves_what_is_no_object_alone(body):
    assert seldon.with_routing(body, {"r": 1}) == body


def test_routing_keeps_nan_and_wide_integers():
    body = b'{"a":NaN,"b":123456789012345678901234567890,"c":null}'

    after = json.loads(seldon.with_routing(body, {}))

    assert math.isnan(after["a"])
    assert (after["b"], after["c"]) == (123456789012345678901234567890, None)


@given(st.binary(max_size=60) | values.map(lambda value: json.dumps(value).encode()))
def test_any_reply_has_a_route_or_is_a_bad_one(body):
    try:
        route = seldon.route(body)
    except BadRouteError:
        return
    assert isinstance(route, int)


@pytest.mark.parametrize(
    ("body", "route"),
    [
        (b'{"data":{"names":["x"]}}', -1),
        (b'{"data":{"ndarray":[-2.0]}}', -2),
        (b'{"data":{"ndarray":["3"]}}', 3),
        (b'{"data":{"tensor":{"values":[2,5]}}}', 2),
    ],
)
def test_routes_in_other_forms(body, route):
    assert seldon.route(body) == route


@given(st.binary(max_size=60) | values.map(lambda value: json.dumps(value).encode()))
def test_any_feedback_has_a_routing_or_is_a_bad_payload(body):
    try:
        routing = seldon.routing_of_feedback(body)
    except BadPayloadError:
        return
    assert all(isinstance(taken, int) for taken in routing.values())


@given(st.lists(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=2), min_size=1, max_size=5))
def test_the_average_of_some_rows_is_their_mean(rows):
    payloads = [Payload(json.dumps({"data": {"ndarray": [row]}}).encode()) for row in rows]

    mean = json.loads(seldon.averaged(payloads).body)["data"]["ndarray"][0]

    assert mean == pytest.approx([sum(column) / len(rows) for column in zip(*rows, strict=True)])


@pytest.mark.parametrize(
    "others",
    [
        {"data": {"ndarray": [[1]]}},
        {"data": {"ndarray": [["a", "b"]]}},
        {"data": {"ndarray": [[True, False]]}},
        {"strData": "x"},
        [],
        {"data": {"tensor": {"shape": [2, 1], "values": [1, 2]}}},
    ],
)
def test_what_cannot_be_averaged_is_said(others):
    first = {"data": {"ndarray": [[1, 2]]}}

    with pytest.raises(BadPayloadError, match="AVERAGE_COMBINER"):
        seldon.averaged([Payload(json.dumps(message).encode()) for message in (first, others)])


numbers = st.recursive(
    st.integers(-(10**400), 10**400) | st.floats(allow_nan=False) | st.none(), st.lists, max_leaves=4
)
answers = st.dictionaries(
    st.sampled_from(["data", "meta", "strData"]),
    st.dictionaries(
        st.sampled_from(["tensor", "ndarray", "names"]),
        numbers | st.dictionaries(st.sampled_from(["shape", "values"]), numbers),
    )
    | values,
)


@given(st.lists(answers, min_size=1, max_size=3))
def test_any_answers_are_averaged_or_it_is_said_why_not(messages):
    mean = None
    with contextlib.suppress(BadPayloadError):
        mean = seldon.averaged([Payload(json.dumps(message).encode()) for message in messages])

    assert mean is None or isinstance(json.loads(mean.plain())["data"], dict)


def test_tensors_of_different_shapes_are_not_averaged():
    messages = [{"data": {"tensor": {"shape": shape, "values": [1, 2]}}} for shape in ([1, 2], [2, 1])]

    with pytest.raises(BadPayloadError, match="different shapes"):
        seldon.averaged([Payload(json.dumps(message).encode()) for message in messages])


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        (b"", bytes),
        (b"identity", bytes),
        (b"gzip", gzip.compress),
        (b" GZIP ", gzip.compress),
        (b"deflate", zlib.compress),
        (b"deflate", lambda body: zlib.compressobj(wbits=-15).compress(body) + b"" or body),
    ],
    ids=["none", "identity", "gzip", "GZIP", "deflate", "raw deflate"],
)
def test_bodies_are_read_through_their_compression(encoding, pack):
    body = b'{"a": 1}' * 10
    if encoding == b"deflate" and pack is not zlib.compress:
        packer = zlib.compressobj(wbits=-15)
        packed = packer.compress(body) + packer.flush()
    else:
        packed = pack(body)

    assert Payload(packed, encoding=encoding).plain() == body


@pytest.mark.parametrize(
    ("body", "encoding", "words"),
    [
        (b"x", b"br", "not known"),
        (b"no gzip", b"gzip", "broken"),
        (gzip.compress(b"x" * 1000)[:-10], b"gzip", "too early"),
        (gzip.compress(b"x" * 10_000_000), b"gzip", "longer than"),
    ],
    ids=["unknown", "broken", "cut", "long"],
)
def test_compression_that_cannot_be_undone_is_the_senders_error(body, encoding, words):
    payload = Payload(body, encoding=encoding)
    payload.longest = 1_000_000

    with pytest.raises(BadPayloadError, match=words):
        payload.plain()
