"""A reply that comes in pieces becomes the request that it becomes when it is whole, however it is cut."""

import asyncio
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import BadPayloadError, OverloadedError
from orchestrator.flow import Flow
from orchestrator.onward import onward
from orchestrator.protocols import members
from orchestrator.protocols.openinference import OpenInference
from orchestrator.protocols.payload import Payload
from orchestrator.protocols.tensorflow import TensorFlow
from orchestrator.protocols.turning import Turning
from orchestrator.room import Hold, Room

PROTOCOLS = [OpenInference(), TensorFlow()]
NAMES = ["outputs", "inputs", "predictions", "instances", "id", "parameters", "model_name", "", "a"]
TEXTS = st.text(alphabet='ab"\\/{}[]:,\n é\u2028😀', max_size=8)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.sampled_from(NAMES)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS | st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=12,
)
BLANKS = st.text(alphabet=" \t\r\n", max_size=3)


def name(draw):
    """A name as JSON: as it is, or with some of its characters as escapes."""
    found = draw(st.sampled_from(NAMES) | TEXTS)
    escaped = "".join([f"\\u{ord(one):04x}" for one in found[:1] if ord(one) < 0xD800]) + json.dumps(found[1:])[1:-1]
    return f'"{escaped}"' if draw(st.booleans()) else json.dumps(found, ensure_ascii=draw(st.booleans()))


@st.composite
def objects(draw):
    """Objects as JSON, with blanks, escapes and the same name twice."""
    members = [
        "".join(
            [
                *(draw(BLANKS), name(draw), draw(BLANKS), ":", draw(BLANKS)),
                *(json.dumps(draw(VALUES), ensure_ascii=draw(st.booleans())), draw(BLANKS)),
            ]
        )
        for _ in range(draw(st.integers(0, 5)))
    ]
    return (draw(BLANKS) + "{" + ",".join(members) + "}" + draw(BLANKS)).encode()


@st.composite
def broken(draw):
    """The same, cut and with something else put in."""
    text = draw(objects())
    at = draw(st.integers(0, len(text)))
    put = draw(st.text(alphabet='"\\{}[]:,0x ', max_size=3) | st.sampled_from([',"outputs":', '"id":1', "null"]))
    return text[:at] + put.encode() + text[at + draw(st.integers(0, 3)) :]


def whole(rest, body):
    """What it becomes when it is whole, read; or what it is refused with."""
    try:
        return parsed(rest.chained(Payload(body)).body)
    except BadPayloadError:
        return BadPayloadError


def parsed(body):
    try:
        return json.dumps(json.loads(body), sort_keys=True)  # as text: NaN is not itself, and -0.0 is 0
    except ValueError:
        return BadPayloadError  # the next node will say so


def in_pieces(rest, body, cuts):
    said = rest.turn.said_at_first(body)
    if said != rest.turn.answered:
        return whole(rest, body)
    change, found = Turning(rest.turn), b""
    try:
        for begin, end in zip([0, *cuts], [*cuts, len(body)], strict=True):
            found += change(body[begin:end])
        return parsed(found + change.rest())
    except BadPayloadError:
        return BadPayloadError


def check(rest, body, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))

    assert in_pieces(rest, body, cuts) == whole(rest, body)
    assert in_pieces(rest, body, range(1, len(body))) == whole(rest, body)


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(PROTOCOLS), objects(), st.data())
def test_any_object_in_any_pieces_becomes_what_it_becomes_whole(rest, body, data):
    check(rest, body, data)


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(PROTOCOLS), broken(), st.data())
def test_what_is_no_json_is_refused_or_stays_none_and_is_never_mended(rest, body, data):
    check(rest, body, data)


REPLIES = [
    (0, b'{"outputs":[1],"outputs":[2],"id":"x","id":"y"}', b'{"inputs":[2],"id":"y"}'),
    (0, b'{"outputs":[1],"inputs":[2]}', b'{"inputs":[1]}'),
    (0, b'{"inputs":[1],"outputs":[2],"model_name":"m"}', None),
    (
        0,
        b'{"model_name":"m","parameters":{"outputs":[3]},"outputs":{"outputs":"}"}}',
        b'{"inputs":{"outputs":"}"},"parameters":{"outputs":[3]}}',
    ),
    (0, b'{"\\u006futputs":"]\\\\\\"\\\\"}', b'{"inputs":"]\\\\\\"\\\\"}'),
    (
        0,
        b' { "outputs" : NaN , "parameters" : { "big" : 123456789012345678901 } } ',
        b'{"inputs":NaN,"parameters":{"big":123456789012345678901}}',
    ),
    (1, b'{"predictions":[[1]],"instances":[2]}', b'{"instances":[[1]]}'),
    (1, b'{"inputs":{"a":1},"predictions":[2]}', None),
    (1, b'{"predictions":-1.5e-3}', b'{"instances":-1.5e-3}'),
]


@pytest.mark.parametrize(("at", "reply", "request_"), REPLIES)
def test_the_first_of_the_names_says_what_it_is(at, reply, request_):
    rest = PROTOCOLS[at]
    expected = parsed(reply if request_ is None else request_)

    assert whole(rest, reply) == expected
    assert in_pieces(rest, reply, [7, 9]) == expected
    assert (rest.turn.said_at_first(reply) == rest.turn.answered) is (request_ is not None)


def test_long_tensors_of_every_kind_pass_as_they_are():
    rows = [[index / 7, -1.5e-9, 0] for index in range(9000)]
    words = ['a"]}\\', "x" * 70_000, "\\" * 999, *[f"w{index}" for index in range(9000)]]
    deep = json.loads("[" * 500 + "]" * 500)
    reply = {"model_name": "m", "outputs": [rows, words, deep, {"a": [{}] * 5000}], "id": "7"}
    body, rest = json.dumps(reply).encode(), PROTOCOLS[0]

    for size in (1000, 65_536, 262_144):
        assert in_pieces(rest, body, range(size, len(body), size)) == parsed(
            json.dumps({"inputs": reply["outputs"], "id": "7"})
        )


def test_what_cannot_be_a_message_of_ours_is_refused_before_it_is_all_here():
    change = Turning(PROTOCOLS[0].turn)
    change(b'{"outputs":')

    with pytest.raises(BadPayloadError, match="1024 levels"):
        change(b"[" * 2000)
    with pytest.raises(BadPayloadError, match="4096 bytes"):
        Turning(PROTOCOLS[0].turn)(b'{"outputs":1,"' + b"x" * 5000)
    with pytest.raises(BadPayloadError, match="more than 1000 members"):
        Turning(PROTOCOLS[0].turn)(b'{"outputs":1' + b',"a":1' * 1000 + b"}")


@pytest.mark.parametrize("value", [b"[1]", b'"x"', b'{"a":"[{"}'])
def test_many_short_members_are_not_looked_at_again_and_again(monkeypatch, value):
    looked, goes_on = [], members._Value._goes_on

    def counted(self, window):
        looked.append(len(window))
        return goes_on(self, window)

    monkeypatch.setattr(members._Value, "_goes_on", counted)
    body = b'{"outputs":[2]' + b"".join([b',"%d":%b' % (at, value) for at in range(900)]) + b"}"

    Turning(PROTOCOLS[0].turn)(body + b" " * 100_000)

    assert sum(looked) < 10 * len(body)


@pytest.mark.parametrize(("count", "flows"), [(10, True), (2000, False)])
async def test_a_reply_with_very_many_members_is_turned_whole(count, flows):
    reply = Payload(b"")
    reply.flow = flow = Flow(None)
    body = b'{"outputs":[2]' + b"".join([b',"%d":1' % at for at in range(count)]) + b"}"
    flow.feed(body)
    flow.end()

    request = await onward(PROTOCOLS[0], reply, None)
    found = request.body
    while request.flow is not None and (pieces := await request.flow.take()):
        found += b"".join(pieces)

    assert (request.flow is not None) is flows
    assert parsed(found) == whole(PROTOCOLS[0], body)


@pytest.mark.parametrize("ended", [True, False])
@pytest.mark.parametrize("member", [b'"outputs":[%b]', b'"inputs":[%b]', b'"other":"%b"'])
async def test_what_is_kept_of_a_flow_is_what_does_not_pass(member, ended):
    """The tensors pass; what does not say at once what it is, or has more beside them, is kept and counted."""
    room = Room(1 << 30)
    hold, other, flow = Hold(room), Hold(room), Flow(None)
    other.take(1)
    reply = Payload(b"")
    reply.flow = flow
    body = b"{" + member % (b"1" * 100_000) + b',"outputs":[2],"inputs":[3]}'
    flow.feed(body[:70_000])
    if ended:
        flow.feed(body[70_000:])
        flow.end()
    asking = asyncio.ensure_future(onward(PROTOCOLS[0], reply, hold))
    await asyncio.sleep(0)
    if not ended:
        flow.feed(body[70_000:])
        flow.end()

    request = await asking
    found = request.body
    while request.flow is not None and (pieces := await request.flow.take()):
        found += b"".join(pieces)

    assert parsed(found) == whole(PROTOCOLS[0], body)
    assert (hold.size >= len(body)) is member.startswith(b'"other')


async def test_what_is_kept_has_to_fit_beside_other_requests():
    room = Room(100_000)
    hold, other, flow, gone = Hold(room), Hold(room), None, []
    other.take(50_000)
    flow = Flow(None, dropped=lambda: gone.append(True))
    reply = Payload(b"")
    reply.flow = flow
    flow.feed(b'{"outputs":[1],"parameters":{"a":"' + b"x" * 70_000)
    await onward(PROTOCOLS[0], reply, hold)

    with pytest.raises(OverloadedError):
        await flow.take()
    assert gone == [True]
