"""gRPC to the doors: the server, with its health service and its reflection."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, cast

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection

from orchestrator import protos
from orchestrator.servers.certificates import Certificates

log = logging.getLogger(__name__)

HEALTH = "grpc.health.v1.Health"
_WATCH_SECONDS = 5.0


class Health(grpc.GenericRpcHandler):
    """The standard health service: of the whole server (no name) and of its services."""

    def __init__(self, ready: Callable[[], Awaitable[bool]], services: Sequence[str]) -> None:
        self._ready = ready
        self._services = frozenset({"", *services})
        kinds: dict[str, Any] = {
            "request_deserializer": health_pb2.HealthCheckRequest.FromString,
            "response_serializer": health_pb2.HealthCheckResponse.SerializeToString,
        }
        self._handlers = {
            f"/{HEALTH}/Check": grpc.unary_unary_rpc_method_handler(self._check, **kinds),
            f"/{HEALTH}/Watch": grpc.unary_stream_rpc_method_handler(self._watch, **kinds),
        }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """The handler of a method, or None for one that is not served."""
        return self._handlers.get(handler_call_details.method)

    async def _status(self, service: str) -> int:
        statuses = health_pb2.HealthCheckResponse
        if service not in self._services:
            return int(statuses.SERVICE_UNKNOWN)
        return int(statuses.SERVING if await self._ready() else statuses.NOT_SERVING)

    async def _check(self, request: Any, rpc: Any) -> Any:
        status = await self._status(request.service)
        if status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN:
            await rpc.abort(grpc.StatusCode.NOT_FOUND, f"no service {request.service!r}")
        return health_pb2.HealthCheckResponse(status=status)

    async def _watch(self, request: Any, rpc: Any) -> AsyncIterator[Any]:
        last = None
        while True:
            status = await self._status(request.service)
            if status != last:
                last = status
                yield health_pb2.HealthCheckResponse(status=status)
            await asyncio.sleep(_WATCH_SECONDS)


class RpcServer:
    """Listens on one address.

    Args:
        doors: what is served.
        ready: whether it can serve.
        services: the names of its services, for health and reflection.
        limit: bytes of a message.
    """

    def __init__(
        self, doors: grpc.GenericRpcHandler, ready: Callable[[], Awaitable[bool]], services: Sequence[str], limit: int
    ) -> None:
        self._handlers = (doors, Health(ready, services))
        self._services = services
        self._options = [
            ("grpc.max_receive_message_length", limit),
            ("grpc.max_send_message_length", limit),
        ]
        self._server: grpc.aio.Server | None = None

    async def listen(
        self, host: str, port: int, certificates: Certificates | None = None, *, together: bool = False
    ) -> int:
        """Listen on `host`:`port` (0 picks a free one) and return the port. Raises OSError when it is taken.

        With `together` other processes that say the same may listen there, too.
        """
        credentials = None if certificates is None else certificates.credentials()
        server = grpc.aio.server(options=[*self._options, ("grpc.so_reuseport", int(together))])
        server.add_generic_rpc_handlers(self._handlers)
        names = (*self._services, HEALTH, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server, pool=cast("Any", _Pools()))
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            if credentials is None:
                found = server.add_insecure_port(address)
            else:
                found = server.add_secure_port(address, credentials)
        except RuntimeError as error:
            await server.stop(None)
            raise OSError(f"gRPC on {address}: {error}") from error
        await server.start()
        self._server = server
        return int(found)

    async def close(self, within: float) -> bool:
        """Take no more calls, let those under way finish, and say whether all did so within `within` seconds."""
        server, self._server = self._server, None
        if server is None:
            return True
        ended = asyncio.ensure_future(server.stop(None if within == 0.0 else within + 1.0))
        done, _ = await asyncio.wait({ended}, timeout=within or None)
        if not done:
            log.warning("calls over gRPC were still under way after %.3g s; ending them", within)
            await server.stop(None)
        await ended
        return bool(done)


class _Pools:
    """Our own messages, and those of the health service and reflection, which are in protobuf's default pool."""

    def __getattr__(self, name: str) -> Any:
        def find(*arguments: Any) -> Any:
            try:
                return getattr(protos.pool, name)(*arguments)
            except KeyError:
                from google.protobuf import descriptor_pool

                return getattr(descriptor_pool.Default(), name)(*arguments)

        return find
