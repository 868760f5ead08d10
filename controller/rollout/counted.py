"""Counted: a Prometheus whose answers are counted and timed, by how they came out."""

import time
from collections.abc import Awaitable
from datetime import datetime
from typing import TypeVar

from prometheus_client import Histogram

from analysis.providers.provider import Instant, Provider, Series

T = TypeVar("T")


class Counted:
    """Asks another provider.

    Args:
        provider: which.
        seconds: how long questions take, by `result`: ok or error.
    """

    def __init__(self, provider: Provider, seconds: Histogram) -> None:
        self._provider, self._seconds = provider, seconds
        for result in ("ok", "error"):
            seconds.labels(result)

    async def instant(self, query: str, at: datetime) -> Instant:
        """The series that `query` gives at one instant.

        Raises:
            ProviderError: it could not be asked, or did not answer.
        """
        return await self._timed(self._provider.instant(query, at))

    async def between(self, query: str, start: datetime, end: datetime, step: int) -> tuple[Series, ...]:
        """The series that `query` gives at start, start + step seconds, ..., end.

        Raises:
            ProviderError: it could not be asked, or did not answer.
        """
        return await self._timed(self._provider.between(query, start, end, step))

    async def _timed(self, asking: Awaitable[T]) -> T:
        began, result = time.monotonic(), "error"
        try:
            answer = await asking
            result = "ok"
        finally:
            self._seconds.labels(result).observe(time.monotonic() - began)
        return answer
