"""What a provider of time series can do, and how it fails."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple, Protocol


class Series(NamedTuple):
    """One time series: its labels, and (whole seconds since 1970, value) in the order of time."""

    labels: Mapping[str, str]
    samples: tuple[tuple[int, float], ...]


class ProviderError(Exception):
    """Reading failed. The message says which server and why, without secrets."""


class Provider(Protocol):
    """Reads series at explicit instants. Both methods raise ProviderError."""

    async def instant(self, query: str, at: datetime) -> tuple[Series, ...]:
        """The series that `query` gives at one instant; one sample each."""
        ...

    async def between(self, query: str, start: datetime, end: datetime, step: int) -> tuple[Series, ...]:
        """The series that `query` gives at start, start + step seconds, ..., end."""
        ...
