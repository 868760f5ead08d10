"""The command `plan` on a real Prometheus and an API server: from counters to the table that people read."""

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from controller import clock
from controller.kube import resources
from controller.kube.client import Client
from controller.kube.connection import connector
from localcluster.testserver import running_server
from seldon_rollouts.cli.app import program as commands

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
TEMPLATE = {"spec": {"predictors": [{"name": "default", "graph": {"name": "c"}}]}}


async def test_a_plan_rests_on_what_prometheus_counted(exporter, prometheus, poll, monkeypatch):
    monkeypatch.setattr("analysis.habits.STEP", 1)
    exporter.pod("iris-a", "stable-a", requests=100, failed=1, slow=2)
    prometheus.scrape("stable-a")
    await prometheus.start()

    async def scraped() -> bool:
        return exporter.sources["stable-a"].scrapes > 12

    await poll(scraped, seconds=40)
    async with running_server(crds=[ROOT / "crds"]) as server:
        kubeconfig = str(server.kubeconfig_path)
        async with Client(connector(kubeconfig, None, now=clock.now)) as client:
            await client.create(
                resources.NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ml"}}
            )
            head = {"apiVersion": "rollouts.seldon.io/v1alpha1", "kind": "SeldonRollout"}
            for name, stable in (("iris", "iris-a"), ("wine", "wine-a"), ("new", "")):
                meta = {"name": name, "namespace": "ml"}
                made = await client.create(
                    resources.SELDON_ROLLOUT, {**head, "metadata": meta, "spec": {"template": TEMPLATE}}
                )
                revision = {"hash": "a", "number": 1, "name": stable, "role": "stable"}
                status = {"stableRevision": revision} if stable else {"phase": "Pending"}
                version = made["metadata"]["resourceVersion"]
                await client.patch_status(resources.SELDON_ROLLOUT, "ml", name, status, resource_version=version)

        async def planned(*arguments: str):
            line = ["plan", *arguments, "-n", "ml", "--past", "8s", "--kubeconfig", kubeconfig]
            return await asyncio.to_thread(CliRunner().invoke, commands(), [*line, "--prometheus-url", prometheus.url])

        done = await planned("iris", "-o", "json")
        found = json.loads(done.output)
        assert found["requestsPerSecond"] == pytest.approx(100, rel=0.3)
        assert found["errorShare"] == pytest.approx(0.01)
        assert found["slowShares"]["0.1"] == pytest.approx(2 / 99)
        assert [one["percent"] for one in found["weights"]] == [5, 25, 50]
        assert all(20 <= one["stepSeconds"] <= one["promoteSeconds"] < 3600 for one in found["weights"])
        shown = (await planned("iris")).output
        assert "iris-a: " in shown
        assert "promote an equal canary" in shown
        assert "give an equal canary the next weight" in shown
        assert "catch errors x2 (2 %)" in shown
        nothing = await planned("wine")
        assert "counted no request of deployment_name wine-a in namespace ml" in str(nothing.exception)
        assert "no stable revision yet" in str((await planned("new")).exception)
