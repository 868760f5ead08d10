"""Everything together: a Deployment behind the gateway, counted by Prometheus, replaced under traffic."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from localcluster.client import ApiClient
from localcluster.cluster import LocalCluster

MODEL = """
import os
from aiohttp import web

async def answer(request):
    return web.Response(text=os.environ["VERSION"])

async def metrics(request):
    return web.Response(text='answers_total{model="iris"} 3\\n')

app = web.Application()
app.router.add_get("/prometheus", metrics)
app.router.add_route("*", "/{rest:.*}", answer)
web.run_app(app, host=os.environ["ADDRESS"], port=9000, print=None)
"""
ISTIO = "networking.istio.io/v1"
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"namespace": "default", "name": "iris"},
    "spec": {"selector": {"app": "iris"}, "ports": [{"name": "http", "port": 8000, "targetPort": 9000}]},
}
VIRTUAL_SERVICE = {
    "apiVersion": ISTIO,
    "kind": "VirtualService",
    "metadata": {"namespace": "default", "name": "iris"},
    "spec": {
        "hosts": ["*"],
        "gateways": ["istio-system/seldon-gateway"],
        "http": [
            {
                "match": [{"uri": {"prefix": "/seldon/default/iris/"}}],
                "rewrite": {"uri": "/"},
                "route": [{"destination": {"host": "iris", "port": {"number": 8000}}}],
            }
        ],
    },
}


class Story:
    """A cluster, its client, and somebody who asks."""

    def __init__(self, cluster: LocalCluster, client: ApiClient, session: aiohttp.ClientSession, script: Path) -> None:
        self.at, self.client, self.session = cluster.addresses, client, session
        self._command = f"{sys.executable} {script}"

    async def deploy(self, version: str) -> None:
        fields = {"valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
        container = {
            "name": "model",
            "image": "model",
            "env": [{"name": "ADDRESS", **fields}, {"name": "VERSION", "value": version}],
            "ports": [{"name": "metrics", "containerPort": 9000}],
            "readinessProbe": {"httpGet": {"path": "/", "port": 9000}, "periodSeconds": 1},
        }
        annotations = {
            "prometheus.io/scrape": "true",
            "prometheus.io/path": "/prometheus",
            "local.rollouts.seldon.io/command.model": self._command,
        }
        template = {
            "metadata": {"labels": {"app": "iris", "version": version}, "annotations": annotations},
            "spec": {"containers": [container], "terminationGracePeriodSeconds": 5},
        }
        deployment = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"namespace": "default", "name": "iris"},
            "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "iris"}}, "template": template},
        }
        await self.client.apply("apps/v1", "deployments", deployment)

    async def complete(self) -> bool:
        found = await self.client.get("apps/v1", "deployments", "iris", namespace="default")
        status = found.get("status") or {}
        return status.get("observedGeneration") == found["metadata"]["generation"] and all(
            status.get(field) == 2 for field in ("replicas", "updatedReplicas", "availableReplicas")
        )

    async def ask(self) -> str:
        async with self.session.get(f"{self.at.gateway_url}/seldon/default/iris/x") as answer:
            return await answer.text() if answer.status == 200 else str(answer.status)

    async def series(self, query: str) -> list[dict[str, Any]]:
        where = f"{self.at.prometheus_url}/api/v1/query"
        async with self.session.get(where, params={"query": query}) as answer:
            return [dict(one) for one in (await answer.json())["data"]["result"]]


@pytest.fixture
async def story(tmp_path: Path) -> AsyncIterator[Story]:
    script = tmp_path / "model.py"
    script.write_text(MODEL)
    cluster = LocalCluster(tmp_path / "cluster")
    async with (
        cluster,
        ApiClient.from_kubeconfig(cluster.addresses.kubeconfig) as client,
        aiohttp.ClientSession() as session,
    ):
        found = Story(cluster, client, session, script)
        await found.deploy("1")
        await client.apply("v1", "services", SERVICE)
        await client.apply(ISTIO, "virtualservices", VIRTUAL_SERVICE)
        yield found


async def test_a_model_is_served_replaced_without_a_lost_request_and_counted(
    story: Story, until: Callable[..., Any]
) -> None:
    await until(story.complete)

    async def serves() -> bool:
        return await story.ask() == "1"

    await until(serves)
    answers: Counter[str] = Counter()
    over = asyncio.Event()

    async def ask() -> None:
        while not over.is_set():
            answers[await story.ask()] += 1

    users = [asyncio.create_task(ask()) for _ in range(4)]
    await story.deploy("2")
    await until(story.complete)
    over.set()
    await asyncio.gather(*users)
    assert set(answers) == {"1", "2"}

    async def counted() -> list[dict[str, Any]]:
        return await story.series('istio_requests_total{destination_workload="iris",response_code="200"}')

    async def scraped() -> list[dict[str, Any]]:
        return await story.series('answers_total{namespace="default",pod=~"iris-.+",container="model"}')

    found = {one["metric"]["destination_version"]: one["metric"] for one in await until(counted)}
    assert set(found) <= {"1", "2"}
    assert all(metric["destination_service_name"] == "iris" for metric in found.values())
    assert all(metric["response_flags"] == "-" for metric in found.values())
    assert await until(scraped)
