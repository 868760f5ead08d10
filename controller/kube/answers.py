"""What the API server answered: the object that was asked for, or one of our errors."""

from collections.abc import Callable
from typing import Any, TypeVar

import orjson

from controller import clock
from controller.kube.errors import UnavailableError, error_from_status
from controller.kube.objects import Object
from controller.kube.patience import parse_retry_after
from controller.kube.requests import Request
from controller.kube.transport import LostError, Reply

Answer = TypeVar("Answer")


def answered(request: Request, reply: Reply, read: Callable[[bytes], Answer]) -> Answer:
    """Return what an answer says, as `read` reads it. Raises ApiError."""
    if reply.status >= 300:
        retry_after = parse_retry_after(reply.retry_after, clock.now())
        text, about = reply.body[:200].decode(errors="replace"), request.about
        raise error_from_status(reply.status, _parsed(reply.body), about=about, retry_after=retry_after, text=text)
    try:
        return read(reply.body)
    except ValueError as error:  # theirs, of orjson and msgspec, are such
        text = f"the answer is no JSON object that was asked for: {error}"
        raise UnavailableError(reply.status, "NotReadable", text, about=request.about) from None


def an_object(data: bytes) -> Object:
    """Return the object that an answer is; an empty one when there is nothing in it.

    Raises:
        ValueError: it is none.
    """
    body = orjson.loads(data) if data else {}
    if not isinstance(body, dict):
        raise ValueError("expected a JSON object")
    return body


def _parsed(data: bytes) -> Any:
    try:
        return orjson.loads(data) if data else {}
    except orjson.JSONDecodeError:
        return None


def lost(request: Request, error: LostError) -> UnavailableError:
    """Return what is said where no answer came, or only a part of one."""
    return UnavailableError(0, error.reason, str(error), about=request.about)
