"""How the controller is: the pages `/healthz`, `/readyz` and `/metrics`."""

import asyncio
import logging
from collections.abc import Callable

from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from controller.metrics import Metrics

log = logging.getLogger("seldon_rollouts.health")


class Health:
    """What has to be true for the process to live, and to be ready.

    Each check returns an empty text when all is well, or what is wrong.
    """

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics
        self.live: dict[str, Callable[[], str]] = {}
        self.ready: dict[str, Callable[[], str]] = {}
        self.leading: bool | None = None
        """None before the first decision about the lease."""

    def watch_task(self, name: str, task: asyncio.Task[object]) -> None:
        """Count a task among those that have to run for the process to live."""
        self.live[name] = lambda: f"{name} has ended" if task.done() else ""

    @staticmethod
    def problems(checks: dict[str, Callable[[], str]]) -> list[str]:
        """Return what is wrong, in the order of the checks."""
        return [problem for check in checks.values() if (problem := check())]


class HealthServer:
    """Serves the pages.

    Args:
        health: what to tell.
        host: the address to bind.
        port: the port; 0 for any free one.
    """

    def __init__(self, health: Health, host: str, port: int) -> None:
        self._health = health
        self._host, self._port = host, port
        self._runner: web.AppRunner | None = None

    async def start(self) -> int:
        """Begin to serve; return the port.

        Raises:
            OSError: the address is taken or not ours.
        """
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        port = int(self._runner.addresses[0][1])
        log.info("serving health address=%s:%d", self._host, port)
        return port

    async def stop(self) -> None:
        """Stop serving."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _healthz(self, _: web.Request) -> web.Response:
        return _page(self._health.problems(self._health.live), "ok")

    async def _readyz(self, _: web.Request) -> web.Response:
        role = {None: "waiting for the lease", True: "leading", False: "standby"}[self._health.leading]
        return _page(self._health.problems(self._health.ready), f"ok: {role}")

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=await self._health.metrics.render(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _page(problems: list[str], fine: str) -> web.Response:
    if problems:
        return web.Response(status=503, text="\n".join(problems) + "\n")
    return web.Response(text=fine + "\n")
