"""Every unit type, each by what its nodes were asked and what the client got."""

import asyncio
import json
from collections import Counter
from typing import Any

import pytest

from orchestrator.servers.message import Request, Response

ROWS = {"data": {"ndarray": [[1.0, 2.0]]}}


def said(text: str) -> Any:
    return lambda request: Response(200, json.dumps({"strData": text, "by": request.path.decode()}).encode())


async def test_a_model_gets_the_clients_bytes_and_the_client_gets_the_models(node, orchestrate, make_unit):
    odd = b'{ "strData" :  "\xc3\xa9" }\n'
    model = await node()

    running = await orchestrate(make_unit("m", model.port))
    answer = await running.wire.predict(odd)

    assert (answer.status, answer.body) == (200, odd)
    assert model.paths == ["/predict"]


async def test_a_chain_of_models_feeds_each_the_answer_of_the_one_above(node, orchestrate, make_unit):
    inner = await node(lambda request: Response(200, b'{"inner":' + request.body + b"}"))
    outer = await node(lambda request: Response(200, b'{"outer":' + request.body + b"}"))

    running = await orchestrate(make_unit("a", outer.port, children=[make_unit("b", inner.port)]))
    answer = await running.wire.predict({"x": 1})

    assert answer.json() == {"inner": {"outer": {"x": 1}}}


async def test_transformers_stand_before_and_behind_what_is_below_them(node, orchestrate, make_unit):
    tag = await node(lambda r: Response(200, json.dumps([r.path.decode(), json.loads(r.body)]).encode()))
    inner = make_unit("m", tag.port)
    graph = make_unit("out", tag.port, "OUTPUT_TRANSFORMER", [make_unit("in", tag.port, "TRANSFORMER", [inner])])

    running = await orchestrate(graph)
    answer = await running.wire.predict(0)

    assert answer.json() == ["/transform-output", ["/predict", ["/transform-input", 0]]]


async def test_a_combiner_gets_the_childrens_answers_in_their_order(node, orchestrate, make_unit):
    models = [await node({"/predict": {"model": at}}) for at in range(3)]
    combiner = await node()
    children = [make_unit(f"m{at}", model.port) for at, model in enumerate(models)]

    running = await orchestrate(make_unit("c", combiner.port, "COMBINER", children))
    answer = await running.wire.predict(ROWS)

    assert answer.json() == [{"model": 0}, {"model": 1}, {"model": 2}]
    assert combiner.paths == ["/aggregate"]


async def test_children_are_asked_at_the_same_time(node, orchestrate, make_unit):
    arrived: list[str] = []
    all_here = asyncio.Event()

    async def meet(request: Request) -> Response:
        arrived.append(request.path.decode())
        if len(arrived) == 3:
            all_here.set()
        async with asyncio.timeout(5):
            await all_here.wait()
        return Response(200, b"{}")

    model = await node(meet)
    combiner = await node()
    children = [make_unit(f"m{at}", model.port) for at in range(3)]

    running = await orchestrate(make_unit("c", combiner.port, "COMBINER", children))

    assert (await running.wire.predict(ROWS)).status == 200


@pytest.mark.parametrize(
    "reply",
    [
        {"data": {"ndarray": [1]}},
        {"data": {"ndarray": [[1]]}},
        {"data": {"ndarray": [1.0]}},
        {"data": {"tensor": {"shape": [1, 1], "values": [1]}}},
        {"data": {"tftensor": {"intVal": [1]}}},
        {"data": {"tftensor": {"int64Val": ["1"]}}},
        [1],
        [[1]],
    ],
    ids=json.dumps,
)
async def test_a_router_sends_to_the_child_that_it_names_in_any_form(node, orchestrate, make_unit, reply):
    router, zero, one = await node({"/route": reply}), await node(said("zero")), await node(said("one"))
    children = [make_unit("m0", zero.port), make_unit("m1", one.port)]

    running = await orchestrate(make_unit("r", router.port, "ROUTER", children))
    answer = await running.wire.predict(ROWS)

    assert answer.json()["strData"] == "one"
    assert answer.json()["meta"]["routing"] == {"r": 1, "m1": -1}
    assert zero.requests == []


async def test_route_minus_two_stops_and_gives_back_what_came(node, orchestrate, make_unit):
    router, model = await node({"/route": {"data": {"ndarray": [-2]}}}), await node()

    running = await orchestrate(make_unit("r", router.port, "ROUTER", [make_unit("m", model.port)]))
    answer = await running.wire.predict(ROWS)

    assert answer.json() == {**ROWS, "meta": {"routing": {"r": -2}}}
    assert model.requests == []


async def test_route_minus_one_asks_all_children_and_gives_the_first_ones_answer(node, orchestrate, make_unit):
    router = await node({"/route": {"data": {"ndarray": [-1]}}})
    zero, one = await node(said("zero")), await node(said("one"))
    children = [make_unit("m0", zero.port), make_unit("m1", one.port)]

    running = await orchestrate(make_unit("r", router.port, "ROUTER", children))
    answer = await running.wire.predict(ROWS)

    assert answer.json()["strData"] == "zero"
    assert answer.json()["meta"]["routing"] == {"r": -1, "m0": -1, "m1": -1}
    assert one.paths == ["/predict"]


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ({"data": {"ndarray": [2]}}, "chose route 2; it has 2 children"),
        ({"data": {"ndarray": [-3]}}, "chose route -3"),
        ({"data": {"ndarray": []}}, "no number"),
        ({"data": {"ndarray": ["x"]}}, "expected a whole number"),
        ({"data": {"ndarray": [0.5]}}, "expected a whole number"),
        ({"strData": "1"}, "without data"),
        (7, "without data"),
    ],
    ids=json.dumps,
)
async def test_a_route_to_nowhere_is_an_error_that_says_so(node, orchestrate, make_unit, reply, words):
    router, model = await node({"/route": reply}), await node()
    children = [make_unit("m0", model.port), make_unit("m1", model.port)]

    running = await orchestrate(make_unit("r", router.port, "ROUTER", children))
    answer = await running.wire.predict(ROWS)

    assert answer.status == 500
    assert answer.json()["status"]["reason"] == "BAD_ROUTE"
    assert words in answer.json()["status"]["info"]
    assert model.requests == []


async def test_a_leaf_router_is_never_asked(node, orchestrate, make_unit):
    router = await node()

    running = await orchestrate(make_unit("r", router.port, "ROUTER"))

    assert (await running.wire.predict(ROWS)).status == 200
    assert router.requests == []


async def test_explicit_methods_are_called_beside_those_of_the_type(node, orchestrate, make_unit):
    every = await node({"/route": {"data": {"ndarray": [0]}}})
    model = await node()
    methods = ["TRANSFORM_INPUT", "TRANSFORM_OUTPUT", "ROUTE", "AGGREGATE", "SEND_FEEDBACK"]
    graph = make_unit("u", every.port, "UNKNOWN_TYPE", [make_unit("m", model.port)], methods=methods)

    running = await orchestrate(graph)
    await running.wire.predict(ROWS)

    assert every.paths == ["/transform-input", "/route", "/aggregate", "/transform-output"]


async def test_the_built_in_model_answers_by_itself(orchestrate, make_unit):
    running = await orchestrate(make_unit("m", implementation="SIMPLE_MODEL"))

    answer = await running.wire.predict(ROWS)

    assert answer.json()["data"]["tensor"] == {"shape": [1, 3], "values": [0.9, 0.05, 0.05]}


async def test_the_built_in_test_splits_as_its_ratio_says(node, orchestrate, make_unit):
    model = await node()
    graph = make_unit(
        "ab",
        implementation="RANDOM_ABTEST",
        parameters=[{"name": "ratioA", "value": "0.2", "type": "FLOAT"}],
        children=[make_unit("a", model.port), make_unit("b", model.port)],
    )
    running = await orchestrate(graph, seed=7)

    taken = Counter([(await running.wire.predict(ROWS)).json()["meta"]["routing"]["ab"] for _ in range(200)])

    assert 20 <= taken[0] <= 60, "200 draws of 0.2: 40, and 3.5 standard deviations to each side"
    assert taken[0] + taken[1] == 200


async def test_the_built_in_combiner_averages_and_merges_meta(node, orchestrate, make_unit):
    first = {"data": {"names": ["x"], "ndarray": [[1.0, 3.0]]}, "meta": {"tags": {"a": 1, "c": 1}, "metrics": [1]}}
    second = {"data": {"names": ["y"], "ndarray": [[3.0, 5.0]]}, "meta": {"tags": {"b": 2, "c": 2}, "metrics": [2]}}
    one, two = await node({"/predict": first}), await node({"/predict": second})
    children = [make_unit("m1", one.port), make_unit("m2", two.port)]

    running = await orchestrate(make_unit("c", implementation="AVERAGE_COMBINER", children=children))
    answer = await running.wire.predict(ROWS)

    assert answer.json() == {
        "meta": {"tags": {"a": 1, "b": 2, "c": 2}, "metrics": [1, 2]},
        "data": {"names": ["x"], "ndarray": [[2.0, 4.0]]},
    }


async def test_the_first_childs_error_in_order_is_the_answer_when_several_fail(node, orchestrate, make_unit):
    slow_first, fast_second = asyncio.Event(), asyncio.Event()

    async def last(request: Request) -> Response:
        async with asyncio.timeout(5):
            await fast_second.wait()
        slow_first.set()
        return Response(418, b"first")

    def soon(request: Request) -> Response:
        fast_second.set()
        return Response(419, b"second")

    first, second, combiner = await node(last), await node(soon), await node()
    children = [make_unit("m1", first.port), make_unit("m2", second.port)]

    running = await orchestrate(make_unit("c", combiner.port, "COMBINER", children))
    answer = await running.wire.predict(ROWS)

    assert (answer.status, answer.body) == (418, b"first")
    assert combiner.requests == []


async def test_compressed_answers_reach_routers_and_combiners_readable(node, orchestrate, make_unit):
    import gzip

    zipped = Response(200, gzip.compress(b'{"data":{"ndarray":[[1]]}}'), headers=b"Content-Encoding: gzip\r\n")
    both = await node(
        lambda request: zipped if request.path in {b"/route", b"/predict"} else Response(200, request.body)
    )
    children = [make_unit("m0", both.port), make_unit("m1", both.port)]
    router = make_unit("r", both.port, "ROUTER", children)

    running = await orchestrate(make_unit("c", both.port, "COMBINER", [router]))
    answer = await running.wire.predict(ROWS)

    assert answer.json() == [{"data": {"ndarray": [[1]]}}]
