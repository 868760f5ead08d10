"""What the commands share: where the cluster is, how it is asked, and how a wrong use is told."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from controller import clock
from controller.errors import ControllerError
from controller.kube.brief import Brief
from controller.kube.client import Client
from controller.kube.connection import connector, namespace_of
from seldon_rollouts.cli import names

Result = TypeVar("Result")


def _meant(context: typer.Context, namespace: str) -> str:
    """Return the namespace; the kubeconfig's when none is given (what is not given is looked at after what is)."""
    if namespace or context.resilient_parsing:
        return namespace
    return namespace_of(context.params.get("kubeconfig"), context.params.get("context"))


Namespace = Annotated[
    str,
    typer.Option(
        "--namespace", "-n", callback=_meant, help="The namespace; the kubeconfig context's when absent.",
        show_default=False, autocompletion=names.namespaces,
    ),
]  # fmt: skip
Kubeconfig = Annotated[str | None, typer.Option("--kubeconfig", help="Path of the kubeconfig.")]
Context = Annotated[
    str | None, typer.Option("--context", help="The kubeconfig's context.", autocompletion=names.contexts)
]
Rollout = Annotated[str, typer.Argument(metavar="NAME", help="The rollout.", autocompletion=names.rollouts)]


class UsageError(ControllerError):
    """A command cannot do what was asked; the message says what would be right."""


def run(kubeconfig: str | None, context: str | None, work: Callable[[Client], Awaitable[Result]]) -> Result:
    """Do some work with a client of the cluster that the kubeconfig names."""

    async def go() -> Result:
        async with Client(connector(kubeconfig, context, now=clock.now), transport=Brief) as client:
            return await work(client)

    return asyncio.run(go())
