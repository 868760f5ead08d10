"""A controller that is broken on purpose, the story that shows it, and the promises of which one must break."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from simulated.shrink import broken
from simulated.story import Happening, Story

Break = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True, slots=True)
class Case:
    """What is broken, the story that shows it, and the promises of which one must break."""

    break_it: Break
    story: Story
    promises: frozenset[str]


def case(break_it: Break, strategy: int, *happenings: tuple[Any, ...], promises: str, **more: Any) -> Case:
    """Return a case: happenings are (seconds after the one before, kind, values), promises are parted by semicolons."""
    told = tuple(Happening(after, kind, tuple(values)) for after, kind, *values in happenings)
    story = Story(**{"seed": 1, "happenings": told, "strategy": strategy, **more})
    return Case(break_it, story, frozenset(promises.split("; ")))


def is_caught(found: Case, patch: pytest.MonkeyPatch) -> None:
    """Hold that the story breaks one of the promises with the broken controller."""
    found.break_it(patch)
    caught = broken(found.story)
    assert caught is not None
    assert caught.promise in found.promises


def stories(cases: Mapping[str, Case]) -> list[str]:
    """Return each story once, by the name of the first case that tells it."""
    return [*{found.story: name for name, found in reversed(cases.items())}.values()]
