"""Nodes in trouble: further tries, and circuits that open and close."""

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import protos
from orchestrator.clients.guard import Breaker
from orchestrator.servers.message import Response

Message = protos.message("seldon.protos.SeldonMessage")


@given(st.lists(st.tuples(st.sampled_from(["answer", "fail", "leave"]), st.floats(0, 3)), max_size=40))
def test_an_open_circuit_lets_one_call_through_at_a_time(steps):
    breaker, now, in_a_row, opened = Breaker(3, 5.0), 0.0, 0, 0.0
    for act, later in steps:
        now += later
        allowed = breaker.allows(now)
        assert allowed is (in_a_row < 3 or now >= opened + 5.0)
        if not allowed:
            continue
        if in_a_row >= 3:
            assert not breaker.allows(now)
        if act == "answer":
            breaker.answered()
            in_a_row = 0
        elif act == "fail":
            breaker.failed(now)
            in_a_row, opened = in_a_row + 1, now
        else:
            breaker.left()


def refusing_first(times):
    """A script of a raw node that closes its first connections without an answer."""
    seen = []

    async def script(reader, writer):
        seen.append(1)
        if len(seen) <= times:
            return
        while await reader.read(65536):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    script.seen = seen
    return script


@pytest.mark.parametrize(("retries", "status"), [(0, 500), (1, 500), (2, 200)])
async def test_a_call_without_an_answer_is_tried_again(raw_node, orchestrate, make_unit, retries, status):
    script = refusing_first(2)
    running = await orchestrate(make_unit("m", await raw_node(script)), node_retries=retries)

    answer = await running.wire.predict({})

    assert answer.status == status
    assert len(script.seen) == min(retries + 1, 3)


async def test_feedback_is_never_tried_again(raw_node, orchestrate, make_unit):
    script = refusing_first(5)
    running = await orchestrate(make_unit("m", await raw_node(script)), node_retries=3)

    assert (await running.wire.post("/api/v1.0/feedback", {"reward": 1})).status == 500
    assert len(script.seen) == 1


async def test_a_status_of_the_nodes_own_is_not_tried_again(node, orchestrate, make_unit):
    model = await node(lambda request: Response(503, b"{}"))
    running = await orchestrate(make_unit("m", model.port), node_retries=3, breaker_failures=1)

    assert [(await running.wire.predict({})).status for _ in range(2)] == [503, 503]
    assert len(model.requests) == 2


async def test_a_circuit_opens_after_calls_without_an_answer(raw_node, orchestrate, make_unit):
    script = refusing_first(2)
    running = await orchestrate(make_unit("m", await raw_node(script)), breaker_failures=2, breaker_time="1h")

    answers = [await running.wire.predict({}) for _ in range(4)]

    assert [answer.status for answer in answers] == [500, 500, 503, 503]
    assert answers[3].json()["status"]["reason"] == "CIRCUIT_OPEN"
    assert len(script.seen) == 2


async def test_a_circuit_closes_when_a_try_after_its_time_is_answered(raw_node, orchestrate, make_unit):
    script = refusing_first(2)
    running = await orchestrate(make_unit("m", await raw_node(script)), breaker_failures=2, breaker_time="0s")

    answers = [await running.wire.predict({}) for _ in range(4)]

    assert [answer.status for answer in answers] == [500, 500, 200, 200]


async def test_a_circuit_opens_over_grpc_too(orchestrate, remote, rpc, absent_port):
    running = await orchestrate(remote("m", absent_port), breaker_failures=1, breaker_time="1h")
    said = []
    for _ in range(2):
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await rpc(running, "/seldon.protos.Seldon/Predict", Message(strData="x"), Message)
        said.append((failed.value.code(), "left alone" in failed.value.details()))

    assert said == [(grpc.StatusCode.UNAVAILABLE, False), (grpc.StatusCode.UNAVAILABLE, True)]
