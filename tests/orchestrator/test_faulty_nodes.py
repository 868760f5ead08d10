"""Nodes that hang, die, lie and refuse: the client of the graph gets a clear answer, and the next request works."""

import asyncio
import gzip
import json

import pytest
from tempers import OK, answering, hanging, whole_request

from orchestrator.servers.message import Response


@pytest.fixture
def podinfo(tmp_path):
    """The environment with a time limit of 200 ms for each call, as the annotations file has it."""
    file = tmp_path / "annotations"
    file.write_text('other="a=b=c"\nseldon.io/rest-timeout="200"\n')
    return {"SELDON_PODINFO_PATH": str(file)}


@pytest.mark.parametrize(
    ("data", "reason", "words"),
    [
        (b"", "NODE_UNREACHABLE", "before it answered"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "NODE_BAD_REPLY", "in the middle"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "NODE_BAD_REPLY", "in the middle"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", "NODE_BAD_REPLY", "in the middle"),
        (b"garbage\r\n\r\n", "NODE_BAD_REPLY", "no HTTP/1.1 answer"),
        (b"\x00\xff" * 50, "NODE_BAD_REPLY", "no HTTP/1.1 answer"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000, "NODE_BAD_REPLY", "64 KiB of headers"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", "NODE_BAD_REPLY", "are allowed"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * 5000, "NODE_BAD_REPLY", "are allowed"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "NODE_BAD_REPLY", "in the middle"),
    ],
    ids=[
        *["nothing", "short body", "short head", "short chunk", "garbage", "binary", "long head", "long", "endless"],
        "an interim answer alone",
    ],
)
async def test_a_node_that_answers_badly_is_a_500_that_says_what_it_did(
    raw_node, orchestrate, make_unit, data, reason, words
):
    port = await raw_node(answering(data))

    running = await orchestrate(make_unit("m", port), max_body=4096)
    answer = await running.wire.predict({})

    assert answer.status == 500
    status = answer.json()["status"]
    assert (status["code"], status["status"], status["reason"]) == (500, "FAILURE", reason)
    assert words in status["info"]
    assert "node 'm'" in status["info"]
    assert answer.headers["content-type"] == "application/json"


async def test_a_node_that_refuses_is_a_500_that_names_it(orchestrate, make_unit, absent_port):
    running = await orchestrate(make_unit("m", absent_port))
    answer = await running.wire.predict({})

    assert answer.status == 500
    assert answer.json()["status"]["reason"] == "NODE_UNREACHABLE"
    assert f"node 'm' at localhost:{absent_port} cannot be reached" in answer.json()["status"]["info"]


async def test_a_node_that_hangs_is_given_up_after_the_annotated_time(raw_node, orchestrate, make_unit, podinfo):
    port = await raw_node(hanging)
    running = await orchestrate(make_unit("m", port), environment=podinfo)

    answer = await running.wire.predict({})

    assert answer.status == 500
    assert answer.json()["status"]["reason"] == "NODE_TIMEOUT"
    assert "within 0.2 s" in answer.json()["status"]["info"]


async def test_a_node_that_dribbles_its_answer_is_given_up_too(raw_node, orchestrate, make_unit, podinfo):
    async def dribble(reader, writer):
        await whole_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            writer.write(b"a")
            await asyncio.sleep(0.01)

    running = await orchestrate(make_unit("m", await raw_node(dribble)), environment=podinfo)

    assert (await running.wire.predict({})).json()["status"]["reason"] == "NODE_TIMEOUT"


async def test_the_whole_request_has_a_limit_over_all_its_nodes(node, orchestrate, make_unit):
    async def slow(request):
        await asyncio.sleep(0.15)
        return Response(200, b"{}")

    chain = make_unit("a", (await node(slow)).port, children=[make_unit("b", (await node(slow)).port)])
    running = await orchestrate(chain, request_timeout="200ms")

    answer = await running.wire.predict({})

    assert answer.status == 500
    assert answer.json()["status"]["reason"] in {"NODE_TIMEOUT", "DEADLINE_EXCEEDED"}


async def test_a_kept_connection_that_turns_out_closed_is_made_anew_for_a_prediction(raw_node, orchestrate, make_unit):
    served = []

    async def once(reader, writer):
        served.append(await whole_request(reader))
        writer.write(OK)
        await whole_request(reader)  # takes a second request and goes away without a word

    running = await orchestrate(make_unit("m", await raw_node(once)))

    answers = [await running.wire.predict({"at": at}) for at in range(3)]

    assert [answer.status for answer in answers] == [200, 200, 200]
    assert len(served) == 3


async def test_feedback_is_never_sent_twice(raw_node, orchestrate, make_unit):
    seen = []

    async def once(reader, writer):
        seen.append(await whole_request(reader))
        writer.write(OK)
        seen.append(await whole_request(reader))

    running = await orchestrate(make_unit("m", await raw_node(once)))
    await running.wire.post("/api/v1.0/feedback", {"reward": 1})

    answer = await running.wire.post("/api/v1.0/feedback", {"reward": 2})

    assert answer.status == 500
    assert len(seen) == 2


async def test_a_prediction_is_sent_again_once_only(raw_node, orchestrate, make_unit):
    seen = []

    async def worse_and_worse(reader, writer):
        seen.append(await whole_request(reader))
        if len(seen) == 1:
            writer.write(OK)
            seen.append(await whole_request(reader))

    running = await orchestrate(make_unit("m", await raw_node(worse_and_worse)))
    await running.wire.predict({})

    assert (await running.wire.predict({})).status == 500
    assert len(seen) == 3


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    ],
    ids=["until close", "HTTP/1.0 until close", "HTTP/1.0", "chunked", "interim answer first"],
)
async def test_every_way_to_frame_an_answer_is_understood(raw_node, orchestrate, make_unit, data):
    running = await orchestrate(make_unit("m", await raw_node(answering(data))))

    answers = [await running.wire.predict({}) for _ in range(2)]

    assert [(answer.status, answer.body) for answer in answers] == [(200, b"{}")] * 2


async def test_bytes_that_nobody_asked_for_end_the_connection_not_the_next_request(raw_node, orchestrate, make_unit):
    async def talkative(reader, writer):
        while True:
            await whole_request(reader)
            writer.write(OK)
            await writer.drain()
            writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"evil"')

    running = await orchestrate(make_unit("m", await raw_node(talkative)))

    for _ in range(5):
        answer = await running.wire.predict({})
        assert answer.body == b"{}" or answer.status == 500
        assert b"evil" not in answer.body


@pytest.mark.parametrize("status", [201, 204, 302, 400, 404, 418, 500, 503])
async def test_any_status_but_200_is_handed_on_with_its_body(node, orchestrate, make_unit, status):
    body = b'{"status":{"code":400,"info":"mine","reason":"WHY","status":"FAILURE"}}' if status != 204 else b""
    running = await orchestrate(make_unit("m", (await node(lambda request: Response(status, body))).port))

    answer = await running.wire.predict({})

    assert (answer.status, answer.body) == (status, body)
    assert answer.headers["content-type"] == "application/json"


async def test_html_from_a_node_cannot_run_in_a_browser(node, orchestrate, make_unit):
    page = Response(500, b"<script>alert('&')</script>", b"text/html")
    running = await orchestrate(make_unit("m", (await node(lambda request: page)).port))

    answer = await running.wire.predict({})

    assert b"<" not in answer.body
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_compressed_answer_is_handed_on_as_it_is(node, orchestrate, make_unit):
    zipped = gzip.compress(b'{"strData":"<b>"}')
    reply = Response(200, zipped, headers=b"Content-Encoding: gzip\r\n")
    running = await orchestrate(make_unit("m", (await node(lambda request: reply)).port))

    answer = await running.wire.predict({}, **{"Accept-Encoding": "gzip"})

    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(answer.body) == b'{"strData":"<b>"}'


async def test_the_call_is_cancelled_when_the_client_leaves(raw_node, orchestrate, make_unit, until):
    gone = []

    async def wait(reader, writer):
        await whole_request(reader)
        gone.append("here")
        await reader.read()
        gone.append("cancelled")

    running = await orchestrate(make_unit("m", await raw_node(wait)))
    _, writer = await running.wire.connect()
    writer.write(b"POST /api/v1.0/predictions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
    await until(lambda: gone == ["here"])
    writer.close()

    await until(lambda: gone == ["here", "cancelled"])
    await until(lambda: running.application.load.in_flight == 0)
    name = 'seldon_api_executor_server_requests_seconds_count{deployment_name="iris",predictor_name="main",'
    name += 'predictor_version="v1",service="predictions",method="post",code="499"}'
    assert (await running.wire.metrics())[name] == 1


async def test_too_many_requests_at_a_time_are_refused_at_once(raw_node, orchestrate, make_unit, until):
    release = asyncio.Event()

    async def wait(reader, writer):
        await whole_request(reader)
        await release.wait()
        writer.write(OK)

    running = await orchestrate(make_unit("m", await raw_node(wait)), max_requests=3)
    waiting = [asyncio.create_task(running.wire.predict({})) for _ in range(3)]
    await until(lambda: running.application.load.in_flight == 3)

    refused = await running.wire.predict({})
    release.set()

    assert refused.status == 503
    assert refused.headers["retry-after"] == "1"
    assert [(await one).status for one in waiting] == [200, 200, 200]
    assert (await running.wire.predict({})).status == 200


async def test_a_node_that_takes_connections_and_no_question_is_not_ready_in_time(
    raw_node, node, orchestrate, make_unit
):
    together, most = 0, 0

    async def hang(reader, writer):
        nonlocal together, most
        together += 1
        most = max(most, together)
        await reader.read()  # until it is given up
        together -= 1

    hangs = [make_unit(name, await raw_node(hang)) for name in "abc"]
    running = await orchestrate(
        make_unit("m", (await node({"/api/v1.0/health/status": {}})).port, children=hangs), full_health_checks="true"
    )

    answer = await running.wire.get("/ready")

    assert most == 3  # one after the other would be one at a time
    assert answer.status == 503
    assert [f"node '{name}'" in answer.body.decode() for name in "mabc"] == [False, True, True, True]


def test_the_errors_of_the_data_plane_are_json():
    from orchestrator.protocols.seldon import failure

    assert json.loads(failure(500, 'a "b"', "WHY")) == {
        "status": {"code": 500, "info": 'a "b"', "reason": "WHY", "status": "FAILURE"}
    }
