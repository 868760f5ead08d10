"""What a judge sees of one tick."""

from typing import NamedTuple

from analysis.samples import ArmTick, Pair

_NONE = Pair()


class View(NamedTuple):
    """One tick, with the source of the error counts already chosen."""

    at: int
    seconds: int
    judged: bool
    """False before the warm-up is over: such a tick teaches what stable is like, and judges nobody."""
    steps: int
    """How many step changes lie before this tick, after the warm-up."""
    copies: int
    """How many copies of the evidence were to be started before this tick."""
    errors: Pair
    stable: ArmTick
    canary: ArmTick
    refused: Pair = _NONE
    """Of the requests of `errors`, those that were answered as the client's fault."""
    share: float | None = None
    """The canary's share of live requests as configured, 0..1; None near a change of it and where none can be said."""
