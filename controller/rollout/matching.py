"""Matching: which requests a route of the VirtualService takes, as Istio's matches."""

import re
from typing import Any

from controller.api.strategy import RouteMatch, TextMatch

GRPC_PATHS = ".*tensorflow.*|.*seldon.protos.*|.*inference.*"


def rest(prefix: str, *matches: RouteMatch) -> dict[str, Any]:
    """Return `match` and `rewrite` for REST requests below a rollout's path: all of them, or those that match any.

    All matches have the path of the first, since a route has one rewrite.
    """
    found = [_rest(prefix, match) for match in matches or (None,)]
    return {"match": [each for each, _ in found], "rewrite": {"uri": found[0][1]}}


def _rest(prefix: str, match: RouteMatch | None) -> tuple[dict[str, Any], str]:
    found: dict[str, Any] = {"uri": {"prefix": prefix}}
    rewrite = "/"
    if match is not None:
        if match.path is not None and match.path.exact is not None:
            found["uri"], rewrite = {"exact": prefix.rstrip("/") + match.path.exact}, match.path.exact
        elif match.path is not None and match.path.prefix is not None:
            found["uri"], rewrite = {"prefix": prefix.rstrip("/") + match.path.prefix}, match.path.prefix
        if match.method is not None:
            found["method"] = {"exact": match.method}
        if found_headers := headers(match):
            found["headers"] = found_headers
    return found, rewrite


def grpc(namespace: str, name: str, *matches: RouteMatch, method: str = "") -> dict[str, Any]:
    """Return `match` for gRPC requests to a rollout; nothing for matches that only REST requests can meet."""
    wanted: list[RouteMatch | None] = [match for match in matches if match.path is None and match.method is None]
    if matches and not wanted:
        return {}
    uri = {"exact": method} if method else {"regex": GRPC_PATHS}
    own: dict[str, Any] = {"seldon": {"exact": name}, "namespace": {"exact": namespace}}
    return {
        "match": [
            {"uri": uri, "headers": {**(headers(match) if match is not None else {}), **own}}
            for match in wanted or [None]
        ]
    }


def headers(match: RouteMatch) -> dict[str, Any]:
    """Return what a match says of headers and cookies, as Istio's header matches."""
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
