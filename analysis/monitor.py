"""All running comparisons, one tick for all of them."""

from datetime import datetime, timedelta

from analysis.measure import Measurer
from analysis.samples import Traffic
from analysis.spec import Comparison, Key
from analysis.verdict import Judgement, Verdict


class Monitor:
    """Holds a session for each tracked comparison and feeds it at instants that are multiples of `step`."""

    def __init__(
        self, measurer: Measurer, *, step: timedelta = timedelta(seconds=10), settle: timedelta = timedelta(seconds=2)
    ) -> None:
        self._measurer = measurer
        self._comparisons: dict[Key, Comparison] = {}

    def track(self, comparison: Comparison) -> None:
        """Judge this comparison from now on; tracking it again with new restarts keeps its evidence."""
        self._comparisons[comparison.key] = comparison

    def untrack(self, key: Key) -> None:
        """Forget a comparison; unknown keys are ignored."""
        self._comparisons.pop(key, None)

    async def tick(self, at: datetime) -> frozenset[Key]:
        """Read and judge everything up to `at`; the keys whose judgement changed."""
        return frozenset()

    def judgement(self, key: Key) -> Judgement | None:
        """What is known of a comparison; None when it is not tracked."""
        if key not in self._comparisons:
            return None
        return Judgement(verdict=Verdict.NO_DATA, message="nothing was measured yet")

    def traffic(self, key: Key) -> Traffic | None:
        """Requests by arm in the last window; None before the first reading."""
        return None
