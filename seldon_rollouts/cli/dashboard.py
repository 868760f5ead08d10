"""`seldon-rollouts dashboard`: the page, on this machine."""

import asyncio
import logging
from typing import Annotated

import typer
import uvicorn

from controller import clock
from controller.kube.client import Client
from controller.kube.cluster import Cluster
from controller.kube.connection import connector


def dashboard(
    port: Annotated[int, typer.Option(help="The port.")] = 8090,
    host: Annotated[
        str, typer.Option(help="The address; it is read-only, and open to who can reach it.")
    ] = "127.0.0.1",
    prometheus_url: Annotated[str, typer.Option("--prometheus-url", envvar="PROMETHEUS_URL", help="For charts.")] = "",
    root_path: Annotated[str, typer.Option(help="The path prefix of a proxy in front of it.")] = "",
    kubeconfig: Annotated[str | None, typer.Option("--kubeconfig", help="Path of the kubeconfig.")] = None,
    context: Annotated[str | None, typer.Option("--context", help="The kubeconfig's context.")] = None,
) -> None:
    """Show all rollouts, live, in a browser."""
    asyncio.run(_serve(host, port, prometheus_url, root_path, kubeconfig, context))


async def _serve(
    host: str, port: int, prometheus_url: str, root_path: str, kubeconfig: str | None, context: str | None
) -> None:
    from seldon_rollouts.dashboard.app import create  # FastAPI is only needed here

    logging.basicConfig(level=logging.WARNING)
    async with Client(connector(kubeconfig, context, now=clock.now)) as client:
        app = create(Cluster(client), prometheus_url)
        config = uvicorn.Config(
            app, host=host, port=port, root_path=root_path, log_level="warning", timeout_graceful_shutdown=2
        )
        print(f"dashboard on http://{host}:{port}{root_path}/", flush=True)
        await uvicorn.Server(config).serve()
