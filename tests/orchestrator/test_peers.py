"""The same graphs on real nodes: our own runtime, and beside it what it takes the place of, over REST and gRPC.

The others are made by `make peers`, each in an environment of its own.
"""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import grpc
import pytest
from google.protobuf import empty_pb2

from orchestrator import protos

ROOT = Path(__file__).parents[2]
PEERS = Path(os.environ.get("PEERS") or ROOT / ".peers")
Message = protos.message("seldon.protos.SeldonMessage")
InferRequest = protos.message("inference.ModelInferRequest")
InferResponse = protos.message("inference.ModelInferResponse")

EVERYTHING = """
class Everything:
    class_names = ["a", "b"]

    def predict(self, X, names=None, meta=None):
        return X * 2

    def transform_input(self, X, names=None, meta=None):
        return X + 1

    def transform_output(self, X, names=None, meta=None):
        return X * 10

    def route(self, X, names=None, meta=None):
        return 1

    def aggregate(self, parts, names=None, meta=None):
        return sum(parts)

    def send_feedback(self, X, names, reward, truth, routing=None):
        return []

    def tags(self):
        return {"by": "everything"}

    def init_metadata(self):
        return {"name": "everything", "versions": ["v1"], "platform": "p", "inputs": [], "outputs": []}
"""
DOUBLES = """
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse


class Doubles(MLModel):
    async def load(self):
        return True

    async def predict(self, payload):
        outputs = [
            NumpyCodec.encode_output(one.name, self.decode(one, default_codec=NumpyCodec) * 2)
            for one in payload.inputs
        ]
        return InferenceResponse(id=payload.id, model_name=self.name, outputs=outputs)
"""


def free_ports(count):
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def python_of(peer):
    """The Python of a peer's environment; skips where there is none."""
    found = PEERS / peer / "bin" / "python"
    if not (PEERS / peer / "requirements.txt").is_file():
        pytest.skip(f"{peer} is not installed: make peers")
    return str(found)


class Peer:
    """A running node: its ports and its process."""

    def __init__(self, command, folder, environment, ports):
        self.http, self.grpc = ports
        self.log = folder / "log.txt"
        with self.log.open("wb") as stream:
            self.process = subprocess.Popen(
                command, cwd=folder, env={**os.environ, **environment}, stdout=stream, stderr=stream
            )
        end = time.monotonic() + 60
        while not all(self._open(port) for port in ports):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.05)

    @staticmethod
    def _open(port):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def unit(self, transport, name, kind="MODEL", children=()):
        """A unit that this node serves over REST, over gRPC, or both."""
        ports = {"rest": {"httpPort": self.http}, "grpc": {"grpcPort": self.grpc}}
        ports["both"] = {**ports["rest"], **ports["grpc"]}
        endpoint = {"service_host": "localhost", "type": "GRPC" if transport == "grpc" else "REST", **ports[transport]}
        return {"name": name, "type": kind, "endpoint": endpoint, "children": list(children)}


def wrapper_peer(name, folder):
    http, remote, metrics = free_ports(3)
    (folder / "Everything.py").write_text(EVERYTHING)
    environment = {
        "PREDICTIVE_UNIT_HTTP_SERVICE_PORT": str(http),
        "PREDICTIVE_UNIT_GRPC_SERVICE_PORT": str(remote),
        "PREDICTIVE_UNIT_METRICS_SERVICE_PORT": str(metrics),
        "PREDICTIVE_UNIT_ID": "node",
        "SELDON_BIND_ADDRESS": "127.0.0.1",
        "SELDON_PODINFO_PATH": "/nowhere",
    }
    command = [sys.executable, "-m", "orchestrator.node", "Everything"]
    if name == "seldon-core":
        launcher = str(ROOT / "localcluster" / "seldon_launcher.py")
        command = [python_of(name), "-P", launcher, "Everything", "--import-path", str(folder)]
    return Peer(command, folder, environment, (http, remote))


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """Gives running peers by name; each is started once."""
    peers = {}

    def start(name):
        if name not in peers:
            folder = tmp_path_factory.mktemp(name)
            peers[name] = mlserver_peer(folder) if name == "mlserver" else wrapper_peer(name, folder)
        return peers[name]

    yield start
    for peer in peers.values():
        peer.process.terminate()
        peer.process.wait(20)


def mlserver_peer(folder):
    python = python_of("mlserver")
    http, remote, metrics = free_ports(3)
    (folder / "doubles.py").write_text(DOUBLES)
    settings = {
        "host": "127.0.0.1", "http_port": http, "grpc_port": remote, "metrics_port": metrics, "parallel_workers": 0
    }  # fmt: skip
    (folder / "settings.json").write_text(json.dumps(settings))
    for name in ("first", "second", "joint"):
        (folder / name).mkdir()
        model = {"name": name, "implementation": "doubles.Doubles"}
        (folder / name / "model-settings.json").write_text(json.dumps(model))
    command = [str(Path(python).with_name("mlserver")), "start", "."]
    return Peer(command, folder, {"PYTHONPATH": str(folder)}, (http, remote))


def tensor(*values):
    message = Message()
    message.data.tensor.shape[:] = [1, len(values)]
    message.data.tensor.values[:] = values
    return message


async def ask(door, running, rpc, values):
    """One prediction through a door: the numbers, the tags and the routing of the answer."""
    if door == "grpc":
        answer = await rpc(running, "/seldon.protos.Seldon/Predict", tensor(*values), Message)
        tags = {key: value.string_value for key, value in answer.meta.tags.items()}
        return list(answer.data.tensor.values), tags, dict(answer.meta.routing)
    body = {"data": {"tensor": {"shape": [1, len(values)], "values": values}}}
    answer = (await running.wire.predict(body)).json()
    return answer["data"]["tensor"]["values"], answer["meta"]["tags"], answer["meta"]["routing"]


@pytest.mark.parametrize("door", ["rest", "grpc"])
@pytest.mark.parametrize("transport", ["rest", "grpc", "both"])
@pytest.mark.parametrize("peer", ["ours", "seldon-core"])
async def test_every_unit_type_works_on_real_nodes(started, orchestrate, rpc, peer, transport, door):
    node = started(peer)
    unit = lambda *arguments: node.unit(transport, *arguments)  # noqa: E731
    combiner = unit("c", "COMBINER", [unit("m2"), unit("m3")])
    router = unit("r", "ROUTER", [unit("m1"), combiner])
    running = await orchestrate(unit("t", "TRANSFORMER", [unit("o", "OUTPUT_TRANSFORMER", [router])]))

    values, tags, routing = await ask(door, running, rpc, [3.0, 5.0])

    assert values == [160, 240]
    assert tags == {"by": "everything"}
    assert routing == {"t": -1, "o": -1, "r": 1, "c": -1, "m2": -1, "m3": -1}


@pytest.mark.parametrize("door", ["rest", "grpc"])
@pytest.mark.parametrize("transport", ["rest", "grpc"])
@pytest.mark.parametrize("peer", ["ours", "seldon-core"])
async def test_feedback_and_metadata_work_on_real_nodes(started, orchestrate, rpc, peer, transport, door):
    node = started(peer)
    running = await orchestrate(node.unit(transport, "r", "ROUTER", [node.unit(transport, "m")]))

    if door == "rest":
        feedback = {"request": {"data": {"ndarray": [[1.0]]}}, "response": {"meta": {"routing": {"r": 0}}}, "reward": 1}
        assert (await running.wire.post("/api/v1.0/feedback", feedback)).status == 200
        found = (await running.wire.get("/api/v1.0/metadata")).json()
        assert found["models"]["m"]["name"] == "everything"
        return
    feedback = protos.message("seldon.protos.Feedback")(reward=1, request=tensor(1))
    feedback.response.meta.routing["r"] = 0
    await rpc(running, "/seldon.protos.Seldon/SendFeedback", feedback, Message)
    kind = protos.message("seldon.protos.SeldonGraphMetadata")
    found = await rpc(running, "/seldon.protos.Seldon/GraphMetadata", empty_pb2.Empty(), kind)
    assert found.models["m"].name == "everything"


CLIENT = """
import sys
import numpy as np
from seldon_core.seldon_client import SeldonClient

for transport, port in (("rest", sys.argv[1]), ("grpc", sys.argv[2])):
    client = SeldonClient(deployment_name="iris", namespace="ml", gateway="seldon", transport=transport,
                          gateway_endpoint="localhost:" + port, client_return_type="proto")
    answer = client.predict(data=np.array([[3.0, 5.0]]), payload_type="tensor")
    assert answer.success, answer
    assert list(answer.response.data.tensor.values) == [6.0, 10.0], answer
    told = client.feedback(prediction_request=answer.request, prediction_response=answer.response, reward=1.0)
    assert told.success, told
print("fine")
"""


async def test_the_seldon_client_works_over_rest_and_grpc(started, orchestrate):
    import asyncio

    python = python_of("seldon-core")
    running = await orchestrate(started("ours").unit("both", "m"))
    ports = [str(running.wire.port), str(running.application.grpc_port)]

    process = await asyncio.create_subprocess_exec(
        python, "-c", CLIENT, *ports, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)

    assert output.decode().strip().endswith("fine"), output.decode()


# ---------------------------------------------------------------- v2 on MLServer


def infer_request(*values):
    request = InferRequest(id="7")
    one = request.inputs.add(name="x", datatype="FP32", shape=[1, len(values)])
    one.contents.fp32_contents[:] = values
    return request


@pytest.mark.parametrize("door", ["rest", "grpc"])
@pytest.mark.parametrize("transport", ["rest", "grpc", "both"])
async def test_a_chain_of_models_works_on_mlserver(started, orchestrate, rpc, transport, door):
    node = started("mlserver")
    graph = node.unit(transport, "first", "TRANSFORMER", [node.unit(transport, "second")])
    running = await orchestrate(graph, protocol="v2")

    if door == "grpc":
        answer = await rpc(running, "/inference.GRPCInferenceService/ModelInfer", infer_request(1, 2), InferResponse)
        assert (list(answer.outputs[0].contents.fp32_contents), answer.id) == ([4, 8], "7")
        return
    body = {"id": "7", "inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}
    answer = (await running.wire.post("/v2/models/infer", body)).json()
    assert (answer["outputs"][0]["data"], answer["id"]) == ([4, 8], "7")


@pytest.mark.parametrize("door", ["rest", "grpc"])
async def test_a_combiner_and_a_router_work_on_mlserver_over_grpc(started, orchestrate, rpc, door):
    node = started("mlserver")
    combiner = node.unit("grpc", "joint", "COMBINER", [node.unit("grpc", "first"), node.unit("grpc", "second")])
    running = await orchestrate(combiner, protocol="v2")

    if door == "grpc":
        answer = await rpc(running, "/inference.GRPCInferenceService/ModelInfer", infer_request(1, 2), InferResponse)
        found = {one.name: list(one.contents.fp32_contents) for one in answer.outputs}
    else:
        body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}
        answer = (await running.wire.post("/v2/models/infer", body)).json()
        found = {one["name"]: one["data"] for one in answer["outputs"]}

    assert found == {"first.x": [4, 8], "second.x": [4, 8]}


async def test_health_and_metadata_of_mlserver_over_both(started, orchestrate, rpc):
    node = started("mlserver")
    running = await orchestrate(node.unit("both", "first"), protocol="v2", full_health_checks="true")
    ready = protos.message("inference.ModelReadyRequest")(name="first")

    over_grpc = await rpc(
        running, "/inference.GRPCInferenceService/ModelReady", ready, protos.message("inference.ModelReadyResponse")
    )

    assert over_grpc.ready
    assert (await running.wire.get("/ready")).status == 200
    assert (await running.wire.get("/v2/models/first/ready")).status == 200
    assert (await running.wire.get("/v2/models/first")).json()["name"] == "first"


async def test_a_name_that_mlserver_does_not_know_is_not_found(started, orchestrate, rpc):
    running = await orchestrate(started("mlserver").unit("both", "first"), protocol="v2")
    request = infer_request(1)
    request.model_name = "nobody"

    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await rpc(running, "/inference.GRPCInferenceService/ModelInfer", request, InferResponse)
    over_rest = await running.wire.post("/v2/models/nobody/infer", {"inputs": []})

    assert failed.value.code() is grpc.StatusCode.NOT_FOUND
    assert over_rest.status == 404
