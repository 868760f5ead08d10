"""What can go wrong between a controller and the API server, and how often at the moment."""

import random
from dataclasses import dataclass, field

from simulated.reached import Reached


class CrashedError(BaseException):
    """The controller's process ends here. No handler of the controller can catch it."""


@dataclass(slots=True)
class Faults:
    """Probabilities for each write, and what is planned; all zero in a healthy world."""

    chance: random.Random
    reached: Reached
    """Counts the faults that were drawn."""
    conflict: float = 0.0
    too_many: float = 0.0
    server_error: float = 0.0
    lost_before: float = 0.0
    """No answer, and the write was not done."""
    lost_after: float = 0.0
    """No answer, though the write was done."""
    crash_in: list[tuple[int, bool]] = field(default_factory=list)
    """Crash at the n-th write from now: before it (False) or after it (True)."""
    slow: float = 0.0
    """Seconds that a request takes more."""
    deaf: float = 0.0
    """Seconds that news of the watches take more."""
    refused: dict[str, str] = field(default_factory=dict)
    """Collections whose writes the server refuses, and what it says."""

    def calm(self) -> None:
        """Stop all faults."""
        self.conflict = self.too_many = self.server_error = self.lost_before = self.lost_after = 0.0
        self.slow = self.deaf = 0.0
        self.crash_in.clear()
        self.refused.clear()

    def storm(self, strength: float) -> None:
        """Let a share of all writes fail, in all ways alike."""
        self.conflict = self.too_many = self.server_error = self.lost_before = self.lost_after = strength / 5

    def fate(self) -> str:
        """Draw what becomes of the next write: empty, or the name of its fault."""
        found = self._fate()
        if found:
            self.reached["fault", found] += 1
        return found

    def fate_of_read(self) -> str:
        """Draw what becomes of the next read."""
        for name in ("too_many", "server_error", "lost_before"):
            share = getattr(self, name)
            if share and self.chance.random() < share:
                self.reached["fault", f"read {name}"] += 1
                return name
        return ""

    def _fate(self) -> str:
        self.crash_in = [(count - 1, after) for count, after in self.crash_in]
        for count, after in self.crash_in:
            if count <= 0:
                self.crash_in.remove((count, after))
                return "crash after" if after else "crash before"
        for name in ("conflict", "too_many", "server_error", "lost_before", "lost_after"):
            share = getattr(self, name)
            if share and self.chance.random() < share:
                return name
        return ""
