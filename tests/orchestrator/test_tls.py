"""The orchestrator behind a certificate."""

import asyncio
import shutil
import ssl
import subprocess

import grpc
import grpc.aio
import pytest

from orchestrator import protos
from orchestrator.application import Application
from orchestrator.errors import SettingsError
from orchestrator.servers.http import Server
from orchestrator.servers.message import Response
from orchestrator.settings import read

Message = protos.message("seldon.protos.SeldonMessage")


def issue(folder, name="localhost"):
    command = f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN={name}"
    command += " -addext subjectAltName=IP:127.0.0.1,DNS:localhost -keyout tls.key -out tls.crt"
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)


@pytest.fixture
def certificates(tmp_path):
    """A folder as Kubernetes mounts a TLS secret."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    issue(tmp_path)
    return tmp_path


async def test_requests_are_served_over_tls(node, orchestrate, make_unit, certificates):
    model = await node()
    running = await orchestrate(make_unit("m", model.port), environment={"SELDON_CERT_MOUNT_PATH": str(certificates)})
    trust = ssl.create_default_context(cafile=str(certificates / "tls.crt"))

    reader, writer = await asyncio.open_connection("127.0.0.1", running.wire.port, ssl=trust)
    writer.write(b"POST /api/v1.0/predictions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    await writer.wait_closed()

    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.endswith(b"\r\n\r\n{}")


async def test_grpc_is_served_over_tls(orchestrate, certificates):
    running = await orchestrate(
        {"name": "s", "implementation": "SIMPLE_MODEL"}, environment={"SELDON_CERT_MOUNT_PATH": str(certificates)}
    )
    trust = grpc.ssl_channel_credentials((certificates / "tls.crt").read_bytes())

    async with grpc.aio.secure_channel(f"127.0.0.1:{running.application.grpc_port}", trust) as channel:
        answer = await channel.unary_unary("/seldon.protos.Seldon/Predict")(b"", timeout=10)

    assert b"class0" in answer


async def shown(port):
    """The name in the certificate that a server shows."""
    blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    blind.check_hostname, blind.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=blind)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    return "renewed" if b"renewed" in der else "first" if b"first" in der else "another"


async def test_a_renewed_certificate_is_shown_on_both_doors_without_a_restart(orchestrate, certificates):
    issue(certificates, "first")
    running = await orchestrate(
        {"name": "s", "implementation": "SIMPLE_MODEL"}, environment={"SELDON_CERT_MOUNT_PATH": str(certificates)}
    )
    ports = (running.wire.port, running.application.grpc_port)
    before = [await shown(port) for port in ports]
    issue(certificates, "renewed")
    after = [await shown(port) for port in ports]
    (certificates / "tls.crt").write_text("broken")
    kept = [await shown(port) for port in ports]

    assert (before, after, kept) == (["first"] * 2, ["renewed"] * 2, ["renewed"] * 2)


async def test_a_node_may_be_called_over_https(orchestrate, make_unit, certificates):
    server = Server(lambda request: Response(200, b"secret " + request.body))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates / "tls.crt", certificates / "tls.key")
    port = await server.listen("127.0.0.1", 0, context)
    graph = make_unit("m", port)
    graph["endpoint"]["service_host"] = "https://localhost"
    trusting = await orchestrate(graph, environment={"SELDON_NODE_CA_FILE": str(certificates / "tls.crt")})
    doubting = await orchestrate(graph)

    trusted = [await trusting.wire.predict({"at": at}) for at in range(3)]
    long = await trusting.wire.predict(b"x" * 1_000_000)
    refused = await doubting.wire.predict({})
    await server.close(0.0)

    assert [answer.body for answer in trusted] == [b'secret {"at": %d}' % at for at in range(3)]
    assert long.headers["transfer-encoding"] == "chunked"
    assert (refused.status, refused.json()["status"]["reason"]) == (500, "NODE_UNREACHABLE")
    assert "certificate" in refused.json()["status"]["info"].lower()


async def test_a_node_may_be_called_over_grpc_with_tls(orchestrate, remote, rpc, certificates):
    class Echo(grpc.GenericRpcHandler):
        def service(self, details):
            async def serve(body, context):
                return body

            return grpc.unary_unary_rpc_method_handler(serve)

    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Echo(),))
    pair = ((certificates / "tls.key").read_bytes(), (certificates / "tls.crt").read_bytes())
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    await server.start()
    graph = remote("m", port)
    graph["endpoint"]["service_host"] = "grpcs://localhost"
    trusting = await orchestrate(graph, environment={"SELDON_NODE_CA_FILE": str(certificates / "tls.crt")})
    doubting = await orchestrate(graph)

    answer = await rpc(trusting, "/seldon.protos.Seldon/Predict", Message(strData="secret"), Message)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await rpc(doubting, "/seldon.protos.Seldon/Predict", Message(), Message)
    await server.stop(None)

    assert answer.strData == "secret"
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("text", [None, "no certificate"])
async def test_authorities_that_are_none_are_said(orchestrate, make_unit, tmp_path, text):
    file = tmp_path / "ca.crt"
    if text is not None:
        file.write_text(text)
    graph = make_unit("m", 1)
    graph["endpoint"]["service_host"] = "https://localhost"

    with pytest.raises(SettingsError, match="SELDON_NODE_CA_FILE"):
        await orchestrate(graph, environment={"SELDON_NODE_CA_FILE": str(file)})


async def test_a_folder_without_a_certificate_is_said(tmp_path):
    line = "--sdep s --namespace n --predictor p --http_port 0"
    environment = {
        "ENGINE_PREDICTOR": "eyJncmFwaCI6eyJuYW1lIjoibSIsImltcGxlbWVudGF0aW9uIjoiU0lNUExFX01PREVMIn19",
        "SELDON_CERT_MOUNT_PATH": str(tmp_path),
        "SELDON_PODINFO_PATH": "/nowhere",
    }

    with pytest.raises(SettingsError, match="SELDON_CERT_MOUNT_PATH"):
        await Application(read(line.split(), environment)).start()
