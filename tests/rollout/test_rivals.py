"""Two processes that lead at once: what only tells is not put right again and again by both."""

from datetime import UTC, datetime, timedelta

import pytest

from controller.rollout.rivals import PAUSE, Rivals

NOW, KEY = datetime(2026, 1, 1, tzinfo=UTC), ("ml", "iris")
OURS = {"phase": "Progressing", "message": "40 requests", "weights": {"canary": 20, "verified": True}}
THEIRS = {**OURS, "message": "not measured yet", "weights": {"canary": 20, "verified": False}}


@pytest.fixture
def rivals() -> Rivals:
    made = Rivals()
    made.wrote(KEY, OURS, now=NOW)
    return made


def test_what_another_tells_otherwise_is_put_right_once_in_a_while(rivals) -> None:
    assert rivals.wait(KEY, THEIRS, OURS, now=NOW + timedelta(seconds=0.5)) == PAUSE - timedelta(seconds=0.5)
    assert not rivals.wait(KEY, THEIRS, OURS, now=NOW + PAUSE)


def test_what_only_we_tell_is_written_at_once(rivals) -> None:
    assert not rivals.wait(KEY, OURS, {**OURS, "message": "41 requests"}, now=NOW)


@pytest.mark.parametrize(
    "moved", [{"phase": "Promoting"}, {"weights": {"canary": 30}}, {"history": [{"type": "Paused"}]}]
)
def test_what_moves_a_rollout_waits_for_nobody(rivals, moved) -> None:
    assert not rivals.wait(KEY, THEIRS, {**OURS, **moved}, now=NOW)


def test_who_has_written_nothing_yet_waits_for_nobody(rivals) -> None:
    assert not Rivals().wait(KEY, THEIRS, OURS, now=NOW)
    rivals.forget(KEY)
    assert not rivals.wait(KEY, THEIRS, OURS, now=NOW)


def test_a_clock_that_was_set_back_makes_no_wait_longer(rivals) -> None:
    assert rivals.wait(KEY, THEIRS, OURS, now=NOW - timedelta(hours=1)) == PAUSE
