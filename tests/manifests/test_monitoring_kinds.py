"""What `install` prints for the Prometheus operator is accepted where its kinds are served, every field of it known."""

import asyncio
from collections.abc import AsyncIterator
from copy import deepcopy
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import pytest_asyncio
import yaml

from controller import clock
from controller.kube import requests
from controller.kube.client import Client
from controller.kube.connection import connector
from controller.kube.errors import ApiError
from controller.kube.resources import NAMESPACE, Resource
from localcluster.testserver import running_server
from seldon_rollouts.bundle import Installation, bundle
from seldon_rollouts.cli.install import documents
from tests.manifests.monitoring import SPECS, definition

WANTED = {
    "PodMonitor": Installation(rules=True, monitoring_labels={"release": "prometheus"}),
    "ServiceMonitor": Installation(rules=True, service_monitor=True),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """A cluster with the Prometheus operator's kinds."""
    folder = tmp_path_factory.mktemp("kinds")
    written = yaml.safe_dump_all(definition(kind) for kind in SPECS)
    await asyncio.to_thread((folder / "monitoring.yaml").write_text, written)
    async with (
        running_server(crds=[folder]) as server,
        Client(connector(str(server.kubeconfig_path), None, now=clock.now)) as made,
    ):
        await made.apply(NAMESPACE, {"metadata": {"name": "seldon-system"}})
        yield made


@cache
def monitors(scraped_by: str) -> list[dict[str, Any]]:
    wanted = WANTED[scraped_by]
    return [each for each in bundle(documents(wanted), wanted) if each["kind"] in SPECS]


async def applied(client: Client, obj: dict[str, Any]) -> dict[str, Any]:
    """Apply an object; a field that nobody knows is an error."""
    resource = Resource("monitoring.coreos.com", "v1", f"{obj['kind'].lower()}s", obj["kind"])
    asked = requests.apply(resource, obj)
    return await client.send(replace(asked, query=(*asked.query, ("fieldValidation", "Strict"))))


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("scraped_by", list(WANTED))
async def test_what_is_printed_is_accepted_and_kept_as_it_is(client: Client, scraped_by: str) -> None:
    printed = monitors(scraped_by)
    assert {each["kind"] for each in printed} == {"PodMonitor", "PrometheusRule", scraped_by}
    for each in printed:
        assert (await applied(client, deepcopy(each)))["spec"] == each["spec"]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("kind", "change", "named"),
    [
        ("PodMonitor", {"podMetricsEndpoint": []}, "podMetricsEndpoint"),
        ("PodMonitor", {"podMetricsEndpoints": [{"port": "metrics", "interval": "10 seconds"}]}, "interval"),
        ("PrometheusRule", {"groups": [{"name": "g", "rules": [{"alert": "NoExpression"}]}]}, "expr"),
    ],
)
async def test_what_the_operator_would_not_know_is_refused(
    client: Client, kind: str, change: dict[str, Any], named: str
) -> None:
    spoilt = deepcopy(next(each for each in monitors("PodMonitor") if each["kind"] == kind))
    spoilt["spec"] |= change
    with pytest.raises(ApiError, match=named):  # a field that nobody declared is a 500 of a real API server
        await applied(client, spoilt)
