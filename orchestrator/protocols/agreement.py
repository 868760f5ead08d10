"""Do two answers to one request agree?

Where they say classes, the classes have to be the same, whatever the scores; numbers of rows that have one have to lie
within a tolerance. Both are read as for the prediction metrics. Answers of another kind are compared value by value.
"""

from dataclasses import dataclass
from typing import Any

from orchestrator.protocols.codec import Codec
from orchestrator.protocols.outcome import Outcome
from orchestrator.protocols.payload import Payload

DEEPEST = 64
"""So many values within each other are compared; answers that go deeper do not agree."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What an answer says: its classes and numbers, or where it has none of these all of it."""

    outcome: Outcome
    content: Any = None

    @property
    def readable(self) -> bool:
        """Whether it has classes or numbers."""
        return bool(self.outcome.classes or self.outcome.numbers)


def answered(codec: Codec, reply: Payload) -> Answered:
    """Read an answer.

    Raises:
        BadPayloadError: it cannot be read.
    """
    found = codec.outcome(reply)
    return Answered(found) if found.classes or found.numbers else Answered(found, codec.content(reply))


def agree(one: Answered, other: Answered, tolerance: float) -> bool:
    """Whether two answers are the same, but for what the tolerance allows."""
    if one.readable or other.readable:
        classes = one.outcome.classes == other.outcome.classes
        return classes and same(one.outcome.numbers, other.outcome.numbers, tolerance)
    return same(one.content, other.content, tolerance)


def near(one: float, other: float, tolerance: float) -> bool:
    """Whether |one - other| ≤ tolerance · max(1, |one|, |other|): relative to numbers above 1, absolute below."""
    if one == other or (one != one and other != other):
        return True
    try:
        return abs(float(one) - float(other)) <= tolerance * min(max(1.0, abs(one), abs(other)), 1e300)
    except OverflowError:  # whole numbers that no float has
        return False


def same(one: Any, other: Any, tolerance: float, deep: int = DEEPEST) -> bool:
    """Whether two JSON values are the same, with numbers near each other; what lies deeper than `deep` is not read."""
    if not deep:
        return False
    if isinstance(one, dict):
        return (
            isinstance(other, dict)
            and one.keys() == other.keys()
            and all(same(value, other[key], tolerance, deep - 1) for key, value in one.items())
        )
    if isinstance(one, list):
        return (
            isinstance(other, list)
            and len(one) == len(other)
            and all(same(*pair, tolerance, deep - 1) for pair in zip(one, other, strict=True))
        )
    if _is_number(one) and _is_number(other):
        return near(one, other, tolerance)
    return type(one) is type(other) and bool(one == other)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
