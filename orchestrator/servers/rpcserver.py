"""gRPC to the doors: the server, with its health service and its reflection."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from orchestrator.http2.exchange import Call, Method, Streaming, Unary
from orchestrator.http2.server import Server
from orchestrator.http2.serving import Terms
from orchestrator.http2.status import RpcError, Status
from orchestrator.room import Room
from orchestrator.servers.certificates import Certificates

HEALTH = "grpc.health.v1.Health"
REFLECTION = "grpc.reflection.v1alpha.ServerReflection"
_REFLECTIONS = (REFLECTION, "grpc.reflection.v1.ServerReflection")  # the same messages under two names
_WATCH_SECONDS = 5.0


class Health:
    """The standard health service: of the whole server (no name) and of its services."""

    def __init__(self, ready: Callable[[], Awaitable[bool]], services: Sequence[str]) -> None:
        self._ready = ready
        self._services = frozenset({"", *services})

    def methods(self) -> Mapping[str, Method]:
        """What it serves."""
        return {f"/{HEALTH}/Check": Unary(self._check), f"/{HEALTH}/Watch": Streaming(self._watch)}

    async def _status(self, service: str) -> str:
        if service not in self._services:
            return "SERVICE_UNKNOWN"
        return "SERVING" if await self._ready() else "NOT_SERVING"

    async def _check(self, body: bytes, _: Call) -> bytes:
        service = _service(body)
        status = await self._status(service)
        if status == "SERVICE_UNKNOWN":
            raise RpcError(Status.NOT_FOUND, f"no service {service!r}")
        return _said(status)

    async def _watch(self, messages: AsyncIterator[bytes], _: Call) -> AsyncIterator[bytes]:
        service = _service(await anext(messages, b""))
        last = None
        while True:
            status = await self._status(service)
            if status != last:
                last = status
                yield _said(status)
            await asyncio.sleep(_WATCH_SECONDS)


def _health() -> Any:
    from grpc_health.v1 import health_pb2  # when it is first asked: not at the start

    return health_pb2


def _service(body: bytes) -> str:
    try:
        return str(_health().HealthCheckRequest.FromString(body).service)
    except Exception as error:
        raise RpcError(Status.INVALID_ARGUMENT, f"this is no HealthCheckRequest: {error}") from error


def _said(status: str) -> bytes:
    return bytes(_health().HealthCheckResponse(status=status).SerializeToString())


class RpcServer:
    """Listens on one address.

    Args:
        methods: what is served, by the methods' full names such as `/seldon.protos.Seldon/Predict`.
        ready: whether it can serve.
        services: the names of its services, for health and reflection.
        limit: bytes of a message.
        room: what long messages have to fit into.
    """

    def __init__(
        self,
        methods: Mapping[str, Method],
        ready: Callable[[], Awaitable[bool]],
        services: Sequence[str],
        limit: int,
        room: Room | None = None,
    ) -> None:
        self._services = services
        every = {
            **methods,
            **Health(ready, services).methods(),
            **{f"/{name}/ServerReflectionInfo": Streaming(self._reflect) for name in _REFLECTIONS},
        }
        self._server = Server(Terms(methods=every, limit=limit, room=room or Room(sys.maxsize)))

    async def listen(
        self, host: str, port: int, certificates: Certificates | None = None, *, together: bool = False
    ) -> int:
        """Listen on `host`:`port` (0 picks a free one) and return the port. Raises OSError when it is taken.

        With `together` other processes that say the same may listen there, too.
        """
        context = None if certificates is None else certificates.context("h2")
        try:
            return await self._server.listen(host, port, context, together=together)
        except OSError as error:
            raise OSError(f"gRPC on {host}:{port}: {error.strerror or error}") from error

    async def _reflect(self, messages: AsyncIterator[bytes], call: Call) -> AsyncIterator[bytes]:
        from orchestrator.servers.reflection import reflected  # when it is first asked: not at the start

        async for answer in reflected(messages, call, (*self._services, HEALTH, REFLECTION)):
            yield answer

    async def close(self, within: float) -> bool:
        """Take no more calls, let those under way finish, and say whether all did so within `within` seconds."""
        return await self._server.close(within)
