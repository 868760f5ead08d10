"""The webhooks' server: HTTPS with two paths, `/mutate` and `/validate`."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime

import orjson
from aiohttp import web

from controller import clock
from controller.admission.keeper import Context, Keeper, keep
from controller.admission.review import ReviewError, answer
from controller.deployment.configuration import Configuration

log = logging.getLogger("seldon_rollouts.admission")

LARGEST = 8 * 1024 * 1024
"""Bytes of a request: the object of an update comes twice, and the API server takes 3 MiB each."""
Read = Callable[[datetime], Awaitable[Configuration]]


class AdmissionServer:
    """Answers the API server.

    Args:
        keeper: looks after the certificate.
        context: what the keeper loads it into.
        configuration: reads the operator's configuration.
        operator: whether SeldonDeployments are this installation's business.
    """

    def __init__(self, keeper: Keeper, context: Context, configuration: Read, *, operator: bool) -> None:
        self._keeper, self._context = keeper, context
        self._configuration, self._operator = configuration, operator
        self._runner: web.AppRunner | None = None
        self._keeping: asyncio.Task[None] | None = None

    def unready(self) -> str:
        """Return why requests cannot be answered; empty when they can."""
        return "" if self._context.loaded else "the webhooks have no certificate yet"

    async def start(self, host: str, port: int) -> asyncio.Task[None]:
        """Listen; return the task that looks after the certificate.

        Raises:
            OSError: the address cannot be bound.
        """
        application = web.Application(client_max_size=LARGEST)
        application.router.add_post("/mutate", self._mutate)
        application.router.add_post("/validate", self._validate)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port, ssl_context=self._context.tls).start()
        self._keeping = asyncio.create_task(keep(self._keeper), name="webhook certificate")
        log.info("webhooks listen host=%s port=%d", host, port)
        return self._keeping

    @property
    def port(self) -> int:
        """The port that is listened on."""
        assert self._runner is not None
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """End requests under way, and listen no more."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()

    async def _mutate(self, request: web.Request) -> web.Response:
        return await self._answer(request, mutating=True)

    async def _validate(self, request: web.Request) -> web.Response:
        return await self._answer(request, mutating=False)

    async def _answer(self, request: web.Request, *, mutating: bool) -> web.Response:
        configuration = await self._configuration(clock.now())
        try:
            review = orjson.loads(await request.read())
            body = answer(review, configuration, mutating=mutating, operator=self._operator)
        except (ReviewError, orjson.JSONDecodeError) as error:
            return web.Response(status=400, text=f"{error}\n")
        return web.Response(body=orjson.dumps(body), content_type="application/json")
