"""Unknown: the fields of an object that its definition does not have, each with the one that is most like it. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any

from controller.api.crds import KINDS, object_schema
from seldon_rollouts.joined import Found, Path

_PRESERVES = "x-kubernetes-preserve-unknown-fields"


def fields(kind: str, spec: Any) -> Iterator[Found]:
    """Yield what of a spec the API server would drop, and strict decoding refuse."""
    yield from _below(spec, _schema(kind), ("spec",))


def like(name: str, known: Iterable[str]) -> str:
    """Return which known name a misspelt one most likely means, as the end of a sentence; empty when none is near."""
    folded = {each.lower(): each for each in known}
    near = get_close_matches(name.lower(), folded, n=1, cutoff=0.7)
    return f"; did you mean {folded[near[0]]}?" if near else ""


@cache
def _schema(kind: str) -> Mapping[str, Any]:
    spec: Mapping[str, Any] = next(object_schema(each)["properties"]["spec"] for each in KINDS if each.name == kind)
    return spec


def _below(value: Any, schema: Mapping[str, Any], path: Path) -> Iterator[Found]:
    known: Mapping[str, Any] = schema.get("properties") or {}
    if isinstance(value, dict):
        others = schema.get("additionalProperties")
        for key, inner in value.items():
            if key in known:
                yield from _below(inner, known[key], (*path, key))
            elif isinstance(others, Mapping):
                yield from _below(inner, others, (*path, key))
            elif known and not schema.get(_PRESERVES):
                said = like(str(key), known) or f"; there are {', '.join(known)}"
                yield Found((*path, str(key)), f"there is no such field{said}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _below(inner, schema.get("items") or {}, (*path, index))
