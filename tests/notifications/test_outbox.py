"""Each notice once for each service, tried again, rate limited, never in the way of another."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from controller.notifications.notices import Notice, Trigger
from controller.notifications.outbox import FULL, GIVE_UP, Outbox

from .conftest import START, at

LIMITS = {"a": 60, "b": 60}


def notice(number: int, minute: float = 0) -> Notice:
    return Notice(
        id=f"n{number}", trigger=Trigger.PROMOTED, namespace="ml", name="iris", labels={}, revision=1, phase="Healthy",
        message="", at=at(minute), reason={},
    )  # fmt: skip


def test_a_notice_is_posted_once_for_each_service() -> None:
    box = Outbox()
    for _ in range(3):
        box.post(notice(1), ["a", "b"], START)
    assert [letter.service for letter in box.due(START, LIMITS)] == ["a", "b"]


def test_what_was_delivered_does_not_come_back() -> None:
    box = Outbox()
    box.post(notice(1), ["a"], START)
    box.delivered(box.due(START, LIMITS)[0], START)
    box.post(notice(1), ["a"], START)
    assert box.due(at(1), LIMITS) == []


def test_a_failure_waits_longer_each_time_and_delays_no_other() -> None:
    box = Outbox()
    box.post(notice(1), ["a", "b"], START)
    waits = []
    for _ in range(4):
        letter = next(each for each in box.waiting if each.service == "a")
        box.failed(letter, START, 0.0)
        waits.append(letter.due - START)
    assert waits == [timedelta(seconds=seconds) for seconds in (2, 4, 8, 16)]
    assert [letter.service for letter in box.due(START, LIMITS)] == ["b"]


def test_no_more_goes_out_in_a_minute_than_a_service_takes() -> None:
    box = Outbox()
    for number in range(5):
        box.post(notice(number), ["a"], START)
    for letter in (first := box.due(START, {"a": 2})):
        box.delivered(letter, START)
    assert (len(first), len(box.due(at(0.5), {"a": 2})), len(box.due(at(1.1), {"a": 2}))) == (2, 0, 2)


def test_an_attempt_that_failed_counts_for_the_minute() -> None:
    box = Outbox()
    for number in range(5):
        box.post(notice(number), ["a"], START)
    for letter in box.due(START, {"a": 2}):
        box.failed(letter, START, 0.0)
    assert (len(box.due(at(0.5), {"a": 2})), len(box.due(at(1.1), {"a": 2}))) == (0, 2)


def test_who_asks_to_be_left_alone_is_and_nobody_else() -> None:
    box = Outbox()
    for number in (1, 2):
        box.post(notice(number), ["a", "b"], START)
    box.failed(next(each for each in box.waiting if each.service == "a"), START, 0.0, timedelta(minutes=3))
    assert [letter.service for letter in box.due(at(2.9), LIMITS)] == ["b", "b"]
    assert [letter.service for letter in box.due(at(3), LIMITS)].count("a") == 2


def test_what_was_dropped_while_it_was_under_way_is_delivered_all_the_same() -> None:
    box = Outbox()
    box.post(notice(1), ["a"], START)
    (letter,) = box.due(START, LIMITS)
    box.waiting.clear()
    box.delivered(letter, START)
    assert box.waiting == []


def test_what_nobody_took_for_a_day_or_has_no_service_any_more_is_dropped() -> None:
    box = Outbox()
    box.post(notice(1), ["a", "gone"], START)
    assert [letter.service for letter in box.due(START, LIMITS)] == ["a"]
    assert box.due(START + GIVE_UP + timedelta(seconds=1), LIMITS) == []
    assert (box.dropped, box.waiting) == (2, [])


def test_a_full_box_drops_the_oldest_and_says_so() -> None:
    box = Outbox()
    for number in range(FULL + 3):
        box.post(notice(number), ["a"], START)
    assert (len(box.waiting), box.dropped, box.waiting[0].notice.id) == (FULL, 3, "n3")


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=30))
def test_what_was_told_until_never_passes_a_letter_that_waits(story: list[tuple[int, bool]]) -> None:
    box = Outbox()
    newest = START
    for number, (minute, delivered) in enumerate(story):
        box.post(notice(number, minute), ["a"], START)
        newest = max(newest, at(minute))
        if delivered:
            box.delivered(box.waiting[-1], START)
        until = box.told_until(newest)
        assert all(letter.notice.at > until for letter in box.waiting)
        assert until <= newest


def test_a_later_failure_does_not_shorten_how_long_a_service_asked_to_be_left_alone() -> None:
    box = Outbox()
    for number in (1, 2):
        box.post(notice(number), ["a"], START)
    first, second = box.due(START, LIMITS)
    box.failed(first, START, 0.0, timedelta(minutes=10))
    box.failed(second, START, 0.0)
    assert box.due(at(9), LIMITS) == []
    assert len(box.due(at(11), LIMITS)) == 2
