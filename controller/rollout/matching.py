"""Matching: which requests a route of the VirtualService takes, as Istio's matches."""

import re
from typing import Any

from controller.api.strategy import RouteMatch, TextMatch

GRPC_PATHS = ".*tensorflow.*|.*seldon.protos.*|.*inference.*"


def rest(prefix: str, match: RouteMatch | None = None) -> dict[str, Any]:
    """Return `match` and `rewrite` for REST requests below a rollout's path, all of them or those that match."""
    found: dict[str, Any] = {"uri": {"prefix": prefix}}
    rewrite = "/"
    if match is not None:
        if match.path is not None and match.path.exact is not None:
            found["uri"], rewrite = {"exact": prefix.rstrip("/") + match.path.exact}, match.path.exact
        elif match.path is not None and match.path.prefix is not None:
            found["uri"], rewrite = {"prefix": prefix.rstrip("/") + match.path.prefix}, match.path.prefix
        if match.method is not None:
            found["method"] = {"exact": match.method}
        if headers := _headers(match):
            found["headers"] = headers
    return {"match": [found], "rewrite": {"uri": rewrite}}


def grpc(namespace: str, name: str, match: RouteMatch | None = None) -> dict[str, Any]:
    """Return `match` for gRPC requests to a rollout; nothing for a match that only REST requests can meet."""
    headers: dict[str, Any] = {"seldon": {"exact": name}, "namespace": {"exact": namespace}}
    if match is not None:
        if match.path is not None or match.method is not None:
            return {}
        headers = {**_headers(match), **headers}
    return {"match": [{"uri": {"regex": GRPC_PATHS}, "headers": headers}]}


def _headers(match: RouteMatch) -> dict[str, Any]:
    # Header names are lower case in Envoy, and Istio compares them as they are written.
    found = {name.lower(): _text(value) for name, value in (match.headers or {}).items()}
    for name, value in (match.cookies or {}).items():
        found["cookie"] = {"regex": rf"(.*;\s*)?{re.escape(name)}={_cookie(value)}(;.*)?"}
    return found


def _text(match: TextMatch) -> dict[str, str]:
    return match.model_dump(exclude_none=True)


def _cookie(match: TextMatch) -> str:
    """The regular expression of a cookie's value, which ends at a semicolon."""
    if match.exact is not None:
        return re.escape(match.exact)
    if match.prefix is not None:
        return re.escape(match.prefix) + "[^;]*"
    return f"({match.regex})"
