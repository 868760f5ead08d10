"""The mesh against a real API server: it follows the objects and reports on each VirtualService."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from localcluster.client import ApiClient
from localcluster.furnish import ISTIO_CRDS
from localcluster.mesh.shell import Mesh, Places, claim_octet
from localcluster.ports import free_ports
from localcluster.programs import find_envoy
from localcluster.supervise import ProgramError
from localcluster.testserver import running_server

VERSIONS = {
    "Service": ("v1", "services"),
    "Pod": ("v1", "pods"),
    "EndpointSlice": ("discovery.k8s.io/v1", "endpointslices"),
    "VirtualService": ("networking.istio.io/v1", "virtualservices"),
    "DestinationRule": ("networking.istio.io/v1", "destinationrules"),
    "Gateway": ("networking.istio.io/v1", "gateways"),
}


class World:
    """An API server, the mesh that follows it, and somebody who asks at the gateway."""

    def __init__(self, client: ApiClient, mesh: Mesh, places: Places) -> None:
        self.client, self.mesh, self.places = client, mesh, places
        self.session = aiohttp.ClientSession()

    async def put(self, *objects: dict[str, Any]) -> None:
        for obj in objects:
            version, plural = VERSIONS[obj["kind"]]
            ours = {name: value for name, value in obj["metadata"].items() if name not in ("uid", "generation")}
            await self.client.apply(version, plural, {"apiVersion": version, **obj, "metadata": ours})

    async def remove(self, kind: str, name: str) -> None:
        version, plural = VERSIONS[kind]
        await self.client.delete(version, plural, name, namespace="ml")

    async def status(self, name: str = "iris") -> dict[str, Any]:
        found = await self.client.get("networking.istio.io/v1", "virtualservices", name, namespace="ml")
        return dict(found.get("status") or {})

    async def reason(self) -> str:
        """The reason of the condition, once the mesh has seen the present generation; else empty."""
        found = await self.client.get("networking.istio.io/v1", "virtualservices", "iris", namespace="ml")
        status = found.get("status") or {}
        seen = status.get("observedGeneration") == found["metadata"]["generation"]
        return str(status["conditions"][0]["reason"]) if seen else ""

    async def asked(self, path: str = "/seldon/ml/iris/x") -> str:
        """Who answers at the gateway, or the status as text."""
        try:
            async with self.session.get(f"http://127.0.0.1:{self.places.gateway_port}{path}") as answer:
                return str((await answer.json())["from"]) if answer.status == 200 else str(answer.status)
        except aiohttp.ClientError:
            return "refused"

    def answered_by(self, wanted: str) -> Callable[[], Any]:
        async def check() -> bool:
            return await self.asked() == wanted

        return check

    def says(self, wanted: str) -> Callable[[], Any]:
        async def check() -> bool:
            return await self.reason() == wanted

        return check


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    ports = free_ports(["gateway", "admin"])
    places = Places(
        data_dir=tmp_path / "mesh", gateway_port=ports["gateway"], admin_port=ports["admin"], envoy=find_envoy()
    )
    octet, claim = claim_octet(places.addresses_file)
    places = replace(places, octet=octet)
    async with running_server(crds=[ISTIO_CRDS]) as server, contextlib.AsyncExitStack() as stack:
        stack.callback(claim.close)
        client = await stack.enter_async_context(ApiClient.from_kubeconfig(server.kubeconfig_path))
        for name in ("ml", "istio-system"):
            await client.apply(
                "v1", "namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            )
        mesh = Mesh(client, places)
        found = World(client, mesh, places)
        stack.push_async_callback(found.session.close)
        running = asyncio.create_task(mesh.run())
        yield found
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
async def served(world: World, build: Any, backend: Callable[..., Any], gateway: dict[str, Any]) -> World:
    """Two Services, `stable` and `canary`, with a backend each, and the default Gateway."""
    await world.put(gateway)
    for name, address in (("stable", "127.1.9.1"), ("canary", "127.1.9.2")):
        one = await backend(name, address)
        await world.put(
            build.service(name, {"name": "http", "port": 8000}),
            build.slice(name, f"{name}-1", address=address, port=one.port),
        )
    return world


async def test_a_virtual_service_is_routed_and_its_status_says_so(
    served: World, build: Any, until: Callable[..., Any]
) -> None:
    await served.put(build.virtual_service(build.split(build.to("stable", 100), build.to("canary", 0))))
    await until(served.says("Accepted"))
    status = await served.status()
    assert await served.asked() == "stable"
    assert status["conditions"][0] | {"lastTransitionTime": ""} == {
        "type": "Reconciled",
        "status": "True",
        "reason": "Accepted",
        "message": "Envoy routes by this version",
        "observedGeneration": 1,
        "lastTransitionTime": "",
    }
    assert [(share["host"], share["percent"]) for share in status["weights"]] == [("stable.ml", 100), ("canary.ml", 0)]


async def test_a_changed_weight_is_in_effect_when_the_status_says_it(
    served: World, build: Any, until: Callable[..., Any]
) -> None:
    await served.put(build.virtual_service(build.split(build.to("stable", 100), build.to("canary", 0))))
    await until(served.says("Accepted"))
    await served.put(build.virtual_service(build.split(build.to("stable", 0), build.to("canary", 100))))

    async def reported() -> bool:
        return bool((await served.status()).get("observedGeneration") == 2)

    await until(reported)
    assert [await served.asked() for _ in range(20)] == ["canary"] * 20


async def test_a_status_is_written_once_and_then_rests(served: World, build: Any, until: Callable[..., Any]) -> None:
    await served.put(build.virtual_service(build.split(build.to("stable"))))
    await until(served.says("Accepted"))
    first = await served.client.get("networking.istio.io/v1", "virtualservices", "iris", namespace="ml")
    await served.put(build.service("another", {"name": "http", "port": 8000}))
    await until(lambda: "another.ml" in served.places.hosts_file.read_text())
    second = await served.client.get("networking.istio.io/v1", "virtualservices", "iris", namespace="ml")
    assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]


async def test_a_version_that_envoy_refuses_is_reported_and_hurts_nobody_else(
    served: World, build: Any, until: Callable[..., Any]
) -> None:
    await served.put(build.virtual_service(build.split(build.to("stable"))))
    await until(served.says("Accepted"))
    bad = {"match": [{"uri": {"regex": "(?=x)"}}], "route": [build.to("canary")]}
    await served.put(build.virtual_service(bad))
    await until(served.says("Rejected"))
    (condition,) = (await served.status())["conditions"]
    assert condition["status"] == "False"
    assert "invalid perl operator" in condition["message"]
    assert await served.asked() == "stable"
    other = build.split(build.to("canary"), prefix="/other/")
    await served.put(build.virtual_service(other, name="other"))

    async def routed() -> bool:
        return await served.asked("/other/") == "canary"

    await until(routed)
    await served.put(build.virtual_service(build.split(build.to("canary"))))
    await until(served.says("Accepted"))
    assert await served.asked() == "canary"


async def test_a_destination_that_appears_later_is_taken_up(
    served: World, build: Any, until: Callable[..., Any], backend: Callable[..., Any]
) -> None:
    await served.put(build.virtual_service(build.split(build.to("later"))))
    await until(served.says("DestinationNotFound"))
    assert await served.asked() == "503"
    one = await backend("later", "127.1.9.4")
    await served.put(
        build.service("later", {"name": "http", "port": 8000}),
        build.slice("later", "later-1", address="127.1.9.4", port=one.port),
    )
    await until(served.answered_by("later"))
    await until(served.says("Accepted"))


async def test_endpoints_that_go_are_out_within_moments(served: World, build: Any, until: Callable[..., Any]) -> None:
    await served.put(build.virtual_service(build.split(build.to("stable"))))
    await until(served.answered_by("stable"))
    began = asyncio.get_running_loop().time()
    await served.remove("EndpointSlice", "stable-stable-1")
    await until(served.answered_by("503"))
    assert asyncio.get_running_loop().time() - began < 0.5, "measured alone: 10 to 20 ms"


async def test_a_subset_follows_the_labels_of_its_pods(served: World, build: Any, until: Callable[..., Any]) -> None:
    labelled = build.pod("stable-1", version="v1")
    del labelled["metadata"]["ownerReferences"]
    labelled["spec"] = {"containers": [{"name": "model", "image": "model"}]}
    await served.put(
        labelled,
        build.rule("stable", {"name": "new", "labels": {"version": "v2"}}),
        build.virtual_service(build.split(build.to("stable", subset="new"))),
    )
    await until(served.answered_by("503"))
    labelled["metadata"]["labels"]["version"] = "v2"
    await served.put(labelled)
    await until(served.answered_by("stable"))


async def test_envoy_comes_back_with_its_routes(served: World, build: Any, until: Callable[..., Any]) -> None:
    await served.put(build.virtual_service(build.split(build.to("stable"))))
    await until(served.answered_by("stable"))
    before = served.mesh.envoy.pid
    assert before is not None
    os.kill(before, signal.SIGKILL)
    await until(lambda: served.mesh.envoy.pid not in (None, before))
    await until(served.answered_by("stable"))
    await served.put(build.virtual_service(build.split(build.to("canary"))))
    await until(served.answered_by("canary"))


async def test_a_service_whose_port_is_taken_hurts_no_other_and_is_served_when_the_port_is_free(
    served: World, build: Any, until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("localcluster.mesh.shell.RETRY_REFUSED_SECONDS", 0.1)
    port = free_ports(["taken"])["taken"]
    with socket.socket() as holder:
        holder.bind(("0.0.0.0", port))
        holder.listen()
        await served.put(build.service("unlucky", {"name": "http", "port": port}))
        await served.put(build.virtual_service(build.split(build.to("stable"))))
        await until(served.answered_by("stable"))
        await until(lambda: "unlucky.ml" in served.places.hosts_file.read_text())
        (line,) = (line for line in served.places.hosts_file.read_text().splitlines() if "unlucky.ml" in line)

    async def listens() -> bool:
        with contextlib.suppress(aiohttp.ClientError):
            async with served.session.get(f"http://{line.split()[0]}:{port}/") as answer:
                return answer.status == 503
        return False

    await until(listens)


async def test_a_gateway_port_that_is_taken_ends_the_mesh_with_a_reason(world: World, tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        places = replace(
            world.places, data_dir=tmp_path / "other", gateway_port=port, admin_port=free_ports(["admin"])["admin"]
        )
        with pytest.raises(
            ProgramError, match=rf"(?s)Envoy cannot listen at 127\.0\.0\.1:{port}.*Address already in use"
        ):
            await Mesh(world.client, places).run()
