"""Calls to a node that is in trouble: tried again, or not tried at all for a while."""

from collections.abc import Callable
from math import inf

from orchestrator.clients.context import Context
from orchestrator.clients.node import NodeCall
from orchestrator.errors import NodeError
from orchestrator.protocols.payload import Payload

_AWAY = "NODE_UNREACHABLE"  # no byte of an answer came
_TROUBLE = frozenset({_AWAY, "NODE_TIMEOUT", "NODE_BAD_REPLY"})


class CircuitOpenError(NodeError):
    """The node failed so often that it is left alone."""

    status = 503
    reason = "CIRCUIT_OPEN"


class Breaker:
    """Opens after `failures` calls in a row that a node did not answer; after `seconds` one call tries it again.

    Nygard, Release It!, 2018, chapter 5. A status of the node's own, whichever, is an answer.
    """

    def __init__(self, failures: float, seconds: float) -> None:
        self._failures = failures
        self._seconds = seconds
        self._in_a_row = 0
        self._closed_again = -inf  # until then no call goes through
        self._trying = False

    def allows(self, now: float) -> bool:
        """Whether a call may be made; of an open breaker whose time is over, the one that tries."""
        if self._in_a_row < self._failures:
            return True
        if self._trying or now < self._closed_again:
            return False
        self._trying = True
        return True

    def answered(self) -> None:
        """The node gave an answer."""
        self._in_a_row = 0
        self._trying = False

    def failed(self, now: float) -> None:
        """The node gave none."""
        self._in_a_row += 1
        self._trying = False
        self._closed_again = now + self._seconds

    def left(self) -> None:
        """The client left before it could be known."""
        self._trying = False


class Guarded:
    """A call with a breaker, which all calls to one address share, and with further tries.

    Args:
        call: the call itself.
        name: the node's, for errors.
        breaker: of its address.
        retries: further tries when no byte of an answer came; 0 for calls that must not be made twice.
        clock: seconds that only rise.
    """

    def __init__(self, call: NodeCall, name: str, breaker: Breaker, retries: int, clock: Callable[[], float]) -> None:
        self.form = call.form
        self._call = call
        self._name = name
        self._breaker = breaker
        self._retries = retries
        self._clock = clock

    async def __call__(self, payload: Payload | None, context: Context) -> Payload:
        """Send a payload and give the answer.

        Raises:
            CircuitOpenError: the node is left alone.
            NodeError, DeadlineError: as of the call.
        """
        left = self._retries
        while True:
            if not self._breaker.allows(self._clock()):
                raise CircuitOpenError(f"node {self._name!r} did not answer; it is left alone for a while")
            known = False
            try:
                answer = await self._call(payload, context)
                known = True
            except NodeError as error:
                known = True
                if error.reason not in _TROUBLE:
                    self._breaker.answered()
                    raise
                self._breaker.failed(self._clock())
                if error.reason != _AWAY or left <= 0 or not _again(payload):
                    raise
                left -= 1
                continue
            finally:
                if not known:
                    self._breaker.left()
            self._breaker.answered()
            return answer


def _again(payload: Payload | None) -> bool:
    """Whether the payload can be sent once more: of one that flows not too much may have been taken."""
    return payload is None or payload.flow is None or payload.flow.rewind()
