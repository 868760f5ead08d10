"""Label selectors, as the API writes them: `app=iris,tier in (a,b),!debug`."""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

_SET = re.compile(r"^(\S+)\s+(in|notin)\s+\(([^()]*)\)$")
_PART = re.compile(r",(?![^()]*\))")
_KEY = re.compile(r"^[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?$")

Labels = Mapping[str, str]
Requirement = Callable[[Labels], bool]


def _set(key: str, verb: str, values: frozenset[str]) -> Requirement:
    if verb == "in":
        return lambda labels: labels.get(key) in values
    return lambda labels: labels.get(key) not in values


def _requirement(part: str) -> Requirement:
    match = _SET.match(part)
    if match:
        key, verb, values = match.groups()
        return _set(_key(key, part), verb, frozenset(value.strip() for value in values.split(",")))
    for operator, verb in (("!=", "notin"), ("==", "in"), ("=", "in")):
        key, found, value = part.partition(operator)
        if found:
            return _set(_key(key.strip(), part), verb, frozenset({value.strip()}))
    if part.startswith("!"):
        absent = _key(part[1:].strip(), part)
        return lambda labels: absent not in labels
    present = _key(part, part)
    return lambda labels: present in labels


def _key(text: str, part: str) -> str:
    if not _KEY.match(text):
        raise ValueError(f"label selector: {part!r} is not valid; expected such as app=iris, tier in (a,b) or !debug")
    return text


@lru_cache(maxsize=256)
def parse(selector: str) -> tuple[Requirement, ...]:
    """Read a selector; the empty one selects everything.

    Raises:
        ValueError: a part is not a requirement.
    """
    parts = (part.strip() for part in _PART.split(selector))
    return tuple(_requirement(part) for part in parts) if selector.strip() else ()


def matches(selector: str, obj: Mapping[str, Any]) -> bool:
    """Say whether an object's labels satisfy a selector."""
    requirements = parse(selector)
    if not requirements:
        return True
    labels = (obj.get("metadata") or {}).get("labels") or {}
    return all(requirement(labels) for requirement in requirements)
