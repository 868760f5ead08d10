"""How a failure is told to a client over gRPC."""

import orjson

from orchestrator.clients.node import NodeStatusError
from orchestrator.clients.rpc import NodeRpcError
from orchestrator.errors import OrchestratorError
from orchestrator.http2.status import RpcError, Status

_BY_STATUS = {
    400: Status.INVALID_ARGUMENT, 401: Status.UNAUTHENTICATED, 403: Status.PERMISSION_DENIED,
    404: Status.NOT_FOUND, 409: Status.ABORTED, 412: Status.FAILED_PRECONDITION,
    413: Status.OUT_OF_RANGE, 429: Status.RESOURCE_EXHAUSTED, 501: Status.UNIMPLEMENTED,
    503: Status.UNAVAILABLE, 504: Status.DEADLINE_EXCEEDED,
}  # fmt: skip
_BY_REASON = {
    "NODE_UNREACHABLE": Status.UNAVAILABLE,
    "NODE_TIMEOUT": Status.DEADLINE_EXCEEDED,
    "DEADLINE_EXCEEDED": Status.DEADLINE_EXCEEDED,
}
_LONGEST = 2048  # details travel as a header, of which there may be 8 KiB in all


def told(error: OrchestratorError) -> RpcError:
    """Code, details and trailing metadata: a node's own over gRPC unchanged, else by the status that REST has."""
    if isinstance(error, NodeRpcError):
        return RpcError(error.code, error.details, error.trailing)
    if isinstance(error, NodeStatusError):
        return RpcError(_BY_STATUS.get(error.status, Status.UNKNOWN), _said(error))
    code = _BY_REASON.get(error.reason) or _BY_STATUS.get(error.status, Status.INTERNAL)
    return RpcError(code, str(error)[:_LONGEST], (("seldon-reason", error.reason),))


def _said(error: NodeStatusError) -> str:
    """What a node over REST says of its failure: `status.info` of a SeldonMessage, else its body."""
    body = error.reply.payload.body
    try:
        found = orjson.loads(body)["status"]["info"]
    except (ValueError, KeyError, TypeError):
        found = body[:_LONGEST].decode("utf-8", errors="replace")
    return f"status {error.status}: {found}"[:_LONGEST]
