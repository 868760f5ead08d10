"""When the judge looks, as soon as what is to be read can be read; and which counts speak for a change of weights."""

from datetime import UTC, datetime, timedelta

import pytest

from analysis.samples import Traffic
from analysis.spec import Arm, Comparison, Plan
from controller.rollout import judging


@pytest.mark.parametrize(
    ("second", "step", "settle", "waits"),
    [
        (0.0, 10, 2, 2.0),
        (1.5, 10, 2, 0.5),
        (2.0, 10, 2, 10.0),
        (9.0, 10, 2, 3.0),
        (0.75, 1, 0.5, 0.75),
        (3.25, 2, 2, 0.75),
    ],
)
def test_the_judge_looks_as_soon_as_an_instant_can_be_read(second, step, settle, waits) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
    found = judging.until_next(now, step=timedelta(seconds=step), settle=timedelta(seconds=settle))
    assert found == timedelta(seconds=waits)


BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
SAME = Arm("ml", "iris-1")


def window(since: float, requests: int) -> Traffic:
    return Traffic(
        stable_requests=requests,
        canary_requests=0,
        since=BEGUN + timedelta(seconds=since),
        at=BEGUN + timedelta(seconds=since + 1),
    )


CHANGED = Comparison(
    key=("ml", "iris"),
    stable=SAME,
    canary=SAME,
    plan=Plan(),
    started_at=BEGUN,
    restarts=(BEGUN + timedelta(seconds=60.5),),
)
BEFORE, AFTER, SEEN = window(50, 1), window(61, 2), window(60.8, 3)


@pytest.mark.parametrize(
    ("counted", "seen", "found"),
    [
        (None, None, None),
        (BEFORE, None, BEFORE),
        (None, SEEN, SEEN),
        (BEFORE, SEEN, SEEN),
        (AFTER, SEEN, AFTER),
        (AFTER, None, AFTER),
    ],
)
def test_what_is_seen_between_ticks_speaks_until_the_judges_window_begins_after_the_change(counted, seen, found):
    told = judging.window(counted, seen, CHANGED)
    assert (told.since, told.stable) == (found.since, found.stable_requests) if found else told is None


def test_without_a_comparison_only_the_judges_window_counts() -> None:
    assert judging.window(None, SEEN, None) is None
    assert judging.window(BEFORE, SEEN, None).stable == 1
