"""Values: what an expression works on (null, booleans, numbers, texts, lists, maps), and the operators between them."""

import math
from collections.abc import Mapping
from typing import TypeAlias

import re2

from analysis.expressions.errors import ExpressionError

Value: TypeAlias = "bool | int | float | str | list[Value] | Mapping[str, Value] | None"

_LARGEST = 2**63 - 1
LONGEST_TEXT = 1_000_000
_ORDER = {"<": lambda a, b: a < b, "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b}


def kind(value: Value) -> str:
    """Name a value's kind, as people do."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    return {str: "a text", list: "a list"}.get(type(value), "a map")


def shown(value: Value) -> str:
    """Write a value for a message, cut to a length that can be read."""
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."


def number(value: Value, what: str) -> int | float:
    """Return a value that must be a number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ExpressionError(f"{what} needs a number; found {kind(value)}: {shown(value)}")
    return value


def whole(value: Value, what: str) -> int:
    """Return a value that must be a whole number; one such as 3.0 is."""
    found = number(value, what)
    if isinstance(found, float):
        if not found.is_integer():
            raise ExpressionError(f"{what} needs a whole number; found {shown(value)}")
        found = int(found)
    return found


def truth(value: Value, what: str) -> bool:
    """Return a value that must be true or false."""
    if not isinstance(value, bool):
        raise ExpressionError(f"{what} needs true or false; found {kind(value)}: {shown(value)}")
    return value


def text(value: Value, what: str) -> str:
    """Return a value that must be a text."""
    if not isinstance(value, str):
        raise ExpressionError(f"{what} needs a text; found {kind(value)}: {shown(value)}")
    return value


def items(value: Value, what: str) -> list[Value]:
    """Return a value that must be a list."""
    if not isinstance(value, list):
        raise ExpressionError(f"{what} needs a list; found {kind(value)}: {shown(value)}")
    return value


def equal(left: Value, right: Value) -> bool:
    """Say whether two values are the same. A number never equals a text, true or null."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(equal, left, right))
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(equal(left[key], right[key]) for key in left)
    return left == right


def compare(left: Value, operator: str, right: Value) -> bool:
    """Return what an operator that gives true or false makes of two values."""
    if operator in ("==", "!="):
        return equal(left, right) is (operator == "==")
    if operator == "in":
        return _contained(left, right)
    if operator in _ORDER:
        if isinstance(left, str) and isinstance(right, str):
            return bool(_ORDER[operator](left, right))
        return bool(_ORDER[operator](number(left, repr(operator)), number(right, repr(operator))))
    first, second = text(left, operator), text(right, operator)
    match operator:
        case "contains":
            return second in first
        case "startsWith":
            return first.startswith(second)
        case "endsWith":
            return first.endswith(second)
        case _:
            return matches(first, second)


def matches(found: str, pattern: str) -> bool:
    """Say whether a regular expression (RE2, so in linear time) is found in a text."""
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options).search(found) is not None
    except re2.error as error:
        raise ExpressionError(f"{pattern!r} is no regular expression (RE2): {error}") from None


def _contained(left: Value, right: Value) -> bool:
    if isinstance(right, list):
        return any(equal(left, one) for one in right)
    if isinstance(right, Mapping):
        return text(left, "'in' a map") in right
    if right is None:
        return False
    raise ExpressionError(f"'in' needs a list or a map on its right; found {kind(right)}: {shown(right)}")


def arithmetic(left: Value, operator: str, right: Value) -> Value:
    """Return the result of `+ - * / % **`. Whole numbers stay whole but for `/` and `**`; 1 / 0 is infinite."""
    if operator == "+" and isinstance(left, str) and isinstance(right, str):
        if len(left) + len(right) > LONGEST_TEXT:
            raise ExpressionError(f"a text grows beyond {LONGEST_TEXT} characters")
        return left + right
    first, second = number(left, repr(operator)), number(right, repr(operator))
    match operator:
        case "/":
            return _divided(float(first), float(second))
        case "%":
            return _rest(whole(left, "'%'"), whole(right, "'%'"))
        case "**":
            return _raised(float(first), float(second))
        case "+":
            return bounded(first + second)
        case "-":
            return bounded(first - second)
        case _:
            return bounded(first * second)


def bounded(value: int | float) -> int | float:
    """Return a number that fits into 64 bits.

    Raises:
        ExpressionError: it does not.
    """
    if isinstance(value, int) and abs(value) > _LARGEST:
        raise ExpressionError(f"{value} does not fit into 64 bits; write one number as a decimal, such as 1.0")
    return value


def _divided(first: float, second: float) -> float:
    if second:
        return first / second
    if math.isnan(first) or first == 0:
        return math.nan
    return math.copysign(math.inf, first) * math.copysign(1.0, second)


def _rest(first: int, second: int) -> int:
    if second == 0:
        raise ExpressionError("'%' by 0 has no result")
    return int(math.copysign(abs(first) % abs(second), first))


def _raised(first: float, second: float) -> float:
    try:
        result = first**second
    except OverflowError:
        return math.inf
    except ZeroDivisionError:
        return math.inf
    return result if isinstance(result, float) else math.nan
