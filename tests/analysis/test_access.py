"""What Prometheus asks for at its door: the judge, metrics of AnalysisRuns and charts all bring it, as it is now."""

import base64
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web

from analysis.providers.access import Access, AccessError, access
from analysis.providers.asked import promql
from analysis.providers.asked.answer import AskError
from analysis.providers.asked.http import Http
from analysis.providers.prometheus import PrometheusProvider
from analysis.providers.provider import ProviderError

AT = datetime(2026, 1, 1, tzinfo=UTC)
Ask = Callable[[str, Access], Awaitable[object]]


async def by_the_judge(url: str, door: Access) -> object:
    return await PrometheusProvider.behind(url, door, attempts=1).instant("up", AT)


async def by_a_metric(url: str, door: Access) -> object:
    http = Http(lambda: AT)
    try:
        return await promql.ask(http, promql.Query(address=url, query="up", door=door), AT)
    finally:
        await http.close()


EVERYBODY = pytest.mark.parametrize("ask", [by_the_judge, by_a_metric])


class Door:
    """A server that answers every question, and keeps what it was sent."""

    def __init__(self) -> None:
        self.headers: list[dict[str, str]] = []
        self.port = 0

    async def answer(self, request: web.Request) -> web.Response:
        self.headers.append(dict(request.headers))
        return web.json_response({"status": "success", "data": {"resultType": "vector", "result": []}})

    async def open(self, context: ssl.SSLContext | None = None, port: int = 0) -> web.AppRunner:
        app = web.Application()
        app.router.add_route("*", "/api/v1/query", self.answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=context)
        await site.start()
        self.port = runner.addresses[0][1]
        return runner


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    found = Door()
    runner = await found.open()
    yield found
    await runner.cleanup()


def files(folder: Path, **content: str) -> str:
    for name, text in content.items():
        (folder / name.replace("_", ".")).write_text(text)
    return str(folder)


@EVERYBODY
async def test_a_token_and_headers_are_read_anew_for_each_question(door: Door, tmp_path: Path, ask: Ask) -> None:
    brought = access(files(tmp_path, token="first\n", headers="X-Scope-OrgID: ml\n\nX-Team: a\n"))
    await ask(f"http://127.0.0.1:{door.port}", brought)
    files(tmp_path, token="second", headers="X-Scope-OrgID: web")
    await ask(f"http://127.0.0.1:{door.port}", brought)
    assert [sent["Authorization"] for sent in door.headers] == ["Bearer first", "Bearer second"]
    assert [sent["X-Scope-OrgID"] for sent in door.headers] == ["ml", "web"]
    assert ("X-Team" in door.headers[0], "X-Team" in door.headers[1]) == (True, False)


@EVERYBODY
async def test_a_name_and_a_password_are_a_basic_login(door: Door, tmp_path: Path, ask: Ask) -> None:
    await ask(f"http://127.0.0.1:{door.port}", access(files(tmp_path, username="ada", password="s3cret\n")))
    assert door.headers[0]["Authorization"] == "Basic " + base64.b64encode(b"ada:s3cret").decode()


@EVERYBODY
async def test_a_token_that_is_gone_is_an_error_that_names_its_file(door: Door, tmp_path: Path, ask: Ask) -> None:
    brought = access(token_file=str(Path(files(tmp_path, token="t")) / "token"))
    (tmp_path / "token").unlink()
    with pytest.raises((ProviderError, AskError), match=r"was not asked: .*token: FileNotFoundError"):
        await ask(f"http://127.0.0.1:{door.port}", brought)
    assert not door.headers


def certificates(folder: Path) -> None:
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    )
    subprocess.run(
        [*command.split(), "-keyout", folder / "tls.key", "-out", folder / "tls.crt"], check=True, capture_output=True
    )
    (folder / "ca.crt").write_bytes((folder / "tls.crt").read_bytes())


def asking_for_a_certificate(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    context.load_verify_locations(folder / "ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


@EVERYBODY
async def test_a_server_that_asks_for_a_certificate_gets_ours_and_is_known_by_its_own(tmp_path: Path, ask: Ask) -> None:
    certificates(tmp_path)
    door = Door()
    runner = await door.open(asking_for_a_certificate(tmp_path))
    try:
        await ask(f"https://127.0.0.1:{door.port}", access(str(tmp_path)))
        (tmp_path / "ca.crt").unlink()
        with pytest.raises((ProviderError, AskError), match=r"(?i)certificate"):
            await ask(f"https://127.0.0.1:{door.port}", access(str(tmp_path)))
    finally:
        await runner.cleanup()
    assert len(door.headers) == 1


@asynccontextmanager
async def one_judge() -> AsyncIterator[Ask]:
    kept: dict[str, PrometheusProvider] = {}

    async def ask(url: str, door: Access) -> object:
        provider = kept.setdefault(url, PrometheusProvider.behind(url, door, attempts=1))
        return await provider.instant("up", AT)

    yield ask


@asynccontextmanager
async def one_metric() -> AsyncIterator[Ask]:
    http = Http(lambda: AT)
    try:
        yield lambda url, door: promql.ask(http, promql.Query(address=url, query="up", door=door), AT)
    finally:
        await http.close()


@pytest.mark.parametrize("asks", [one_judge, one_metric])
async def test_rotated_certificates_are_seen_by_whoever_asked_with_the_old_ones(
    tmp_path: Path, asks: Callable[[], AbstractAsyncContextManager[Ask]]
) -> None:
    certificates(tmp_path)
    door, brought = Door(), access(str(tmp_path))
    async with asks() as ask:
        runner = await door.open(asking_for_a_certificate(tmp_path))
        try:
            await ask(f"https://127.0.0.1:{door.port}", brought)
        finally:
            await runner.cleanup()
        certificates(tmp_path)
        runner = await door.open(asking_for_a_certificate(tmp_path), door.port)
        try:
            await ask(f"https://127.0.0.1:{door.port}", brought)
        finally:
            await runner.cleanup()
    assert len(door.headers) == 2


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
    with pytest.raises(AccessError, match=says):
        access(files(tmp_path, **content))


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(AccessError, match=r"--prometheus-access .*none: expected a folder"):
        access(str(tmp_path / "none"))
    with pytest.raises(AccessError, match=r"--prometheus-token-file .*none: expected a file"):
        access(token_file=str(tmp_path / "none"))
