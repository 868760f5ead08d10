"""Places for measurements: how many there are, who has how many, and whose turn it is."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest_asyncio

from controller.analysisruns.room import Room
from controller.queue import Key

SLOW, QUICK, OTHER = ("a", "slow"), ("a", "quick"), ("b", "other")


class Crowd:
    """Measurements that go on until they are told to end."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.inside: list[tuple[Key, asyncio.Event]] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def _measure(self, key: Key) -> None:
        async with self._room.place(key):
            over = asyncio.Event()
            self.inside.append((key, over))
            try:
                await over.wait()
            finally:
                self.inside.remove((key, over))

    async def come(self, key: Key, count: int = 1) -> list[asyncio.Task[None]]:
        new = [asyncio.create_task(self._measure(key)) for _ in range(count)]
        self.tasks += new
        await settled()
        return new

    async def end(self, key: Key) -> None:
        """End the first measurement of a run, and let who waits come in."""
        next(over for name, over in self.inside if name == key).set()
        await settled()

    @property
    def places(self) -> Counter[Key]:
        return Counter(key for key, _ in self.inside)


async def settled() -> None:
    """Give every task its turn: nothing here waits for anything but other tasks."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest_asyncio.fixture
async def crowd() -> AsyncIterator[Crowd]:
    made = Crowd(Room(6, run=4, namespace=5))
    yield made
    for task in made.tasks:
        task.cancel()
    await asyncio.gather(*made.tasks, return_exceptions=True)


async def test_one_run_never_has_all_places(crowd: Crowd) -> None:
    await crowd.come(SLOW, 100)
    await crowd.come(QUICK)
    await crowd.come(OTHER)
    assert crowd.places == {SLOW: 4, QUICK: 1, OTHER: 1}


async def test_runs_of_one_namespace_leave_a_place_to_another(crowd: Crowd) -> None:
    for number in range(10):
        await crowd.come(("a", f"run-{number}"), 10)
    assert sum(crowd.places.values()) == 5
    await crowd.come(OTHER)
    assert crowd.places[OTHER] == 1


async def test_who_has_the_fewest_places_goes_next_and_not_who_came_first(crowd: Crowd) -> None:
    await crowd.come(SLOW, 100)
    await crowd.come(OTHER, 3)
    await crowd.come(QUICK)
    assert crowd.places == {SLOW: 4, OTHER: 2}
    await crowd.end(SLOW)
    assert crowd.places == {SLOW: 3, OTHER: 3}
    await crowd.end(OTHER)
    assert crowd.places == {SLOW: 3, OTHER: 2, QUICK: 1}


async def test_equals_take_turns(crowd: Crowd) -> None:
    await crowd.come(SLOW, 4)
    await crowd.come(OTHER, 2)
    waiting = [("c", "one"), ("c", "two"), ("c", "three")]
    for key in (*waiting, *waiting):
        await crowd.come(key)
    served = []
    for key in (SLOW, SLOW, SLOW):
        before = crowd.places
        await crowd.end(key)
        served += list((crowd.places - before).elements())
    assert served == waiting


async def test_who_goes_away_while_it_waits_takes_no_place(crowd: Crowd) -> None:
    await crowd.come(SLOW, 4)
    await crowd.come(OTHER, 2)
    (gone,) = await crowd.come(QUICK)
    gone.cancel()
    await settled()
    for key in (SLOW, OTHER):
        await crowd.end(key)
    await crowd.come(("c", "new"), 2)
    assert crowd.places == {SLOW: 3, OTHER: 1, ("c", "new"): 2}


async def test_who_goes_away_as_its_turn_comes_leaves_the_place_to_the_next(crowd: Crowd) -> None:
    await crowd.come(SLOW, 4)
    await crowd.come(OTHER, 2)
    (first,) = await crowd.come(("c", "first"))
    await crowd.come(("c", "second"))
    next(over for name, over in crowd.inside if name == SLOW).set()
    while len(crowd.inside) == 6:  # noqa: ASYNC110 - what is awaited is the turn of another task
        await asyncio.sleep(0)
    first.cancel()
    await settled()
    assert crowd.places == {SLOW: 3, OTHER: 2, ("c", "second"): 1}
    assert first.cancelled()


async def test_in_the_end_all_places_are_free_again(crowd: Crowd) -> None:
    tasks = [*await crowd.come(SLOW, 9), *await crowd.come(QUICK, 9), *await crowd.come(OTHER, 9)]
    for task in tasks[::2]:
        task.cancel()
    await settled()
    while crowd.inside:
        await crowd.end(crowd.inside[0][0])
    assert all(task.done() for task in tasks)
    await crowd.come(SLOW, 9)
    assert crowd.places == {SLOW: 4}
