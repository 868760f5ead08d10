"""The controller's program: `python -m controller`."""

import asyncio
import logging
import os
import signal
import socket
import sys
import uuid
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import uvloop

from controller import clock
from controller.errors import ControllerError
from controller.garbage import collect_seldom
from controller.health import Health, HealthServer
from controller.kube.client import Client
from controller.kube.cluster import Cluster
from controller.kube.connection import connector
from controller.kube.election import Election
from controller.kube.lease import Terms
from controller.kube.recorder import Recorder
from controller.kube.watches import Controller
from controller.manager import Manager
from controller.metrics import Metrics
from controller.settings import Settings
from controller.startup import parse_settings

log = logging.getLogger("seldon_rollouts")

LAST_WORDS = timedelta(seconds=8)
"""What the end may take after the grace: giving up the lease, the last events."""

Factory = Callable[[Cluster, Settings], Controller]


def factories(settings: Settings) -> list[Factory]:
    """Return what builds each controller; imported late, so that a controller that is switched off costs nothing."""
    names = settings.controllers
    found: list[Factory] = []
    if "operator" in names:
        from controller.deployment.reconciler import DeploymentController

        found.append(DeploymentController)
    if "rollout" in names:
        from controller.rollout.reconciler import RolloutController

        found.append(RolloutController)
    if "analysis" in names:
        from controller.analysisruns.reconciler import AnalysisController

        found.append(AnalysisController)
    if settings.notifications_file:
        from controller.notifications.reconciler import Notifier

        found.append(Notifier)
    return found


async def serve(settings: Settings, stop: asyncio.Event, built_by: Sequence[Factory] | None = None) -> None:
    """Run the controllers until `stop` is set.

    Args:
        settings: what we were told.
        stop: set it to end.
        built_by: what builds the controllers; those of the settings when absent.

    Raises:
        ControllerError: the cluster's credentials cannot be used.
        OSError: the health address cannot be bound.
    """
    identity = f"{socket.gethostname()}_{uuid.uuid4().hex[:12]}"
    metrics = Metrics()
    metrics.observe_process()
    health = Health(metrics)
    async with AsyncExitStack() as stack:
        server = HealthServer(health, *settings.listen_address)
        await server.start()
        stack.push_async_callback(server.stop)
        connect = connector(settings.kubeconfig, settings.context, now=clock.now)
        client = await stack.enter_async_context(Client(connect, metrics=metrics))
        await client.connect()
        cluster = Cluster(client, namespaces=settings.namespaces, recorder=Recorder(client, host=identity))
        controllers = [build(cluster, settings) for build in built_by or factories(settings)]
        for each in controllers:
            for collector in getattr(each, "collectors", ()):
                metrics.registry.register(collector)
        if settings.webhook_listen:
            await _answer_webhooks(settings, client, health, stack)
        manager = Manager(
            cluster,
            controllers,
            health=health,
            workers=settings.workers,
            election=_election(settings, client, identity) if settings.leader_elect else None,
            grace=settings.grace,
        )
        log.info("starting identity=%s server=%s controllers=%s", identity, client.server, sorted(settings.controllers))
        await manager.run(stop)


def _election(settings: Settings, client: Client, identity: str) -> Election:
    return Election(
        client,
        namespace=settings.lease_namespace or settings.operator_namespace,
        name=settings.lease_name,
        identity=identity,
        terms=Terms(duration=settings.lease_duration, deadline=settings.lease_deadline, retry=settings.lease_retry),
    )


async def _answer_webhooks(settings: Settings, client: Client, health: Health, stack: AsyncExitStack) -> None:
    """Serve the admission webhooks, leading or not, until the stack ends."""
    from controller.admission.keeper import Context, GivenCertificate, Keeper, OwnCertificate
    from controller.admission.server import AdmissionServer
    from controller.deployment.catalogue import Catalogue
    from controller.deployment.configuration import DRAIN

    context = Context()
    namespace, service = settings.operator_namespace, "seldon-rollouts-webhook"
    names = settings.webhook_names or (f"{service}.{namespace}.svc", f"{service}.{namespace}.svc.cluster.local")
    keeper: Keeper = OwnCertificate(client, context, namespace, frozenset(names))
    if settings.webhook_certificates:
        keeper = GivenCertificate(context, Path(settings.webhook_certificates))
    catalogue = Catalogue(client, settings, DRAIN)
    operator = "operator" in settings.controllers
    webhooks = AdmissionServer(keeper, context, catalogue.configuration, operator=operator)
    health.watch_task("webhook certificate", await webhooks.start(*settings.webhook_address))
    health.ready["webhooks"] = webhooks.unready
    stack.push_async_callback(webhooks.stop)


async def _until_signalled(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await _within(settings.grace + LAST_WORDS, serve(settings, stop), stop)


async def _within(bound: timedelta, serving: Coroutine[Any, Any, None], stop: asyncio.Event) -> None:
    """Serve; once `stop` is set, end within the bound, even if something hangs (a credential plugin, a controller)."""
    task, stopping = asyncio.create_task(serving), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((task, stopping), return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait((task,), timeout=bound.total_seconds())
        if not task.done():
            log.error("did not end in time bound=%s", bound)
    finally:
        stopping.cancel()
        task.cancel()
        await asyncio.gather(stopping, task, return_exceptions=True)
    if not task.cancelled():
        task.result()


def configure_logging(level: str) -> None:
    """One line for each record: time, level, logger, and what is said as text and key=value."""
    logging.basicConfig(
        stream=sys.stderr,
        level=level.upper(),
        format="%(asctime)s level=%(levelname)s logger=%(name)s %(message)s",
        force=True,
    )
    for whole_addresses in ("httpx", "httpcore", "urllib3"):  # with what stands in them: a key, a webhook's secret
        logging.getLogger(whole_addresses).setLevel(logging.WARNING)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code: 0 after a clean end, 1 after a failure, 2 for bad settings."""
    try:
        settings = parse_settings(sys.argv[1:] if arguments is None else arguments, os.environ)
    except ControllerError as error:
        print(f"seldon-rollouts-controller: {error}", file=sys.stderr)  # noqa: T201 - before there is a log
        return 2
    configure_logging(settings.log_level)
    collect_seldom()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_until_signalled(settings))
    except (ControllerError, OSError) as error:
        log.error("ended error=%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
