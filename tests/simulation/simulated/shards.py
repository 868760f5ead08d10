"""Shards: many stories, in parts that any number of processes can play. The same seed gives the same stories."""

import logging
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context

from simulated.promises import BrokenPromiseError
from simulated.reached import Reached
from simulated.story import draw
from simulated.world import play

APART = 1_000_000
"""Between the first seeds of two shards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What became of some stories."""

    steps: int = 0
    stories: int = 0
    broken: tuple[tuple[int, str, str], ...] = ()
    """(seed, promise, message) of each story that broke a promise."""
    reached: Reached = field(default_factory=Counter)

    def __add__(self, other: "Played") -> "Played":
        return Played(
            steps=self.steps + other.steps,
            stories=self.stories + other.stories,
            broken=self.broken + other.broken,
            reached=self.reached + other.reached,
        )


def play_shard(shard: int, *, steps: int, seed: int = 0) -> Played:
    """Play stories from the shard's first seed on, until so many steps were taken."""
    logging.disable(logging.CRITICAL)
    taken, stories, broken, reached = 0, 0, [], Counter()
    while taken < steps:
        story = draw(seed + shard * APART + stories)
        stories += 1
        try:
            taken += play(story, reached).timeline.steps
        except BrokenPromiseError as problem:
            broken.append((story.seed, problem.promise, problem.message))
            break
    return Played(steps=taken, stories=stories, broken=tuple(broken), reached=reached)


def play_shards(count: int, *, steps: int, workers: int) -> Played:
    """Play that many steps in that many shards, some at the same time."""
    part = partial(play_shard, steps=-(-steps // count))
    if workers <= 1:
        return sum(map(part, range(count)), Played())
    with ProcessPoolExecutor(workers, mp_context=get_context("forkserver")) as pool:
        return sum(pool.map(part, range(count)), Played())
