"""An API server as a child process, for the supervisor and for tests: it ends with the block, and with its parent."""

import asyncio
import base64
import contextlib
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from localcluster.documents import of_kind

_START_SECONDS = 30.0
_STOP_SECONDS = 10.0
_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningApiServer:
    """Where it is and how to get in. `authority` is the PEM of its certificate, None over plain HTTP."""

    url: str
    kubeconfig_path: Path
    admin_token: str
    authority: str | None
    pid: int

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.admin_token}"}

    def ssl_context(self) -> ssl.SSLContext | None:
        return None if self.authority is None else ssl.create_default_context(cadata=self.authority)

    def session(self) -> aiohttp.ClientSession:
        """An aiohttp session that is the administrator; paths are relative to the server. The caller closes it."""
        context = self.ssl_context()
        connector = aiohttp.TCPConnector(limit=0, ssl=context) if context else aiohttp.TCPConnector(limit=0)
        return aiohttp.ClientSession(self.url, headers=self.headers, connector=connector, read_bufsize=4 * 1024 * 1024)


@asynccontextmanager
async def running_api_server(
    data_dir: Path | None = None,
    crds: Sequence[Path] = (),
    *,
    log_dir: Path | None = None,
    tokens: Path | None = None,
    plain_http: bool = False,
    port: int = 0,
) -> AsyncIterator[RunningApiServer]:
    """Starts a server on a free port, waits until it answers, installs the CRDs of YAML files or folders of them.

    Raises RuntimeError with the server's own words when it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="apiserver-") as folder:
        kubeconfig = Path(folder) / "kubeconfig"
        arguments = ["--port", str(port), "--kubeconfig", str(kubeconfig), "--exit-with-stdin"]
        for name, value in (("--data-dir", data_dir), ("--log-dir", log_dir), ("--tokens", tokens)):
            arguments += [name, str(value)] if value is not None else []
        if plain_http:
            arguments.append("--plain-http")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "localcluster.apiserver",
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            await _started(process)
            server = describe(kubeconfig, process.pid)
            await install(server, crds)
            yield server
        finally:
            await _end(process)


async def _started(process: asyncio.subprocess.Process) -> None:
    assert process.stdout is not None
    line = b""
    with contextlib.suppress(TimeoutError):
        line = await asyncio.wait_for(process.stdout.readline(), _START_SECONDS)
    if not line:
        raise RuntimeError(
            f"the API server did not start within {_START_SECONDS:.0f} s (its messages are on standard error)"
        )


def describe(path: Path, pid: int) -> RunningApiServer:
    """The server of a kubeconfig that holds a token and a certificate, as `kubeconfig.write` makes it."""
    config = yaml.safe_load(path.read_text())
    cluster = config["clusters"][0]["cluster"]
    data = cluster.get("certificate-authority-data")
    return RunningApiServer(
        url=cluster["server"],
        kubeconfig_path=path,
        admin_token=config["users"][0]["user"]["token"],
        authority=base64.b64decode(data).decode() if data else None,
        pid=pid,
    )


async def install(server: RunningApiServer, crds: Sequence[Path]) -> None:
    """Creates the definitions of YAML files or folders, and returns when their objects are served.

    Raises RuntimeError when one is refused, or not served within 30 s.
    """
    files = [file for path in crds for file in (sorted(path.glob("*.yaml")) if path.is_dir() else [path])]
    paths: list[str] = []
    async with server.session() as session:
        for file in files:
            for document in of_kind(file, "CustomResourceDefinition"):
                async with session.post(_CRDS, json=document) as response:
                    if response.status not in (201, 409):
                        raise RuntimeError(f"{file}: {await response.text()}")
                paths += _served_at(document["spec"])
        for path in paths:
            await _served(session, path)


def _served_at(spec: dict[str, Any]) -> list[str]:
    plural, versions = spec["names"]["plural"], spec["versions"]
    return [f"/apis/{spec['group']}/{each['name']}/{plural}" for each in versions if each["served"]]


async def _served(session: aiohttp.ClientSession, path: str) -> None:
    """A real server needs a moment after it has taken a definition."""
    try:
        async with asyncio.timeout(_START_SECONDS):
            while True:
                async with session.get(path, params={"limit": "1"}) as response:
                    if response.status == 200:
                        return
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise RuntimeError(f"{path} is not served {_START_SECONDS:.0f} s after its definition was taken") from None


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
    if process.stdin is not None:
        process.stdin.close()
