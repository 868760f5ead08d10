"""Element-wise means of nested lists of numbers."""

from collections.abc import Sequence
from typing import Any

from orchestrator.errors import BadPayloadError


def mean(values: Sequence[Any]) -> Any:
    """The element-wise mean of nested lists of one shape.

    Raises:
        BadPayloadError: they have different shapes, or something in them is no number.
    """
    total = values[0]
    for value in values[1:]:
        total = _added(total, value)
    return _scaled(total, 1 / len(values))


def _added(left: Any, right: Any) -> Any:
    if isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        return [_added(a, b) for a, b in zip(left, right, strict=True)]
    if _is_number(left) and _is_number(right):
        return left + right
    raise BadPayloadError("AVERAGE_COMBINER: the children's answers have different shapes or are not numbers")


def _scaled(value: Any, by: float) -> Any:
    if isinstance(value, list):
        return [_scaled(item, by) for item in value]
    if _is_number(value):
        try:
            return value * by
        except OverflowError:
            raise BadPayloadError("AVERAGE_COMBINER: an integer is too large to be averaged") from None
    raise BadPayloadError(f"AVERAGE_COMBINER: {value!r} is no number")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
