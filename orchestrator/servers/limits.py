"""How much, and how long, a client may take."""

import logging
from dataclasses import dataclass
from time import monotonic

from orchestrator.errors import OrchestratorError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sizes in bytes, times in seconds."""

    head_bytes: int = 64 * 1024  # request line and headers; also the framing between two pieces of a chunked body
    body_bytes: int = 256 * 1024 * 1024
    flow_above: int = 256 * 1024  # longer bodies are handed on piece by piece where nobody has to look at them
    head_seconds: float = 10.0  # from a request's first byte to the end of its headers
    body_seconds: float = 30.0  # between two pieces of a body
    idle_seconds: float = 65.0  # between requests; above the 60 s after which the mesh gives its connections up
    write_seconds: float = 60.0  # for a client to take some of an answer that does not fit its window
    linger_seconds: float = 2.0  # reading on after a refusal, so that the client gets to read it
    pipelined: int = 32  # requests that one connection may send ahead of their answers: then it is not read on
    ahead: int = 256  # and that may have come with the bytes that were read last: what is behind them is refused


class Load:
    """How many requests are under way, through all doors, and how many may be."""

    __slots__ = ("in_flight", "limit", "refused")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.in_flight = 0
        self.refused = 0


class Teller:
    """Logs failures; of each kind one a second, since a node that is away fails every request."""

    def __init__(self) -> None:
        self._told: dict[str, float] = {}

    def __call__(self, error: OrchestratorError, puid: bytes) -> None:
        """Log a failure of the request with this id, or not."""
        now = monotonic()
        if now - self._told.get(error.reason, now - 1.0) >= 1.0:
            self._told[error.reason] = now
            log.warning("request %s: %s", puid.decode("latin-1"), error)
