"""What was measured between two instants: requests by outcome and by latency, for each arm."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Count:
    """Requests of one arm, and how many of them were bad."""

    requests: int = 0
    bad: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(self.requests + other.requests, self.bad + other.bad)

    @property
    def share(self) -> float | None:
        """The share that was bad; None without requests."""
        return self.bad / self.requests if self.requests else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Requests of each arm in the last window, as the gateway (or without one the orchestrator) counted them."""

    stable_requests: int
    canary_requests: int
    at: datetime
    """End of the window."""

    @property
    def canary_share(self) -> float | None:
        """The canary's share of all requests, 0..1; None without requests."""
        total = self.stable_requests + self.canary_requests
        return self.canary_requests / total if total else None
