"""`seldon-rollouts dashboard`: the page, on this machine or in a cluster."""

import asyncio
import logging
import socket
from typing import Annotated

import typer
import uvicorn

from controller import clock
from controller.kube import resources
from controller.kube.client import Client
from controller.kube.cluster import Cluster
from controller.kube.connection import Secret, connector
from seldon_rollouts.cli.connect import Context, Kubeconfig, UsageError
from seldon_rollouts.cli.prometheus import PrometheusAccess, PrometheusToken, PrometheusUrl, provider_at


def add_to(app: typer.Typer) -> None:
    """Put the command into the program."""
    app.command("dashboard")(dashboard)


def dashboard(
    port: Annotated[int, typer.Option(help="The port.", min=1, max=65535)] = 8090,
    host: Annotated[str, typer.Option(help="The address; what is not loopback wants --login.")] = "127.0.0.1",
    prometheus_url: PrometheusUrl = "",
    prometheus_access: PrometheusAccess = "",
    prometheus_token: PrometheusToken = "",
    login: Annotated[
        bool, typer.Option("--login", help="Only who is signed in sees anything, and only what they may list.")
    ] = False,
    token_header: Annotated[
        str, typer.Option(help="Header in which a proxy that signs people in leaves their token.")
    ] = "",
    allowed_host: Annotated[
        list[str] | None, typer.Option(help="A name that it answers to; again for more. Loopback's when absent.")
    ] = None,
    root_path: Annotated[
        str, typer.Option(help="Below which path it is served, behind a proxy that strips it or not.")
    ] = "",
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Show all rollouts, live, in a browser; who signs in with a token may act as Kubernetes allows them."""
    from seldon_rollouts.dashboard.app import LOOPBACK, TIMING, Options, create  # FastAPI is only needed here
    from seldon_rollouts.dashboard.prefix import below

    loopback = host in LOOPBACK or host.startswith("127.")
    options = Options(
        prometheus=provider_at(prometheus_url, prometheus_access, prometheus_token) if prometheus_url else None,
        login=login,
        token_header=token_header,
        hosts=tuple(allowed_host or ([*LOOPBACK, host] if loopback else ["*"])),
    )
    if not loopback and not login:
        raise typer.BadParameter(f"{host} can be reached by others: give --login, or leave --host at 127.0.0.1")
    root_path = root_path.rstrip("/")
    if root_path and not root_path.startswith("/"):
        raise typer.BadParameter(f"--root-path {root_path}: expected a path such as /{root_path}")

    def as_person(token: Secret) -> Client:
        return Client(connector(kubeconfig, context, now=clock.now, bearer=token))

    async def serve() -> None:
        async with Client(connector(kubeconfig, context, now=clock.now)) as client:
            if await client.served(resources.SELDON_ROLLOUT) is None:
                raise UsageError("our kinds are missing: seldon-rollouts install | kubectl apply --server-side -f -")
            app = create(Cluster(client, timing=TIMING), options, as_person=as_person)
            config = uvicorn.Config(
                below(root_path, app), host=host, port=port, log_level="warning", timeout_graceful_shutdown=2,
                server_header=False, ws="none",
            )  # fmt: skip
            with _listening(host, port) as door:
                print(f"dashboard on http://{host}:{port}{root_path}/", flush=True)
                await uvicorn.Server(config).serve(sockets=[door])

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("seldon_rollouts.audit").setLevel(logging.INFO)
    asyncio.run(serve())


def _listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens. Raises UsageError where that cannot be, before anything is promised."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        why = str(error.strerror or error).partition(" (while")[0]  # Python adds the address, which is told already
        raise UsageError(f"--host {host} --port {port}: {why}; name another, such as --port 8091") from None
