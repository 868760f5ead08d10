"""The v2 and TensorFlow protocols over REST: paths, chains, routers and combiners."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import BadPayloadError, BadRouteError
from orchestrator.protocols.openinference import OpenInference
from orchestrator.protocols.payload import Payload
from orchestrator.protocols.seldon import Seldon
from orchestrator.protocols.tensorflow import TensorFlow
from orchestrator.servers.message import Response


def tensor(*data):
    return {"name": "x", "datatype": "FP64", "shape": [len(data)], "data": list(data)}


def v2_node(request):
    """Doubles its inputs; routes to 1; merges what it is asked to aggregate."""
    body = json.loads(request.body)
    if request.path == b"/route":
        return Response(200, json.dumps({"outputs": [tensor(1)]}).encode())
    if request.path == b"/aggregate":
        return Response(200, json.dumps({"outputs": [one["outputs"][0] for one in body]}).encode())
    doubled = [{**one, "data": [value * 2 for value in one["data"]]} for one in body["inputs"]]
    return Response(200, json.dumps({"model_name": "n", "id": body.get("id"), "outputs": doubled}).encode())


@pytest.mark.parametrize("path", ["/v2/models/infer", "/v2/models/a/infer", "/v2/models/main/versions/1/infer"])
async def test_a_v2_chain_turns_outputs_to_inputs_and_calls_each_node_by_its_own_name(
    node, orchestrate, make_unit, path
):
    model = await node(v2_node)
    graph = make_unit("a", model.port, children=[make_unit("b", model.port)])
    running = await orchestrate(graph, protocol="v2")

    answer = await running.wire.post(path, {"id": "7", "inputs": [tensor(1, 2)]})

    assert answer.json()["outputs"] == [tensor(4, 8)]
    assert answer.json()["id"] == "7"
    assert model.paths == ["/v2/models/a/infer", "/v2/models/b/infer"]


async def test_a_v2_combiner_over_a_v2_router(node, orchestrate, make_unit):
    model = await node(v2_node)
    router = make_unit("r", model.port, "ROUTER", [make_unit("a", model.port), make_unit("b", model.port)])
    graph = make_unit("c", model.port, "COMBINER", [router, make_unit("d", model.port)])
    running = await orchestrate(graph, protocol="kfserving")

    answer = await running.wire.post("/v2/models/c/infer", {"inputs": [tensor(3)]})

    assert answer.json() == {"outputs": [tensor(6), tensor(6)]}
    assert sorted(model.paths) == ["/aggregate", "/route", "/v2/models/b/infer", "/v2/models/d/infer"]


async def test_v2_health_metadata_and_names(node, orchestrate, make_unit):
    model = await node({"/v2/models/a": {"name": "a"}, "/v2/models/a/ready": {"ready": True}, "/v2/health/ready": {}})
    running = await orchestrate(make_unit("a", model.port), protocol="v2", full_health_checks="true")
    wire = running.wire

    assert (await wire.get("/v2/health/live")).status == 200
    assert (await wire.get("/v2/health/ready")).status == 200
    assert (await wire.get("/v2")).json()["name"]
    assert (await wire.get("/v2/models/a")).json() == {"name": "a"}
    assert (await wire.get("/v2/models/a/versions/3/ready")).json() == {"ready": True}
    assert (await wire.get("/v2/models/main/ready")).status == 200
    assert (await wire.get("/v2/models/main")).json()["models"] == {"a": {"name": "a"}}
    assert (await wire.get("/v2/models/other")).status == 404
    assert (await wire.get("/api/v1.0/predictions")).status == 404


@pytest.mark.parametrize(
    "path", ["/v1/models/:predict", "/v1/models:predict", "/v1/models/a:predict", "/v1/models/a/:predict"]
)
async def test_a_tensorflow_chain_turns_predictions_to_instances(node, orchestrate, make_unit, path):
    def doubles(request):
        return Response(
            200, json.dumps({"predictions": [x * 2 for x in json.loads(request.body)["instances"]]}).encode()
        )

    model = await node(doubles)
    graph = make_unit("a", model.port, children=[make_unit("b", model.port)])
    running = await orchestrate(graph, protocol="tensorflow")

    answer = await running.wire.post(path, {"instances": [1, 2]})

    assert answer.json() == {"predictions": [4, 8]}
    assert model.paths == ["/v1/models/a:predict", "/v1/models/b:predict"]


async def test_a_tensorflow_combiner_over_a_tensorflow_router(node, orchestrate, make_unit):
    def handle(request):
        body = json.loads(request.body)
        if request.path.endswith(b":route"):
            return Response(200, b'{"predictions":[1]}')
        rows = [row for one in body for row in one["predictions"]] if isinstance(body, list) else body["instances"]
        return Response(200, json.dumps({"predictions": [2 * row for row in rows]}).encode())

    model = await node(handle)
    router = make_unit("r", model.port, "ROUTER", [make_unit("a", model.port), make_unit("b", model.port)])
    graph = make_unit("c", model.port, "COMBINER", [router, make_unit("d", model.port)])
    running = await orchestrate(graph, protocol="tensorflow")

    answer = await running.wire.post("/v1/models:predict", {"instances": [3]})

    assert answer.json() == {"predictions": [12, 12]}
    assert sorted(model.paths) == [f"/v1/models/{one}" for one in ("b:predict", "c:aggregate", "d:predict", "r:route")]


@pytest.mark.parametrize(
    ("protocol", "page"),
    [("seldon", "/api/v1.0/health/status"), ("v2", "/v2/health/ready"), ("tensorflow", "/v1/models/m")],
)
async def test_a_full_health_check_asks_the_page_of_the_protocol(node, orchestrate, make_unit, protocol, page):
    well = await node({page: {}})
    sick = await node(lambda request: Response(503 if request.path.decode() == page else 200, b"{}"))

    found = []
    for one in (well, sick):
        running = await orchestrate(make_unit("m", one.port), protocol=protocol, full_health_checks="true")
        found.append((await running.wire.get("/ready")).status)

    assert found == [200, 503]
    assert well.paths == [page]


async def test_tensorflow_status_metadata_and_feedback(node, orchestrate, make_unit):
    model = await node({"/v1/models/a": {"state": "AVAILABLE"}, "/v1/models/a/metadata": {"model_spec": {}}})
    running = await orchestrate(make_unit("a", model.port), protocol="tensorflow")

    assert (await running.wire.get("/v1/models/a")).json() == {"state": "AVAILABLE"}
    assert (await running.wire.get("/v1/models/a/metadata")).json() == {"model_spec": {}}
    assert (await running.wire.post("/api/v1.0/feedback", {"reward": 1})).status == 200
    assert model.paths == ["/v1/models/a", "/v1/models/a/metadata"]


@pytest.mark.parametrize(
    ("protocol", "path", "answers", "mean"),
    [
        (
            "v2",
            "/v2/models/infer",
            [{"outputs": [tensor(1, 2)]}, {"outputs": [tensor(3, 4)]}],
            {"outputs": [tensor(2.0, 3.0)]},
        ),
        (
            "tensorflow",
            "/v1/models:predict",
            [{"predictions": [[1]]}, {"predictions": [[2]]}],
            {"predictions": [[1.5]]},
        ),
    ],
)
async def test_the_built_in_combiner_averages_in_each_protocol(
    node, orchestrate, make_unit, protocol, path, answers, mean
):
    nodes = [await node(lambda request, body=body: Response(200, json.dumps(body).encode())) for body in answers]
    children = [make_unit(f"m{at}", one.port) for at, one in enumerate(nodes)]
    graph = make_unit("c", implementation="AVERAGE_COMBINER", children=children)

    running = await orchestrate(graph, protocol=protocol)

    assert (await running.wire.post(path, {})).json() == mean


@pytest.mark.parametrize(
    ("protocol", "path", "found"),
    [("v2", "/v2/models/infer", "outputs"), ("tensorflow", "/v1/models:predict", "predictions")],
)
async def test_the_built_in_model_speaks_each_protocol(orchestrate, make_unit, protocol, path, found):
    running = await orchestrate(make_unit("m", implementation="SIMPLE_MODEL"), protocol=protocol)

    assert found in (await running.wire.post(path, {})).json()


@pytest.mark.parametrize("codec", [OpenInference(), TensorFlow()])
@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"outputs_":1}', b"\xff", b"7"])
def test_a_reply_that_cannot_be_chained_is_said(codec, body):
    with pytest.raises(BadPayloadError):
        codec.chained(Payload(body))


def test_columnar_tensorflow_outputs_cannot_be_chained():
    with pytest.raises(BadPayloadError, match="columnar"):
        TensorFlow().chained(Payload(b'{"outputs": [1]}'))


@pytest.mark.parametrize("codec", [OpenInference(), TensorFlow(), Seldon()])
@given(
    body=st.binary(max_size=40)
    | st.recursive(
        st.none() | st.integers() | st.floats() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["outputs", "data", "predictions", "shape", "ndarray", "inputs"]), inner, max_size=3
            )
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_any_bytes_are_understood_or_refused(codec, body):
    payload = Payload(body)
    for read, refusal in (
        (codec.route, BadRouteError),
        (codec.chained, BadPayloadError),
        (lambda one: codec.averaged([one, one]), BadPayloadError),
    ):
        try:
            assert read(payload) is not None
        except refusal as error:
            assert str(error)  # noqa: PT017 — both ends are right


@given(st.text())
def test_any_path_is_a_door_or_none(path):
    for codec in (OpenInference(), TensorFlow(), Seldon()):
        found = codec.addressed(path)
        assert found is None or found[0] in {"predict", "status", "metadata"}
