"""Pulse: whether what is shown is as it is. A frozen API server keeps its watches open and says nothing in them."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from controller.kube import requests
from controller.kube.client import Client
from controller.kube.errors import ApiError

EVERY_SECONDS = 5.0
FIRST_SECONDS = 0.5
"""As long as the watch does not follow yet."""
PATIENCE = timedelta(seconds=5)
"""An API server that takes longer for its own version is not followed either."""


class Pulse:
    """Asks the API server for its version, whatever the watch says.

    Args:
        client: sends the requests.
        watch: tells why the watch does not follow; empty when it does.
        now: the time.
    """

    def __init__(self, client: Client, watch: Callable[[], str], *, now: Callable[[], datetime]) -> None:
        self._client, self._watch, self._now = client, watch, now
        self._silence = ""
        self.seen: datetime | None = None
        """When the API server answered last while the watch followed; None while nothing is shown yet."""

    @property
    def problem(self) -> str:
        """Why what is shown may be old; empty when all is well."""
        return self._watch() or self._silence

    def shows(self) -> None:
        """Take note that what the watch gave is shown: before the first answer that is what was seen last."""
        if self.seen is None and not self.problem:
            self.seen = self._now()

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            await self.beat()
            await asyncio.sleep(EVERY_SECONDS if self.seen is not None else FIRST_SECONDS)

    async def beat(self) -> None:
        """Ask once. A refusal is an answer, too."""
        try:
            await self._client.send(requests.discover("/version"), timeout=PATIENCE)
            self._silence = ""
        except ApiError as error:
            late = f"no answer within {PATIENCE.total_seconds():g} s"
            self._silence = "" if error.status else late if error.reason == "Timeout" else str(error)
        if not self.problem:
            self.seen = self._now()
