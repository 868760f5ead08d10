"""What can go wrong in the data plane, and how it is answered."""


class OrchestratorError(Exception):
    """Anything that the orchestrator raises on purpose.

    `status` is the HTTP status that the client gets; `reason` a word for machines, in the answer's `status.reason`.
    """

    status = 500
    reason = "ORCHESTRATOR_ERROR"


class SettingsError(OrchestratorError):
    """A flag, a variable or a file cannot be used; the message names it."""


class GraphError(OrchestratorError):
    """The graph cannot be run.

    Args:
        field: the path of the field, such as `graph.children[1].endpoint.httpPort`.
        value: what was found there.
        expected: what would be right.
    """

    def __init__(self, field: str, value: object, expected: str) -> None:
        self.field = field
        self.value = value
        self.expected = expected
        super().__init__(f"{field}: {value!r} is not valid; expected {expected}")


class BadPayloadError(OrchestratorError):
    """A body is not what the protocol says it must be."""

    status = 400
    reason = "BAD_PAYLOAD"


class CutShortError(OrchestratorError):
    """A body that was already on its way to a node did not come whole.

    Args:
        status: what its client is told: 400, 408 or 413.
        info: why.
    """

    reason = "BODY_CUT_SHORT"

    def __init__(self, status: int, info: str) -> None:
        super().__init__(info)
        self.status = status


class OverloadedError(OrchestratorError):
    """All requests together keep as much as they may: try again in a moment."""

    status = 503
    reason = "OVERLOADED"


class BadRouteError(OrchestratorError):
    """A router's answer names no child."""

    reason = "BAD_ROUTE"


class NodeError(OrchestratorError):
    """A call to a node had no usable answer."""

    reason = "NODE_ERROR"


class NodeUnreachableError(NodeError):
    """No connection to the node, or it went away before it answered."""

    reason = "NODE_UNREACHABLE"


class NodeTimeoutError(NodeError):
    """The node did not answer in time."""

    reason = "NODE_TIMEOUT"


class NodeReplyError(NodeError):
    """What the node sent is no HTTP answer, is cut short, or is too long."""

    reason = "NODE_BAD_REPLY"


class DeadlineError(OrchestratorError):
    """The whole request took longer than it may."""

    reason = "DEADLINE_EXCEEDED"
