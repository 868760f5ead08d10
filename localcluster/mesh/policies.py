"""Route policies: retries, timeouts, header changes, mirrors and faults, from Istio's words to Envoy's."""

import re
from typing import Any

from localcluster.mesh.errors import RouteError
from localcluster.mesh.objects import Object

ENVOY = "type.googleapis.com/envoy"
DEFAULT_RETRY_ON = "connect-failure,refused-stream,reset-before-request,unavailable,cancelled"
"""Istio's own default, and `reset-before-request`: the pod closed the connection before it got the request.

None of them repeats a request that an HTTP server may have begun, so a bad revision's errors are not hidden.
"""
DEFAULT_ATTEMPTS = 2
MILLION = 1_000_000
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|ns|h|m|s)")


def seconds(text: object, at: str) -> str:
    """A Go duration (`1m30s`, `250ms`) as a protobuf JSON duration (`90s`, `0.25s`)."""
    whole = text if isinstance(text, str) else ""
    parts = _DURATION.findall(whole)
    if not parts or "".join(number + unit for number, unit in parts) != whole:
        raise RouteError(at, f"must be a duration such as 5s or 250ms; it is {text!r}")
    total = sum(float(number) * _UNITS[unit] for number, unit in parts)
    return f"{total:.9f}".rstrip("0").rstrip(".") + "s"


def fraction(percent: float, at: str) -> dict[str, Any]:
    """A percentage as Envoy's fraction of a million: exact to four decimals."""
    if not 0 <= percent <= 100:
        raise RouteError(at, f"must be between 0 and 100; it is {percent}")
    return {"numerator": round(percent * MILLION / 100), "denominator": "MILLION"}


def retry_policy(retries: Object | None, at: str) -> dict[str, Any] | None:
    """Envoy's retry policy. Absent retries mean Istio's default; `attempts: 0` means none."""
    spec = retries or {}
    attempts = int(spec.get("attempts", DEFAULT_ATTEMPTS))
    if attempts < 0:
        raise RouteError(f"{at}.attempts", f"must not be negative; it is {attempts}")
    if attempts == 0:
        return None
    asked = [word.strip() for word in str(spec.get("retryOn") or DEFAULT_RETRY_ON).split(",") if word.strip()]
    codes = [int(word) for word in asked if word.isdigit()]
    conditions = [word for word in asked if not word.isdigit()]
    if codes and "retriable-status-codes" not in conditions:
        conditions.append("retriable-status-codes")
    policy: dict[str, Any] = {
        "retry_on": ",".join(conditions),
        "num_retries": attempts,
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {"@type": f"{ENVOY}.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"},
            }
        ],
        "host_selection_retry_max_attempts": "5",
    }
    if codes:
        policy["retriable_status_codes"] = codes
    if spec.get("perTryTimeout"):
        policy["per_try_timeout"] = seconds(spec["perTryTimeout"], f"{at}.perTryTimeout")
    return policy


def header_changes(headers: Object | None, at: str) -> dict[str, Any]:
    """`headers.request|response.set|add|remove` as Envoy's fields, for a route or for one destination of it."""
    found: dict[str, Any] = {}
    for side in ("request", "response"):
        change = (headers or {}).get(side) or {}
        unknown = sorted(set(change) - {"set", "add", "remove"})
        if unknown:
            raise RouteError(f"{at}.{side}.{unknown[0]}", "is not known; a change has set, add and remove")
        added = [
            _written(name, value, "OVERWRITE_IF_EXISTS_OR_ADD") for name, value in (change.get("set") or {}).items()
        ]
        added += [_written(name, value, "APPEND_IF_EXISTS_OR_ADD") for name, value in (change.get("add") or {}).items()]
        if added:
            found[f"{side}_headers_to_add"] = added
        if change.get("remove"):
            found[f"{side}_headers_to_remove"] = list(change["remove"])
    return found


def _written(name: str, value: object, action: str) -> dict[str, Any]:
    return {"header": {"key": name, "value": str(value)}, "append_action": action, "keep_empty_value": True}


def mirror_policy(cluster: str, percent: float, at: str) -> dict[str, Any]:
    """Copy a share of the requests to a cluster; its answers are thrown away."""
    return {"cluster": cluster, "runtime_fraction": {"default_value": fraction(percent, at)}}


def fault_filter(fault: Object, at: str) -> dict[str, Any]:
    """Injected delays and aborts as the settings of Envoy's fault filter for one route."""
    found: dict[str, Any] = {"@type": f"{ENVOY}.extensions.filters.http.fault.v3.HTTPFault"}
    delay, abort = fault.get("delay"), fault.get("abort")
    if delay:
        found["delay"] = {
            "fixed_delay": seconds(delay.get("fixedDelay"), f"{at}.delay.fixedDelay"),
            "percentage": fraction(
                float((delay.get("percentage") or {}).get("value", 100)), f"{at}.delay.percentage.value"
            ),
        }
    if abort:
        found["abort"] = {
            "http_status": int(abort.get("httpStatus", 503)),
            "percentage": fraction(
                float((abort.get("percentage") or {}).get("value", 100)), f"{at}.abort.percentage.value"
            ),
        }
    return found
