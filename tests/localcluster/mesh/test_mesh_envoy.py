"""What a real Envoy does with what we render."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web

from localcluster.mesh.envoy import envoy_program, refusal
from localcluster.mesh.listeners import http_filters
from localcluster.mesh.policies import ENVOY
from localcluster.ports import free_ports
from localcluster.programs import find_envoy
from localcluster.supervise import Program, Supervised
from orchestrator.clients.comparer import is_copy
from orchestrator.http2.channel import Channel, Target
from orchestrator.http2.exchange import Call, Unary
from orchestrator.http2.server import Server
from orchestrator.http2.serving import Terms
from orchestrator.room import Room

REQUESTS = 400


async def two(build: Any, backend: Callable[..., Any]) -> tuple[Any, Any, list[dict[str, Any]]]:
    """Two Services with one backend each, and their objects."""
    one, other = await backend("stable", "127.1.9.1"), await backend("canary", "127.1.9.2")
    return one, other, [part for each in (one, other) for part in published(build, each)]


def published(build: Any, backend: Any) -> list[dict[str, Any]]:
    return [
        build.service(backend.name),
        build.slice(backend.name, f"{backend.name}-1", address=backend.address, port=backend.port),
        build.pod(f"{backend.name}-1", f"iris-{backend.name}", version=backend.name),
    ]


async def test_requests_are_split_by_weight_and_their_path_is_rewritten(
    build: Any, proxy: Any, backend: Callable[..., Any]
) -> None:
    stable, canary, objects = await two(build, backend)
    await proxy.follow(
        build.seen(*objects, build.virtual_service(build.split(build.to("stable", 75), build.to("canary", 25))))
    )
    found = await proxy.count(REQUESTS, "/seldon/ml/iris/api/v1.0/predictions")
    # A binomial share of 100 out of 400 has a standard deviation of 8.7: five of them.
    assert found["stable"] + found["canary"] == REQUESTS
    assert 56 <= found["canary"] <= 144
    assert {path for each in (stable, canary) for path, _ in each.requests} == {"/api/v1.0/predictions"}


async def test_weights_in_hundredths_of_a_percent_are_kept(
    build: Any, proxy: Any, backend: Callable[..., Any], until: Callable[..., Any]
) -> None:
    stable, canary, objects = await two(build, backend)
    copies = {"destination": build.to("stable")["destination"], "percentage": {"value": 1.25}}
    route = build.split(build.to("stable", 9875), build.to("canary", 125), mirrors=[copies])
    await proxy.follow(build.seen(*objects, build.virtual_service(route)))
    found = await proxy.count(2000)
    await until(lambda: len(canary.requests) == found["canary"])
    copied = sum("-shadow" in headers["Host"] for _, headers in stable.requests)
    # 25 of each are expected, with a standard deviation of 5: whole percents would give 20 or none, or all.
    assert 5 <= found["canary"] <= 50
    assert 5 <= copied <= 50
    assert found["stable"] + found["canary"] == 2000


async def test_a_header_match_takes_its_requests_to_the_canary(
    build: Any, proxy: Any, backend: Callable[..., Any]
) -> None:
    _, _, objects = await two(build, backend)
    chosen = {"match": [{"headers": {"x-canary": {"exact": "always"}}}], "route": [build.to("canary")]}
    await proxy.follow(build.seen(*objects, build.virtual_service(chosen, build.split(build.to("stable")))))
    assert (await proxy.ask())[1]["from"] == "stable"
    assert (await proxy.ask(x_canary="always"))[1]["from"] == "canary"


async def test_mirrored_requests_reach_the_shadow_and_its_answers_reach_nobody(
    build: Any, proxy: Any, backend: Callable[..., Any], until: Callable[..., Any]
) -> None:
    _, shadow, objects = await two(build, backend)
    mirror = build.to("canary")["destination"]
    await proxy.follow(build.seen(*objects, build.virtual_service(build.split(build.to("stable"), mirror=mirror))))
    assert await proxy.count(20) == {"stable": 20}
    await until(lambda: len(shadow.requests) == 20)
    assert "-shadow" in shadow.requests[0][1]["Host"]


async def test_a_mirrored_call_over_grpc_says_so_in_its_authority(
    build: Any, proxy: Any, until: Callable[..., Any]
) -> None:
    """Our client calls, our server is called: by it the orchestrator knows a copy."""
    heard: dict[str, list[tuple[str, bytes]]] = {"stable": [], "canary": []}
    servers, objects, method = [], [], "/seldon.protos.Seldon/Predict"
    for name, address in (("stable", "127.1.9.1"), ("canary", "127.1.9.2")):

        async def serve(body: bytes, call: Call, name: str = name) -> bytes:
            heard[name].append((call.authority, body))
            return name.encode()

        server = Server(Terms(methods={method: Unary(serve)}, limit=1 << 20, room=Room(1 << 20)))
        servers.append(server)
        port = await server.listen(address, 0)
        objects += [build.service(name), build.slice(name, f"{name}-1", address=address, port=port - 1)]
    stable, canary = (build.to(name, port=5001) for name in heard)
    routed = {"match": [{"uri": {"prefix": method}}], "route": [stable], "mirror": canary["destination"]}
    await proxy.follow(build.seen(*objects, build.virtual_service(routed)))
    gateway = Channel(Target("iris.ml", proxy.settings.gateway_port, lambda: "127.0.0.1"), 1 << 20)
    try:
        assert await gateway.call(method, b"asked") == b"stable"
        await until(lambda: heard["canary"])
        assert [is_copy(heard[name][0][0].encode()) for name in heard] == [False, True]
        assert [heard[name][0][1] for name in heard] == [b"asked", b"asked"]
    finally:
        await gateway.close()
        for server in servers:
            await server.close(0.0)


async def test_a_hundred_weight_changes_lose_no_request(build: Any, proxy: Any, backend: Callable[..., Any]) -> None:
    _, _, objects = await two(build, backend)

    def weights(canary: int) -> Any:
        split = build.split(build.to("stable", 100 - canary), build.to("canary", canary))
        return build.seen(*objects, build.virtual_service(split))

    await proxy.follow(weights(0))
    answers: list[int] = []
    ended = asyncio.Event()

    async def ask() -> None:
        while not ended.is_set():
            answers.append((await proxy.ask())[0])

    clients = [asyncio.create_task(ask()) for _ in range(4)]
    for change in range(100):
        applied = await proxy.follow(weights((change * 37) % 101))
        assert not applied.refused | applied.silent
    ended.set()
    await asyncio.gather(*clients)
    assert set(answers) == {200}
    assert len(answers) > 100


async def test_a_destination_can_come_and_go_without_a_lost_request(
    build: Any, proxy: Any, backend: Callable[..., Any]
) -> None:
    """New clusters before the routes that use them, old ones after: at no moment is there a hole."""
    stable, canary, _ = await two(build, backend)
    alone = build.seen(*published(build, stable), build.virtual_service(build.split(build.to("stable"))))
    both = build.seen(
        *published(build, stable),
        *published(build, canary),
        build.virtual_service(build.split(build.to("stable", 50), build.to("canary", 50))),
    )
    await proxy.follow(alone)
    answers: list[int] = []
    ended = asyncio.Event()

    async def ask() -> None:
        while not ended.is_set():
            answers.append((await proxy.ask())[0])

    clients = [asyncio.create_task(ask()) for _ in range(4)]
    for _ in range(10):
        await proxy.follow(both)
        await proxy.follow(alone)
    ended.set()
    await asyncio.gather(*clients)
    assert set(answers) == {200}


async def test_routes_that_envoy_refuses_leave_the_old_ones_and_say_so(
    build: Any, proxy: Any, backend: Callable[..., Any]
) -> None:
    _, _, objects = await two(build, backend)
    await proxy.follow(build.seen(*objects, build.virtual_service(build.split(build.to("stable")))))
    bad = {"match": [{"uri": {"regex": "(?=x)"}}], "route": [build.to("canary")]}
    applied = await proxy.follow(build.seen(*objects, build.virtual_service(bad)))
    assert applied.refused == {"gateway"}
    assert await proxy.count(10) == {"stable": 10}


async def test_envoy_says_why_it_refuses_a_route() -> None:
    bad = {"match": {"safe_regex": {"regex": "(?=x)"}}, "direct_response": {"status": 200}}
    good = {"match": {"prefix": "/"}, "direct_response": {"status": 200}}
    assert "invalid perl operator" in await refusal(find_envoy(), [bad])
    assert await refusal(find_envoy(), [good]) == ""


async def test_a_share_for_nobody_is_answered_with_503(build: Any, proxy: Any, backend: Callable[..., Any]) -> None:
    _, _, objects = await two(build, backend)
    split = build.split(build.to("stable", 50), build.to("nobody", 50))
    await proxy.follow(build.seen(*objects, build.virtual_service(split)))
    found = await proxy.count(100)
    assert set(found) == {"stable", 503}


async def test_a_pod_that_leaves_gets_nothing_more_and_loses_nothing(
    build: Any, proxy: Any, backend: Callable[..., Any]
) -> None:
    one, other = await backend("one", "127.1.9.1"), await backend("other", "127.1.9.2")
    service = build.service("iris")
    virtual_service = build.virtual_service(build.split(build.to("iris")))

    def slices(*ready: Any) -> list[dict[str, Any]]:
        return [
            build.slice("iris", each.name, address=each.address, port=each.port, ready=each in ready)
            for each in (one, other)
        ]

    await proxy.follow(build.seen(service, virtual_service, *slices(one, other)))
    assert set(await proxy.count(40)) == {"one", "other"}
    await proxy.follow(build.seen(service, virtual_service, *slices(one)))
    await proxy.count(5)  # Envoy reads the file of endpoints a moment after it is renamed
    assert await proxy.count(40) == {"one": 40}


async def test_a_connection_that_cannot_be_made_is_tried_at_another_pod(
    build: Any, proxy: Any, backend: Callable[..., Any]
) -> None:
    one = await backend("one", "127.1.9.1")
    dead = build.slice("iris", "dead", address="127.1.9.3", port=one.port)
    alive = build.slice("iris", "one", address=one.address, port=one.port)
    seen = build.seen(build.service("iris"), dead, alive, build.virtual_service(build.split(build.to("iris"))))
    await proxy.follow(seen)
    assert await proxy.count(40) == {"one": 40}


async def test_a_timeout_ends_a_request_that_takes_too_long(
    build: Any, proxy: Any, backend: Callable[..., Any]
) -> None:
    release = asyncio.Event()

    async def hang(_request: web.Request) -> web.Response:
        await release.wait()
        return web.Response()

    slow = await backend("slow", "127.1.9.1", hang)
    split = build.split(build.to("slow"), timeout="100ms")
    await proxy.follow(build.seen(*published(build, slow), build.virtual_service(split)))
    status, _ = await proxy.ask()
    release.set()
    assert status == 504


async def test_an_injected_fault_is_seen(build: Any, proxy: Any, backend: Callable[..., Any]) -> None:
    _, _, objects = await two(build, backend)
    split = build.split(build.to("stable"), fault={"abort": {"httpStatus": 418, "percentage": {"value": 100}}})
    await proxy.follow(build.seen(*objects, build.virtual_service(split)))
    assert (await proxy.ask())[0] == 418


async def test_a_service_answers_at_its_own_address(build: Any, proxy: Any, backend: Callable[..., Any]) -> None:
    _, _, objects = await two(build, backend)
    seen = build.seen(*objects)
    await proxy.follow(seen)
    address = proxy.rendered(seen).addresses[("ml", "canary")]
    assert (await proxy.ask("/hello", url=f"http://{address}:8000"))[1] == {"from": "canary", "path": "/hello"}


@pytest.mark.parametrize("answered", [200, 500])
async def test_requests_are_counted_under_istios_names(
    build: Any, proxy: Any, backend: Callable[..., Any], answered: int
) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=answered)

    stable = await backend("stable", "127.1.9.1", answer)
    await proxy.follow(build.seen(*published(build, stable), build.virtual_service(build.split(build.to("stable")))))
    for _ in range(7):
        await proxy.ask()
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{proxy.admin_url}/stats/prometheus", params={"filter": r"^istio\."}) as page,
    ):
        lines = (await page.text()).splitlines()
    (total,) = (line for line in lines if line.startswith("envoy_istio_requests_total{"))
    for label in (
        'reporter="source"',
        'destination_service="stable.ml.svc.cluster.local"',
        'destination_service_name="stable"',
        'destination_service_namespace="ml"',
        'destination_workload="iris-stable"',
        'destination_version="stable"',
        'request_protocol="http"',
        'source_workload="seldon-gateway"',
        f'response_code="{answered}"',
    ):
        assert label in total
    assert total.endswith(" 7")
    assert any(line.startswith("envoy_istio_request_duration_milliseconds_bucket{") for line in lines)


async def test_envoy_is_back_within_a_second_after_a_crash(
    build: Any, proxy: Any, backend: Callable[..., Any], until: Callable[..., Any]
) -> None:
    _, _, objects = await two(build, backend)
    await proxy.follow(build.seen(*objects, build.virtual_service(build.split(build.to("canary")))))

    async def answers() -> bool:
        try:
            return (await proxy.ask())[1].get("from") == "canary"
        except aiohttp.ClientError:
            return False

    before = proxy.envoy.pid
    os.kill(before, signal.SIGKILL)
    await until(lambda: proxy.envoy.pid not in (None, before))
    await until(answers)


async def test_a_grpc_port_is_reached_over_http2(
    build: Any, proxy: Any, tmp_path: Path, until: Callable[..., Any]
) -> None:
    """The backend is a second Envoy that says which protocol it was spoken to in."""
    ports = free_ports(["backend", "admin"])
    server = Supervised(speaking_server(tmp_path, ports["backend"], ports["admin"]), tmp_path / "backend.log")
    await server.start()
    await server.ready()
    try:
        service = build.service("iris", {"name": "grpc", "port": 5001}, {"name": "http", "port": 8000})
        address = build.slice("iris", "iris-1", address="127.0.0.1", port=ports["backend"])
        address["ports"] = [{"name": name, "port": ports["backend"]} for name in ("grpc", "http")]
        routes = [
            {
                "match": [
                    {
                        "uri": {"regex": ".*seldon.protos.*|.*inference.*"},
                        "headers": {"seldon": {"exact": "iris"}, "namespace": {"exact": "ml"}},
                    }
                ],
                "route": [build.to("iris", port=5001)],
            },
            build.split(build.to("iris")),
        ]
        await proxy.follow(build.seen(service, address, build.virtual_service(*routes)))
        headers = {"seldon": "iris", "namespace": "ml"}
        assert await proxy.ask("/seldon.protos.Seldon/Predict", **headers) == (200, {"text": "HTTP/2"})
        assert await proxy.ask() == (200, {"text": "HTTP/1.1"})
    finally:
        await server.stop()


def speaking_server(folder: Path, port: int, admin_port: int) -> Program:
    """An Envoy that answers every request with the protocol that it came in."""
    manager = {
        "@type": f"{ENVOY}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "backend",
        "codec_type": "AUTO",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [
                        {
                            "match": {"prefix": "/"},
                            "direct_response": {"status": 200, "body_format": {"text_format": "%PROTOCOL%"}},
                        }
                    ],
                }
            ]
        },
        "http_filters": http_filters(),
    }
    listener = {
        "name": "backend",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    admin = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": admin_port}}}
    config = folder / "backend.json"
    config.write_bytes(orjson.dumps({"admin": admin, "static_resources": {"listeners": [listener]}}))
    return envoy_program(find_envoy(), config, admin_port=admin_port)
