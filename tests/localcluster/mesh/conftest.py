"""One-line cases for the mesh: objects as the API gives them, small backends, and a real Envoy."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web

from localcluster.mesh.admin import Admin
from localcluster.mesh.bootstrap import bootstrap
from localcluster.mesh.envoy import envoy_program
from localcluster.mesh.objects import Snapshot, snapshot
from localcluster.mesh.render import History, Rendered, Settings, render
from localcluster.mesh.xds import Applied, Files
from localcluster.ports import free_ports
from localcluster.programs import find_envoy
from localcluster.supervise import Supervised

Object = dict[str, Any]
GATEWAY: Object = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "Gateway",
    "metadata": {"namespace": "istio-system", "name": "seldon-gateway"},
    "spec": {"servers": [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}]},
}
PORTS = ({"name": "http", "port": 8000}, {"name": "grpc", "port": 5001})


class Build:
    """Objects of namespace `ml`, each from as few words as a case needs."""

    @staticmethod
    def service(name: str, *ports: Mapping[str, Any], namespace: str = "ml", **spec: Any) -> Object:
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"namespace": namespace, "name": name},
            "spec": {"ports": list(ports or PORTS), **spec},
        }

    @staticmethod
    def slice(service: str, *pods: str, address: str = "127.1.0.1", port: int = 9000, ready: bool = True) -> Object:
        name = f"{address.replace('.', '-')}.ml.pod.cluster.local"
        endpoints = [
            {"addresses": [name], "conditions": {"ready": ready}, "targetRef": {"kind": "Pod", "name": pod}}
            for pod in pods
        ]
        return {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "namespace": "ml",
                "name": f"{service}-{'-'.join(pods)}",
                "labels": {"kubernetes.io/service-name": service},
            },
            "addressType": "FQDN",
            "endpoints": endpoints,
            "ports": [{"name": "http", "port": port}, {"name": "grpc", "port": port + 1}],
        }

    @staticmethod
    def pod(name: str, deployment: str = "iris", **labels: str) -> Object:
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "namespace": "ml",
                "name": name,
                "labels": {"app": deployment, "pod-template-hash": "5d8f", **labels},
                "ownerReferences": [{"kind": "ReplicaSet", "name": f"{deployment}-5d8f", "controller": True}],
            },
        }

    @staticmethod
    def rule(host: str, *subsets: Mapping[str, Any], **policy: Any) -> Object:
        spec = {"host": host, "subsets": list(subsets), **({"trafficPolicy": policy} if policy else {})}
        return {"kind": "DestinationRule", "metadata": {"namespace": "ml", "name": host}, "spec": spec}

    @staticmethod
    def to(host: str, weight: int | None = None, *, subset: str = "", port: int | None = 8000, **more: Any) -> Object:
        destination = {"host": host, **({"subset": subset} if subset else {})}
        if port is not None:
            destination["port"] = {"number": port}
        return {"destination": destination, **({} if weight is None else {"weight": weight}), **more}

    @staticmethod
    def virtual_service(*http: Mapping[str, Any], name: str = "iris", generation: int = 1, **spec: Any) -> Object:
        return {
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "metadata": {"namespace": "ml", "name": name, "generation": generation, "uid": name},
            "spec": {"hosts": ["*"], "gateways": ["istio-system/seldon-gateway"], "http": list(http), **spec},
        }

    @staticmethod
    def split(*route: Mapping[str, Any], prefix: str = "/seldon/ml/iris/", **more: Any) -> Object:
        return {"match": [{"uri": {"prefix": prefix}}], "rewrite": {"uri": "/"}, "route": list(route), **more}

    def seen(self, *objects: Object) -> Snapshot:
        """A snapshot of these objects, with the default Gateway."""
        kinds = {
            "Service": "services",
            "EndpointSlice": "slices",
            "Pod": "pods",
            "VirtualService": "virtual_services",
            "DestinationRule": "destination_rules",
            "Gateway": "gateways",
        }
        found: dict[str, list[Object]] = {name: [] for name in kinds.values()}
        for obj in objects:
            found[kinds[obj["kind"]]].append(obj)
        if not found["gateways"]:
            found["gateways"].append(GATEWAY)
        return snapshot(**found)


@pytest.fixture(scope="session")
def build() -> Build:
    return Build()


@pytest.fixture
def gateway() -> Object:
    return copy.deepcopy(GATEWAY)


@pytest.fixture(scope="session")
def settings() -> Settings:
    return Settings(gateway_port=8003, routes_dir="/mesh/routes", endpoints_dir="/mesh/endpoints")


class Backend:
    """A server that says who it is, what it was asked, and how often."""

    def __init__(self, name: str, address: str, port: int) -> None:
        self.name, self.address, self.port = name, address, port
        self.requests: list[tuple[str, dict[str, str]]] = []

    async def answer(self, request: web.Request) -> web.Response:
        await request.read()
        self.requests.append((request.path, dict(request.headers)))
        return web.json_response({"from": self.name, "path": request.path})


class Proxy:
    """A real Envoy that is told what `render` makes of objects."""

    def __init__(self, folder: Path, ports: Mapping[str, int]) -> None:
        self.admin = Admin(ports["admin"])
        self.files = Files(folder, self.admin)
        self.url = f"http://127.0.0.1:{ports['gateway']}"
        self.session = aiohttp.ClientSession()
        self.settings = Settings(
            gateway_port=ports["gateway"],
            routes_dir=str(self.files.routes),
            endpoints_dir=str(self.files.endpoints),
        )
        config = folder / "bootstrap.json"
        document = bootstrap(
            admin_port=ports["admin"],
            listeners_file=str(self.files.listeners_file),
            clusters_file=str(self.files.clusters_file),
        )
        config.write_bytes(orjson.dumps(document))
        self.envoy = Supervised(envoy_program(find_envoy(), config, admin_port=ports["admin"]), folder / "envoy.log")
        self.admin_url = f"http://127.0.0.1:{ports['admin']}"
        self._started = False

    def rendered(self, seen: Snapshot, history: History | None = None) -> Rendered:
        return render(seen, self.settings, history)

    async def follow(self, seen: Snapshot) -> Applied:
        wanted = self.rendered(seen)
        if self._started:
            return await self.files.apply(wanted)
        self.files.write_all(wanted)
        await self.envoy.start()
        await self.envoy.ready()
        self._started = True
        return Applied()

    async def ask(
        self, path: str = "/seldon/ml/iris/api", *, url: str = "", **headers: str
    ) -> tuple[int, dict[str, Any]]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.post((url or self.url) + path, data=b"{}", headers=named) as answer:
            body = await answer.read()
            return answer.status, orjson.loads(body) if body.startswith(b"{") else {"text": body.decode()}

    async def count(self, requests: int, path: str = "/seldon/ml/iris/api") -> Counter[object]:
        """Who answered how many requests, or the status of those that nobody answered."""
        found: Counter[object] = Counter()
        for _ in range(requests):
            status, body = await self.ask(path)
            found[body["from"] if status == 200 else status] += 1
        return found

    async def close(self) -> None:
        await self.session.close()
        await self.envoy.stop()
        await self.admin.close()


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[Proxy]:
    one = Proxy(tmp_path, free_ports(["gateway", "admin"]))
    yield one
    await one.close()


@pytest.fixture
async def backend() -> AsyncIterator[Callable[..., Any]]:
    """Start a backend: `await backend("a", "127.1.9.1")`."""
    async with AsyncExitStack() as stack:

        async def start(name: str, address: str, handler: Any = None) -> Backend:
            one = Backend(name, address, free_ports(["backend"])["backend"])
            app = web.Application()
            app.router.add_route("*", "/{rest:.*}", handler or one.answer)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, address, one.port).start()
            return one

        yield start
