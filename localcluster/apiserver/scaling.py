"""The scale subresource: the same three numbers of every kind that has them."""

from typing import Any

from localcluster.apiserver.errors import Cause, conflict, invalid
from localcluster.apiserver.kinds import Kind

JsonObject = dict[str, Any]


def _at(obj: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        obj = obj.get(name) if isinstance(obj, dict) else None
    return obj


def _selector(value: Any) -> str:
    """A selector as text: labels may be given so already, or as a LabelSelector."""
    if isinstance(value, str):
        return value
    parts = [f"{key}={wanted}" for key, wanted in sorted(((value or {}).get("matchLabels") or {}).items())]
    for term in (value or {}).get("matchExpressions") or ():
        key, values = term["key"], ",".join(sorted(term.get("values") or ()))
        match term["operator"]:
            case "In" | "NotIn":
                parts.append(f"{key} {term['operator'].lower()} ({values})")
            case "Exists":
                parts.append(key)
            case "DoesNotExist":
                parts.append(f"!{key}")
            case _:
                continue
    return ",".join(parts)


def read(kind: Kind, obj: JsonObject) -> JsonObject:
    """The object's `autoscaling/v1` Scale."""
    assert kind.scale is not None
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    spec: JsonObject = {}
    wanted = _at(obj, kind.scale.replicas)
    if wanted:
        spec["replicas"] = wanted
    status: JsonObject = {"replicas": _at(obj, kind.scale.observed) or 0}
    selector = _selector(_at(obj, kind.scale.selector)) if kind.scale.selector else ""
    if selector:
        status["selector"] = selector
    metadata = {name: obj["metadata"][name] for name in kept if name in obj["metadata"]}
    return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status}


def written(kind: Kind, obj: JsonObject, scale: JsonObject) -> JsonObject:
    """`obj`, which the caller gives away, with the replicas that a Scale asks for.

    Raises ApiError: 409 when the Scale is of another version of the object, 422 for a number that is none.
    """
    assert kind.scale is not None
    name = obj["metadata"]["name"]
    version = (scale.get("metadata") or {}).get("resourceVersion")
    if version and version != obj["metadata"]["resourceVersion"]:
        raise conflict(
            kind.group,
            kind.plural,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    wanted = (scale.get("spec") or {}).get("replicas", 0)
    if not isinstance(wanted, int) or wanted < 0:
        cause = Cause(
            "FieldValueInvalid", f"Invalid value: {wanted}: must be greater than or equal to 0", "spec.replicas"
        )
        raise invalid("autoscaling", "Scale", name, [cause])
    place = obj
    for step in kind.scale.replicas[:-1]:
        place = place.setdefault(step, {})
    place[kind.scale.replicas[-1]] = wanted
    return obj
