"""Calls to a graph node over gRPC: bytes out, bytes in."""

import asyncio
from collections.abc import Callable
from math import inf
from time import perf_counter
from typing import Any

import grpc
import grpc.aio

from orchestrator.clients.context import Context
from orchestrator.clients.hosts import Hosts
from orchestrator.clients.node import seconds_left
from orchestrator.errors import NodeError, OverloadedError
from orchestrator.protocols.payload import Form, Payload, Protobuf
from orchestrator.room import UNCOUNTED
from orchestrator.telemetry.metrics import Codes

_REASONS = {"UNAVAILABLE": "NODE_UNREACHABLE", "DEADLINE_EXCEEDED": "NODE_TIMEOUT"}
# A node's status as a client over REST is told of it; a node that is away or late is a 500, as it is over REST.
_HTTP = {
    "INVALID_ARGUMENT": 400, "FAILED_PRECONDITION": 400, "OUT_OF_RANGE": 400, "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403, "NOT_FOUND": 404, "ALREADY_EXISTS": 409, "ABORTED": 409, "RESOURCE_EXHAUSTED": 429,
    "UNIMPLEMENTED": 501,
}  # fmt: skip


class NodeRpcError(NodeError):
    """The node ended the call with another status than OK; a client over gRPC gets that status as it is."""

    def __init__(self, name: str, error: grpc.aio.AioRpcError) -> None:
        self.code = error.code()
        self.details = error.details() or ""
        self.trailing = error.trailing_metadata()
        super().__init__(f"{name} answered {self.code.name}: {self.details}")
        self.status = _HTTP.get(self.code.name, 500)
        self.reason = _REASONS.get(self.code.name, "NODE_ERROR")


class Channel:
    """The connection to one `host:port`, made when it is first needed, and anew when the host has moved."""

    def __init__(
        self, address: tuple[str, int], hosts: Hosts, *, limit: int, tls: grpc.ChannelCredentials | None = None
    ) -> None:
        self._tls = tls
        self._host, self._port = address
        self._hosts = hosts
        self._options: list[tuple[str, Any]] = [
            ("grpc.max_receive_message_length", limit),
            ("grpc.max_send_message_length", limit),
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 2000),
            ("grpc.enable_retries", 0),
            ("grpc.enable_http_proxy", 0),
        ]
        if tls is not None:  # the certificate is the host's, whatever address it has
            self._options.append(("grpc.ssl_target_name_override", self._host))
        self._target = ""
        self._made: grpc.aio.Channel | None = None
        self._sends: dict[str, Any] = {}

    def send(self, method: str) -> Any:
        """The call of a method, from bytes to bytes."""
        found = self._sends.get(method)
        if found is None:
            if self._made is None:
                self._target = self._address()
                if self._tls is None:
                    self._made = grpc.aio.insecure_channel(self._target, self._options)
                else:
                    self._made = grpc.aio.secure_channel(self._target, self._tls, self._options)
            found = self._sends[method] = self._made.unary_unary(method)
        return found

    async def look_again(self) -> None:
        """After a call that did not get through: leave an address that the host no longer has."""
        if self._made is not None and self._address() != self._target:
            await self.close()

    def _address(self) -> str:
        host = self._hosts.address(self._host)
        return f"[{host}]:{self._port}" if ":" in host else f"{host}:{self._port}"

    async def close(self) -> None:
        """Close at once."""
        made, self._made = self._made, None
        self._sends = {}
        if made is not None:
            await made.close()


class RpcCall:
    """One kind of call to one node over gRPC."""

    form = Form.PROTO

    def __init__(
        self,
        channel: Channel,
        codes: Codes,
        *,
        name: str,
        method: str,
        named: Callable[[bytes, str], bytes],
        asks: bytes = b"",
        within: float = inf,
    ) -> None:
        self._channel = channel
        self._codes = codes
        self._name = name
        self._method = method
        self._named = named
        self._asks = asks
        self._within = within

    async def __call__(self, payload: Payload | None, context: Context) -> Payload:
        """Send a message (or, for none, the request that the call was made with) and give the answer.

        Raises:
            NodeRpcError: the node ended the call with another status than OK, or did not answer.
            DeadlineError: the request's time is over.
            OverloadedError: there is no room for the answer beside those of other requests.
        """
        begun = perf_counter()
        within = seconds_left(context, self._within, begun)
        body = self._asks if payload is None else self._named(payload.body, context.model)
        code = "CANCELLED"
        try:
            answer = await self._channel.send(self._method)(
                body, timeout=None if within == inf else within, metadata=context.metadata
            )
            code = "OK"
        except grpc.aio.AioRpcError as error:
            code = error.code().name
            if code == "UNAVAILABLE":
                await self._channel.look_again()
            raise NodeRpcError(self._name, error) from error
        except asyncio.CancelledError:
            raise
        except grpc.aio.UsageError as error:  # the channel was closed under the call: its host has moved
            code = "UNAVAILABLE"
            raise NodeError(f"{self._name}: {error}") from error
        finally:
            self._codes.observe(code, perf_counter() - begun)
        if len(answer) > UNCOUNTED and context.hold is not None and not context.hold.take(len(answer)):
            raise OverloadedError(f"{self._name}: no room for its answer of {len(answer)} bytes beside other requests'")
        return Protobuf(answer)
