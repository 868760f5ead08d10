"""Answers to copies against those of stable: asked afterwards, marked, counted, and never in anybody's way."""

import asyncio
import json
from itertools import cycle

import pytest

from orchestrator.clients import comparer
from orchestrator.clients.comparer import AT_A_TIME, Sample, is_copy
from orchestrator.servers.message import Response

OF = 'deployment_name="iris",predictor_name="main",predictor_version="v1"'
BODY = b'{"data":{"ndarray":[[1.0,2.0]]}}'
ALL = {"seldon.io/compare-per-second": "1000"}


@pytest.fixture(autouse=True)
def restless(monkeypatch):
    """Comparisons follow each other at once."""
    monkeypatch.setattr(comparer, "REST", 0.0)


def answers(*rows):
    """A model that gives these rows in turn."""
    turn = cycle(rows)
    return lambda request: Response(200, json.dumps({"data": {"ndarray": [next(turn)]}}).encode())


@pytest.fixture
def revision(node, orchestrate, make_unit):
    """Start an orchestrator in front of a model."""

    async def start(behaviour, compared_with=None, more=ALL, **flags):
        model = await node(behaviour)
        notes = {} if compared_with is None else {"seldon.io/compare-with": f"http://localhost:{compared_with}", **more}
        running = await orchestrate(make_unit("m", model.port), predictor={"annotations": notes}, **flags)
        return running, model

    return start


def copy(path="/api/v1.0/predictions", body=BODY, **headers):
    """A request as the mesh copies it."""
    lines = [f"POST {path} HTTP/1.1", "Host: iris.ml-shadow:8000", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in {"Content-Type": "application/json", **headers}.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


async def compared(running):
    samples = await running.wire.metrics()
    found = {}
    for pair in ("canary", "stable"):
        for result in ("agree", "disagree", "error"):
            count = samples[f'seldon_shadow_compare_total{{{OF},pair="{pair}",result="{result}"}}']
            if count:
                found[pair, result] = count
    return found


async def settled(running, until, number):
    """Wait until so many comparisons have ended."""
    counts = running.application.comparer.counts
    await until(lambda: sum(count for (pair, _), count in counts.items() if pair == "canary") == number)
    await until(lambda: not running.application.comparer.under_way)


@pytest.mark.parametrize(
    ("stable", "canary", "expected"),
    [
        ([[0.9, 0.1]], [[0.8, 0.2]], {("canary", "agree"): 6, ("stable", "agree"): 6}),
        ([[0.9, 0.1]], [[0.1, 0.9]], {("canary", "disagree"): 6, ("stable", "agree"): 6}),
        ([[0.9, 0.1], [0.1, 0.9]], [[0.9, 0.1]], {("canary", "agree"): 6, ("stable", "disagree"): 6}),
        ([[0.5]], [[0.505]], {("canary", "agree"): 6, ("stable", "agree"): 6}),
    ],
)
async def test_each_copy_is_compared_with_two_answers_of_stable(revision, until, stable, canary, expected):
    old, _ = await revision(answers(*stable))
    new, _ = await revision(answers(*canary), old.wire.port)

    for number in range(1, 7):
        assert (await new.wire.send(copy())).json()["data"]["ndarray"] == canary
        await settled(new, until, number)

    assert await compared(new) == expected


async def test_what_is_no_copy_is_not_compared_and_all_counts_are_there_from_the_start(revision):
    old, model = await revision(answers([0.5]))
    new, _ = await revision(answers([0.5]), old.wire.port)

    await new.wire.predict()

    assert await compared(new) == {}
    assert not new.application.comparer.under_way
    assert model.requests == []


async def test_stable_gets_the_same_request_marked_and_counts_it_apart(node, orchestrate, make_unit, revision, until):
    sink = await node(lambda request: Response(202))
    model = await node(answers([0.9, 0.1]))
    logged = {**make_unit("m", model.port), "logger": {"mode": "all", "url": f"http://localhost:{sink.port}/"}}
    old = await orchestrate(logged, predictor={"annotations": {"seldon.io/prediction-metrics": "class"}})
    new, _ = await revision(answers([0.8, 0.2]), old.wire.port)
    traced = {"Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "X-Tenant": "blue"}

    await new.wire.send(copy("/api/v1.0/predictions?a=1", **traced, **{"Accept-Encoding": "br", "Seldon-Puid": "7"}))
    await settled(new, until, 1)

    first, second = [request.header for request in model.requests]
    assert [request.body for request in model.requests] == [BODY, BODY]
    assert {name: first(name) for name in (b"seldon-comparison", b"x-tenant", b"seldon-puid")} == {
        b"seldon-comparison": b"true",
        b"x-tenant": b"blue",
        b"seldon-puid": b"7",
    }
    assert [second(name) for name in (b"traceparent", b"accept-encoding")] == [b"", b""]
    samples = await old.wire.metrics()
    served = "seldon_api_executor_server_requests_seconds_count"
    assert samples[f'{served}{{{OF},service="comparisons",method="post",code="200"}}'] == 2
    assert f'{served}{{{OF},service="predictions",method="post",code="200"}}' not in samples
    assert samples[f"seldon_prediction_sampled_total{{{OF}}}"] == 0
    assert sink.requests == []


async def test_who_marks_a_request_is_seen_in_the_metrics_and_never_compared(revision):
    old, model = await revision(answers([0.5]))
    new, _ = await revision(answers([0.5]), old.wire.port)

    await new.wire.send(copy(**{"Seldon-Comparison": "true"}))

    samples = await new.wire.metrics()
    name = f'{{{OF},service="comparisons",method="post",code="200"}}'
    assert samples[f"seldon_api_executor_server_requests_seconds_count{name}"] == 1
    assert not new.application.comparer.under_way
    assert model.requests == []


async def test_a_stable_that_is_away_is_an_error_and_no_disagreement(revision, absent_port, until):
    new, _ = await revision(answers([0.5]), absent_port)

    answer = await new.wire.send(copy())
    await settled(new, until, 1)

    assert answer.status == 200
    assert await compared(new) == {("canary", "error"): 1, ("stable", "error"): 1}


@pytest.mark.parametrize("reply", [Response(500, b"{}"), Response(200, b"no JSON")])
async def test_what_stable_fails_to_answer_is_an_error(revision, node, until, reply):
    stable = await node(lambda request: reply)
    new, _ = await revision(answers([0.5]), stable.port)

    await new.wire.send(copy())
    await settled(new, until, 1)

    assert await compared(new) == {("canary", "error"): 1, ("stable", "error"): 1}
    assert len(stable.requests) == 1


async def test_what_the_canary_fails_to_answer_costs_stable_nothing(revision):
    old, model = await revision(answers([0.5]))
    new, _ = await revision(lambda request: Response(500, b"{}"), old.wire.port)

    answer = await new.wire.send(copy())

    assert answer.status == 500
    assert await compared(new) == {("canary", "error"): 1}
    assert model.requests == []


async def test_a_slow_stable_holds_nobody_up_and_what_does_not_fit_is_dropped(revision, node, until):
    ready = asyncio.Event()

    async def slow(request):
        await ready.wait()
        return Response(200, b'{"data":{"ndarray":[[0.5]]}}')

    stable = await node(slow)
    new, _ = await revision(answers([0.5]), stable.port)

    statuses = [(await new.wire.send(copy())).status for _ in range(AT_A_TIME + 6)]
    comparer = new.application.comparer
    assert statuses == [200] * (AT_A_TIME + 6)
    assert (comparer.under_way, comparer.dropped["busy"]) == (AT_A_TIME, 6)
    ready.set()
    await settled(new, until, AT_A_TIME)

    assert await compared(new) == {("canary", "agree"): AT_A_TIME, ("stable", "agree"): AT_A_TIME}
    samples = await new.wire.metrics()
    assert samples[f'seldon_shadow_compare_dropped_total{{{OF},reason="busy"}}'] == 6


async def test_comparisons_end_with_the_orchestrator(revision, node):
    never = asyncio.Event()
    stable = await node(lambda request: never.wait())
    new, _ = await revision(answers([0.5]), stable.port)

    await new.wire.send(copy())
    assert new.application.comparer.under_way == 1
    await new.application.stop()

    assert not new.application.comparer.under_way


async def test_a_long_body_is_answered_and_not_compared(revision):
    old, model = await revision(answers([0.5]))
    new, _ = await revision(answers([0.5]), old.wire.port)
    long = b'{"strData":"%b"}' % (b"x" * 600_000)

    answer = await new.wire.send(copy(body=long))

    assert answer.status == 200
    assert new.application.comparer.dropped == {"busy": 0, "long": 1}
    assert model.requests == []


async def test_stable_refuses_comparisons_first_when_there_is_much_to_do(revision, node, until):
    go = asyncio.Event()

    async def slow(request):
        await go.wait()
        return Response(200, b'{"data":{"ndarray":[[0.5]]}}')

    old, _ = await revision(slow, max_requests=2)
    new, _ = await revision(answers([0.5]), old.wire.port)
    user = asyncio.ensure_future(old.wire.predict())
    await until(lambda: old.application.load.in_flight == 1)

    await new.wire.send(copy())
    await settled(new, until, 1)
    go.set()

    assert (await user).status == 200
    assert await compared(new) == {("canary", "error"): 1, ("stable", "error"): 1}


@pytest.mark.parametrize(
    ("protocol", "path", "said"),
    [
        ("v2", "/v2/models/m/infer", {"outputs": [{"name": "y", "datatype": "INT64", "shape": [1, 1], "data": [2]}]}),
        ("tensorflow", "/v1/models/m:predict", {"predictions": [[0.2, 0.8]]}),
    ],
)
async def test_the_other_protocols_are_compared_too(revision, until, protocol, path, said):
    def model(request):
        return Response(200, json.dumps(said).encode())

    old, asked = await revision(model, protocol=protocol)
    new, _ = await revision(model, old.wire.port, protocol=protocol)

    await new.wire.send(copy(path, body=b'{"inputs":[]}'))
    await settled(new, until, 1)

    assert await compared(new) == {("canary", "agree"): 1, ("stable", "agree"): 1}
    assert asked.paths == [path, path]


@pytest.mark.parametrize(
    ("host", "copied"), [(b"iris.ml-shadow", True), (b"iris.ml-shadow:80", True), (b"iris.ml", False), (b"", False)]
)
def test_a_copy_is_known_by_its_host(host, copied):
    assert is_copy(host) is copied


def test_the_sample_takes_so_many_a_second_and_makes_up_for_one_second_at_most():
    clock, draws = [0.0], [0.0]
    sample = Sample(0.5, 2.0, lambda: draws[0], lambda: clock[0])

    assert [sample.takes() for _ in range(3)] == [True, True, False]
    clock[0] = 0.5
    assert [sample.takes() for _ in range(2)] == [True, False]
    clock[0] = 100.0
    assert [sample.takes() for _ in range(3)] == [True, True, False]
    clock[0], draws[0] = 200.0, 0.5
    assert not sample.takes()


def test_a_slow_sample_takes_one_in_its_time():
    clock = [0.0]
    sample = Sample(1.0, 0.1, lambda: 0.0, lambda: clock[0])

    assert [sample.takes() for _ in range(2)] == [True, False]
    clock[0] = 9.0
    assert not sample.takes()
    clock[0] = 10.5
    assert sample.takes()


async def test_who_is_slow_to_answer_is_asked_a_tenth_of_the_time(monkeypatch):
    monkeypatch.setattr(comparer, "REST", 9.0)
    clock = [0.0]
    sample = Sample(1.0, 100.0, lambda: 0.0, lambda: clock[0])

    async def asking():
        clock[0] += 0.4

    assert sample.takes()
    await sample.timed(asking)
    clock[0] = 3.9
    assert not sample.takes()
    clock[0] = 4.01
    assert sample.takes()


async def test_who_does_not_answer_is_asked_again_within_a_minute(monkeypatch):
    monkeypatch.setattr(comparer, "REST", 9.0)
    clock = [0.0]
    sample = Sample(1.0, 100.0, lambda: 0.0, lambda: clock[0])

    async def asking():
        clock[0] += 60.0

    await sample.timed(asking)
    assert not sample.takes()
    clock[0] = 121.0
    assert sample.takes()
