"""Answers to copies over gRPC against those of stable: asked over gRPC, marked, counted, and in nobody's way."""

import asyncio
from itertools import cycle

import grpc
import grpc.aio
import pytest
from messages import SELDON, Message, tensor

from orchestrator import protos
from orchestrator.clients import comparer
from orchestrator.clients.comparer import AT_A_TIME

OF = 'deployment_name="iris",predictor_name="main",predictor_version="v1"'
SERVED = "seldon_api_executor_server_requests_seconds_count"
WITH = "seldon.io/compare-with"
MARK = "seldon-comparison"
InferRequest, InferResponse = (protos.message(f"inference.ModelInfer{end}") for end in ("Request", "Response"))
PredictRequest, PredictResponse = (
    protos.message(f"tensorflow.serving.Predict{end}") for end in ("Request", "Response")
)
METHODS = {
    "seldon": f"{SELDON}Predict",
    "v2": "/inference.GRPCInferenceService/ModelInfer",
    "tensorflow": "/tensorflow.serving.PredictionService/Predict",
}
REQUESTS = {"seldon": tensor(1), "v2": InferRequest(model_name="m", id="7"), "tensorflow": PredictRequest()}


@pytest.fixture(autouse=True)
def restless(monkeypatch):
    """Comparisons follow each other at once."""
    monkeypatch.setattr(comparer, "REST", 0.0)


def seldon(*row):
    return tensor(*row)


def v2(*row):
    answer = InferResponse(model_name="m", id="7")
    answer.outputs.add(name="y", datatype="FP64", shape=[1, len(row)]).contents.fp64_contents[:] = row
    return answer


def tensorflow(*row):
    answer = PredictResponse()
    one = answer.outputs["scores"]
    one.dtype = 2
    for size in (1, len(row)):
        one.tensor_shape.dim.add(size=size)
    one.double_val[:] = row
    return answer


ANSWERS = {"seldon": seldon, "v2": v2, "tensorflow": tensorflow}


@pytest.fixture
async def copies():
    """Send calls as the mesh copies them: `copies(running, message, ...)`, the answer's bytes."""
    channels = []

    async def send(running, message=REQUESTS["seldon"], protocol="seldon", authority="iris.ml-shadow:80", **options):
        where = f"127.0.0.1:{running.application.grpc_port}"
        channel = grpc.aio.insecure_channel(where, [("grpc.default_authority", authority)])
        channels.append(channel)
        sent = channel.unary_unary(METHODS[protocol], lambda value: value.SerializeToString(), bytes)
        return await sent(message, timeout=10, **options)

    yield send
    for channel in channels:
        await channel.close()


@pytest.fixture
def revision(rpc_node, orchestrate, remote):
    """Start an orchestrator in front of a model over gRPC, which gives these rows in turn, or is a function."""

    async def start(behaviour, stable=None, protocol="seldon", rpc_port=None, **more):
        if callable(behaviour):
            answer = behaviour
        else:
            turn = cycle([ANSWERS[protocol](*row).SerializeToString() for row in behaviour])

            async def answer(method, body, context):
                return next(turn)

        model = await rpc_node(answer)
        notes = dict(more.pop("notes", {}))
        if stable is not None or rpc_port is not None:
            ports = (stable.wire.port, stable.application.grpc_port) if stable is not None else (1, rpc_port)
            notes |= {WITH: f"http://localhost:{ports[0]}", "seldon.io/compare-per-second": "1000"}
            notes[f"{WITH}-grpc"] = f"http://localhost:{ports[1]}"
        graph = remote("m", model.port)
        return await orchestrate(graph, predictor={"annotations": notes}, protocol=protocol, **more), model

    return start


def compared(running):
    return {pair: count for pair, count in running.application.comparer.counts.items() if count}


async def settled(running, until, number=1):
    counts = running.application.comparer.counts
    await until(lambda: sum(count for (pair, _), count in counts.items() if pair == "canary") == number)
    await until(lambda: not running.application.comparer.under_way)


@pytest.mark.parametrize("protocol", METHODS)
@pytest.mark.parametrize(
    ("stable", "canary", "expected"),
    [
        ([[0.9, 0.1]], [[0.8, 0.2]], ("agree", "agree", "agree")),
        ([[0.9, 0.1]], [[0.1, 0.9]], ("disagree", "agree", "canary")),
        ([[0.9, 0.1], [0.1, 0.9]], [[0.9, 0.1]], ("agree", "disagree", "stable")),
        ([[0.9, 0.1], [0.1, 0.9]], [[0.1, 0.9]], ("disagree", "disagree", "disagree")),
    ],
    ids=["the same class", "another class", "stable is not of one mind", "nor is the canary of its first"],
)
async def test_each_copy_is_compared_with_two_answers_of_stable(
    revision, copies, until, protocol, stable, canary, expected
):
    old, asked = await revision(stable, protocol=protocol)
    new, _ = await revision(canary, old, protocol=protocol)
    request = REQUESTS[protocol]

    for number in (1, 2):
        answer = await copies(new, request, protocol)
        assert answer == ANSWERS[protocol](*canary[0]).SerializeToString()
        await settled(new, until, number)

    assert compared(new) == dict.fromkeys(zip(("canary", "stable", "both"), expected, strict=True), 2)
    assert len(asked.calls) == 4


async def test_a_copy_over_rest_is_still_compared_over_rest(revision, until):
    old, _ = await revision([[0.5]])
    new, _ = await revision([[0.5]], old)
    body = b'{"data":{"ndarray":[[1]]}}'
    head = b"POST /api/v1.0/predictions HTTP/1.1\r\nHost: iris.ml-shadow\r\nContent-Type: application/json\r\n"

    assert (await new.wire.send(head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))).status == 200
    await settled(new, until)

    samples = await old.wire.metrics()
    assert samples[f'{SERVED}{{{OF},service="comparisons",method="post",code="200"}}'] == 2


@pytest.mark.parametrize("authority", ["iris.ml:80", "localhost", "shadow.ml"])
async def test_what_is_no_copy_is_not_compared(revision, copies, authority):
    old, model = await revision([[0.5]])
    new, _ = await revision([[0.5]], old)

    await copies(new, authority=authority)

    assert (compared(new), new.application.comparer.under_way, model.calls) == ({}, 0, [])


async def test_without_an_address_over_grpc_such_copies_are_answered_and_not_compared(revision, copies):
    old, _ = await revision([[0.5]])
    new, _ = await revision([[0.5]], notes={WITH: f"http://localhost:{old.wire.port}"})

    assert await copies(new) == seldon(0.5).SerializeToString()

    assert (compared(new), new.application.comparer.under_way) == ({}, 0)


async def test_stable_gets_the_same_request_marked_and_counts_it_apart(revision, copies, until):
    old, model = await revision([[0.9, 0.1]], notes={"seldon.io/prediction-metrics": "class"})
    new, _ = await revision([[0.8, 0.2]], old)
    said = (("x-tenant", "blue"), ("seldon-puid", "7"), ("traceparent", f"00-{'1' * 32}-{'2' * 16}-01"))

    await copies(new, Message(strData="as it came"), metadata=said)
    await settled(new, until)

    (_, first, heard), (_, second, _) = model.calls
    assert [Message.FromString(body).strData for body in (first, second)] == ["as it came"] * 2
    expected = {MARK: "true", "x-tenant": "blue", "seldon-puid": "7"}
    assert {name: heard.get(name) for name in expected} == expected
    assert "traceparent" not in heard
    samples = await old.wire.metrics()
    assert samples[f'{SERVED}{{{OF},service="comparisons",method="unary",code="OK"}}'] == 2
    assert f'{SERVED}{{{OF},service="{METHODS["seldon"]}",method="unary",code="OK"}}' not in samples
    assert samples[f"seldon_prediction_sampled_total{{{OF}}}"] == 0


async def test_who_marks_a_call_is_seen_in_the_metrics_and_never_compared(revision, copies):
    old, model = await revision([[0.5]])
    new, _ = await revision([[0.5]], old)

    await copies(new, metadata=((MARK, "true"),))

    samples = await new.wire.metrics()
    assert samples[f'{SERVED}{{{OF},service="comparisons",method="unary",code="OK"}}'] == 1
    assert (new.application.comparer.under_way, model.calls) == (0, [])


async def test_a_stable_that_is_away_is_an_error_and_no_disagreement(revision, copies, absent_port, until):
    new, _ = await revision([[0.5]], rpc_port=absent_port)

    await copies(new)
    await settled(new, until)

    assert compared(new) == {("canary", "error"): 1, ("stable", "error"): 1}


async def test_what_the_canary_fails_to_answer_costs_stable_nothing(revision, copies):
    async def failing(method, body, context):
        await context.abort(grpc.StatusCode.INTERNAL, "no")

    old, model = await revision([[0.5]])
    new, _ = await revision(failing, old)

    with pytest.raises(grpc.aio.AioRpcError):
        await copies(new)

    assert (compared(new), model.calls) == ({("canary", "error"): 1}, [])


async def test_a_slow_stable_holds_nobody_up_and_what_does_not_fit_is_dropped(revision, rpc_node, copies, until):
    ready = asyncio.Event()

    async def slow(method, body, context):
        await ready.wait()
        return seldon(0.5).SerializeToString()

    stable = await rpc_node(slow)
    new, _ = await revision([[0.5]], rpc_port=stable.port)

    for _ in range(AT_A_TIME + 2):
        assert await copies(new) == seldon(0.5).SerializeToString()
    comparer = new.application.comparer
    assert (comparer.under_way, comparer.dropped["busy"]) == (AT_A_TIME, 2)
    ready.set()
    await settled(new, until, AT_A_TIME)

    assert compared(new) == {(pair, "agree"): AT_A_TIME for pair in ("canary", "stable", "both")}


async def test_a_long_message_is_answered_and_not_compared(revision, copies):
    old, model = await revision([[0.5]])
    new, _ = await revision([[0.5]], old)

    await copies(new, Message(strData="x" * 300_000))

    assert (new.application.comparer.dropped, model.calls) == ({"busy": 0, "long": 1}, [])


async def test_stable_refuses_comparisons_first_when_there_is_much_to_do(revision, copies, until):
    go = asyncio.Event()

    async def slow(method, body, context):
        await go.wait()
        return seldon(0.5).SerializeToString()

    old, _ = await revision(slow, max_requests=2)
    new, _ = await revision([[0.5]], old)
    user = asyncio.ensure_future(copies(old, authority="iris.ml"))
    await until(lambda: old.application.load.in_flight == 1)

    await copies(new)
    await settled(new, until)
    go.set()

    assert await user == seldon(0.5).SerializeToString()
    assert compared(new) == {("canary", "error"): 1, ("stable", "error"): 1}
    samples = await old.wire.metrics()
    assert samples[f'{SERVED}{{{OF},service="comparisons",method="unary",code="UNAVAILABLE"}}'] == 1


async def test_comparisons_end_with_the_orchestrator(revision, rpc_node, copies):
    never = asyncio.Event()

    async def silent(method, body, context):
        await never.wait()

    stable = await rpc_node(silent)
    new, _ = await revision([[0.5]], rpc_port=stable.port)

    await copies(new)
    assert new.application.comparer.under_way == 1
    await new.application.stop()

    assert not new.application.comparer.under_way
