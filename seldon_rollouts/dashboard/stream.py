"""The stream of server-sent events that keeps a page live: what it says, and when."""

import asyncio
import json
from collections.abc import AsyncIterator

from seldon_rollouts.dashboard.feed import Feed
from seldon_rollouts.dashboard.pulse import Pulse

LOOK_SECONDS = 2.0
"""Between two looks at whether what is shown is still as it is; what is wrong at two of them is told."""
KEEP_ALIVE_LOOKS = 7
"""After how many looks without news a stream says that it is still there."""
CALM_SECONDS = 0.3
"""Changes that come faster than this are told together."""


async def events(feed: Feed, pulse: Pulse) -> AsyncIterator[bytes]:
    """Yield that something has changed, that what is shown may be old, since when and why, and that all is well again.

    In between come signs of life, so that who listens knows a dashboard that has frozen from one without news.
    """
    versions, trouble = feed.versions(), Trouble()
    waiting: asyncio.Task[int] | None = None
    silent = 0
    try:
        while True:
            waiting = waiting or asyncio.ensure_future(anext(versions))
            done, _ = await asyncio.wait({waiting}, timeout=LOOK_SECONDS)
            if (not done or not pulse.problem) and (news := trouble.seen(pulse.problem)) is not None:
                told = {"why": news, "seen": pulse.seen.isoformat() if pulse.seen else None}
                yield f"event: trouble\ndata: {json.dumps(told)}\n\n".encode()
            if not done:
                silent += 1
                if silent % KEEP_ALIVE_LOOKS == 0:
                    yield b"event: alive\ndata:\n\n"
                continue
            version, waiting, silent = waiting.result(), None, 0
            pulse.shows()
            yield f"event: changed\nid: {version}\ndata: {version}\n\n".encode()
            await asyncio.sleep(CALM_SECONDS)
    finally:
        if waiting is not None:
            waiting.cancel()


class Trouble:
    """What one viewer was told of the API server: its silence once, and once that it answers again."""

    def __init__(self) -> None:
        self._told, self._before = "", ""

    def seen(self, problem: str) -> str | None:
        """Return what to tell now: what is wrong, nothing where all is well again; None where there is no news."""
        lasting = problem if self._before or not problem else ""
        self._before = problem
        if bool(lasting) == bool(self._told):
            return None
        self._told = lasting
        return lasting
