"""Who owns the fields of an object: what an operator before us wrote becomes ours. Pure.

Server-side apply takes out what we no longer name, but only where nobody else owns it. What another operator wrote by
plain updates would stay for ever: it no longer runs, and its claims do.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from controller.kube.requests import FIELD_MANAGER

Object = dict[str, Any]


def inherited(entries: Iterable[Mapping[str, Any]], *, of: str) -> list[Object] | None:
    """Return an object's `metadata.managedFields` with the claims of another manager's updates as claims of our apply.

    Its claims on subresources stay. None: it has no other claims.

    Args:
        entries: as they are.
        of: the other manager's name.
    """
    taken: list[Object] = []
    kept: list[Object] = []
    for each in entries:
        theirs = (each.get("manager"), each.get("operation")) == (of, "Update") and not each.get("subresource")
        (taken if theirs else kept).append(dict(each))
    if not taken:
        return None
    ours = [each for each in kept if (each.get("manager"), each.get("operation")) == (FIELD_MANAGER, "Apply")]
    fields: Object = {}
    for each in (*taken, *ours):
        fields = _union(fields, each.get("fieldsV1") or {})
    ours_now = {**taken[-1], "manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": fields}
    return [ours_now, *(each for each in kept if each not in ours)]


def _union(a: Mapping[str, Any], b: Mapping[str, Any]) -> Object:
    return {name: _union(a.get(name, {}), b.get(name, {})) for name in {**a, **b}}
