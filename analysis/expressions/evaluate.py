"""An expression's value. A tree is walked over plain values alone: there is no attribute, import or object to reach."""

import ast
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from lark import Token, Tree

from analysis.expressions.errors import ExpressionError
from analysis.expressions.functions import FUNCTIONS, PREDICATES, Function
from analysis.expressions.grammar import parse
from analysis.expressions.values import Value, arithmetic, bounded, compare, kind, number, shown, truth, whole

MOST_WORK = 100_000
"""Nodes that one evaluation looks at, elements of what it compares and hands to functions among them."""
_CHARACTERS = 1000
"""Characters of a text that cost as much as one node."""
_GLANCE = frozenset({"len", "first", "last", "isNil", "default"})
"""Functions that look at no element."""
_CONSTANTS: dict[str, Value] = {"true": True, "false": False, "nil": None}

Node = Tree[Token]


@dataclass(slots=True)
class _Run:
    """One evaluation: what names mean, the elements that `#` means, inmost last, and the work that is left."""

    names: Mapping[str, Value]
    functions: Mapping[str, Function]
    elements: list[Value] = field(default_factory=list)
    left: int = MOST_WORK


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression that has been read and checked.

    Args:
        text: as it was written.
        calls: the functions that it calls.
    """

    text: str
    calls: frozenset[str]
    _tree: Node
    _functions: Mapping[str, Function]

    def value(self, names: Mapping[str, Value]) -> Value:
        """Return its value.

        Raises:
            ExpressionError: it has none for these names; the text says what was found and what would be right.
        """
        return _value(self._tree, _Run(names, self._functions))


def compiled(
    text: str, names: Collection[str] = ("result",), functions: Mapping[str, Function] | None = None
) -> Expression:
    """Read an expression over `names`.

    Raises:
        ExpressionError: it cannot be read, or names something that there is not.
    """
    known = FUNCTIONS if functions is None else functions
    tree = _parsed(text)
    calls = _check(tree, frozenset(names), known, False)
    return Expression(text, frozenset(calls), tree, known)


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Node:
    return parse(text)


def _check(tree: Node, names: frozenset[str], known: Mapping[str, Function], inside: bool) -> set[str]:
    """Return what is called, after a look at every name."""
    calls: set[str] = set()
    if tree.data == "name":
        name = str(tree.children[0])
        if name not in names and name not in _CONSTANTS:
            hint = "a text stands in quotes" if name not in known else f"a function is called, as in {name}(...)"
            raise ExpressionError(f"unknown name {name!r}; known are {', '.join(sorted(names))}; {hint}")
    if tree.data in ("element", "element_member") and not inside:
        raise ExpressionError("# and .field mean an element, within all, any, none, one, filter, map, find, count, sum")
    if tree.data == "call":
        name = str(tree.children[0])
        calls.add(name)
        return calls | _check_call(name, tree, names, known, inside)
    for child in tree.children:
        if isinstance(child, Tree):
            calls |= _check(child, names, known, inside)
    return calls


def _check_call(name: str, tree: Node, names: frozenset[str], known: Mapping[str, Function], inside: bool) -> set[str]:
    given = _arguments(tree)
    function, predicate = known.get(name), PREDICATES.get(name)
    if predicate is not None:
        if len(given) != 2 and not (predicate.optional and len(given) == 1):
            raise ExpressionError(f"{name} takes a list and a condition on # ; found {len(given)} arguments")
        return set().union(*(_check(one, names, known, inside or at == 1) for at, one in enumerate(given)))
    if function is None:
        raise ExpressionError(f"unknown function {name!r}; known are {', '.join(sorted({*known, *PREDICATES}))}")
    if not function.least <= len(given) <= function.most:
        raise ExpressionError(f"{name} takes {function.least} argument(s); found {len(given)}")
    return set().union(*(_check(one, names, known, inside) for one in given))


def _arguments(tree: Node) -> list[Node]:
    given = tree.children[1] if len(tree.children) > 1 else None
    return [one for one in given.children if isinstance(one, Tree)] if isinstance(given, Tree) else []


def _value(tree: Node, run: _Run) -> Value:
    _pay(run, 1)
    return _NODES[str(tree.data)](tree, run)


def _pay(run: _Run, work: int) -> None:
    run.left -= work
    if run.left < 0:
        raise ExpressionError(f"the expression looks at more than {MOST_WORK} values; measure less at once")


def _weigh(run: _Run, *values: Value) -> None:
    """Pay for a look at all of some values."""
    inside = list(values)
    while inside:
        value = inside.pop()
        if isinstance(value, str):
            _pay(run, len(value) // _CHARACTERS)
        elif isinstance(value, list | Mapping):
            _pay(run, len(value))
            inside += [one for one in (value if isinstance(value, list) else value.values()) if _is_large(one)]


def _is_large(value: Value) -> bool:
    return isinstance(value, list | Mapping | str)


def _child(tree: Node, at: int, run: _Run) -> Value:
    child = tree.children[at]
    if not isinstance(child, Tree):
        raise TypeError(f"{tree.data} has no tree at {at}")
    return _value(child, run)


def _number(tree: Node, run: _Run) -> Value:
    written = str(tree.children[0]).replace("_", "")
    if written[:2].lower() in ("0x", "0b", "0o"):
        return bounded(int(written, 0))
    return float(written) if any(mark in written for mark in ".eE") else bounded(int(written))


def _text(token: Token) -> str:
    written = str(token)
    if written[0] == "`":
        return written[1:-1]
    try:
        found = str(ast.literal_eval(written))
        found.encode()  # half of a surrogate pair can be compared with nothing
        return found
    except (SyntaxError, ValueError):
        raise ExpressionError(f"{written} is no text: check its backslashes") from None


def _name(tree: Node, run: _Run) -> Value:
    name = str(tree.children[0])
    return run.names[name] if name in run.names else _CONSTANTS[name]


def _call(tree: Node, run: _Run) -> Value:
    name, given = str(tree.children[0]), _arguments(tree)
    predicate = PREDICATES.get(name)
    if predicate is None:
        values = [_value(one, run) for one in given]
        if name not in _GLANCE:
            _weigh(run, *values)
        return run.functions[name].call(*values)
    elements = _value(given[0], run)
    if not isinstance(elements, list):
        raise ExpressionError(f"{name} needs a list; found {kind(elements)}: {shown(elements)}")
    if len(given) == 1:
        _weigh(run, elements)
        return predicate.call(elements, elements)
    said: list[Value] = []
    for element in elements:
        run.elements.append(element)
        said.append(_value(given[1], run))
        run.elements.pop()
        if (name, said[-1]) in (("all", False), ("any", True)) and isinstance(said[-1], bool):
            break
    return predicate.call(elements, said)


def _member_of(found: Value, name: str) -> Value:
    if isinstance(found, Mapping):
        return found.get(name)
    raise ExpressionError(f".{name} needs a map; found {kind(found)}: {shown(found)}")


def _at(found: Value, place: Value) -> Value:
    if isinstance(found, Mapping):
        return found.get(place) if isinstance(place, str) else None
    if not isinstance(found, list | str):
        raise ExpressionError(f"[{shown(place)}] needs a list or a map; found {kind(found)}: {shown(found)}")
    at = whole(place, "an index")
    if not -len(found) <= at < len(found):
        raise ExpressionError(f"there is no element {at}: the list has {len(found)}; check len(result) first")
    return found[at]


def _unless_nil(tree: Node, run: _Run, get: Callable[[Value], Value]) -> Value:
    found = _child(tree, 0, run)
    return None if found is None else get(found)


def _slice(tree: Node, run: _Run) -> Value:
    found = _child(tree, 0, run)
    if not isinstance(found, list | str):
        raise ExpressionError(f"[a:b] needs a list or a text; found {kind(found)}: {shown(found)}")
    first, last = (whole(_value(end, run), "[a:b]") if isinstance(end, Tree) else None for end in tree.children[1:])
    part = found[first:last]
    _pay(run, len(part) // _CHARACTERS)
    return part


def _span(tree: Node, run: _Run) -> Value:
    first, last = whole(_child(tree, 0, run), "'..'"), whole(_child(tree, 1, run), "'..'")
    if last - first >= run.left:
        raise ExpressionError(f"{first}..{last} has more than {MOST_WORK} numbers")
    run.left -= max(last - first, 0)
    return list(range(first, last + 1))


def _signed(tree: Node, run: _Run) -> Value:
    found = number(_child(tree, 1, run), "a sign")
    return bounded(-found) if str(tree.children[0]) == "-" else found


def _compared(tree: Node, run: _Run, operator: str) -> bool:
    left, right = _child(tree, 0, run), _child(tree, -1, run)
    _weigh(run, left, right)
    return compare(left, operator, right)


def _arith(tree: Node, run: _Run) -> Value:
    left, right = _child(tree, 0, run), _child(tree, 2, run)
    _weigh(run, left, right)
    return arithmetic(left, str(tree.children[1]), right)


def _choice(tree: Node, run: _Run) -> Value:
    return _child(tree, 1 if truth(_child(tree, 0, run), "?") else 2, run)


def _coalesced(tree: Node, run: _Run) -> Value:
    found = _child(tree, 0, run)
    return _child(tree, 1, run) if found is None else found


def _mapping(tree: Node, run: _Run) -> Value:
    found: dict[str, Value] = {}
    for pair in tree.children:
        if isinstance(pair, Tree):
            key = pair.children[0]
            name = str(key) if not isinstance(key, Token) or key.type != "STRING" else _text(key)
            found[name] = _child(pair, 1, run)
    return found


_NODES: dict[str, Callable[[Node, _Run], Value]] = {
    "number": _number,
    "string": lambda tree, run: _text(tree.children[0]) if isinstance(tree.children[0], Token) else "",
    "name": _name,
    "call": _call,
    "closure": lambda tree, run: _child(tree, 0, run),
    "element": lambda tree, run: run.elements[-1],
    "element_member": lambda tree, run: _member_of(run.elements[-1], str(tree.children[0])),
    "member": lambda tree, run: _member_of(_child(tree, 0, run), str(tree.children[1])),
    "maybe_member": lambda tree, run: _unless_nil(tree, run, lambda found: _member_of(found, str(tree.children[1]))),
    "index": lambda tree, run: _at(_child(tree, 0, run), _child(tree, 1, run)),
    "maybe_index": lambda tree, run: _unless_nil(tree, run, lambda found: _at(found, _child(tree, 1, run))),
    "slice": _slice,
    "array": lambda tree, run: [_value(one, run) for one in tree.children if isinstance(one, Tree)],
    "mapping": _mapping,
    "compare": lambda tree, run: _compared(tree, run, str(tree.children[1])),
    "not_in": lambda tree, run: not _compared(tree, run, "in"),
    "either": lambda tree, run: truth(_child(tree, 0, run), "||") or truth(_child(tree, 1, run), "||"),
    "both": lambda tree, run: truth(_child(tree, 0, run), "&&") and truth(_child(tree, 1, run), "&&"),
    "negate": lambda tree, run: not truth(_child(tree, 0, run), "!"),
    "signed": _signed,
    "arith": _arith,
    "power": lambda tree, run: arithmetic(_child(tree, 0, run), "**", _child(tree, 1, run)),
    "span": _span,
    "choice": _choice,
    "coalesced": _coalesced,
}
