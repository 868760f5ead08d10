"""What the Kubernetes API can answer instead of success, and whether trying again may help."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from controller.errors import ControllerError


class ApiError(ControllerError):
    """The API server refused a request, or could not be asked.

    Args:
        status: the HTTP status; 0 when there was no answer.
        reason: the API's machine-readable reason, such as `AlreadyExists`.
        message: what the API said, or what went wrong on the way.
        about: what was asked, such as `PATCH deployments.apps ml/iris`.
        retry_after: how long the server asks us to wait.
    """

    def __init__(
        self, status: int, reason: str, message: str, *, about: str = "", retry_after: timedelta | None = None
    ) -> None:
        self.status = status
        self.reason = reason
        self.message = message
        self.about = about
        self.retry_after = retry_after
        said = f"{status} {reason}: {message}" if status else f"{reason}: {message}"
        super().__init__(f"{about}: {said}" if about else said)


class UnauthorizedError(ApiError):
    """The credentials are missing, wrong or expired (401)."""


class ForbiddenError(ApiError):
    """The credentials do not allow this (403)."""


class NotFoundError(ApiError):
    """There is no such object, or no such kind (404)."""


class ConflictError(ApiError):
    """The object changed since it was read, exists already, or its fields are owned by another manager (409)."""


class GoneError(ApiError):
    """The resourceVersion is too old; list again (410)."""


class InvalidError(ApiError):
    """The object is malformed or breaks its schema (400, 413, 415, 422).

    It may still be tried again, slowly: a webhook, a schema or a quota may change without the object changing.
    """


class TooManyRequestsError(ApiError):
    """The server sheds load (429); honour `retry_after`."""


class UnavailableError(ApiError):
    """The server failed or was not reached (5xx, or no answer)."""


_BY_STATUS: Mapping[int, type[ApiError]] = {
    400: InvalidError,
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    405: InvalidError,
    406: InvalidError,
    409: ConflictError,
    410: GoneError,
    413: InvalidError,
    415: InvalidError,
    422: InvalidError,
    429: TooManyRequestsError,
}


def error_class(status: int) -> type[ApiError]:
    """Return the class for an HTTP status; every 5xx, and 0 for no answer, is `UnavailableError`."""
    if status == 0 or status >= 500:
        return UnavailableError
    return _BY_STATUS.get(status, ApiError)


_REASONS = {404: "NotFound"}
"""The reason where the answer is no Status: a real server says in plain text that it serves no such path."""


def error_from_status(
    status: int, body: Any, *, about: str = "", retry_after: timedelta | None = None, text: str = ""
) -> ApiError:
    """Build the error for an answer.

    Args:
        status: the HTTP status.
        body: the parsed body; a `Status` object of the API, or anything else.
        about: what was asked.
        retry_after: from the header; a Status may carry `details.retryAfterSeconds` instead.
        text: what to say when the body is no Status.
    """
    fields = body if isinstance(body, dict) and body.get("kind") == "Status" else {}
    details = fields.get("details")
    seconds = details.get("retryAfterSeconds") if isinstance(details, dict) else None
    if retry_after is None and isinstance(seconds, int | float) and seconds > 0:
        retry_after = timedelta(seconds=seconds)
    reason = str(fields.get("reason") or _REASONS.get(status, "Unknown"))
    message = str(fields.get("message") or text or "no message")
    return error_class(status)(status, reason, message, about=about, retry_after=retry_after)
