"""The orchestrator behind a certificate."""

import shutil
import ssl
import subprocess

import grpc
import grpc.aio
import pytest

from orchestrator.application import Application
from orchestrator.errors import SettingsError
from orchestrator.settings import read


@pytest.fixture
def certificates(tmp_path):
    """A folder as Kubernetes mounts a TLS secret."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost"
    command += " -addext subjectAltName=IP:127.0.0.1 -keyout tls.key -out tls.crt"
    subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
    return tmp_path


async def test_requests_are_served_over_tls(node, orchestrate, make_unit, certificates):
    import asyncio

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


async def test_a_folder_without_a_certificate_is_said(tmp_path):
    line = "--sdep s --namespace n --predictor p --http_port 0"
    environment = {
        "ENGINE_PREDICTOR": "eyJncmFwaCI6eyJuYW1lIjoibSIsImltcGxlbWVudGF0aW9uIjoiU0lNUExFX01PREVMIn19",
        "SELDON_CERT_MOUNT_PATH": str(tmp_path),
        "SELDON_PODINFO_PATH": "/nowhere",
    }

    with pytest.raises(SettingsError, match="SELDON_CERT_MOUNT_PATH"):
        await Application(read(line.split(), environment)).start()
