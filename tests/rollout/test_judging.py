"""When the judge looks: as soon as what is to be read can be read."""

from datetime import UTC, datetime, timedelta

import pytest

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
