"""From a story that breaks a promise to the shortest that still does: drop what happens, part by part, greedily."""

from dataclasses import replace

from simulated.promises import BrokenPromiseError
from simulated.story import Happening, Story
from simulated.world import play


def broken(story: Story) -> BrokenPromiseError | None:
    """Play a story; return the promise that it breaks, if any."""
    try:
        play(story)
    except BrokenPromiseError as problem:
        return problem
    return None


def shrink(story: Story, promise: str, *, tries: int = 300) -> Story:
    """Return a shorter story that breaks the same promise.

    What is left out keeps its time: what comes later happens when it did. Halves are tried first, then single
    happenings, until none can go; at most `tries` stories are played.
    """
    size = max(1, len(story.happenings) // 2)
    while True:
        at, gone = 0, False
        while at < len(story.happenings) and tries > 0:
            shorter = _without(story, at, size)
            tries -= 1
            problem = broken(shorter)
            if problem is not None and problem.promise == promise:
                story, gone = shorter, True
            else:
                at += size
        if tries <= 0 or (size == 1 and not gone):
            return story
        size = max(1, size // 2)


def _without(story: Story, at: int, size: int) -> Story:
    """Leave out some happenings; the next one waits as long as they took."""
    left, rest = story.happenings[:at], story.happenings[at + size :]
    waited = sum(each.after for each in story.happenings[at : at + size])
    if rest:
        first = rest[0]
        rest = (Happening(round(first.after + waited, 3), first.kind, first.values), *rest[1:])
    return replace(story, happenings=(*left, *rest))
