"""Calls to a graph node over gRPC: bytes out, bytes in."""

from collections.abc import Callable
from math import inf
from time import perf_counter

from orchestrator.clients.context import Context
from orchestrator.clients.node import seconds_left
from orchestrator.errors import NodeError, OverloadedError
from orchestrator.http2.channel import Channel
from orchestrator.http2.status import RpcError, Status
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

    def __init__(self, name: str, error: RpcError) -> None:
        self.code = error.status
        self.details = error.details
        self.trailing = error.trailing
        super().__init__(f"{name} answered {self.code.name}: {self.details}")
        self.status = _HTTP.get(self.code.name, 500)
        self.reason = _REASONS.get(self.code.name, "NODE_ERROR")


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
            answer = await self._channel.call(self._method, body, context.metadata, within)
            code = "OK"
        except RpcError as error:
            code = error.status.name
            if error.status is Status.UNAVAILABLE:
                await self._channel.look_again()
            raise NodeRpcError(self._name, error) from error
        finally:
            self._codes.observe(code, perf_counter() - begun)
        if len(answer) > UNCOUNTED and context.hold is not None and not context.hold.take(len(answer)):
            raise OverloadedError(f"{self._name}: no room for its answer of {len(answer)} bytes beside other requests'")
        return Protobuf(answer)
