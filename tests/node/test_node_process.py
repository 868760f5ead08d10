"""Nodes as processes: the wrapper's paths, errors, metrics, start and end."""

import base64
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

MODEL = """
import time

class Refused(Exception):
    status_code = 422
    def to_dict(self):
        return {"status": {"code": 422, "info": "mine", "reason": "WHY", "status": "FAILURE"}}

class Mine:
    def __init__(self, factor=1, shout=False, label="x"):
        assert (type(factor), type(shout), type(label)) == (float, bool, str)
        self.factor = factor
        self.loaded = False

    def load(self):
        self.loaded = True

    def predict(self, X, names, meta=None):
        assert self.loaded
        if names == ["sleep"]:
            time.sleep(float(X[0][0]))
        if names == ["raise"]:
            raise ValueError("<no>")
        if names == ["refuse"]:
            raise Refused()
        if names == ["status"]:
            return {"status": "x"}
        return X * self.factor

    def transform_output_raw(self, message):
        return {"status": {"code": 418, "info": "teapot", "status": "FAILURE"}}

    def metrics(self):
        return [{"type": "COUNTER", "key": "my.count", "value": 2, "tags": {"kind": 'a"b'}},
                {"type": "GAUGE", "key": "level", "value": 0.5},
                {"type": "TIMER", "key": "took", "value": 20}]

    def route(self, X, names):
        return 1
"""
PARAMETERS = json.dumps(
    [
        {"name": "factor", "value": "2", "type": "FLOAT"},
        {"name": "shout", "value": "false", "type": "BOOL"},
        {"name": "label", "value": "1", "type": "STRING"},
    ]
)
IDENTITY = {
    "PREDICTIVE_UNIT_IMAGE": "host:5000/mine:7",
    "PREDICTOR_ID": "main",
    "PREDICTOR_LABELS": '{"version": "v3"}',
    "SELDON_DEPLOYMENT_ID": "iris",
    "PREDICTIVE_UNIT_PARAMETERS": PARAMETERS,
}


def rows(*names):
    return {"data": {"names": list(names), "ndarray": [[1.0]]}}


def test_one_node_from_its_start_to_its_end(launch_node):
    """One process for many assertions: a start costs more than all of them."""
    node = launch_node(MODEL, **IDENTITY)

    for path in ("/predict", "/api/v1.0/predictions", "/api/v0.1/predictions"):
        assert node.request("POST", path, rows())[1]["data"]["ndarray"] == [[2.0]]
    assert node.request("POST", "/route", rows())[1]["data"]["ndarray"] == [[1]]
    assert node.request("POST", "/transform-input", {"strData": "x"})[1]["strData"] == "x"
    assert node.request("GET", "/health/ping") == (200, "pong")
    assert node.request("GET", "/api/v1.0/health/status")[1]["strData"] == "healthy"
    assert node.request("GET", "/metadata")[1]["name"] == "host:5000/mine"
    assert node.request("GET", "/nowhere")[0] == 404
    status, answer = node.request("POST", "/v2/models/mine/infer", {"inputs": []})
    assert (status, "this node speaks the seldon protocol" in answer["status"]["info"]) == (404, True)

    query = "/predict?json=%7B%22strData%22%3A%22q%22%7D"
    assert node.request("GET", query.replace("predict", "transform-input"))[1]["strData"] == "q"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert node.request("POST", "/transform-input", b'json={"strData":"f"}', **form)[1]["strData"] == "f"
    parts = b'--b\r\nContent-Disposition: form-data; name="binData"; filename="f"\r\n\r\n\x00\x01\r\n--b--\r\n'
    multipart = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = node.request("POST", "/transform-input", parts, **multipart)[1]
    assert base64.b64decode(answer["binData"]) == b"\x00\x01"

    status, answer = node.request("POST", "/predict", b"no json")
    assert (status, answer["status"]["reason"], answer["status"]["code"]) == (400, "MICROSERVICE_BAD_DATA", -1)
    assert node.request("POST", "/predict", b"")[0] == 400
    assert node.request("POST", "/predict", b"{}", **{"Content-Encoding": "br"})[0] == 400
    assert node.request("POST", "/predict", b"{}", **multipart)[0] == 400
    status, answer = node.request("POST", "/predict", rows("raise"))
    assert (status, answer["status"]["reason"]) == (500, "MICROSERVICE_INTERNAL_ERROR")
    status, answer = node.request("POST", "/predict", rows("refuse"))
    assert (status, answer["status"]["info"]) == (422, "mine")
    assert node.request("POST", "/transform-output", {})[0] == 418

    node.request("POST", "/send-feedback", {"reward": 1.5})
    node.request("POST", "/api/v1.0/feedback", {"reward": 0.5})
    _check_metrics(node.request("GET", "/metrics", port=node.metrics_port)[1])

    assert node.memory() < 75  # 41 MiB with numpy over REST alone; the rest is gRPC
    assert node.stop() == 0


def _check_metrics(page):
    from prometheus_client.parser import text_string_to_metric_families

    families = {family.name: family for family in text_string_to_metric_families(page)}
    count = next(one for one in families["my_count"].samples if one.labels["method"] == "predict")
    assert (count.name, count.labels["kind"]) == ("my_count_total", 'a"b')
    assert {key: count.labels[key] for key in ("deployment_name", "predictor_name", "predictor_version")} == {
        "deployment_name": "iris",
        "predictor_name": "main",
        "predictor_version": "v3",
    }
    assert (count.labels["model_name"], count.labels["model_image"], count.labels["model_version"]) == (
        "mine", "host:5000/mine", "7"
    )  # fmt: skip
    assert {one.labels["method"] for one in families["level"].samples} >= {"predict", "router", "inputtransform"}
    took = [one for one in families["took"].samples if one.labels["method"] == "router"]
    assert sum(one.name == "took_bucket" for one in took) == 51
    assert next(one.value for one in took if one.name == "took_sum") == pytest.approx(0.02)
    assert families["seldon_api_model_feedback"].samples[0].value == 2
    assert families["seldon_api_model_feedback_reward"].samples[0].value == 2.0


def test_a_method_that_takes_long_holds_up_neither_health_nor_metrics(launch_node):
    node = launch_node(MODEL, **IDENTITY)
    with ThreadPoolExecutor(4) as pool:
        slow = [pool.submit(node.request, "POST", "/predict", {"data": {"names": ["sleep"], "ndarray": [[0.7]]}})]
        begun = time.perf_counter()
        assert node.request("GET", "/health/ping")[0] == 200
        assert node.request("GET", "/health/status")[0] == 200
        assert node.request("GET", "/metrics", port=node.metrics_port)[0] == 200
        assert time.perf_counter() - begun < 0.6
        assert slow[0].result()[0] == 200


def test_a_request_under_way_is_finished_at_the_end(launch_node):
    node = launch_node(MODEL, **IDENTITY)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(node.request, "POST", "/predict", {"data": {"names": ["sleep"], "ndarray": [[0.5]]}})
        time.sleep(0.2)
        code = node.stop()

    assert slow.result()[0] == 200
    assert code == 0


def test_a_method_that_never_comes_back_does_not_keep_the_process(launch_node):
    node = launch_node(MODEL, **IDENTITY)
    with socket.create_connection(("127.0.0.1", node.port)) as client:
        body = json.dumps({"data": {"names": ["sleep"], "ndarray": [[600]]}}).encode()
        client.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        time.sleep(0.2)
    begun = time.perf_counter()

    assert node.stop() == 1
    assert time.perf_counter() - begun < 10


@pytest.mark.parametrize(
    ("interface", "source", "environment", "words"),
    [
        ("Nowhere", "", {}, "No module named 'Nowhere'"),
        ("Mine.Other", MODEL, {}, "has no class 'Other'"),
        ("Mine", MODEL, {"PREDICTIVE_UNIT_PARAMETERS": '[{"name":"z","value":"1","type":"INT"}]'}, "(z)"),
        ("Mine", MODEL, {"PREDICTIVE_UNIT_PARAMETERS": '[{"name":"z","value":"x","type":"INT"}]'}, "of type INT"),
        ("Mine", MODEL, {"PREDICTIVE_UNIT_PARAMETERS": "{"}, "is no JSON"),
        ("Mine", MODEL, {"MODEL_METADATA": "["}, "MODEL_METADATA"),
    ],
)
def test_a_class_that_cannot_be_served_is_said_and_the_process_ends(launch_node, interface, source, environment, words):
    node = launch_node(source, interface, wait=False, **environment)

    assert node.process.wait(20) == 2
    assert words in node.log.read_text()


def test_a_port_that_is_taken_is_said(launch_node):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        node = launch_node(MODEL, wait=False, **{**IDENTITY, "PREDICTIVE_UNIT_METRICS_SERVICE_PORT": port})

        assert node.process.wait(20) == 1
    assert "cannot start" in node.log.read_text()
