"""What the requests of a deployment are usually like: what a forecast rests on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Counted(NamedTuple):
    """What a typed check counts: rows, feedbacks, copies, and the bad ones of stable's among them."""

    rate: float
    """A second, of both arms together; of copies, those that the canary's orchestrators compare."""
    share: float
    """Stable's share of bad ones, 0..1: of losses the mean, of copies those in which it differs from itself."""


class Answers(NamedTuple):
    """Which classes stable answers with, or in which bins its scores lie."""

    rate: float
    """Answers a second, of both arms together."""
    shares: Mapping[str, float]
    """By kind; they sum to 1."""


@dataclass(frozen=True, slots=True)
class Habits:
    """What the requests of a deployment are like."""

    requests: float
    """Requests per second, of both arms together."""
    errors: float
    """Share of failed requests, 0..1."""
    slow: Mapping[float, float]
    """By histogram edge (seconds): the share of requests that are slower."""
    counted: Mapping[str, Counted] = field(default_factory=dict)
    """By the name of a typed check; nothing of those that nobody counts for."""
    answers: Answers | None = None
