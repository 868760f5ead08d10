"""Whether a request is sent again, and after what wait."""

from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from controller.kube.errors import ApiError
from controller.kube.requests import Request

ATTEMPTS = 4
PATIENCE = timedelta(seconds=10)
"""The longest that one request waits for a server that asks for patience; then the caller's back-off takes over."""


def pause_before_retry(
    error: ApiError, request: Request, *, attempt: int, waited: timedelta, draw: float
) -> timedelta | None:
    """Say how long to wait before the same request is sent again; None hands the error to the caller.

    What got 429 was not acted on, so that even a creation may be repeated; 503 only when the server itself asks for
    patience or the request may be done twice; a lost connection only when it may be done twice.
    """
    if attempt >= ATTEMPTS:
        return None
    asked = error.retry_after
    if error.status == 429 or (error.status == 503 and (asked is not None or request.idempotent)):
        wait = asked if asked is not None else timedelta(seconds=0.25 * 2**attempt)
        wait += timedelta(seconds=0.25 * draw)
        return wait if waited + wait <= PATIENCE else None
    if error.status == 0 and error.reason == "ConnectionLost" and request.idempotent and attempt == 1:
        return timedelta(0)
    return None


def parse_retry_after(value: str | None, now: datetime) -> timedelta | None:
    """Read a `Retry-After` header: seconds or a date; None when it is neither."""
    if not value:
        return None
    if value.strip().isdigit():
        return timedelta(seconds=int(value))
    try:
        at = parsedate_to_datetime(value)
        return max(at - now, timedelta(0))
    except (ValueError, TypeError):
        return None
