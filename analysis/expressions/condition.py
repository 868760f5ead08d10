"""What successCondition and failureCondition make of a value."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from analysis.expressions.errors import ExpressionError
from analysis.expressions.evaluate import Expression, compiled
from analysis.expressions.values import Value, kind, shown

Outcome = Literal["Successful", "Failed", "Inconclusive", "Error"]
NoData = Literal["Error", "Inconclusive", "Failed"]
_SPEAKS_OF_NOTHING = frozenset({"isNaN", "isNil", "len", "default", "isInf"})


@dataclass(frozen=True, slots=True)
class Conditions:
    """The two conditions of a metric, read and checked, and what a measurement without a value is.

    Args:
        success: alone, false is Failed.
        failure: alone, false is Successful. With success: neither true is Inconclusive, and failure wins.
        no_data: what nothing is (null, NaN, no element); None: Error, unless a condition itself speaks of it.
    """

    success: Expression | None = None
    failure: Expression | None = None
    no_data: NoData | None = None

    def assess(self, value: Value) -> tuple[Outcome, str]:
        """Return what a value is, and why where that is not plain."""
        found = missing(value)
        if found and (self.no_data is not None or not self._speaks_of_nothing()):
            return self.no_data or "Error", f"no data: {found}"
        try:
            return self._decided(value), ""
        except ExpressionError as error:
            return "Error", str(error)

    def _speaks_of_nothing(self) -> bool:
        given = [one for one in (self.success, self.failure) if one is not None]
        return any(one.calls & _SPEAKS_OF_NOTHING for one in given)

    def _decided(self, value: Value) -> Outcome:
        success = None if self.success is None else holds(self.success, value)
        failure = None if self.failure is None else holds(self.failure, value)
        if failure:
            return "Failed"
        if success is None:
            return "Successful"
        if success:
            return "Successful"
        return "Failed" if failure is None else "Inconclusive"


def conditions(success: str | None, failure: str | None, no_data: NoData | None = None) -> Conditions:
    """Read a metric's conditions.

    Raises:
        ExpressionError: one cannot be read; the text says which and what would be right.
    """
    read = {}
    for name, text in (("successCondition", success), ("failureCondition", failure)):
        try:
            read[name] = compiled(text) if text else None
        except ExpressionError as error:
            raise ExpressionError(f"{name} {text!r}: {error}") from None
    return Conditions(read["successCondition"], read["failureCondition"], no_data)


def holds(expression: Expression, value: Value) -> bool:
    """Say whether a condition holds for a value.

    Raises:
        ExpressionError: it has no answer; the text names the expression and the value.
    """
    try:
        found = expression.value({"result": value})
    except ExpressionError as error:
        raise ExpressionError(f"{expression.text!r} of {shown(value)}: {error}") from None
    if not isinstance(found, bool):
        raise ExpressionError(
            f"{expression.text!r} of {shown(value)} is {kind(found)}: {shown(found)}; expected true or false, "
            "as from a comparison"
        )
    return found


def missing(value: Value) -> str:
    """Say why there is nothing to judge; empty when there is something."""
    if value is None:
        return "nothing was found"
    if isinstance(value, float) and math.isnan(value):
        return "the value is not a number (NaN)"
    if isinstance(value, list):
        if not value:
            return "the answer is empty"
        if any(isinstance(one, float) and math.isnan(one) for one in value):
            return "a value is not a number (NaN)"
    if isinstance(value, Mapping) and not value:
        return "the answer is empty"
    return ""
