"""What a provider of time series can do, and how it fails."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol


class Instant(NamedTuple):
    """The series of one instant: the labels of each as a JSON object, and the value of each.

    The same series has the same bytes from one answer to the next: who knows them need not parse them.
    """

    written: Sequence[bytes]
    values: Sequence[float]


class Series(NamedTuple):
    """One time series: its labels as a JSON object, and (whole seconds since 1970, value) in the order of time."""

    written: bytes
    samples: Sequence[tuple[int, float]]


class ProviderError(Exception):
    """Reading failed. The message says which server and why, without secrets."""


class Provider(Protocol):
    """Reads series at explicit instants. Both methods raise ProviderError."""

    async def instant(self, query: str, at: datetime) -> Instant:
        """The series that `query` gives at one instant."""
        ...

    async def between(self, query: str, start: datetime, end: datetime, step: int) -> tuple[Series, ...]:
        """The series that `query` gives at start, start + step seconds, ..., end."""
        ...
