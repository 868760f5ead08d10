"""Clients that ask in ways that are unusual, or meant to do harm: each gets a clear answer, and nobody else is hurt."""

import asyncio
import gzip
import zlib

import pytest
from tempers import answering

PREDICT = b"/api/v1.0/predictions"


def request(*lines: bytes, target: bytes = PREDICT, method: bytes = b"POST", body: bytes = b"{}") -> bytes:
    start = b"%b %b HTTP/1.1" % (method, target)
    return b"\r\n".join([start, b"Host: x", *lines, b"Content-Length: %d" % len(body), b"", body])


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"http://x:80" + PREDICT, 200),
        (b"http://x" + PREDICT + b"?a=http://y/", 200),
        (b"http://x", 404),
        (b"*", 404),
    ],
)
async def test_a_target_may_name_the_server_too(node, orchestrate, make_unit, target, status):
    running = await orchestrate(make_unit("m", (await node()).port))

    assert (await running.wire.send(request(target=target))).status == status


@pytest.mark.parametrize("lines", [[b"Connection: close, X-Mine"], [b"Connection: x-mine", b"Connection: keep-alive"]])
async def test_headers_for_one_connection_alone_go_no_further(node, orchestrate, make_unit, lines):
    asked = await node()
    running = await orchestrate(make_unit("m", asked.port))

    await running.wire.send(request(*lines, b"X-Mine: 1", b"X-Other: 2"))

    names = [name for name, _ in asked.requests[0].headers]
    assert b"x-other" in names
    assert b"x-mine" not in names


@pytest.mark.parametrize(
    ("protocol", "path", "asked_for"),
    [
        ("v2", "/v2/models/..%2F..%2Fadmin/infer", "/v2/models/..%2F..%2Fadmin/infer"),
        ("v2", "/v2/models/a%0d%0aX:%20y/infer", "/v2/models/a%0D%0AX%3A%20y/infer"),
        ("tensorflow", "/v1/models/..%2Fadmin:predict", "/v1/models/..%2Fadmin:predict"),
    ],
)
async def test_a_models_name_leads_to_no_other_path_of_its_node(
    node, orchestrate, make_unit, protocol, path, asked_for
):
    asked = await node()
    running = await orchestrate(make_unit("m", asked.port), protocol=protocol)

    await running.wire.post(path, {})

    assert asked.paths == [asked_for]


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
async def test_an_answer_that_ends_with_its_head_says_no_length(raw_node, orchestrate, make_unit, status):
    running = await orchestrate(make_unit("m", await raw_node(answering(b"HTTP/1.1 %b\r\n\r\n" % status))))
    reader, writer = await running.wire.connect()

    writer.write(request() + request(target=b"/live", method=b"GET", body=b""))
    head = await reader.readuntil(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 " + status)
    assert b"Content-Length" not in head
    assert (await reader.readuntil(b"live")).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("route", [b"1e400", b"-1e400", b"NaN", b"0.5"])
async def test_feedback_for_a_way_that_is_no_number_is_the_clients_error(node, orchestrate, make_unit, route):
    child = make_unit("a", (await node()).port)
    running = await orchestrate(
        {"name": "r", "implementation": "EPSILON_GREEDY", "children": [child, child | {"name": "b"}]}
    )

    answer = await running.wire.post("/api/v1.0/feedback", b'{"response":{"meta":{"routing":{"r":%b}}}}' % route)

    assert (answer.status, answer.json()["status"]["reason"]) == (400, "BAD_PAYLOAD")
    assert "meta.routing['r']" in answer.json()["status"]["info"]


@pytest.mark.parametrize("depth", [200, 900, 1000, 1020, 3000])
async def test_an_answer_however_deep_comes_back_whole_from_a_graph_that_routes(node, orchestrate, make_unit, depth):
    child = make_unit("a", (await node()).port)
    running = await orchestrate({"name": "r", "implementation": "SIMPLE_ROUTER", "children": [child]})
    deep = b"[" * depth + b"]" * depth

    answer = await running.wire.predict(b'{"jsonData":' + deep + b"}")

    assert answer.status == 200
    assert b'{"jsonData":' + deep in answer.body


async def test_what_fails_in_us_is_counted_as_our_failure(node, orchestrate, make_unit, monkeypatch):
    running = await orchestrate(make_unit("m", (await node()).port))

    async def broken(payload, context):
        raise ZeroDivisionError

    monkeypatch.setattr(running.application.doors, "_serve", broken)
    answer = await running.wire.predict({})

    counted = await running.wire.metrics()
    codes = [name for name in counted if "server_requests_seconds_count" in name and "predictions" in name]
    assert answer.status == 500
    assert [name.rpartition("code=")[2] for name in codes] == ['"500"}']


async def feedback(running, data: bytes, encoding: str):
    return await running.wire.post("/api/v1.0/feedback", data, **{"Content-Encoding": encoding})


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_body_that_grows_beyond_the_limit_is_refused(node, orchestrate, make_unit, encoding):
    running = await orchestrate(make_unit("m", (await node()).port), max_body=20_000)
    bomb = b'{"a":"' + b"x" * 1_000_000 + b'"}'

    answer = await feedback(running, (gzip if encoding == "gzip" else zlib).compress(bomb), encoding)

    assert answer.status == 400
    assert "longer than it may be" in answer.json()["status"]["info"]


async def test_a_gzip_body_of_several_members_is_all_of_them(node, orchestrate, make_unit):
    running = await orchestrate(make_unit("m", (await node()).port))
    whole, broken = [gzip.compress(b'{"reward":') + gzip.compress(end) for end in (b"1}", b"x}")]

    assert (await feedback(running, whole, "gzip")).status == 200
    assert (await feedback(running, broken, "gzip")).status == 400


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (gzip.compress(b"{}") + b"junk", "gzip"),
        (zlib.compress(b"{}") + b"junk", "deflate"),
        (gzip.compress(b"") * 2000 + gzip.compress(b"{}"), "gzip"),
    ],
    ids=["behind gzip", "behind deflate", "many members"],
)
async def test_bytes_behind_a_compressed_body_are_not_passed_over(node, orchestrate, make_unit, data, encoding):
    running = await orchestrate(make_unit("m", (await node()).port))

    answer = await feedback(running, data, encoding)

    assert (answer.status, answer.json()["status"]["reason"]) == (400, "BAD_PAYLOAD")


async def test_two_hundred_clients_that_stop_in_their_bodies_do_not_stop_another(node, orchestrate, make_unit):
    running = await orchestrate(make_unit("m", (await node()).port))
    halves = await asyncio.gather(*[running.wire.connect() for _ in range(200)])
    for _, writer in halves:
        writer.write(request(body=b"x" * 100)[:-50])

    assert (await running.wire.predict({})).status == 200
