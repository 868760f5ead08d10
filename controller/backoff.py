"""How long to wait after a failure: exponential, capped, with jitter drawn by the caller."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Backoff:
    """A schedule of waits.

    Args:
        base: the wait after the first failure.
        cap: the longest wait.
        spread: the part of a wait that chance may take away, 0 to 1: it keeps clients from coming back together.
    """

    base: timedelta
    cap: timedelta
    spread: float = 0.5

    def after(self, failures: int, draw: float = 0.0) -> timedelta:
        """Return the wait after so many failures in a row.

        Args:
            failures: 1 for the first; 0 means no wait.
            draw: a number in [0, 1), by chance; 0 gives the longest wait.
        """
        if failures <= 0:
            return timedelta(0)
        doublings: int = min(failures - 1, 32)  # beyond this every cap is reached, and the number stays small
        wait = min(self.base * (1 << doublings), self.cap)
        return wait * (1.0 - self.spread * draw)
