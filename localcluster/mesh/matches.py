"""HTTP matches: from a VirtualService's `match` to Envoy's `RouteMatch`."""

from typing import Any

from localcluster.mesh.errors import RouteError
from localcluster.mesh.objects import Object

EVERYTHING: dict[str, Any] = {"prefix": "/"}
KNOWN = frozenset({
    "name", "uri", "ignoreUriCase", "scheme", "method", "authority", "headers", "withoutHeaders", "queryParams", "port",
    "gateways", "statPrefix",
})  # fmt: skip


def route_match(match: Object, at: str) -> dict[str, Any]:
    """One `HTTPMatchRequest` as an Envoy `RouteMatch`. `at` names the field in an error."""
    unknown = sorted(set(match) - KNOWN)
    if unknown:
        raise RouteError(
            f"{at}.{unknown[0]}", f"is not supported by the local mesh; supported are {', '.join(sorted(KNOWN))}"
        )
    headers = [
        {"name": f":{field}", "string_match": string_match(match[field], f"{at}.{field}")}
        for field in ("method", "authority", "scheme")
        if field in match
    ]
    headers += [
        _header(name, value, f"{at}.headers[{name}]") for name, value in sorted((match.get("headers") or {}).items())
    ]
    headers += [
        _absent(name, value, f"{at}.withoutHeaders[{name}]")
        for name, value in sorted((match.get("withoutHeaders") or {}).items())
    ]
    parameters = [
        _parameter(name, value, f"{at}.queryParams[{name}]")
        for name, value in sorted((match.get("queryParams") or {}).items())
    ]
    found = _path(match.get("uri"), f"{at}.uri")
    if match.get("ignoreUriCase"):
        found["case_sensitive"] = False
    if headers:
        found["headers"] = headers
    if parameters:
        found["query_parameters"] = parameters
    return found


def catches_all(match: Object) -> bool:
    """Whether a match takes every request. Istio puts such routes last when several VirtualServices share a host."""
    if any(
        match.get(field)
        for field in ("headers", "withoutHeaders", "queryParams", "method", "authority", "scheme", "port")
    ):
        return False
    uri = match.get("uri") or {}
    return not uri or uri.get("prefix") == "/" or uri.get("regex") in (".*", "*")


def string_match(value: object, at: str) -> dict[str, Any]:
    """An Istio `StringMatch` (exactly one of exact, prefix, regex) as Envoy's `StringMatcher`."""
    if not isinstance(value, dict) or len(value) != 1:
        raise RouteError(at, f"must have exactly one of exact, prefix, regex; it is {value!r}")
    ((kind, text),) = value.items()
    if not isinstance(text, str) or kind not in ("exact", "prefix", "regex"):
        raise RouteError(at, f"must have exactly one of exact, prefix, regex as a string; it is {value!r}")
    if kind != "exact" and not text:
        raise RouteError(f"{at}.{kind}", "must not be empty")
    return {"safe_regex": {"regex": text}} if kind == "regex" else {kind: text}


def _path(uri: object, at: str) -> dict[str, Any]:
    if uri is None:
        return dict(EVERYTHING)
    found = string_match(uri, at)
    return {"path": found["exact"]} if "exact" in found else found


def _header(name: str, value: object, at: str) -> dict[str, Any]:
    if value in (None, {}):
        return {"name": name.lower(), "present_match": True}
    return {"name": name.lower(), "string_match": string_match(value, at)}


def _absent(name: str, value: object, at: str) -> dict[str, Any]:
    if value in (None, {}):
        return {"name": name.lower(), "present_match": True, "invert_match": True}
    return {**_header(name, value, at), "invert_match": True, "treat_missing_header_as_empty": True}


def _parameter(name: str, value: object, at: str) -> dict[str, Any]:
    if value in (None, {}):
        return {"name": name, "present_match": True}
    return {"name": name, "string_match": string_match(value, at)}
