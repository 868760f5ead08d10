"""What the commands share: where the cluster is, how it is asked, and how a wrong use is told."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer
from rich.console import Console

from controller import clock
from controller.errors import ControllerError
from controller.kube.client import Client
from controller.kube.connection import connector

Result = TypeVar("Result")
Namespace = Annotated[str, typer.Option("--namespace", "-n", help="The namespace.")]
Kubeconfig = Annotated[str | None, typer.Option("--kubeconfig", help="Path of the kubeconfig.")]
Context = Annotated[str | None, typer.Option("--context", help="The kubeconfig's context.")]
CONSOLE = Console()


class UsageError(ControllerError):
    """A command cannot do what was asked; the message says what would be right."""


def run(kubeconfig: str | None, context: str | None, work: Callable[[Client], Awaitable[Result]]) -> Result:
    """Do some work with a client of the cluster that the kubeconfig names."""

    async def go() -> Result:
        async with Client(connector(kubeconfig, context, now=clock.now)) as client:
            return await work(client)

    return asyncio.run(go())
