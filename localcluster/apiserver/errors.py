"""The API's errors: each knows its HTTP status and the `Status` object that tells a client what went wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason among several: `type` is a field error's type such as FieldValueInvalid."""

    type: str
    message: str
    field: str

    def as_json(self) -> JsonObject:
        return {"reason": self.type, "message": self.message, "field": self.field}


class ApiError(Exception):
    """A request that fails. `code` is the HTTP status, `reason` the machine-readable word for it."""

    def __init__(
        self, code: int, reason: str, message: str, *, details: JsonObject | None = None, causes: Sequence[Cause] = ()
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.causes = tuple(causes)

    def status(self) -> JsonObject:
        """The `Status` object that the API answers with."""
        details = dict(self.details or {})
        if self.causes:
            details["causes"] = [cause.as_json() for cause in self.causes]
        status: JsonObject = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            status["reason"] = self.reason
        if details:
            status["details"] = details
        status["code"] = self.code
        return status


def qualified(group: str, plural: str) -> str:
    """`deployments.apps`; the core group has no suffix."""
    return f"{plural}.{group}" if group else plural


def _details(name: str, group: str, kind: str) -> JsonObject:
    details: JsonObject = {}
    if name:
        details["name"] = name
    if group:
        details["group"] = group
    if kind:
        details["kind"] = kind
    return details


def not_found(group: str, plural: str, name: str) -> ApiError:
    message = f'{qualified(group, plural)} "{name}" not found'
    return ApiError(404, "NotFound", message, details=_details(name, group, plural))


def no_such_path() -> ApiError:
    return ApiError(404, "NotFound", "the server could not find the requested resource", details={})


def already_exists(group: str, plural: str, name: str) -> ApiError:
    message = f'{qualified(group, plural)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, details=_details(name, group, plural))


def conflict(group: str, plural: str, name: str, why: str) -> ApiError:
    message = f'Operation cannot be fulfilled on {qualified(group, plural)} "{name}": {why}'
    return ApiError(409, "Conflict", message, details=_details(name, group, plural))


def stale(group: str, plural: str, name: str) -> ApiError:
    why = "the object has been modified; please apply your changes to the latest version and try again"
    return conflict(group, plural, name, why)


def failed_precondition(group: str, plural: str, name: str, what: tuple[str, str, str]) -> ApiError:
    """`what` is the field's name, the value asked for and the value that the object has."""
    field, asked, found = what
    why = f"Precondition failed: {field} in precondition: {asked}, {field} in object meta: {found}"
    return conflict(group, plural, name, why)


def apply_conflict(message: str, causes: Sequence[Cause]) -> ApiError:
    return ApiError(409, "Conflict", message, causes=causes)


def invalid(group: str, kind: str, name: str, causes: Sequence[Cause]) -> ApiError:
    """A 422. The message lists every cause, as `kubectl` shows it."""
    lines = [f"{cause.field}: {cause.message}" for cause in causes]
    told = lines[0] if len(lines) == 1 else "[" + ", ".join(lines) + "]"
    message = f'{qualified(group, kind)} "{name}" is invalid: {told}'
    return ApiError(422, "Invalid", message, details=_details(name, group, kind), causes=causes)


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def forbidden(group: str, plural: str, name: str, why: str, causes: Sequence[Cause] = ()) -> ApiError:
    message = (
        f'{qualified(group, plural)} "{name}" is forbidden: {why}'
        if name
        else f"{qualified(group, plural)} is forbidden: {why}"
    )
    return ApiError(403, "Forbidden", message, details=_details(name, group, plural), causes=causes)


def unauthorized() -> ApiError:
    return ApiError(401, "Unauthorized", "Unauthorized")


def expired(message: str) -> ApiError:
    return ApiError(410, "Expired", message)


def method_not_allowed(group: str, plural: str) -> ApiError:
    message = "the server does not allow this method on the requested resource"
    return ApiError(405, "MethodNotAllowed", message, details=_details("", group, plural))


def unsupported_media_type(message: str) -> ApiError:
    return ApiError(415, "UnsupportedMediaType", message)


def too_many_requests(message: str, *, seconds: int = 0, causes: Sequence[Cause] = ()) -> ApiError:
    details: JsonObject = {"retryAfterSeconds": seconds} if seconds else {}
    return ApiError(429, "TooManyRequests", message, details=details, causes=causes)


def internal(message: str) -> ApiError:
    return ApiError(500, "InternalError", f"Internal error occurred: {message}")
