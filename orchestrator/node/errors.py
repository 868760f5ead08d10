"""What can go wrong in a node, and how it is answered."""

from typing import Any


class NodeRuntimeError(Exception):
    """A request that cannot be served.

    Args:
        info: what is wrong, for a person.
        status: the HTTP status.
        reason: a word for machines, in the answer's `status.reason`.
    """

    def __init__(self, info: str, status: int = 400, reason: str = "MICROSERVICE_BAD_DATA") -> None:
        super().__init__(info)
        self.info = info
        self.status_code = status
        self.reason = reason


class StartError(Exception):
    """The node cannot start; the message says why and what would help."""


def as_answer(error: BaseException) -> tuple[int, Any]:
    """The HTTP status and the JSON body for an exception of a model or of ours.

    A model's exception chooses them itself when it has an int `status_code`, and a `to_dict()` for the body.
    """
    status = getattr(error, "status_code", None)
    if not isinstance(status, int) or isinstance(status, bool) or not 200 <= status <= 599:
        return 500, _body(str(error) or type(error).__name__, "MICROSERVICE_INTERNAL_ERROR")
    to_dict = getattr(error, "to_dict", None)
    if callable(to_dict):
        return status, to_dict()
    reason = getattr(error, "reason", None)
    info = getattr(error, "info", None) or getattr(error, "message", None) or str(error)
    return status, _body(str(info), str(reason or "MICROSERVICE_BAD_DATA"))


def _body(info: str, reason: str) -> dict[str, Any]:
    return {"status": {"code": -1, "info": info, "reason": reason, "status": 1}}
