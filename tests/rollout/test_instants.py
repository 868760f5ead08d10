"""A clock that is set back, or a next leader's that is behind, makes no pause and no deadline longer."""

from datetime import UTC, datetime, timedelta

import pytest

from controller.api.arms import RevisionStatus
from controller.api.rollout import AnalysisStatus, BlockedOn, RolloutStatus, Weights
from controller.rollout.instants import settled

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER, BEFORE = NOW + timedelta(hours=1), NOW - timedelta(minutes=1)


def _status(at: datetime) -> RolloutStatus:
    retired = RevisionStatus(hash="a", number=1, name="iris-a", role="retired", retired_at=at)
    return RolloutStatus(
        step_started_at=at,
        step_progress_at=at,
        paused_at=at,
        canary_ready_at=at,
        weights=Weights(changed_at=at, accepted_at=at),
        blocked_on=BlockedOn(kind="pods", message="waiting", since=at),
        retired_revisions=(retired,),
        analysis=AnalysisStatus(started_at=at),
    )


@pytest.mark.parametrize(("at", "counts_as"), [(LATER, NOW), (NOW, NOW), (BEFORE, BEFORE)])
def test_nothing_is_counted_from_an_instant_ahead(at: datetime, counts_as: datetime) -> None:
    assert settled(_status(at), now=NOW) == _status(counts_as)


def test_a_change_of_weights_that_is_yet_to_come_is_forgotten() -> None:
    status = RolloutStatus(analysis=AnalysisStatus(started_at=BEFORE, restarts=(BEFORE, LATER)))
    assert settled(status, now=NOW).analysis.restarts == (BEFORE,)


class TestARollout:
    def test_whose_clock_was_an_hour_ahead_asks_a_person_in_time(self, world) -> None:
        world.steps = [{"analysis": {"maxDuration": "2m"}}, {"setWeight": 50}]
        world.serving()
        world.now += timedelta(hours=1)
        world.upgrade().run(20)
        world.now -= timedelta(hours=1)
        world.run(150)
        assert world.status.phase == "Paused"
