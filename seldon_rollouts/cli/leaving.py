"""The command that makes a plain SeldonDeployment of a rollout again."""

import asyncio
from typing import Annotated, Any

import typer
import yaml

from controller import clock
from controller.api.meta import FINALIZER, LEFT_ANNOTATION
from controller.api.rollout import RolloutSpec, RolloutStatus
from controller.kube import resources
from controller.kube.client import Client
from controller.kube.errors import NotFoundError
from controller.kube.resources import Resource
from controller.rollout import plain, scaling
from seldon_rollouts.cli import finding
from seldon_rollouts.cli.connect import Context, Kubeconfig, Namespace, Rollout, UsageError, run
from seldon_rollouts.cli.output import line
from seldon_rollouts.cli.verbs import Why, who

ANSWER_SECONDS = 30.0
STEPS = """\
# What happens; traffic is served all the while:
# 1. this SeldonDeployment is made, and its pods come up beside those of revision {number}
# 2. the VirtualService {name} leads to them, in one write
# 3. after {delay:g} s the revisions and the SeldonRollout are gone
"""


def add_to(app: typer.Typer) -> None:
    """Put the command into the program."""
    app.command("leave")(leave)


def leave(
    name: Rollout,
    reason: Why = "",
    namespace: Namespace = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the SeldonDeployment and what would happen; write nothing.")
    ] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait until the rollout is gone.")] = 900,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Make a plain SeldonDeployment of a rollout again, under the same URL, without a failed request."""

    async def work(client: Client) -> str:
        rollout = await finding.rollout(client, namespace, name)
        made, number = await becomes(client, rollout)
        if dry_run:
            delay = RolloutSpec.model_validate(rollout["spec"]).scale_down_delay.total_seconds()
            return STEPS.format(number=number, name=name, delay=delay) + yaml.safe_dump(made, sort_keys=False).rstrip()
        await _begin(client, rollout, plain.left(number, who(), reason))
        await _until_gone(client, namespace, name, timeout)
        return await _outcome(client, namespace, name)

    line(run(kubeconfig, context, work))


async def becomes(client: Client, rollout: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Return the SeldonDeployment that a rollout becomes, and the number of the revision that it serves.

    Raises:
        UsageError: stable does not serve alone, or something stands in the way.
    """
    meta = rollout["metadata"]
    about = f"{meta['namespace']}/{meta['name']}"
    status = RolloutStatus.model_validate(rollout.get("status") or {})
    stable, canary = status.stable_revision, status.canary_revision
    if status.phase == "Invalid":
        raise UsageError(f"the spec of {about} is invalid; correct it first: {status.message}")
    if stable is None:
        raise UsageError(f"{about} serves nothing yet ({status.phase}): delete it, or wait until it is Healthy")
    if canary is not None:
        raise UsageError(
            f"{about} is {status.phase} with revision {canary.number} beside stable's {stable.number}: "
            "promote or abort it first, so that stable alone serves"
        )
    spec = RolloutSpec.model_validate(rollout["spec"])
    if spec.routing.virtual_service is not None:
        raise UsageError(f"{about} writes into a VirtualService of yours: take spec.routing.virtualService out first")
    if await _found(client, resources.SELDON_DEPLOYMENT, meta["namespace"], meta["name"]) is not None:
        raise UsageError(f"there is a SeldonDeployment {about} already: delete it, or wait until it is gone")
    kept = await client.get(resources.CONTROLLER_REVISION, meta["namespace"], stable.name)
    child = await client.get(resources.SELDON_DEPLOYMENT, meta["namespace"], stable.name)
    template = kept["data"]["template"]
    sized = scaling.with_replicas(template.get("spec") or {}, child["spec"])
    return plain.becomes((meta["namespace"], meta["name"]), template, spec.routing, sized), stable.number


async def _begin(client: Client, rollout: dict[str, Any], said: str) -> None:
    """Say how the rollout is to be left, have a controller hold it, and delete it.

    Raises:
        UsageError: no controller held it; it is not deleted.
    """
    namespace, name = rollout["metadata"]["namespace"], rollout["metadata"]["name"]
    patch = {"metadata": {"annotations": {LEFT_ANNOTATION: said}}, "spec": {"deletionPolicy": "Leave"}}
    version = rollout["metadata"]["resourceVersion"]
    await client.merge_patch(resources.SELDON_ROLLOUT, namespace, name, patch, resource_version=version)
    deadline = clock.now().timestamp() + ANSWER_SECONDS
    while True:
        live = await client.get(resources.SELDON_ROLLOUT, namespace, name)
        if FINALIZER in (live["metadata"].get("finalizers") or ()):
            break
        if clock.now().timestamp() > deadline:
            raise UsageError(
                f"{namespace}/{name} has deletionPolicy Leave now and is not deleted: no controller answered within "
                f"{ANSWER_SECONDS:g} s; is one running?"
            )
        await asyncio.sleep(0.2)
    await client.delete(resources.SELDON_ROLLOUT, namespace, name, uid=live["metadata"]["uid"])


async def _until_gone(client: Client, namespace: str, name: str, patience: float) -> None:
    deadline, said = clock.now().timestamp() + patience, ""
    while (live := await _found(client, resources.SELDON_ROLLOUT, namespace, name)) is not None:
        message = str((live.get("status") or {}).get("message") or "")
        if message and message != said and "deletionTimestamp" in live["metadata"]:
            said = message
            line(said)
        if clock.now().timestamp() > deadline:
            raise UsageError(f"{namespace}/{name} is not left within {patience:g} s, and is not given up: {said}")
        await asyncio.sleep(0.5)


async def _outcome(client: Client, namespace: str, name: str) -> str:
    live = await _found(client, resources.SELDON_DEPLOYMENT, namespace, name)
    if live is None or (live.get("status") or {}).get("state") != "Available":
        why = (live.get("status") or {}).get("description") or "no word of it" if live else "it was not made"
        raise UsageError(f"SeldonDeployment {namespace}/{name} did not come up in time ({why}): stable goes on serving")
    return f"SeldonRollout {namespace}/{name} is a plain SeldonDeployment again"


async def _found(client: Client, resource: Resource, namespace: str, name: str) -> dict[str, Any] | None:
    try:
        return await client.get(resource, namespace, name)
    except NotFoundError:
        return None
