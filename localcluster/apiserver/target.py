"""What a request's path names: a kind, a namespace, an object, a subresource; and the verb that is asked for."""

from dataclasses import dataclass

from localcluster.apiserver.http import Request
from localcluster.apiserver.kinds import Kind, Kinds

_NAMESPACE_SUBRESOURCES = ("status", "finalize")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """`namespace` is None across namespaces, "" for a cluster-scoped kind."""

    group: str
    version: str
    plural: str
    kind: Kind | None
    namespace: str | None
    name: str
    subresource: str
    verb: str


def parse(request: Request, kinds: Kinds) -> Target | None:
    """None when the path is not one of a resource."""
    parts = request.path.strip("/").split("/")
    if parts[0] == "api" and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace: str | None = None
    if (
        rest[0] == "namespaces"
        and len(rest) > 2
        and not (not group and rest[2] in _NAMESPACE_SUBRESOURCES and len(rest) == 3)
    ):
        namespace, rest = rest[1], rest[2:]
    plural, name, subresource = rest[0], rest[1] if len(rest) > 1 else "", "/".join(rest[2:])
    kind = kinds.by_path(group, version, plural)
    if kind is not None and not kind.namespaced:
        if namespace is not None:
            return None
        namespace = ""
    return Target(
        group=group,
        version=version,
        plural=plural,
        kind=kind,
        namespace=namespace,
        name=name,
        subresource=subresource,
        verb=_verb(request, name),
    )


def _verb(request: Request, name: str) -> str:
    match request.method:
        case "GET" | "HEAD":
            if request.query.get("watch") in ("1", "true", "True"):
                return "watch"
            return "get" if name else "list"
        case "POST":
            return "create"
        case "PUT":
            return "update"
        case "PATCH":
            return "patch"
        case "DELETE":
            return "delete" if name else "deletecollection"
        case _:
            return request.method.lower()
