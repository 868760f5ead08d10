"""Percent: shares of requests with at most two decimals, whole numbers as whole numbers."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, PlainSerializer

PARTS = 100
"""Parts of one percent that a share is counted in: two decimals."""


def rounded(value: float) -> float:
    """Return a share with two decimals at most; an int where it is whole, so that it is written as one."""
    parts = round(value * PARTS)
    return parts / PARTS if parts % PARTS else parts // PARTS


def exact(value: float) -> float:
    """Return a share as it is counted.

    Raises:
        ValueError: it has more than two decimals.
    """
    found = rounded(value)
    if abs(found - value) > 1e-9 or (not found and value):
        raise ValueError(f"has at most two decimals, such as 0.5 or 0.25; the nearest is {found:g}")
    return found


def rest(value: float) -> float:
    """Return what a share leaves of 100."""
    return rounded(100 - value)


_written = PlainSerializer(rounded, return_type=Any)
Percent = Annotated[float, Field(ge=0, le=100), AfterValidator(exact), _written]
"""From 0 to 100, as a person writes it."""
Share = Annotated[float, Field(gt=0, le=100), AfterValidator(exact), _written]
"""More than 0, to 100."""
Seen = Annotated[float, AfterValidator(rounded), _written]
"""A share in a status: rounded rather than refused."""
