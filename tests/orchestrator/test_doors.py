"""The orchestrator's paths, headers, pages and counts."""

import json
import re
import socket

import pytest
import yaml

from orchestrator.servers.message import Response

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
SERVER = "seldon_api_executor_server_requests_seconds_count"
CLIENT = "seldon_api_executor_client_requests_seconds_count"
PAGES = {"/live", "/api/v1.0/doc/"}
"""Say the same to everybody."""


@pytest.fixture
async def model(node, orchestrate, make_unit):
    """One model that echoes, and the orchestrator before it."""
    started = await node(
        {"/metadata": {"name": "m", "inputs": "i", "outputs": "o"}, "/health/status": {"strData": "ok"}}
    )
    running = await orchestrate(
        make_unit("m", started.port),
        predictor={"componentSpecs": [{"spec": {"containers": [{"name": "m", "image": "host:5000/m:3"}]}}]},
    )
    return started, running


@pytest.mark.parametrize("path", ["/api/v1.0/predictions", "/api/v0.1/predictions", "/api/v1.0/predictions?x=1"])
async def test_predictions_have_two_paths(model, path):
    _, running = model

    assert (await running.wire.post(path, {"a": 1})).json() == {"a": 1}


async def test_an_id_is_made_and_goes_to_the_node_and_back(model):
    started, running = model

    answer = await running.wire.predict({})

    assert UUID.fullmatch(answer.headers["seldon-puid"])
    assert started.requests[0].header(b"seldon-puid").decode() == answer.headers["seldon-puid"]


async def test_the_clients_id_and_headers_are_kept_and_hop_by_hop_ones_dropped(model):
    started, running = model

    answer = await running.wire.predict(
        {}, **{"Seldon-Puid": "mine", "X-Mine": "1", "Connection": "close", "TE": "gzip", "Accept-Encoding": "gzip"}
    )

    got = started.requests[0]
    assert answer.headers["seldon-puid"] == "mine"
    assert (got.header(b"seldon-puid"), got.header(b"x-mine")) == (b"mine", b"1")
    assert (got.header(b"te"), got.header(b"connection")) == (b"", b"")
    assert got.header(b"accept-encoding") == b"gzip"
    assert got.header(b"host") == f"localhost:{started.port}".encode()


async def test_content_type_and_encoding_of_the_request_reach_the_node(model):
    started, running = model
    data = b"POST /api/v1.0/predictions HTTP/1.1\r\nHost: x\r\nContent-Type: text/x\r\nContent-Encoding: gzip\r\n"

    await running.wire.send(data + b"Content-Length: 1\r\n\r\nx")

    got = started.requests[0]
    assert (got.header(b"content-type"), got.header(b"content-encoding"), got.body) == (b"text/x", b"gzip", b"x")


async def test_cloud_event_headers_come_back_only_when_asked_for(model):
    _, running = model

    plain = await running.wire.predict({})
    event = await running.wire.predict({}, **{"Ce-Specversion": "1.0", "Seldon-Puid": "p1"})

    assert not any(name.startswith("ce-") for name in plain.headers)
    assert {name: value for name, value in event.headers.items() if name.startswith("ce-")} == {
        "ce-id": "p1",
        "ce-specversion": "0.3",
        "ce-path": "/api/v1.0/predictions",
        "ce-type": "seldon.iris.ml.response",
        "ce-source": "seldon.iris",
    }


async def test_html_in_an_answer_is_escaped(model):
    _, running = model

    answer = await running.wire.predict({"strData": "<div>&</div>"})

    assert b"\\u003cdiv\\u003e\\u0026" in answer.body
    assert answer.json() == {"strData": "<div>&</div>"}
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/live", 200),
        ("GET", "/ready", 200),
        ("GET", "/api/v1.0/status", 200),
        ("GET", "/api/v1.0/health/status", 200),
        ("GET", "/api/v1.0/doc/", 200),
        ("GET", "/nowhere", 404),
        ("GET", "/api/v1.0/status/", 404),
        ("GET", "/api/v1.0/status/x/y", 404),
        ("GET", "/api/v1.0/status/other", 404),
        ("GET", "/api/v1.0/predictions", 405),
        ("DELETE", "/api/v1.0/feedback", 405),
        ("POST", "/ready", 405),
        ("POST", "/api/v1.0/metadata/m", 405),
        ("OPTIONS", "/api/v1.0/predictions", 200),
    ],
)
async def test_paths_and_their_methods(model, method, path, status):
    _, running = model

    answer = await running.wire.send(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())

    assert answer.status == status
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert path in PAGES or UUID.fullmatch(answer.headers["seldon-puid"])
    if status == 405:
        assert answer.headers["allow"] in {"GET, OPTIONS", "POST, OPTIONS"}
    if status >= 400:
        assert answer.json()["status"]["code"] == status


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
async def test_cors_is_as_the_environment_says(node, orchestrate, make_unit, method):
    said = {"CORS_ALLOWED_ORIGINS": "https://a.example", "CORS_ALLOWED_HEADERS": "X-Mine"}
    running = await orchestrate(make_unit("m", (await node()).port), environment=said)

    answer = await running.wire.send(f"{method} /api/v1.0/status HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == "https://a.example"
    assert answer.headers["access-control-allow-headers"] == "X-Mine"


async def test_a_nodes_own_status_and_metadata_are_handed_on(model):
    started, running = model

    assert (await running.wire.get("/api/v1.0/status/m")).json() == {"strData": "ok"}
    assert (await running.wire.get("/api/v0.1/metadata/m")).json()["name"] == "m"
    await running.wire.predict({})

    asked = [(request.method, request.path) for request in started.requests]
    assert asked == [(b"GET", b"/health/status"), (b"GET", b"/metadata"), (b"POST", b"/predict")]


async def test_the_graphs_metadata_names_all_nodes(model):
    _, running = model

    assert (await running.wire.get("/api/v1.0/metadata")).json() == {
        "name": "main",
        "models": {"m": {"name": "m", "inputs": "i", "outputs": "o"}},
        "graphinputs": "i",
        "graphoutputs": "o",
    }


async def test_the_graphs_metadata_knows_built_ins(node, orchestrate, make_unit):
    started = await node({"/metadata": {"inputs": "i", "outputs": "o"}})
    children = [make_unit("a", started.port), make_unit("b", started.port)]
    running = await orchestrate(make_unit("ab", implementation="RANDOM_ABTEST", children=children))

    answer = await running.wire.get("/api/v1.0/metadata")

    assert (answer.status, answer.json()["graphinputs"], set(answer.json()["models"])) == (200, "i", {"a", "b"})


async def test_the_document_has_the_paths_of_the_gateway(model):
    _, running = model

    document = (await running.wire.get("/api/v1.0/doc/seldon.json")).json()

    assert document["openapi"].startswith("3.")
    assert "/seldon/ml/iris/api/v1.0/predictions" in document["paths"]


async def test_the_document_of_v2_has_the_paths_of_the_gateway_and_a_page(node, orchestrate, make_unit):
    wire = (await orchestrate(make_unit("m", (await node()).port), protocol="v2")).wire

    page = await wire.get("/v2/docs/")
    found = await wire.get("/v2/docs/dataplane.yaml")
    document = yaml.safe_load(found.body)

    assert page.headers["content-type"].startswith("text/html")
    assert b'fetch("dataplane.yaml")' in page.body
    assert found.headers["content-type"] == "application/yaml"
    assert document["openapi"].startswith("3.")
    assert "/seldon/ml/iris/v2/models/{model_name}/infer" in document["paths"]


@pytest.mark.parametrize("nodes", [1, 2])
async def test_a_revision_of_a_rollout_is_known_by_the_rollouts_name(node, orchestrate, make_unit, nodes):
    """Clients know the rollout: the name of a SeldonDeployment that it took over, and none of its revisions'."""
    started = await node({"/v2/models/m/infer": {"outputs": []}, "/v2/models/n/infer": {"outputs": []}})
    graph = make_unit("m", started.port, children=[make_unit("n", started.port)] if nodes == 2 else [])
    wire = (await orchestrate(graph, protocol="v2", environment={"SELDON_ROLLOUT": "flowers"})).wire

    answers = [await wire.post(f"/v2/models/{name}/infer", {"inputs": []}) for name in ("flowers", "iris", "main")]
    about = await wire.get("/v2/models/flowers")
    document = yaml.safe_load((await wire.get("/v2/docs/dataplane.yaml")).body)

    assert [answer.status for answer in answers] == [200] * 3
    assert {request.path for request in started.requests if b"infer" in request.path} <= {
        b"/v2/models/m/infer",
        b"/v2/models/n/infer",
    }
    assert about.status == 200
    assert all(path.startswith("/seldon/ml/flowers/") for path in document["paths"])


async def test_requests_and_calls_are_counted_by_upstreams_names_and_labels(model):
    _, running = model
    for _ in range(3):
        await running.wire.predict({})
    await running.wire.post("/api/v1.0/feedback", {})
    await running.wire.post("/api/v1.0/feedback", b"[]")

    samples = await running.wire.metrics()

    predictor = 'deployment_name="iris",predictor_name="main",predictor_version="v1"'
    model_labels = 'model_name="m",model_image="host:5000/m",model_version="3"'
    assert samples[f'{SERVER}{{{predictor},service="predictions",method="post",code="200"}}'] == 3
    assert samples[f'{SERVER}{{{predictor},service="feedback",method="post",code="200"}}'] == 1
    assert samples[f'{SERVER}{{{predictor},service="feedback",method="post",code="400"}}'] == 1
    assert samples[f'{CLIENT}{{{predictor},{model_labels},service="/predict",method="post",code="200"}}'] == 3
    assert samples[f'{CLIENT}{{{predictor},{model_labels},service="/send-feedback",method="post",code="200"}}'] == 1
    buckets = [
        name for name in samples if name.startswith(SERVER.replace("_count", "_bucket")) and "predictions" in name
    ]
    bounds = " ".join(re.findall(r'le="([^"]+)"', name)[0] for name in buckets)
    assert bounds == "0.005 0.01 0.025 0.05 0.075 0.1 0.25 0.5 0.75 1 2.5 5 7.5 10 +Inf"
    assert samples["process_resident_memory_bytes"] > 1e6
    assert samples["seldon_api_executor_requests_in_flight"] == 0


async def test_the_summaries_of_upstream_have_count_and_sum(model):
    _, running = model
    for _ in range(2):
        await running.wire.predict({})

    samples = await running.wire.metrics()

    for side, service in (("server", "predictions"), ("client", "/predict")):
        found = {
            name.partition("{")[0].rpartition("_")[2]: value
            for name, value in samples.items()
            if name.startswith(f"seldon_api_executor_{side}_requests_seconds_summary_") and f'="{service}"' in name
        }
        assert found["count"] == 2
        assert found["sum"] > 0


async def test_each_call_is_booked_to_its_own_node_and_code(node, orchestrate, make_unit):
    good = await node()
    bad = await node(lambda request: Response(503, b"{}"))
    combiner = await node()
    children = [make_unit("good", good.port), make_unit("bad", bad.port)]
    running = await orchestrate(make_unit("c", combiner.port, "COMBINER", children))

    answers = [await running.wire.predict({}) for _ in range(5)]

    samples = await running.wire.metrics()
    booked = {
        re.findall(r'model_name="(\w+)".*service="([^"]+)".*code="(\d+)"', name)[0]: count
        for name, count in samples.items()
        if name.startswith(CLIENT)
    }
    assert booked == {("good", "/predict", "200"): 5, ("bad", "/predict", "503"): 5}
    assert [answer.status for answer in answers] == [503] * 5


async def test_the_metrics_page_is_prometheus_text(model):
    from prometheus_client.parser import text_string_to_metric_families

    _, running = model
    await running.wire.predict({})

    answer = await running.wire.get("/metrics")
    families = {family.name: family for family in text_string_to_metric_families(answer.body.decode())}

    histogram = families["seldon_api_executor_server_requests_seconds"]
    assert histogram.type == "histogram"
    counts = [sample.value for sample in histogram.samples if sample.name.endswith("_bucket")]
    assert counts == sorted(counts)
    assert counts[-1] == 1
    assert "text/plain; version=0.0.4" in answer.headers["content-type"]


async def test_ready_asks_all_nodes_at_once_and_names_those_that_are_missing(node, orchestrate, make_unit):
    started = await node()
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))  # so nobody else listens there
        children = [make_unit("b", one.getsockname()[1]), make_unit("c", other.getsockname()[1])]
        running = await orchestrate(make_unit("a", started.port, children=children))

        answer = await running.wire.get("/ready")

    assert answer.status == 503
    info = answer.json()["status"]["info"]
    assert ("node 'b'" in info, "node 'c'" in info, "node 'a'" in info) == (True, True, False)


async def test_full_health_checks_ask_the_nodes_page(node, orchestrate, make_unit):
    sick = await node(lambda request: Response(500 if b"health" in request.path else 200, b"{}"))
    running = await orchestrate(make_unit("m", sick.port), full_health_checks="true")

    assert (await running.wire.get("/ready")).status == 503
    assert sick.paths == ["/api/v1.0/health/status"]


async def test_draining_turns_readiness_off_and_liveness_not(model):
    _, running = model
    running.application.doors.draining = True

    assert (await running.wire.get("/ready")).status == 503
    assert (await running.wire.get("/live")).status == 200
    assert (await running.wire.predict({})).status == 200


@pytest.mark.parametrize("injection", ["true", "false"])
async def test_routing_injection_can_be_switched(node, orchestrate, make_unit, injection):
    started = await node()
    environment = {"SELDON_ENABLE_ROUTING_INJECTION": injection}
    running = await orchestrate(make_unit("m", started.port), environment=environment)

    answer = await running.wire.predict({"meta": {"routing": {"x": 3}}})

    expected = {"x": 3, "m": -1} if injection == "true" else {"x": 3}
    assert answer.json() == {"meta": {"routing": expected}}


async def test_the_same_seed_takes_the_same_ways(node, orchestrate, make_unit):
    started = await node()
    children = [make_unit("a", started.port), make_unit("b", started.port)]
    graph = make_unit("ab", implementation="RANDOM_ABTEST", children=children)

    taken = []
    for _ in range(2):
        running = await orchestrate(graph, seed=3)
        taken.append([(await running.wire.predict({}, **{"Seldon-Puid": "x"})).json() for _ in range(20)])

    assert json.dumps(taken[0]) == json.dumps(taken[1])
    assert len({json.dumps(answer) for answer in taken[0]}) > 1
