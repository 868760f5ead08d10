"""What an answer says of the model that gave it: classes, scores and outliers, row by row."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

ROWS = 256
"""Of a longer batch only the first rows are looked at: what is sampled must cost little."""
OUTLIER_KEYS = ("outlier", "is_outlier", "outlier-predictions", "outlier_predictions")


@dataclass(slots=True)
class Outcome:
    """`classes` has one label for each row that names a class, `scores` one number for each row that has a score.

    `numbers` has those of the scores that are all of their row.
    """

    classes: list[str] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    numbers: list[float] = field(default_factory=list)
    outliers: int = 0


def of_table(table: Any, names: Sequence[Any] = (), *, labels: bool = False) -> Outcome:
    """Read the rows of nested lists.

    A row of two or more numbers is one of classes: the greatest names the class (by `names`, else by its position) and
    is the score. A row of one number is a score, or with `labels` the class itself; text is always a class. A whole
    number that no float can hold is no number.
    """
    found = Outcome()
    for row in list(_rows(table))[:ROWS]:
        if len(row) > 1:
            if all(map(_is_number, row)):
                at = max(range(len(row)), key=row.__getitem__)
                found.classes.append(str(names[at]) if len(names) == len(row) else str(at))
                found.scores.append(float(row[at]))
        elif row and (isinstance(row[0], str) or (labels and isinstance(row[0], int) and _fits(row[0]))):
            found.classes.append(str(row[0]))
        elif row and _is_number(row[0]):
            found.scores.append(float(row[0]))
            found.numbers.append(float(row[0]))
    return found


def outliers_in(flags: Any) -> int:
    """How many rows are marked: by true, by a number that is not 0, or by text that says so; lists are counted."""
    if isinstance(flags, list | tuple):
        return sum([outliers_in(flag) for flag in flags[:ROWS]])
    if isinstance(flags, str):
        return int(flags.strip().lower() in {"1", "true", "yes"})
    return int(_is_number(flags) and flags != 0) if not isinstance(flags, bool) else int(flags)


def outliers_among(values: Any) -> int:
    """The rows that are marked in an object, under the first of `OUTLIER_KEYS` that it has."""
    if isinstance(values, Mapping):
        for key in OUTLIER_KEYS:
            if key in values:
                return outliers_in(values[key])
    return 0


def shaped(values: Any, shape: Any) -> list[Any]:
    """Flat values as rows of the last dimension; as they are where the shape says nothing of use."""
    width = shape[-1] if isinstance(shape, list | tuple) and len(shape) > 1 else 1
    if isinstance(values, list | tuple) and not any(isinstance(value, list) for value in values[:1]):
        try:
            step = int(width)
        except (TypeError, ValueError, OverflowError):
            return list(values)
        return (
            [list(values[at : at + step]) for at in range(0, min(len(values), step * ROWS), step)] if step > 0 else []
        )
    return values if isinstance(values, list) else []


def _rows(table: Any) -> Iterable[list[Any]]:
    """The innermost lists of nested ones; a flat list has one value in each row."""
    if not isinstance(table, list):
        return
    for item in table[:ROWS]:
        if not isinstance(item, list):
            yield [item]
        elif any(isinstance(inner, list) for inner in item[:1]):
            yield from _rows(item)
        else:
            yield item


def _is_number(value: Any) -> bool:
    if isinstance(value, int):
        return not isinstance(value, bool) and _fits(value)
    return isinstance(value, float) and value == value


def _fits(value: int) -> bool:
    """Whether a float can hold a whole number; JSON has longer ones."""
    return -sys.float_info.max <= value <= sys.float_info.max
