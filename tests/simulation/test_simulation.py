"""The promises hold in random stories, and in all that once broke one."""

import logging
import time
from dataclasses import replace
from pathlib import Path

import pytest
from simulated.promises import BrokenPromiseError
from simulated.shrink import broken, shrink
from simulated.story import Happening, Story, draw
from simulated.storybook import as_yaml, read
from simulated.world import World, play

from controller.rollout import reconciler

REGRESSIONS = sorted((Path(__file__).parent / "regressions").glob("*.yaml"))
STEPS = 12_000
"""About 25 s of one core (460 to 660 steps a second); `make simulate` takes 50,000, or as many as it is told."""
SECONDS = 45
"""Of the processor's time: a slow machine stops here, and says how far it came."""


@pytest.fixture(autouse=True)
def _quiet():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_random_stories_break_no_promise() -> None:
    began, steps, seed = time.process_time(), 0, 0
    while steps < STEPS and time.process_time() < began + SECONDS:
        story = draw(seed)
        try:
            steps += play(story).timeline.steps
        except BrokenPromiseError as problem:
            shortest = shrink(story, problem.promise, tries=25)
            pytest.fail(f"seed {seed}: {problem}\n{shortest}\n\n{as_yaml(shortest, promise=problem.promise)}")
        seed += 1
    print(f"{steps} steps in {seed} stories, {time.process_time() - began:.0f} s")
    assert steps >= STEPS / 4, "the simulation has become very slow"


@pytest.mark.parametrize("path", REGRESSIONS, ids=lambda path: path.stem)
def test_what_once_broke_a_promise_holds(path: Path) -> None:
    play(read(path))


def test_the_same_seed_gives_the_same_story_and_the_same_world() -> None:
    first, second = play(draw(1)), play(draw(1))
    assert first.live() == second.live()
    assert (first.timeline.steps, first.timeline.now) == (second.timeline.steps, second.timeline.now)


def test_a_story_survives_being_written_down(tmp_path: Path) -> None:
    path = tmp_path / "story.yaml"
    path.write_text(as_yaml(draw(7), promise="none"))
    assert read(path) == draw(7)


def test_a_broken_controller_is_caught_and_its_story_shrunk(monkeypatch) -> None:
    """A controller that does not say what it waits for breaks a promise, and the story tells when in few words."""
    real = reconciler.decide

    def silent(obs, *, now):
        decision = real(obs, now=now)
        return replace(decision, status=decision.status.model_copy(update={"blocked_on": None}))

    story = Story(
        1,
        (
            Happening(5.0, "replay", ("pods",)),
            Happening(10.0, "edit", ("stuck-1",)),
            Happening(5.0, "deaf", (1.0, 10.0)),
            Happening(60.0, "scale", (3,)),
        ),
    )
    monkeypatch.setattr(reconciler, "decide", silent)
    problem = broken(story)
    assert problem is not None
    assert problem.promise == "every block is named"
    shortest = shrink(story, problem.promise)
    assert len(shortest.happenings) < len(story.happenings)


def test_a_crash_at_each_write_of_an_upgrade_ends_as_without_one() -> None:
    for after in (False, True):
        for write in range(1, 40, 6):
            story = Story(
                write, (Happening(1.0, "crash", (write, after)), Happening(0.1, "edit", ("good-1",))), strategy=4
            )
            world = play(story)
            assert world.status()["phase"] == "Healthy"
            assert world.qualities.of_child(world.status()["stableRevision"]["name"]).starts


def test_requests_are_served_while_a_rollout_is_adopted_and_promoted() -> None:
    world: World = play(Story(3, (Happening(20.0, "edit", ("good-1",)), Happening(300.0, "edit", ("bad-2",)))))
    assert sum(count.requests for row in world.users.ledger.live for count in row.values()) > 10_000
    assert world.users.lost == 0
    assert world.status()["phase"] == "Degraded"
