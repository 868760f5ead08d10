"""One table says which HTTP status is which error, and one function whether a request is sent again."""

from datetime import UTC, datetime, timedelta

import pytest

from controller.errors import ControllerError
from controller.kube import errors, requests
from controller.kube.patience import ATTEMPTS, PATIENCE, parse_retry_after, pause_before_retry
from controller.kube.resources import POD

POD_GET = requests.get(POD, "ml", "iris")
POD_CREATE = requests.create(POD, {"metadata": {"name": "iris", "namespace": "ml"}})


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (0, errors.UnavailableError),
        (400, errors.InvalidError),
        (401, errors.UnauthorizedError),
        (403, errors.ForbiddenError),
        (404, errors.NotFoundError),
        (409, errors.ConflictError),
        (410, errors.GoneError),
        (418, errors.ApiError),
        (422, errors.InvalidError),
        (429, errors.TooManyRequestsError),
        (500, errors.UnavailableError),
        (503, errors.UnavailableError),
        (504, errors.UnavailableError),
    ],
)
def test_the_status_chooses_the_error(status: int, kind: type[errors.ApiError]) -> None:
    error = errors.error_from_status(status, None)
    assert type(error) is kind
    assert isinstance(error, ControllerError)


def test_an_error_says_what_was_asked_and_what_was_answered() -> None:
    body = {"kind": "Status", "reason": "AlreadyExists", "message": 'pods "iris" already exists'}
    error = errors.error_from_status(409, body, about="create pods ml/iris")
    assert (error.status, error.reason) == (409, "AlreadyExists")
    assert str(error) == 'create pods ml/iris: 409 AlreadyExists: pods "iris" already exists'


def test_an_answer_that_is_no_status_is_quoted() -> None:
    assert str(errors.error_from_status(502, None, text="<html>bad gateway")) == "502 Unknown: <html>bad gateway"


def test_the_status_object_may_ask_for_patience_where_the_header_does_not() -> None:
    body = {"kind": "Status", "details": {"retryAfterSeconds": 3}}
    assert errors.error_from_status(429, body).retry_after == timedelta(seconds=3)
    assert errors.error_from_status(429, body, retry_after=timedelta(seconds=1)).retry_after == timedelta(seconds=1)


NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("", None),
        ("7", timedelta(seconds=7)),
        ("Thu, 01 Jan 2026 12:00:05 GMT", timedelta(seconds=5)),
        ("Thu, 01 Jan 2026 11:00:00 GMT", timedelta(0)),
        ("soon", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, expected: timedelta | None) -> None:
    assert parse_retry_after(value, NOW) == expected


def _wait(
    status: int, request: requests.Request, *, asked: float | None = None, attempt: int = 1, reason: str = "Unknown"
) -> timedelta | None:
    retry_after = None if asked is None else timedelta(seconds=asked)
    error = errors.error_class(status)(status, reason, "", retry_after=retry_after)
    return pause_before_retry(error, request, attempt=attempt, waited=timedelta(0), draw=0.0)


def test_a_creation_that_was_shed_is_repeated_after_what_the_server_asks_for() -> None:
    assert _wait(429, POD_CREATE, asked=2) == timedelta(seconds=2)


def test_an_unavailable_server_gets_a_creation_again_only_if_it_asks_for_it() -> None:
    assert _wait(503, POD_CREATE) is None
    assert _wait(503, POD_CREATE, asked=1) == timedelta(seconds=1)
    assert _wait(503, POD_GET) is not None


def test_a_lost_connection_is_tried_again_once_and_never_for_a_creation() -> None:
    assert _wait(0, POD_GET, reason="ConnectionLost") == timedelta(0)
    assert _wait(0, POD_GET, reason="ConnectionLost", attempt=2) is None
    assert _wait(0, POD_CREATE, reason="ConnectionLost") is None
    assert _wait(0, POD_GET, reason="Timeout") is None


def test_patience_ends() -> None:
    assert _wait(429, POD_GET, attempt=ATTEMPTS) is None
    assert _wait(429, POD_GET, asked=PATIENCE.total_seconds() + 1) is None


@pytest.mark.parametrize("status", [400, 403, 404, 409, 410, 422, 500])
def test_other_answers_are_the_callers_business(status: int) -> None:
    assert _wait(status, POD_GET, asked=1) is None
