"""Loads the class, serves it, and lets it end well."""

import asyncio
import importlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol

from orchestrator.node.errors import StartError
from orchestrator.node.service import Service
from orchestrator.node.settings import Settings
from orchestrator.node.telemetry import ModelMetrics
from orchestrator.node.unit import Unit
from orchestrator.servers.http import Server
from orchestrator.servers.message import TEXT, Request, Response
from orchestrator.telemetry.exposition import CONTENT_TYPE, text
from orchestrator.telemetry.families import Shown
from orchestrator.telemetry.process import ProcessMetrics

if TYPE_CHECKING:
    from orchestrator.servers.rpcserver import RpcServer

log = logging.getLogger(__name__)


class _Source(Protocol):
    def shown(self) -> Iterable[Shown]: ...


def instance(settings: Settings) -> Any:
    """An instance of the user's class, loaded.

    Raises:
        StartError: there is no such class, or it does not take the parameters.
    """
    folder = os.getcwd()  # noqa: PTH109 — an entry of sys.path is text
    if folder not in sys.path:
        sys.path.insert(0, folder)
    module_name, _, class_name = settings.interface.rpartition(".")
    module_name = module_name or class_name
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise StartError(f"{settings.interface!r}: {error}; expected module.Class, importable from {folder}") from error
    found = getattr(module, class_name, None)
    if not callable(found):
        raise StartError(f"{settings.interface!r}: module {module_name!r} has no class {class_name!r}")
    try:
        user = found(**settings.parameters)
    except TypeError as error:
        given = ", ".join(settings.parameters) or "none"
        raise StartError(f"{settings.interface!r} does not take the parameters ({given}): {error}") from error
    load = getattr(user, "load", None)
    if callable(load):
        load()
    return user


def metrics_page(path: bytes, sources: Iterable[_Source]) -> Any:
    """A handler that shows metrics on one path."""
    kept = list(sources)

    def handler(request: Request) -> Response:
        if request.path != path and request.path != b"/metrics":
            return Response(404, b"no such path\n", TEXT)
        return Response(200, text([shown for source in kept for shown in source.shown()]), CONTENT_TYPE)

    return handler


async def run(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit status: 0, or 1 when a method had not come back.

    Raises:
        StartError: the class cannot be loaded.
        OSError: a port is taken.
    """
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    user = instance(settings)
    metrics = ModelMetrics(settings.labels)
    unit = Unit(user, name=settings.name, image=settings.image, metadata=settings.metadata, record=metrics.update)
    service = Service(unit, metrics, threads=settings.threads)
    server = Server(service)
    page = Server(metrics_page(settings.metrics_path.encode(), [metrics, ProcessMetrics()]))
    await page.listen(settings.bind, settings.metrics_port)
    remote = await _remote(settings, service)
    # Last: an open port is what readiness probes look for.
    port = await server.listen(settings.bind, settings.http_port)
    log.info("%s serves %s on %s:%d", settings.name or "node", settings.interface, settings.bind, port)
    if callable(getattr(user, "custom_service", None)):
        threading.Thread(target=user.custom_service, name="custom_service", daemon=True).start()
    await asked.wait()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.remove_signal_handler(number)  # the second time means now
    closing = [one.close(settings.graceful_timeout) for one in (server, remote) if one is not None]
    clean = all(await asyncio.gather(*closing))
    await page.close(0.0)
    return 0 if service.close() and clean else 1


async def _remote(settings: Settings, service: Service) -> "RpcServer | None":
    """Serve gRPC, unless it is switched off, which also saves its memory."""
    if settings.grpc_port is None:
        return None
    from orchestrator.node.rpc import SERVICES, RpcDoors
    from orchestrator.servers.rpcserver import RpcServer

    async def ready() -> bool:
        return True

    server = RpcServer(RpcDoors(service).methods, ready, SERVICES, settings.max_message)
    await server.listen(settings.bind, settings.grpc_port)
    return server
