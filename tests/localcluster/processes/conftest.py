"""A real API server, a real node, and pods that are real processes."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from localcluster.client import ApiClient
from localcluster.node.session import processes
from localcluster.objects import ApiError, NotFoundError

PROGRAM = Path(__file__).with_name("program.py")
COMMAND = "local.rollouts.seldon.io/command.main"
LEAK = "SECRET_OF_THE_CALLER"
Object = dict[str, Any]


class Servers:
    """An API server and a node for it, as programs of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.kubeconfig = folder, folder / "kubeconfig"
        self.data, self.logs = folder / "node", folder / "logs"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.api = self.start_api()
        wait_for(self.kubeconfig.exists, "the kubeconfig")
        self.node = self.start_node()

    def start_api(self) -> subprocess.Popen[bytes]:
        where = ("--port", str(self.port), "--data-dir", str(self.folder / "objects"), "--log-dir", str(self.logs))
        self.api = self._start("api", "localcluster.apiserver", *where)
        return self.api

    def start_node(self) -> subprocess.Popen[bytes]:
        self.node = self._start("node", "localcluster.node", "--data-dir", str(self.data), "--log-dir", str(self.logs))
        return self.node

    def stop(self) -> None:
        for process in (self.node, self.api):
            process.terminate()
            process.wait(20)

    def _start(self, name: str, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.out").open("ab") as out:
            return subprocess.Popen(
                [sys.executable, "-m", module, "--kubeconfig", str(self.kubeconfig), *arguments],
                stdout=out,
                stderr=out,
                env={**os.environ, LEAK: "must not reach a container"},
            )


def wait_for(holds: Callable[[], Any], what: str, seconds: float = 20.0) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := holds():
            return found
        time.sleep(0.02)
    raise AssertionError(f"{what} did not come within {seconds:g} s")


class Room:
    """A namespace of its own for one test."""

    def __init__(self, servers: Servers, client: ApiClient, namespace: str, folder: Path) -> None:
        self.servers, self.client, self.namespace, self.folder = servers, client, namespace, folder
        self.notes = folder / "notes"

    def container(self, name: str = "main", **more: Any) -> Object:
        """A container that runs the test program with some words."""
        return {"name": name, "image": "python", "command": ["python", str(PROGRAM)], **more}

    async def pod(
        self, name: str = "one", *, main: Object | None = None, annotations: Object | None = None, **spec: Any
    ) -> Object:
        full = {"terminationGracePeriodSeconds": 5, "containers": [main or self.container()], **spec}
        meta = {"name": name, "namespace": self.namespace, "annotations": annotations or {}, "labels": {"app": name}}
        return await self.client.create(
            "v1", "pods", {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": full}
        )

    async def deployment(self, name: str = "web", *, replicas: int = 2, version: str = "1", **container: Any) -> Object:
        ready = {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1}
        main = self.container(
            args=["serve", version], ports=[{"name": "http", "containerPort": 8080}], readinessProbe=ready, **container
        )
        template = {
            "metadata": {"labels": {"app": name}},
            "spec": {"terminationGracePeriodSeconds": 5, "containers": [main]},
        }
        spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
        meta = {"name": name, "namespace": self.namespace}
        made = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}
        return await self.client.apply("apps/v1", "deployments", made)

    async def service(self, name: str = "web") -> Object:
        spec = {"selector": {"app": name}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]}
        meta = {"name": name, "namespace": self.namespace}
        return await self.client.create(
            "v1", "services", {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}
        )

    async def get(self, plural: str, name: str, group_version: str = "v1") -> Object | None:
        with contextlib.suppress(NotFoundError):
            return await self.client.get(group_version, plural, name, namespace=self.namespace)
        return None

    async def items(self, plural: str, group_version: str = "v1") -> list[Object]:
        return (await self.client.list(group_version, plural, namespace=self.namespace))[0]

    async def until(self, holds: Callable[[Object], Any], name: str = "one", seconds: float = 20.0) -> Object:
        """The pod, once it holds."""

        async def look() -> Object | None:
            found = await self.get("pods", name)
            if found is not None:
                found.setdefault("status", {})
            return found if found is not None and holds(found) else None

        return await eventually(look, seconds)

    async def answering(self) -> None:
        """The API server answers."""

        async def look() -> Object:
            return await self.client.request("GET", "/api/v1")

        await eventually(look)

    async def gone(self, name: str = "one", seconds: float = 20.0) -> None:
        async def look() -> bool:
            return await self.get("pods", name) is None

        await eventually(look, seconds)

    async def endpoints(self, service: str = "web") -> list[Object]:
        slices = await self.items("endpointslices", "discovery.k8s.io/v1")
        return [
            endpoint
            for piece in slices
            if piece["metadata"]["labels"]["kubernetes.io/service-name"] == service
            for endpoint in piece["endpoints"] or ()
        ]

    def noted(self) -> list[str]:
        """What the test program wrote down, in order."""
        return self.notes.read_text().split() if self.notes.exists() else []

    async def until_noted(self, word: str) -> None:
        async def look() -> bool:
            return word in self.noted()

        await eventually(look)

    def marked(self) -> list[int]:
        """The processes of this test's pods: they carry its notes file in their environment."""
        found = []
        for one in processes():
            with contextlib.suppress(OSError):
                if f"NOTES={self.notes}".encode() in Path(f"/proc/{one.pid}/environ").read_bytes().split(b"\0"):
                    found.append(one.pid)
        return found

    @property
    def environment(self) -> list[Object]:
        return [{"name": "NOTES", "value": str(self.notes)}]


async def eventually(look: Callable[[], Any], seconds: float = 20.0) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(ApiError):
            if found := await look():
                return found
        await asyncio.sleep(0.02)
    raise AssertionError(f"it did not come within {seconds:g} s")


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Servers for all tests that leave them alone."""
    started = Servers(tmp_path_factory.mktemp("servers"))
    yield started
    started.stop()


@pytest.fixture
def own_servers(tmp_path: Path) -> Iterator[Servers]:
    """Servers that a test may kill."""
    started = Servers(tmp_path)
    yield started
    with contextlib.suppress(ProcessLookupError):
        started.node.send_signal(signal.SIGCONT)
    started.stop()


async def opened(servers: Servers, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Room]:
    namespace = f"t{abs(hash(request.node.nodeid)) % 10**9}"
    async with ApiClient.from_kubeconfig(servers.kubeconfig) as client:
        await client.create(
            "v1", "namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        )
        room = Room(servers, client, namespace, tmp_path)
        yield room
        for deployment in await room.items("deployments", "apps/v1"):
            await client.delete("apps/v1", "deployments", deployment["metadata"]["name"], namespace=namespace)
        for pod in await room.items("pods"):
            await client.delete("v1", "pods", pod["metadata"]["name"], namespace=namespace, grace=1)


@pytest.fixture
async def room(servers: Servers, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Room]:
    async for one in opened(servers, tmp_path, request):
        yield one


@pytest.fixture
async def own_room(own_servers: Servers, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Room]:
    async for one in opened(own_servers, tmp_path, request):
        yield one


@pytest.fixture(scope="session")
def kubectl(servers: Servers) -> Callable[..., str]:
    """Run kubectl against the servers; what it printed."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not on this machine")

    def run(*words: str) -> str:
        done = subprocess.run(
            ["kubectl", "--kubeconfig", str(servers.kubeconfig), *words],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
