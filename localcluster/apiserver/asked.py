"""What a request asks for beyond its path: which objects, how to write, how to delete."""

from collections.abc import Mapping
from typing import Any

from localcluster.apiserver import errors, negotiation, selectors
from localcluster.apiserver.deletion import Deletion
from localcluster.apiserver.http import Request
from localcluster.apiserver.kinds import Kind
from localcluster.apiserver.listing import Query
from localcluster.apiserver.preparation import Admission
from localcluster.apiserver.store import Write
from localcluster.apiserver.target import Target

JsonObject = dict[str, Any]

TRUE = ("1", "true", "True")
_VALIDATIONS = ("Ignore", "Warn", "Strict")


def query(request: Request, target: Target, kind: Kind) -> Query:
    """What the query string selects. Raises ApiError 400."""
    asked = request.query
    fields = asked.get("fieldSelector", "")
    if target.name:
        fields = f"metadata.name={target.name}"
    return Query(
        namespace=target.namespace if kind.namespaced else None,
        labels=selectors.labels(asked.get("labelSelector", "")),
        fields=selectors.fields(fields, kind.selectable, kind.api_version, kind.kind),
        limit=number(asked, "limit"),
        token=asked.get("continue", ""),
        revision=number(asked, "resourceVersion") if asked.get("resourceVersionMatch") == "Exact" else None,
    )


def write(request: Request, target: Target, amend: Admission | None = None) -> Write:
    """How the query string wants a write done. Raises ApiError 400."""
    asked = request.query
    validation = asked.get("fieldValidation") or "Warn"
    if validation not in _VALIDATIONS:
        raise errors.bad_request(
            f"fieldValidation parameter only supports {', '.join(_VALIDATIONS)}, got {validation!r}"
        )
    dry_run = asked.get("dryRun", "")
    if dry_run not in ("", "All"):
        raise errors.bad_request(f'dryRun: Unsupported value: "{dry_run}": supported values: "All"')
    return Write(
        manager=asked.get("fieldManager") or _agent(request),
        dry_run=dry_run == "All",
        validation=validation,  # type: ignore[arg-type]  # checked above
        force=asked.get("force") in TRUE,
        subresource=target.subresource,
        amend=amend,
    )


def deletion(request: Request) -> Deletion:
    """DeleteOptions from the body and the query string. Raises ApiError 400."""
    body: JsonObject = {}
    if request.body:
        body = object_of(request)
    asked = request.query
    preconditions = body.get("preconditions") or {}
    propagation = asked.get("propagationPolicy") or body.get("propagationPolicy") or ""
    if body.get("orphanDependents") is not None and not propagation:
        propagation = "Orphan" if body["orphanDependents"] else "Background"
    if propagation not in ("", "Background", "Foreground", "Orphan"):
        cause = errors.Cause(
            "FieldValueNotSupported",
            f'Unsupported value: "{propagation}": supported values: "Foreground", "Background", "Orphan", "nil"',
            "propagationPolicy",
        )
        raise errors.invalid("meta.k8s.io", "DeleteOptions", "", [cause])
    grace = asked.get("gracePeriodSeconds") or body.get("gracePeriodSeconds")
    return Deletion(
        propagation=propagation,
        uid=preconditions.get("uid") or "",
        resource_version=preconditions.get("resourceVersion") or "",
        grace=None if grace is None else int(grace),
        dry_run="All" in (asked.get("dryRun"), *(body.get("dryRun") or ())),
    )


def body_of(request: Request) -> Any:
    """The body, as its content type says it is written. Raises ApiError."""
    return negotiation.decode(request.body, request.headers.get("content-type", ""))


def object_of(request: Request) -> JsonObject:
    """The body, which must be an object. Raises ApiError 400."""
    return as_object(body_of(request))


def as_object(body: Any) -> JsonObject:
    """A body that must be an object. Raises ApiError 400."""
    if not isinstance(body, dict):
        raise errors.bad_request("couldn't get version/kind; json parse error: the body is not an object")
    return body


def number(asked: Mapping[str, str], name: str) -> int:
    """A whole number of the query string, 0 when it has none of this name. Raises ApiError."""
    text = asked.get(name, "")
    if not text:
        return 0
    try:
        number = int(text)
    except ValueError:
        number = -1
    if number >= 0:
        return number
    if name == "resourceVersion":
        raise errors.ApiError(500, "", f'resourceVersion: Invalid value: "{text}": must be a whole number, 0 or more')
    raise errors.bad_request(f'{name}: Invalid value: "{text}": must be a whole number, 0 or more')


def _agent(request: Request) -> str:
    """The field manager of a client that names none: the first word of its User-Agent, as the API does."""
    return request.headers.get("user-agent", "").partition("/")[0][:128] or "unknown"
