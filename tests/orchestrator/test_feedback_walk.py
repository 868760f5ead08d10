"""Feedback finds the nodes that the request went through."""

import pytest


def feedback(routing=None):
    return {"reward": 1.0, "response": {"meta": {"routing": routing}} if routing is not None else {}}


@pytest.fixture
async def graph(node, orchestrate, make_unit):
    """A router over two models, the second with a child."""
    nodes = {name: await node() for name in ("router", "zero", "one", "below")}
    children = [
        make_unit("zero", nodes["zero"].port),
        make_unit("one", nodes["one"].port, children=[make_unit("below", nodes["below"].port)]),
    ]
    running = await orchestrate(make_unit("router", nodes["router"].port, "ROUTER", children))

    async def send(body):
        answer = await running.wire.post("/api/v1.0/feedback", body)
        return answer, {name for name, one in nodes.items() if one.paths == ["/send-feedback"]}

    return send


@pytest.mark.parametrize(
    ("routing", "told"),
    [
        ({"router": 0}, {"router", "zero"}),
        ({"router": 1}, {"router", "one", "below"}),
        ({"router": -1}, {"router", "zero", "one", "below"}),
        ({"router": -2}, {"router"}),
        ({}, {"router", "zero", "one", "below"}),
        (None, {"router", "zero", "one", "below"}),
    ],
    ids=lambda value: str(sorted(value)) if isinstance(value, set) else str(value),
)
async def test_feedback_follows_the_routing_that_it_brings_back(graph, routing, told):
    answer, found = await graph(feedback(routing))

    assert (answer.status, found) == (200, told)


async def test_feedback_with_a_route_that_is_not_there_is_refused(graph):
    answer, found = await graph(feedback({"router": 5}))

    assert answer.status == 500
    assert "chose route 5" in answer.json()["status"]["info"]
    assert found == set()


@pytest.mark.parametrize("body", [b"", b"[]", b"no json", b"7"])
async def test_feedback_that_is_none_is_the_clients_error(graph, body):
    answer, found = await graph(body)

    assert answer.status == 400
    assert answer.json()["status"]["status"] == "FAILURE"
    assert found == set()


async def test_nodes_that_take_no_feedback_are_not_asked(node, orchestrate, make_unit):
    transformer, model = await node(), await node()
    running = await orchestrate(make_unit("t", transformer.port, "TRANSFORMER", [make_unit("m", model.port)]))

    answer = await running.wire.post("/api/v0.1/feedback", feedback())

    assert answer.status == 200
    assert (transformer.paths, model.paths) == ([], ["/send-feedback"])
