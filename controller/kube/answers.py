"""What the API server answered: the object that was asked for, or one of our errors."""

from collections.abc import Callable
from typing import Any, TypeVar

import aiohttp
import orjson

from controller import clock
from controller.kube.errors import UnavailableError, error_from_status
from controller.kube.patience import parse_retry_after
from controller.kube.requests import Object, Request

Answer = TypeVar("Answer")


def answered(
    request: Request, response: aiohttp.ClientResponse, data: bytes, read: Callable[[bytes], Answer]
) -> Answer:
    """Return what an answer says, as `read` reads it. Raises ApiError."""
    if response.status >= 300:
        retry_after = parse_retry_after(response.headers.get("Retry-After"), clock.now())
        text = data[:200].decode(errors="replace")
        raise error_from_status(response.status, _parsed(data), about=request.about, retry_after=retry_after, text=text)
    try:
        return read(data)
    except ValueError as error:  # theirs, of orjson and msgspec, are such
        text = f"the answer is no JSON object that was asked for: {error}"
        raise UnavailableError(response.status, "NotReadable", text, about=request.about) from None


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


def lost(request: Request, error: Exception) -> UnavailableError:
    """Return what is said where no answer came, or only a part of one."""
    broken = isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError | ConnectionError)
    reason = "Timeout" if isinstance(error, TimeoutError) else "ConnectionLost" if broken else "NoAnswer"
    return UnavailableError(0, reason, f"{type(error).__name__}: {error}", about=request.about)
