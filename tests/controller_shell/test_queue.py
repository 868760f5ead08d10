"""One worker for each key at a time, nothing lost, delays kept, failures spaced, and nobody starved."""

import asyncio
from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from controller.backoff import Backoff
from controller.queue import Key, Schedule, WorkQueue

A, B, C = ("ml", "a"), ("ml", "b"), ("ml", "c")
STEEP = Backoff(timedelta(seconds=2), timedelta(seconds=60), spread=0.0)


def test_a_key_that_is_added_often_is_taken_once() -> None:
    schedule = Schedule()
    for _ in range(3):
        schedule.add(A, 0)
    assert schedule.take(0) == A
    assert schedule.take(0) is None


def test_a_key_in_work_is_not_taken_again_until_it_is_done() -> None:
    schedule = Schedule()
    schedule.add(A, 0)
    schedule.take(0)
    schedule.add(A, 0)
    assert schedule.take(0) is None
    schedule.done(A, 0)
    assert schedule.take(0) == A


def test_keys_are_taken_in_the_order_in_which_they_became_due() -> None:
    schedule = Schedule()
    schedule.add_at(A, 5, 0)
    schedule.add(B, 1)
    schedule.add_at(C, 3, 1)
    assert [schedule.take(6) for _ in range(4)] == [B, C, A, None]


def test_a_busy_key_goes_behind_those_that_wait() -> None:
    schedule = Schedule()
    schedule.add(A, 0)
    taken = []
    for now in range(6):
        if now == 1:
            schedule.add(B, now)
        key = schedule.take(now)
        assert key is not None
        taken.append(key)
        schedule.add(key, now)  # a key that always wants more
        schedule.done(key, now)
    assert taken.count(B) >= 2, "the hot key must not starve the other"


def test_the_earlier_of_two_delays_counts_and_a_change_comes_before_both() -> None:
    schedule = Schedule()
    schedule.add_at(A, 10, 0)
    schedule.add_at(A, 5, 0)
    schedule.add_at(A, 20, 0)
    assert schedule.next_at() == 5
    schedule.add(A, 1)
    assert schedule.take(1) == A
    schedule.done(A, 1)
    assert schedule.next_at() is None, "the pass answered the delays too"


def test_failures_wait_longer_each_time_up_to_a_cap_and_success_begins_anew() -> None:
    schedule = Schedule(STEEP)
    now, waits = 0.0, []
    for _ in range(8):
        schedule.add_at(A, now, now)
        assert schedule.take(now) == A
        waits.append(schedule.fail(A, now))
        schedule.done(A, now)
        now = schedule.next_at() or 0.0
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60]
    schedule.forget(A)
    assert schedule.failures(A) == 0


def test_a_change_brings_a_failing_key_back_early_but_not_in_a_circle() -> None:
    schedule = Schedule(STEEP, eager=timedelta(seconds=1))
    schedule.add(A, 0)
    schedule.take(0)
    schedule.add(A, 0)  # its own write comes back as a change
    schedule.fail(A, 0)
    schedule.done(A, 0)
    assert schedule.take(0) is None
    assert schedule.next_at() == 1
    schedule.add(A, 0.5)
    assert schedule.take(0.9) is None
    assert schedule.take(1) == A


def test_what_a_server_asks_for_is_the_least_wait() -> None:
    schedule = Schedule(STEEP)
    schedule.add(A, 0)
    schedule.take(0)
    assert schedule.fail(A, 0, at_least=timedelta(seconds=30)) == 30
    schedule.done(A, 0)
    schedule.add(A, 1)
    assert schedule.next_at() == 30, "a change does not shorten what the server asked for"


@pytest.mark.parametrize(
    ("failures", "draw", "expected"),
    [(0, 0.0, 0), (1, 0.0, 2), (2, 0.0, 4), (2, 0.5, 3), (99, 0.0, 60), (10**6, 0.999, 30.03)],
)
def test_back_off_is_exponential_capped_and_spread(failures: int, draw: float, expected: float) -> None:
    backoff = Backoff(timedelta(seconds=2), timedelta(seconds=60), spread=0.5)
    assert backoff.after(failures, draw).total_seconds() == pytest.approx(expected)


KEYS = st.sampled_from([A, B, C])


class ScheduleMachine(RuleBasedStateMachine):
    """Against a plain model: for each key, when it still has to be looked at, and whether it is in work."""

    def __init__(self) -> None:
        super().__init__()
        self.schedule = Schedule(STEEP)
        self.now = 0.0
        self.wanted: dict[Key, float] = {}
        self.meanwhile: dict[Key, float] = {}
        self.busy: set[Key] = set()

    def _want(self, key: Key, at: float) -> None:
        place = self.meanwhile if key in self.busy else self.wanted
        place[key] = min(at, place.get(key, at))

    @rule(seconds=st.floats(0, 30))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(key=KEYS, delay=st.floats(0, 30))
    def come_back(self, key: Key, delay: float) -> None:
        self.schedule.add_at(key, self.now + delay, self.now)
        self._want(key, self.now + delay)

    @rule(key=KEYS)
    def change(self, key: Key) -> None:
        floor = self.schedule._not_before.get(key, 0.0)
        self.schedule.add(key, self.now)
        self._want(key, max(self.now, floor))

    @rule()
    def take(self) -> None:
        due = {key: at for key, at in self.wanted.items() if at <= self.now}
        key = self.schedule.take(self.now)
        assert (key in due) if due else (key is None)
        if key is not None:
            assert key not in self.busy
            del self.wanted[key]
            self.busy.add(key)

    @precondition(lambda self: self.busy)
    @rule(data=st.data(), failed=st.booleans())
    def give_back(self, data: st.DataObject, failed: bool) -> None:
        key = data.draw(st.sampled_from(sorted(self.busy)))
        if failed:
            wait = self.schedule.fail(key, self.now)
            floor = self.now + min(wait, 1.0)
            if key in self.meanwhile:
                self.meanwhile[key] = max(self.meanwhile[key], floor)
            self._want(key, self.now + wait)
        else:
            self.schedule.forget(key)
        self.busy.discard(key)
        self.schedule.done(key, self.now)
        if key in self.meanwhile:
            self._want(key, self.meanwhile.pop(key))

    @invariant()
    def the_counts_agree(self) -> None:
        due = [key for key, at in self.wanted.items() if at <= self.now]
        assert self.schedule.ready(self.now) == len(due)
        assert self.schedule.delayed == len(self.wanted) - len(due)
        assert self.schedule.busy == len(self.busy)
        later = [at for at in self.wanted.values() if at > self.now]
        assert self.schedule.next_at() == (min(later) if later else None)


TestScheduleMachine = ScheduleMachine.TestCase
TestScheduleMachine.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)


@pytest.mark.looptime
async def test_workers_wait_for_delays_without_polling() -> None:
    queue = WorkQueue(chance=lambda: 0.0)
    loop = asyncio.get_running_loop()
    began = loop.time()
    queue.add_after(A, timedelta(minutes=10))
    queue.add_after(B, timedelta(minutes=5))
    assert await queue.get() == B
    assert loop.time() - began == pytest.approx(300)
    assert await queue.get() == A
    assert loop.time() - began == pytest.approx(600)


@pytest.mark.looptime
async def test_a_worker_that_is_cancelled_as_it_wakes_passes_the_key_on() -> None:
    queue = WorkQueue()
    first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add(A)  # wakes the first
    first.cancel()
    assert await second == A
    await asyncio.gather(first, return_exceptions=True)


@pytest.mark.looptime
async def test_a_closed_queue_sends_its_workers_home() -> None:
    queue = WorkQueue()
    worker = asyncio.create_task(queue.get())
    await asyncio.sleep(1)
    queue.close()
    assert await worker is None
    queue.add(A)
    assert await queue.get() is None


@pytest.mark.looptime
async def test_many_workers_never_share_a_key_and_all_work_is_done() -> None:
    queue = WorkQueue()
    at_work: set[Key] = set()
    done: list[Key] = []
    keys = [("ml", str(number)) for number in range(20)]

    async def work() -> None:
        while (key := await queue.get()) is not None:
            assert key not in at_work
            at_work.add(key)
            await asyncio.sleep(1)
            at_work.discard(key)
            done.append(key)
            queue.done(key)

    workers = [asyncio.create_task(work()) for _ in range(4)]
    for _ in range(3):
        for key in keys:
            queue.add(key)
        await asyncio.sleep(0.5)
    await asyncio.sleep(60)
    assert set(done) == set(keys)
    assert len(done) < 60, "what was added while it waited was done once"
    assert asyncio.get_running_loop().time() < 100
    queue.close()
    await asyncio.gather(*workers)
