"""The functions that an expression may call: those of Argo Rollouts, and the pure ones of Expr that conditions need."""

import math
import re
import statistics
from collections.abc import Callable, Mapping
from typing import NamedTuple

from analysis.expressions.errors import ExpressionError
from analysis.expressions.values import Value, bounded, items, kind, number, shown, text, truth

_PLAIN = re.compile(r"[+-]?[0-9A-Za-z.+-]+", re.ASCII)


class Function(NamedTuple):
    """A function of values, and how many it takes."""

    call: Callable[..., Value]
    least: int
    most: int


class Predicate(NamedTuple):
    """A function of a list and of what an expression says of each element, in order."""

    call: Callable[[list[Value], list[Value]], Value]
    optional: bool = False
    """The expression may be left out: then the elements themselves."""


def length(value: Value) -> int:
    """Return how many elements, keys or characters there are."""
    if isinstance(value, str | list | Mapping):
        return len(value)
    raise ExpressionError(f"len needs a list, a map or a text; found {kind(value)}: {shown(value)}")


def as_int(value: Value) -> int:
    """Return a number without its fraction, or the whole number that a text holds."""
    try:
        return int(bounded(int(_plain(value) if isinstance(value, str) else number(value, "asInt"))))
    except (ValueError, OverflowError):
        raise ExpressionError(f"asInt needs a whole number or a text that is one; found {shown(value)}") from None


def as_float(value: Value) -> float:
    """Return a number, or the one that a text holds."""
    try:
        return float(_plain(value) if isinstance(value, str) else number(value, "asFloat"))
    except (ValueError, OverflowError):
        raise ExpressionError(f"asFloat needs a number or a text that is one; found {shown(value)}") from None


def _plain(text: str) -> str:
    """Return a text as it is; Python would also read blanks, underscores and other scripts' digits as numbers."""
    if _PLAIN.fullmatch(text) is None:
        raise ValueError(text)
    return text


def is_nan(value: Value) -> bool:
    """Say whether a number is none."""
    return math.isnan(number(value, "isNaN"))


def is_inf(value: Value) -> bool:
    """Say whether a number is infinite, of either sign."""
    return math.isinf(number(value, "isInf"))


def default(value: Value, otherwise: Value) -> Value:
    """Return the value, or the other one where there is nothing."""
    return otherwise if value is None else value


def _numbers(name: str, values: tuple[Value, ...]) -> list[int | float]:
    given = items(values[0], name) if len(values) == 1 and isinstance(values[0], list) else list(values)
    return [number(one, name) for one in given]


def _some(name: str, values: tuple[Value, ...]) -> list[int | float]:
    found = _numbers(name, values)
    if not found:
        raise ExpressionError(f"{name} needs at least one number; found an empty list")
    return found


def _least(*values: Value) -> Value:
    return min(_some("min", values))


def _most(*values: Value) -> Value:
    return max(_some("max", values))


def _mean(*values: Value) -> Value:
    return statistics.fmean(_some("mean", values))


def _median(*values: Value) -> Value:
    return float(statistics.median(_some("median", values)))


def _rounded(name: str, how: Callable[[float], int]) -> Callable[[Value], Value]:
    def call(value: Value) -> Value:
        found = float(number(value, name))
        return found if math.isnan(found) or math.isinf(found) else float(how(found))

    return call


def _half_away(value: float) -> int:
    return int(math.copysign(math.floor(abs(value) + 0.5), value))


def _first(value: Value) -> Value:
    return next(iter(items(value, "first")), None)


def _last(value: Value) -> Value:
    return next(reversed(items(value, "last")), None)


def _keys(value: Value) -> Value:
    return list(_map("keys", value))


def _values(value: Value) -> Value:
    return list(_map("values", value).values())


def _map(name: str, value: Value) -> Mapping[str, Value]:
    if isinstance(value, Mapping):
        return value
    raise ExpressionError(f"{name} needs a map; found {kind(value)}: {shown(value)}")


FUNCTIONS: dict[str, Function] = {
    "asInt": Function(as_int, 1, 1),
    "asFloat": Function(as_float, 1, 1),
    "int": Function(as_int, 1, 1),
    "float": Function(as_float, 1, 1),
    "isNaN": Function(is_nan, 1, 1),
    "isInf": Function(is_inf, 1, 1),
    "isNil": Function(lambda value: value is None, 1, 1),
    "default": Function(default, 2, 2),
    "len": Function(length, 1, 1),
    "abs": Function(lambda value: abs(number(value, "abs")), 1, 1),
    "ceil": Function(_rounded("ceil", math.ceil), 1, 1),
    "floor": Function(_rounded("floor", math.floor), 1, 1),
    "round": Function(_rounded("round", _half_away), 1, 1),
    "min": Function(_least, 1, 100),
    "max": Function(_most, 1, 100),
    "mean": Function(_mean, 1, 100),
    "median": Function(_median, 1, 100),
    "first": Function(_first, 1, 1),
    "last": Function(_last, 1, 1),
    "keys": Function(_keys, 1, 1),
    "values": Function(_values, 1, 1),
    "lower": Function(lambda value: text(value, "lower").lower(), 1, 1),
    "upper": Function(lambda value: text(value, "upper").upper(), 1, 1),
    "trim": Function(lambda value: text(value, "trim").strip(), 1, 1),
    "hasPrefix": Function(lambda value, part: text(value, "hasPrefix").startswith(text(part, "hasPrefix")), 2, 2),
    "hasSuffix": Function(lambda value, part: text(value, "hasSuffix").endswith(text(part, "hasSuffix")), 2, 2),
}


def _truths(name: str, said: list[Value]) -> list[bool]:
    return [truth(one, name) for one in said]


def _filtered(elements: list[Value], said: list[Value]) -> Value:
    return [one for one, yes in zip(elements, _truths("filter", said), strict=True) if yes]


def _found(elements: list[Value], said: list[Value]) -> Value:
    return next((one for one, yes in zip(elements, _truths("find", said), strict=True) if yes), None)


PREDICATES: dict[str, Predicate] = {
    "all": Predicate(lambda _, said: all(_truths("all", said))),
    "any": Predicate(lambda _, said: any(_truths("any", said))),
    "none": Predicate(lambda _, said: not any(_truths("none", said))),
    "one": Predicate(lambda _, said: sum(_truths("one", said)) == 1),
    "filter": Predicate(_filtered),
    "map": Predicate(lambda _, said: said),
    "find": Predicate(_found),
    "count": Predicate(lambda _, said: sum(_truths("count", said)), optional=True),
    "sum": Predicate(lambda _, said: bounded(sum(number(one, "sum") for one in said)), optional=True),
}
