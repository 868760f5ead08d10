"""How a failure is told to a client over gRPC."""

import grpc
import orjson

from orchestrator.clients.node import NodeStatusError
from orchestrator.clients.rpc import NodeRpcError
from orchestrator.errors import OrchestratorError

Told = tuple[grpc.StatusCode, str, tuple[tuple[str, str | bytes], ...]]

_BY_STATUS = {
    400: grpc.StatusCode.INVALID_ARGUMENT, 401: grpc.StatusCode.UNAUTHENTICATED, 403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND, 409: grpc.StatusCode.ABORTED, 412: grpc.StatusCode.FAILED_PRECONDITION,
    413: grpc.StatusCode.OUT_OF_RANGE, 429: grpc.StatusCode.RESOURCE_EXHAUSTED, 501: grpc.StatusCode.UNIMPLEMENTED,
    503: grpc.StatusCode.UNAVAILABLE, 504: grpc.StatusCode.DEADLINE_EXCEEDED,
}  # fmt: skip
_BY_REASON = {
    "NODE_UNREACHABLE": grpc.StatusCode.UNAVAILABLE,
    "NODE_TIMEOUT": grpc.StatusCode.DEADLINE_EXCEEDED,
    "DEADLINE_EXCEEDED": grpc.StatusCode.DEADLINE_EXCEEDED,
}
_LONGEST = 2048  # details travel as a header, of which there may be 8 KiB in all


def told(error: OrchestratorError) -> Told:
    """Code, details and trailing metadata: a node's own over gRPC unchanged, else by the status that REST has."""
    if isinstance(error, NodeRpcError):
        trailing = tuple((key, value) for key, value in error.trailing or () if not key.startswith("grpc-"))
        return error.code, error.details, trailing
    if isinstance(error, NodeStatusError):
        return _BY_STATUS.get(error.status, grpc.StatusCode.UNKNOWN), _said(error), ()
    code = _BY_REASON.get(error.reason) or _BY_STATUS.get(error.status, grpc.StatusCode.INTERNAL)
    return code, str(error)[:_LONGEST], (("seldon-reason", error.reason),)


def _said(error: NodeStatusError) -> str:
    """What a node over REST says of its failure: `status.info` of a SeldonMessage, else its body."""
    body = error.reply.payload.body
    try:
        found = orjson.loads(body)["status"]["info"]
    except (ValueError, KeyError, TypeError):
        found = body[:_LONGEST].decode("utf-8", errors="replace")
    return f"status {error.status}: {found}"[:_LONGEST]
