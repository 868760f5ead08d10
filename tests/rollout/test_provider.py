"""What Prometheus asks for at its door, from a mounted Secret."""

import base64
import ssl
import subprocess
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web

from analysis.providers.provider import ProviderError
from controller.rollout.provider import provider
from controller.settings import Settings, SettingsError

AT = datetime(2026, 1, 1, tzinfo=UTC)


class Door:
    """A server that answers every question, and keeps what it was asked."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.port = 0

    async def answer(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        return web.json_response({"status": "success", "data": {"resultType": "vector", "result": []}})


async def opened(door: Door, context: ssl.SSLContext | None) -> web.AppRunner:
    app = web.Application()
    app.router.add_get("/api/v1/query", door.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    door.port = site._server.sockets[0].getsockname()[1]
    return runner


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    found = Door()
    runner = await opened(found, None)
    yield found
    await runner.cleanup()


def files(folder: Path, **content: str) -> Path:
    for name, text in content.items():
        (folder / name.replace("_", ".")).write_text(text)
    return folder


def settings(door: Door, folder: Path, scheme: str = "http") -> Settings:
    return Settings(prometheus_url=f"{scheme}://127.0.0.1:{door.port}", prometheus_access=str(folder))


async def test_a_token_is_read_anew_for_each_question(door: Door, tmp_path: Path) -> None:
    asked = provider(settings(door, files(tmp_path, token="first\n", headers="X-Scope-OrgID: ml\n\nX-Team: a\n")))
    await asked.instant("up", AT)
    files(tmp_path, token="second")
    await asked.instant("up", AT)
    assert [request.headers["Authorization"] for request in door.requests] == ["Bearer first", "Bearer second"]
    assert (door.requests[0].headers["X-Scope-OrgID"], door.requests[0].headers["X-Team"]) == ("ml", "a")


async def test_a_name_and_a_password_are_a_basic_login(door: Door, tmp_path: Path) -> None:
    await provider(settings(door, files(tmp_path, username="ada", password="s3cret\n"))).instant("up", AT)
    assert door.requests[0].headers["Authorization"] == "Basic " + base64.b64encode(b"ada:s3cret").decode()


def certificates(folder: Path) -> None:
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    )
    subprocess.run(
        [*command.split(), "-keyout", folder / "tls.key", "-out", folder / "tls.crt"], check=True, capture_output=True
    )
    (folder / "ca.crt").write_bytes((folder / "tls.crt").read_bytes())


async def test_a_server_that_asks_for_a_certificate_gets_ours_and_is_known_by_its_own(tmp_path: Path) -> None:
    certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    context.load_verify_locations(tmp_path / "ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    door = Door()
    runner = await opened(door, context)
    try:
        assert await provider(settings(door, tmp_path, "https")).instant("up", AT) == ([], [])
        (tmp_path / "ca.crt").unlink()
        with pytest.raises(ProviderError, match="certificate"):
            await provider(settings(door, tmp_path, "https")).instant("up", AT)
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"username": "ada"}, "password is missing"),
        ({"tls_key": "k"}, "tls.crt is missing"),
        ({"token": "t", "username": "ada", "password": "p"}, "not both"),
        ({"headers": "no colon"}, "expected lines such as"),
    ],
)
def test_files_that_do_not_fit_are_named(tmp_path: Path, content: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        provider(Settings(prometheus_url="http://127.0.0.1:9", prometheus_access=str(files(tmp_path, **content))))


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="expected a folder"):
        provider(Settings(prometheus_url="http://127.0.0.1:9", prometheus_access=str(tmp_path / "none")))
