"""Runs the demo: cluster, models, users, scenes, account."""

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller import clock
from controller.kube import resources
from controller.kube.client import Client
from controller.kube.connection import connector
from localcluster.cluster import LocalCluster, prepare
from localcluster.faults import Faults
from seldon_rollouts import local
from seldon_rollouts.demo import models, report, scenes
from seldon_rollouts.demo.narrate import Narrator
from seldon_rollouts.demo.scenes import SCENES
from seldon_rollouts.demo.story import Story
from seldon_rollouts.demo.traffic import Users

REQUESTS_PER_SECOND = 240


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """How the demo ended."""

    account: dict[str, Any]
    cluster: LocalCluster | None
    """Still running, when it is to be kept."""


async def tell(narrator: Narrator, place: Path, *, keep: bool = False) -> Told:
    """Play the whole demo and return the account; end the cluster unless it is to be kept.

    Args:
        narrator: who tells it.
        place: the folder of models and cluster.
        keep: whether the cluster is left running.

    Raises:
        ClusterError: the cluster cannot be started; what it lacks is said before anything else is done.
    """
    prepare(place / "cluster")
    narrator.say("training four models on scikit-learn's handwritten digits")
    trained = await asyncio.to_thread(models.train, place / "models")
    narrator.say(f"  accuracy of the first {trained.accuracy[0]:.1%}, of the second {trained.accuracy[1]:.1%}")
    narrator.say("starting the local cluster: API server, node, Envoy, Prometheus, controller")
    cluster = local.cluster(place / "cluster", with_dashboard=keep)
    await cluster.up()
    kept = False
    try:
        account = await _scenes(cluster, trained, narrator)
        kept = keep
        return Told(account=account, cluster=cluster if keep else None)
    finally:
        if not kept:
            await cluster.down()


async def _scenes(cluster: LocalCluster, trained: models.Trained, narrator: Narrator) -> dict[str, Any]:
    at = cluster.addresses
    narrator.say(f"  KUBECONFIG={at.kubeconfig}  logs {at.data_dir}/logs")
    narrator.say(f"  gateway {at.gateway_url}  prometheus {at.prometheus_url}")
    if dashboard := local.dashboard_url(cluster):
        narrator.say(f"  dashboard {dashboard}#/{scenes.NAMESPACE}/{scenes.NAME}")
    url = f"{at.gateway_url}/seldon/{scenes.NAMESPACE}/{scenes.NAME}/api/v1.0/predictions"
    users = Users(url, trained.rows, trained.labels, rate=REQUESTS_PER_SECOND)
    async with Client(connector(at.kubeconfig, None, now=clock.now)) as client:
        await client.apply(resources.NAMESPACE, _namespace())
        faults = Faults(Path(at.data_dir))
        story = Story(client, trained, users, narrator, lambda: faults.kill("controller"))
        asking: asyncio.Task[None] | None = None
        try:
            for scene in SCENES:
                act = await story.play(scene)
                if asking is None:
                    narrator.say(f"users begin: {REQUESTS_PER_SECOND} requests/s over 12 connections, real images")
                    asking = asyncio.create_task(users.run())
                if act.problems:
                    break
        finally:
            users.stop()
            if asking is not None:
                with contextlib.suppress(asyncio.CancelledError):
                    await asking
    narrator.show(report.table(story.acts, users.tallies))
    return report.summary(story.acts, users.tallies, users.failures, narrator.seconds)


def _namespace() -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": scenes.NAMESPACE}}
