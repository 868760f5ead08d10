"""The orchestrator keeps to its own OpenAPI document, whatever it is asked; and nothing that is asked breaks it."""

import asyncio
import json

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import positive_data_acceptance

from orchestrator.servers.message import Response

CASES = 8
"""For each operation."""


def infers(request):
    """A model of v2 that gives back its inputs, and says what it was not given."""
    try:
        return Response(200, json.dumps({"model_name": "m", "outputs": json.loads(request.body)["inputs"]}).encode())
    except (ValueError, KeyError, TypeError):
        return Response(200, b'{"name": "m"}') if request.method == b"GET" else Response(400, b'{"error": "no inputs"}')


@pytest.fixture(params=["seldon", "v2"])
async def asked(request, node, orchestrate, make_unit):
    """The document of a running graph; its paths are those behind the gateway.

    In the seldon protocol it routes, averages and echoes, in v2 it is a chain.
    """
    protocol = request.param
    if protocol == "seldon":
        echo, where = await node(), "/api/v1.0/doc/seldon.json"
        averaging = {"name": "c", "implementation": "AVERAGE_COMBINER", "children": [make_unit("x", echo.port)]}
        averaging["children"].append(make_unit("y", echo.port))
        graph = {"name": "r", "implementation": "RANDOM_ABTEST", "children": [make_unit("m", echo.port), averaging]}
    else:
        model, where = await node(infers), "/v2/docs/dataplane.yaml"
        graph = make_unit("m", model.port, children=[make_unit("n", model.port)])
    running = await orchestrate(graph, protocol=protocol)
    document = json.loads((await running.wire.get(where)).body)
    document["paths"] = {
        path.removeprefix("/seldon/ml/iris"): found
        for path, found in document["paths"].items()
        if "{model_version}" not in path  # the same doors
    }
    return document, running


def ask(document, port, mode, check):
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=f"http://127.0.0.1:{port}")
    schema.config.generation.update(modes=[mode])
    if mode is GenerationMode.NEGATIVE:
        schema = schema.include(method="POST")  # a GET without parameters cannot be wrong
    for found in schema.get_all_operations():

        @settings(
            max_examples=CASES,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
            phases=[Phase.generate],
        )
        @given(case=found.ok().as_strategy(generation_mode=mode))
        def question(case):
            check(case)

        question()


async def test_answers_are_as_the_document_describes_them(asked):
    document, running = asked

    def check(case):
        # No document can say what the nodes of a graph take: a combiner of averages has no use for text.
        case.call_and_validate(excluded_checks=[positive_data_acceptance])

    await asyncio.to_thread(ask, document, running.wire.port, GenerationMode.POSITIVE, check)

    assert running.application.load.in_flight == 0


async def test_what_the_document_does_not_allow_is_no_error_of_the_server(asked):
    document, running = asked

    def check(case):
        case.validate_response(case.call(), checks=[not_a_server_error])

    await asyncio.to_thread(ask, document, running.wire.port, GenerationMode.NEGATIVE, check)

    assert json.loads((await running.wire.get("/ready")).body) == {}
