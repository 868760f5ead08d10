"""Retries, durations, fractions, header changes and faults."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcluster.mesh import policies
from localcluster.mesh.errors import RouteError


@pytest.mark.parametrize(
    ("text", "expected"),
    [("5s", "5s"), ("250ms", "0.25s"), ("1m30s", "90s"), ("1.5h", "5400s"), ("100us", "0.0001s"), ("0s", "0s")],
)
def test_a_duration_is_written_in_seconds(text: str, expected: str) -> None:
    assert policies.seconds(text, "x") == expected


@pytest.mark.parametrize("text", ["", "5", "s", "5 s", "-1s", None, 5])
def test_what_is_no_duration_is_refused_with_its_field(text: object) -> None:
    with pytest.raises(RouteError, match="timeout: must be a duration such as 5s"):
        policies.seconds(text, "timeout")


def test_retries_that_are_not_set_are_istios_default() -> None:
    policy = policies.retry_policy(None, "r")
    assert policy is not None
    assert policy["num_retries"] == 2
    assert set(policy["retry_on"].split(",")) >= {"connect-failure", "refused-stream", "unavailable", "cancelled"}


def test_no_default_retry_repeats_a_request_that_an_http_server_has_answered() -> None:
    assert not set(policies.DEFAULT_RETRY_ON.split(",")) & {"5xx", "gateway-error", "reset", "retriable-status-codes"}


def test_zero_attempts_mean_no_retry() -> None:
    assert policies.retry_policy({"attempts": 0}, "r") is None


def test_retries_as_upstream_writes_them() -> None:
    policy = policies.retry_policy(
        {"attempts": 3, "perTryTimeout": "2s", "retryOn": "gateway-error,connect-failure,refused-stream"}, "r"
    )
    assert policy is not None
    assert (policy["num_retries"], policy["per_try_timeout"]) == (3, "2s")
    assert policy["retry_on"] == "gateway-error,connect-failure,refused-stream"


def test_a_status_code_among_the_conditions_is_retried() -> None:
    policy = policies.retry_policy({"attempts": 1, "retryOn": "503,reset"}, "r")
    assert policy is not None
    assert policy["retriable_status_codes"] == [503]
    assert policy["retry_on"] == "reset,retriable-status-codes"


@given(st.floats(0, 100))
def test_a_percentage_is_kept_to_four_decimals(percent: float) -> None:
    found = policies.fraction(percent, "p")
    assert abs(found["numerator"] / 1_000_000 * 100 - percent) <= 5e-5 + 1e-12


@pytest.mark.parametrize("percent", [-1.0, 100.1])
def test_a_percentage_outside_its_range_is_refused(percent: float) -> None:
    with pytest.raises(RouteError, match="between 0 and 100"):
        policies.fraction(percent, "p")


def test_header_changes_of_both_sides() -> None:
    found = policies.header_changes(
        {"request": {"set": {"x-a": "1"}, "remove": ["x-b"]}, "response": {"add": {"x-c": "2"}}}, "h"
    )
    assert found == {
        "request_headers_to_add": [_written("x-a", "1", "OVERWRITE_IF_EXISTS_OR_ADD")],
        "request_headers_to_remove": ["x-b"],
        "response_headers_to_add": [_written("x-c", "2", "APPEND_IF_EXISTS_OR_ADD")],
    }


def _written(name: str, value: str, action: str) -> dict[str, Any]:
    return {"header": {"key": name, "value": value}, "append_action": action, "keep_empty_value": True}


def test_a_fault_has_its_delay_and_its_abort() -> None:
    found = policies.fault_filter(
        {"delay": {"fixedDelay": "150ms", "percentage": {"value": 50}}, "abort": {"httpStatus": 500}}, "f"
    )
    assert found["delay"] == {"fixed_delay": "0.15s", "percentage": {"numerator": 500_000, "denominator": "MILLION"}}
    assert found["abort"] == {"http_status": 500, "percentage": {"numerator": 1_000_000, "denominator": "MILLION"}}
