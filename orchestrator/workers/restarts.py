"""How long to wait before a worker that died is started again."""

_FIRST = 0.1
_LONGEST = 10.0
_WELL = 30.0  # seconds of life after which a death counts as the first one


class Restarts:
    """0.1 s after a death, twice as long after each further one, 10 s at most; after a long life from the start."""

    def __init__(self) -> None:
        self._deaths = 0

    def after(self, lived: float) -> float:
        """The seconds to wait now that a worker died that had `lived` so many."""
        self._deaths = 0 if lived >= _WELL else self._deaths
        wait = min(_LONGEST, _FIRST * 2.0 ** min(self._deaths, 16))
        self._deaths += 1
        return wait
