"""When a node counts as reached: a proxy that takes connections for a node that is not there is no node."""

import asyncio
import shutil
import ssl
import subprocess

import grpc
import pytest
from tempers import OK, answering, hanging, whole_request

from orchestrator.servers.http import Server
from orchestrator.servers.message import Response


@pytest.fixture
def elsewhere(tmp_path):
    """The environment in which `model.ml`, a node in another pod, is on this machine."""
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 model.ml\n")
    return {"SELDON_HOSTS_FILE": str(hosts)}


def there(unit, scheme=""):
    unit["endpoint"]["service_host"] = f"{scheme}model.ml"
    return unit


def said(status, words="X"):
    return b"HTTP/1.1 %d %b\r\nContent-Length: 2\r\n\r\n{}" % (status, words.encode())


@pytest.mark.parametrize(
    ("script", "ready"),
    [
        (answering(OK), 200),
        (answering(said(404)), 200),
        (answering(said(405)), 200),
        (answering(said(500)), 200),
        (answering(b"\x00\x00\x06\x04 a gRPC server's settings"), 200),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Le"), 200),
        (hanging, 200),
        (answering(said(502)), 503),
        (answering(said(503)), 503),
        (answering(said(504)), 503),
        (answering(b""), 503),
    ],
    ids=["200", "404", "405", "500", "garbage", "short", "silent", "502", "503", "504", "hangs up"],
)
async def test_whatever_a_node_answers_it_is_reached_and_a_proxy_without_a_node_is_not(
    raw_node, orchestrate, make_unit, elsewhere, script, ready
):
    running = await orchestrate(there(make_unit("m", await raw_node(script))), environment=elsewhere)

    answer = await running.wire.get("/ready")

    assert answer.status == ready
    assert ("node 'm' at model.ml" in answer.body.decode()) is (ready == 503)


async def test_a_node_that_answered_once_is_only_connected_to(raw_node, orchestrate, make_unit, elsewhere):
    """So it is when what it says later is 503: it may be busy, and upstream asks no more either."""
    asked, says = [], [said(503), said(404), said(503)]

    async def node(reader, writer):
        asked.append(await whole_request(reader))
        writer.write(says[len(asked) - 1])

    running = await orchestrate(there(make_unit("m", await raw_node(node))), environment=elsewhere)

    found = [(await running.wire.get("/ready")).status for _ in range(4)]

    assert found == [503, 200, 200, 200]
    assert [each.split(b"\r\n")[0] for each in asked] == [b"GET / HTTP/1.1"] * 2
    assert not any("client_requests" in name for name in await running.wire.metrics())


async def test_a_node_in_the_same_pod_is_only_connected_to(node, orchestrate, make_unit):
    near = await node()
    running = await orchestrate(make_unit("m", near.port))

    assert (await running.wire.get("/ready")).status == 200
    assert near.requests == []


async def test_a_full_health_check_asks_for_no_other_page(node, orchestrate, make_unit, elsewhere):
    asked = await node()
    running = await orchestrate(
        there(make_unit("m", asked.port)), environment=elsewhere, full_health_checks="true"
    )  # fmt: skip

    assert (await running.wire.get("/ready")).status == 200
    assert asked.paths == ["/api/v1.0/health/status"]


CODES = {"OK": 200, "UNIMPLEMENTED": 200, "INTERNAL": 200, "silent": 200, "UNAVAILABLE": 503}


@pytest.mark.parametrize(("code", "ready"), CODES.items())
async def test_over_grpc_any_status_is_a_nodes_but_unavailable(rpc_node, orchestrate, remote, elsewhere, code, ready):
    async def behave(_, body, context):
        if code == "silent":
            await asyncio.Event().wait()
        if code != "OK":
            await context.abort(grpc.StatusCode[code], "no healthy upstream")
        return body

    node = await rpc_node(behave)
    running = await orchestrate(there(remote("m", node.port)), environment=elsewhere)

    found = [(await running.wire.get("/ready")).status for _ in range(2)]

    assert found == [ready] * 2
    assert node.methods == ["Health/Check"] * (1 if ready == 200 else 2)


async def test_a_proxy_that_hangs_up_is_no_node_over_grpc(raw_node, orchestrate, remote, elsewhere):
    running = await orchestrate(there(remote("m", await raw_node(closing))), environment=elsewhere)

    assert (await running.wire.get("/ready")).status == 503


async def closing(reader, _):
    await reader.read(1)


@pytest.fixture
def certificates(tmp_path):
    """A folder with a certificate of `model.ml`."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=model.ml"
    command += " -addext subjectAltName=DNS:model.ml -keyout tls.key -out tls.crt"
    subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
    return tmp_path


@pytest.mark.parametrize("encrypted", [True, False], ids=["the node", "a proxy that hangs up"])
async def test_a_node_over_tls_is_reached_when_it_speaks_tls(
    raw_node, orchestrate, make_unit, elsewhere, certificates, encrypted
):
    server = Server(lambda _: Response(404, b""))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates / "tls.crt", certificates / "tls.key")
    port = await server.listen("127.0.0.1", 0, context)
    if not encrypted:
        port = await raw_node(closing)
    environment = {**elsewhere, "SELDON_NODE_CA_FILE": str(certificates / "tls.crt")}
    running = await orchestrate(there(make_unit("m", port), "https://"), environment=environment)

    answer = await running.wire.get("/ready")
    await server.close(0.0)

    assert answer.status == (200 if encrypted else 503)
