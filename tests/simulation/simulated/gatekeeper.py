"""The gatekeeper: whom the webhooks of gates ask. Nobody goes through a gate that it did not open."""

from collections import defaultdict
from datetime import datetime
from typing import TYPE_CHECKING

from analysis.providers.asked.answer import AskError
from analysis.providers.asked.http import Response
from simulated.api import Object
from simulated.part import Part

if TYPE_CHECKING:
    from simulated.world import World

CLOCKS = 12.0
"""Seconds by which clocks may be off."""
OFTEN, SOON = 4, 15.0
"""So many questions for one step within so many seconds are too many; the shortest interval is 20 s."""


class Gatekeeper(Part):
    """It opens every gate, but for a while it may not, or not answer."""

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._mode = "open"
        self._until = 0.0
        self._opened: dict[tuple[str, int], list[float]] = defaultdict(list)
        """When it let a revision go on from a step."""
        self._asked: dict[tuple[str, int], list[float]] = defaultdict(list)
        world.ask = self.ask

    def do_gatekeeper(self, mode: str, seconds: float) -> None:
        """For a while it says no, or nothing, or takes long."""
        self._mode, self._until = mode, max(self._until, self._world.timeline.now + seconds)
        self._world.timeline.after(seconds, self._relent)

    def _relent(self) -> None:
        if self._world.timeline.now >= self._until:
            self._mode = "open"

    def heal(self) -> None:
        self._mode = "open"

    def at_rest(self) -> bool:
        """Nobody stands for ever at a gate that would be opened."""
        blocked = self._world.status().get("blockedOn") or {}
        return blocked.get("kind") != "gate" or "webhook" not in blocked.get("message", "")

    def ask(self, question: Object) -> tuple[float, Response | Exception]:
        """Answer a question, after so many seconds."""
        world, about = self._world, (question["hash"], question["step"])
        now = world.timeline.now
        self._asked[about].append(now)
        lately = [at for at in self._asked[about] if at > now - SOON]
        if len(lately) >= OFTEN * max(len(world.processes), 1) and world.calm(now - SOON):
            said = f"{len(lately)} questions for step {about[1] + 1} within {SOON:.0f} s"
            world.promises.broken("a webhook is asked no more often than it says", said)
        world.reached["webhook", self._mode, ""] += 1
        match self._mode:
            case "closed":
                return 0.02, Response(status=403, body=b"not yet")
            case "down":
                return 0.02, AskError("it did not answer: connection refused (simulated)")
            case "slow":
                return 5.0, AskError("it did not answer within 5 s (simulated)")
            case _:
                self._opened[about].append(now)
                return 0.02, Response(status=200, body=b"")

    def passed(self, digest: str, index: int, since: str | None, *, here: bool) -> None:
        """A revision went on from a gate, where it stood since an instant, or which it came to in the same pass."""
        began = datetime.fromisoformat(since).timestamp() if since else 0.0
        base = self._world.timeline.true_time().timestamp() - self._world.timeline.now
        known = [at for at in self._opened[digest, index] if self._world.jumped or base + at > began - CLOCKS]
        self._world.reached["webhook", "passed", ""] += 1
        if not known or not here:
            self._world.promises.broken("a gate is opened", f"nobody opened that of step {index + 1} for {digest}")
