"""JSONPath (RFC 9535) with bounds: what a template writes must not keep the program from its other work.

Without regular expressions, since those of Python can be made to run for ever; a filter looks at the element in hand
alone; and each look at a node is counted.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jsonpath import CompoundJSONPath, JSONPathEnvironment, JSONPathMatch
from jsonpath.exceptions import JSONPathError
from jsonpath.filter import BaseExpression, FilterQuery, RelativeFilterQuery
from jsonpath.path import JSONPath
from jsonpath.selectors import Filter

from analysis.providers.asked.answer import AskError

LONGEST = 1000
"""Characters of a path."""
MOST_LOOKS = 50_000
"""Nodes that one path looks at."""
_LOOSE = re.compile(r"\.((?:[A-Za-z0-9_-]|\\\.)+)")
_LEFT = "left"


def _environment() -> JSONPathEnvironment:
    made = JSONPathEnvironment(strict=True)
    for name in ("match", "search"):
        made.function_extensions.pop(name, None)
    return made


_PATHS = _environment()


class _Node(JSONPathMatch):
    """A node that was looked at."""

    __slots__ = ()

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        _pay(self, 1)

    def new_child(self, obj: object, key: int | str) -> JSONPathMatch:
        """Return the node below; the way to it is nobody's question."""
        return _Node(filter_context=self.filter_context(), obj=obj, parent=None, path="", parts=(), root=self.root)

    def add_child(self, *children: JSONPathMatch) -> None:
        """Keep none: the value alone is wanted."""


class _Priced(Filter):
    """A filter that pays for each element it looks at."""

    __slots__ = ()

    def resolve(self, node: JSONPathMatch) -> Iterable[JSONPathMatch]:
        if isinstance(node.obj, list | dict):
            _pay(node, len(node.obj))
        return super().resolve(node)


def _pay(node: JSONPathMatch, looks: int) -> None:
    budget: Any = node.filter_context()
    budget[_LEFT] -= looks
    if budget[_LEFT] < 0:
        raise AskError(f"jsonPath looks at more than {MOST_LOOKS} nodes: name the way to the value")


def compiled(path: str) -> JSONPath:
    """Read a path, in Kubernetes' braces or without.

    Raises:
        AskError: it cannot be read, or could look at too much.
    """
    if len(path) > LONGEST:
        raise AskError(f"jsonPath has {len(path)} characters; expected at most {LONGEST}")
    inner = path.strip().removeprefix("{").removesuffix("}").strip()
    whole = inner if inner.startswith("$") else f"${inner}" if inner[:1] in ".[" else f"$.{inner}"
    try:
        return _bounded(_read(whole))
    except (JSONPathError, RecursionError) as error:
        raise AskError(f"jsonPath {path!r} cannot be read: {error}; expected one such as {{$.data.ok}}") from None


def _read(path: str) -> JSONPath:
    try:
        return _one(_PATHS.compile(path))
    except JSONPathError:
        start, bracket, rest = path.partition("[")
        loose = _LOOSE.sub(lambda name: f"['{name[1].replace(chr(92), '')}']", start)  # $.500, $.a-b, $.a\.b
        try:
            return _one(_PATHS.compile(loose + bracket + rest))
        except JSONPathError:
            pass
        raise


def _one(read: JSONPath | CompoundJSONPath) -> JSONPath:
    if isinstance(read, JSONPath):
        return read
    raise AskError("jsonPath: expected one path, and no operator between two")


def _bounded(path: JSONPath) -> JSONPath:
    for segment in path.segments:
        segment.selectors = tuple([_priced(one) if isinstance(one, Filter) else one for one in segment.selectors])
    return path


def _priced(selector: Filter) -> Filter:
    asked: list[BaseExpression] = [selector.expression]
    while asked:
        one = asked.pop()
        if isinstance(one, FilterQuery) and not (isinstance(one, RelativeFilterQuery) and one.path.singular_query()):
            raise AskError("jsonPath: a filter asks about the element in hand alone, as in [?@.name == 'iris']")
        asked += one.children()
    return _Priced(env=selector.env, token=selector.token, expression=selector.expression)


def found(document: Any, path: str) -> Any:
    """Return the first value at a path, None where there is none.

    Raises:
        AskError: the path cannot be read, or looks at too much.
    """
    read = compiled(path)
    if not isinstance(document, Mapping | Sequence) or isinstance(document, str):
        return None if read.segments else document
    try:
        budget = {_LEFT: MOST_LOOKS}
        nodes: Iterable[JSONPathMatch] = [
            _Node(filter_context=budget, obj=document, parent=None, path="$", parts=(), root=document)
        ]
        for segment in read.segments:
            nodes = segment.resolve(nodes)
        return next((node.obj for node in nodes), None)
    except (JSONPathError, RecursionError) as error:
        raise AskError(f"jsonPath {path!r}: {error}") from None
