"""Kubeconfigs, tokens, exec plugins and service accounts, as far as we add to what kubernetes_asyncio reads."""

import asyncio
import contextlib
import json
import ssl
import stat
import sys
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes_asyncio.config import incluster_config

from controller import clock
from controller.kube.brief import Brief
from controller.kube.client import Client
from controller.kube.connection import CredentialsError, connector, fixed
from controller.kube.errors import UnavailableError
from controller.kube.lasting import Lasting
from controller.kube.resources import NAMESPACE
from localcluster.apiserver import certificates
from localcluster.testserver import running_server

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)


def written(path: Path, user: dict[str, Any], **cluster: Any) -> str:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "ml"}}],
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:9/", **cluster}}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(yaml.safe_dump(config))
    return str(path)


async def test_a_token_is_read_and_kept_to_itself(tmp_path: Path) -> None:
    connect = connector(written(tmp_path / "config", {"token": "hush"}), None, now=lambda: AT)
    connection = await connect()
    assert (connection.url, connection.namespace) == ("http://127.0.0.1:9", "ml")
    assert connection.authorization.value == "Bearer hush"
    assert "hush" not in repr(connection)
    assert connection.reread_at == AT + timedelta(minutes=1)


async def test_a_token_file_is_read_anew_each_time(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first\n")
    connect = connector(written(tmp_path / "config", {"tokenFile": str(token)}), None, now=lambda: AT)
    assert (await connect()).authorization.value == "Bearer first"
    token.write_text("second\n")
    assert (await connect()).authorization.value == "Bearer second"


@pytest.mark.parametrize(
    ("cluster", "bypassed", "expected"),
    [
        ({"server": "https://api.example:6443"}, "", "http://proxy.example:3128"),
        ({"server": "https://api.example:6443"}, "other.example", "http://proxy.example:3128"),
        ({"server": "https://api.example:6443"}, ".example", None),
        ({"server": "http://api.example:8080"}, "", None),
        ({"server": "https://api.example:6443", "proxy-url": "http://own.example:1"}, "", "http://own.example:1"),
    ],
    ids=["of the environment", "not for others", "not for this server", "not for this scheme", "the kubeconfig's own"],
)
async def test_a_proxy_is_the_kubeconfigs_or_the_environments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cluster: dict[str, str], bypassed: str, expected: str | None
) -> None:
    for name, value in {"https_proxy": "http://proxy.example:3128", "http_proxy": "", "no_proxy": bypassed}.items():
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.setenv(name, value)
    connection = await connector(written(tmp_path / "config", {}, **cluster), None, now=lambda: AT)()
    assert connection.proxy == expected


@pytest.mark.parametrize("expires", [None, "2026-01-01T13:00:00Z"])
async def test_an_exec_plugin_is_asked_again_shortly_before_its_answer_expires(
    tmp_path: Path, expires: str | None
) -> None:
    status = {"token": "from-plugin"} | ({"expirationTimestamp": expires} if expires else {})
    credential = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    plugin = tmp_path / "plugin"
    plugin.write_text(f"#!{sys.executable}\nprint({json.dumps(credential)!r})\n")
    plugin.chmod(plugin.stat().st_mode | stat.S_IXUSR)
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin)}}
    connection = await connector(written(tmp_path / "config", user), None, now=lambda: AT)()
    assert connection.authorization.value == "Bearer from-plugin"
    assert connection.reread_at == (AT + timedelta(minutes=59) if expires else None)


async def test_a_plugin_that_fails_is_named_with_what_it_said(tmp_path: Path) -> None:
    user = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": sys.executable,
            "args": ["-c", "raise SystemExit('no login')"],
        }
    }
    with pytest.raises(CredentialsError, match=r"config.*exec: process returned 1\. no login"):
        await connector(written(tmp_path / "config", user), None, now=lambda: AT)()


async def test_a_plugin_that_is_not_there_comes_with_the_way_to_get_it(tmp_path: Path) -> None:
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(tmp_path / "nothing")}
    user = {"exec": {**plugin, "installHint": "get it from your provider"}}
    with pytest.raises(CredentialsError, match=r"(?s)No such file.*nothing.*\nget it from your provider$"):
        await connector(written(tmp_path / "config", user), None, now=lambda: AT)()


async def test_a_proxy_that_is_not_there_is_named_and_nothing_of_the_library(tmp_path: Path) -> None:
    connect = connector(written(tmp_path / "config", {}, **{"proxy-url": "http://127.0.0.1:9"}), None, now=lambda: AT)
    async with Client(connect, transport=Brief) as client:
        with pytest.raises(UnavailableError, match=r"cannot connect to the proxy 127\.0\.0\.1:9: [^<]*$"):
            await client.list(NAMESPACE)


async def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match="missing' is not a file"):
        await connector(str(tmp_path / "missing"), None, now=lambda: AT)()


async def test_a_context_that_is_not_there_is_named_without_showing_the_file(tmp_path: Path) -> None:
    connect = connector(written(tmp_path / "config", {"token": "hush"}), "nowhere", now=lambda: AT)
    with pytest.raises(CredentialsError, match="nowhere") as caught:
        await connect()
    assert "hush" not in str(caught.value)


async def test_a_broken_user_is_told_without_its_secrets(tmp_path: Path) -> None:
    """The library's own message quotes the whole entry."""
    user = {"token-typo": "hush", "exec": {"apiVersion": "v1", "command": "x", "args": {"hush": "hush"}}}
    with pytest.raises(CredentialsError) as caught:
        await connector(written(tmp_path / "config", user), None, now=lambda: AT)()
    assert "hush" not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_in_a_pod_the_service_account_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_server() as server:
        token, authority = tmp_path / "token", tmp_path / "ca.crt"
        token.write_text(server.admin_token + "\n")
        authority.write_text(server.authority or "")
        host, port = server.url.removeprefix("https://").split(":")
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
        monkeypatch.delenv("KUBECONFIG", raising=False)
        defaults: Callable[..., None] = incluster_config.load_incluster_config

        def here(**kwargs: Any) -> None:
            defaults(**kwargs, token_filename=str(token), cert_filename=str(authority))

        monkeypatch.setattr("kubernetes_asyncio.config.load_incluster_config", here)
        async with Client(connector(None, None, now=clock.now)) as client:
            items, _ = await client.list(NAMESPACE)
        assert items


async def test_a_kubeconfig_leads_to_a_server_over_tls() -> None:
    async with running_server() as server:
        for transport in (Lasting, Brief):
            connect = connector(str(server.kubeconfig_path), None, now=clock.now)
            async with Client(connect, transport=transport) as client:
                items, _ = await client.list(NAMESPACE)
            assert items
        strange = fixed(server.url, tls=ssl.create_default_context())
        async with Client(strange, transport=Brief) as client:
            with pytest.raises(UnavailableError, match="its certificate is not trusted"):
                await client.list(NAMESPACE)


class Strict:
    """A TLS server that wants to see a certificate, and remembers whose it saw."""

    def __init__(self, folder: Path) -> None:
        self.own, self.theirs = certificates.ensure(folder / "server"), certificates.ensure(folder / "client")
        self.seen: list[Any] = []

    def context(self) -> ssl.SSLContext:
        made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(self.theirs.certificate))
        made.load_cert_chain(self.own.certificate, self.own.key)
        made.verify_mode = ssl.CERT_REQUIRED
        return made

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            await reader.readuntil(b"\r\n\r\n")
            self.seen.append(writer.get_extra_info("peercert"))
            body = json.dumps({"metadata": {}, "items": [{"metadata": {"name": "ml"}}]}).encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            await writer.drain()
            await reader.read()
        writer.close()


def by_data(strict: Strict, _folder: Path) -> dict[str, Any]:
    certificate, key = strict.theirs.certificate.read_bytes(), strict.theirs.key.read_bytes()
    return {"client-certificate-data": b64encode(certificate).decode(), "client-key-data": b64encode(key).decode()}


def by_path(strict: Strict, _folder: Path) -> dict[str, Any]:
    return {"client-certificate": str(strict.theirs.certificate), "client-key": str(strict.theirs.key)}


def by_plugin(strict: Strict, folder: Path) -> dict[str, Any]:
    certificate, key = strict.theirs.certificate.read_text(), strict.theirs.key.read_text()
    status = {"clientCertificateData": certificate, "clientKeyData": key}
    told = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    plugin = folder / "plugin"
    plugin.write_text(f"#!{sys.executable}\nprint({json.dumps(told)!r})\n")
    plugin.chmod(plugin.stat().st_mode | stat.S_IXUSR)
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin)}}


@pytest.mark.parametrize("transport", [Lasting, Brief])
@pytest.mark.parametrize("user", [by_data, by_path, by_plugin, None])
async def test_a_client_certificate_is_shown_to_a_server_that_wants_one(
    tmp_path: Path, user: Callable[[Strict, Path], dict[str, Any]] | None, transport: Any
) -> None:
    strict = Strict(tmp_path)
    server = await asyncio.start_server(strict.serve, "127.0.0.1", 0, ssl=strict.context())
    at = {"server": f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", "tls-server-name": "localhost"}
    at["certificate-authority"] = str(strict.own.certificate)
    path = written(tmp_path / "config", user(strict, tmp_path) if user else {"token": "hush"}, **at)
    async with server, Client(connector(path, None, now=clock.now), transport=transport) as client:
        if user is None:
            with pytest.raises(UnavailableError):
                await client.list(NAMESPACE)
            return
        items, _ = await client.list(NAMESPACE)
    assert items[0]["metadata"]["name"] == "ml"
    assert "seldon-rollouts-local" in str(strict.seen[0]["subject"])
