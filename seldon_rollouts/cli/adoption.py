"""The command that makes a rollout of a live SeldonDeployment."""

import asyncio
from typing import Annotated, Any

import typer
import yaml

from controller import clock
from controller.api.rollout import RolloutSpec, RolloutStatus
from controller.errors import InvalidSpecError
from controller.kube import resources
from controller.kube.client import Client
from controller.kube.errors import NotFoundError
from controller.rollout.adoption import template
from controller.rollout.revisions import check_template
from seldon_rollouts.cli import finding
from seldon_rollouts.cli.connect import Context, Kubeconfig, Namespace, UsageError, run
from seldon_rollouts.cli.output import line

DEFAULT_HOSTS = ["*"]


def add_to(app: typer.Typer) -> None:
    """Put the command into the program."""
    app.command("adopt")(adopt)


def adopt(
    name: str,
    namespace: Namespace = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the SeldonRollout, and write nothing.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait until it has taken over.")] = 600,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Make a rollout of a live SeldonDeployment, under the same URL, without a failed request."""

    async def work(client: Client) -> str:
        rollout = await plan(client, namespace, name)
        if dry_run:
            return yaml.safe_dump(rollout, sort_keys=False).rstrip()
        await client.create(resources.SELDON_ROLLOUT, rollout)
        return await _taken_over(client, namespace, name, timeout)

    line(run(kubeconfig, context, work))


async def plan(client: Client, namespace: str, name: str) -> dict[str, Any]:
    """Return the SeldonRollout that takes over a live SeldonDeployment: its template, its hosts and its gateways.

    Raises:
        UsageError: there is a rollout of this name, no such SeldonDeployment, or one that cannot be taken over.
    """
    about = f"{namespace}/{name}"
    if await _get(client, resources.SELDON_ROLLOUT, namespace, name) is not None:
        raise UsageError(f"there is a SeldonRollout {about} already: set `adopt: true` in its spec")
    live = await _get(client, resources.SELDON_DEPLOYMENT, namespace, name)
    if live is None:
        raise await finding.missing(client, resources.SELDON_DEPLOYMENT, (namespace, name))
    owners = [each for each in live["metadata"].get("ownerReferences") or () if each.get("controller")]
    if owners:
        raise UsageError(
            f"SeldonDeployment {about} belongs to {owners[0]['kind']} {owners[0]['name']}: change that one"
        )
    found = template(live)
    try:
        check_template(found)
    except InvalidSpecError as error:
        raise UsageError(f"SeldonDeployment {about} cannot be a revision: {error}") from error
    spec: dict[str, Any] = {"adopt": True, "template": found}
    route = await _get(client, resources.VIRTUAL_SERVICE, namespace, name)
    if route is not None:
        spec["routing"] = {key: route["spec"][key] for key in ("hosts", "gateways") if route["spec"].get(key)}
    RolloutSpec.model_validate(spec)
    return {
        "apiVersion": resources.SELDON_ROLLOUT.api_version,
        "kind": resources.SELDON_ROLLOUT.kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


async def _get(client: Client, resource: resources.Resource, namespace: str, name: str) -> dict[str, Any] | None:
    served = await client.served(resource) if resource.older else resource
    if served is None:
        return None
    try:
        return await client.get(served, namespace, name)
    except NotFoundError:
        return None


async def _taken_over(client: Client, namespace: str, name: str, patience: float) -> str:
    """Wait until the SeldonDeployment is gone and the rollout serves; say so, or what it waits for."""
    deadline, said = clock.now().timestamp() + patience, ""
    while True:
        rollout = await client.get(resources.SELDON_ROLLOUT, namespace, name)
        status = RolloutStatus.model_validate(rollout.get("status") or {})
        gone = await _get(client, resources.SELDON_DEPLOYMENT, namespace, name) is None
        if gone and status.stable_revision is not None:
            return f"SeldonDeployment {namespace}/{name} is a rollout now: {status.message}"
        if status.message and status.message != said:
            said = status.message
            line(f"{status.phase}: {said}")
        if clock.now().timestamp() > deadline:
            raise UsageError(
                f"{namespace}/{name} was not taken over within {patience:g} s, and is not given up: "
                f"{said or 'no controller has looked at it; is one running?'}"
            )
        await asyncio.sleep(0.5)
