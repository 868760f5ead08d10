"""`version`: which versions there are: ours, the controllers' in the cluster, Kubernetes' and those of our kinds."""

import asyncio
from typing import Annotated, Any

import typer

from controller.errors import ControllerError
from controller.kube import resources
from controller.kube.client import Client
from controller.kube.errors import ApiError
from controller.kube.requests import Request
from seldon_rollouts import __version__
from seldon_rollouts.cli.connect import Context, Kubeconfig, run
from seldon_rollouts.cli.output import Format, Output, data, line

KINDS = (
    resources.SELDON_ROLLOUT,
    resources.SELDON_DEPLOYMENT,
    resources.ANALYSIS_RUN,
    resources.ANALYSIS_TEMPLATE,
    resources.CLUSTER_ANALYSIS_TEMPLATE,
)


def add_to(app: typer.Typer) -> None:
    """Put the command into the program."""
    app.command("version")(version)


def version(
    client: Annotated[bool, typer.Option("--client", help="Ask no cluster.")] = False,
    output: Output = Format.TEXT,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Print the versions of this program, of the controllers, of Kubernetes and of our kinds."""
    if output not in (Format.TEXT, Format.JSON, Format.YAML):
        raise typer.BadParameter(f"-o {output} does not fit versions; expected text, json or yaml")
    found: dict[str, Any] = {"client": __version__}
    problem: ControllerError | None = None
    if not client:
        try:
            found |= run(kubeconfig, context, _asked)
        except ControllerError as error:
            problem = error
    if not data(output, found):
        _show(found)
    if problem is not None:
        raise problem


def _show(found: dict[str, Any]) -> None:
    line(f"client: {found['client']}")
    if "kubernetes" not in found:
        return
    for each in found["controllers"]:
        line(f"controller: {each['version']} ({each['name']}, {each['ready']} of {each['replicas']} ready)")
        if each["version"] != found["client"]:
            line("  this program is another version: install the same, so that both know the same fields")
    if not found["controllers"]:
        line("controller: none found as a Deployment; see `doctor`")
    line(f"kubernetes: {found['kubernetes']}")
    for name, served in found["kinds"].items():
        line(f"{name}: {served or 'not installed'}")


async def _asked(client: Client) -> dict[str, Any]:
    asking = Request(verb="get", method="GET", path="/version", idempotent=True, about="/version")
    server = await client.send(asking)
    served = await asyncio.gather(*(client.served(kind) for kind in KINDS))
    kinds = {kind.name: at.version if at is not None else "" for kind, at in zip(KINDS, served, strict=True)}
    return {
        "controllers": await _controllers(client),
        "kubernetes": server.get("gitVersion", "unknown"),
        "kinds": kinds,
    }


async def _controllers(client: Client) -> list[dict[str, Any]]:
    """Return the controllers that run as Deployments and that we may see."""
    try:
        found, _ = await client.list(resources.DEPLOYMENT, labels="app.kubernetes.io/name=seldon-rollouts-controller")
    except ApiError:
        return []
    return [_controller(each) for each in found]


def _controller(deployment: dict[str, Any]) -> dict[str, Any]:
    meta, status = deployment["metadata"], deployment.get("status") or {}
    image = deployment["spec"]["template"]["spec"]["containers"][0].get("image", "")
    name, _, tag = image.rpartition(":")
    return {
        "name": f"{meta['namespace']}/{meta['name']}",
        "version": tag if name and "/" not in tag else "unknown",
        "ready": int(status.get("readyReplicas") or 0),
        "replicas": int(deployment["spec"].get("replicas", 1)),
    }
