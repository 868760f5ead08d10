"""The promises hold in random stories, which reach what can go wrong, and in all that once broke one."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from simulated import also
from simulated.drift import WHAT
from simulated.reached import never
from simulated.shards import Played, play_shards
from simulated.shop import CHANGES, ROUTINGS
from simulated.shrink import broken, shrink
from simulated.story import KINDS, Happening, Story, draw
from simulated.storybook import as_yaml, read
from simulated.world import World, play

from controller.rollout import reconciler
from controller.rollout.phases import INTENTS, TRANSITIONS, Event, Phase

REGRESSIONS = sorted((Path(__file__).parent / "regressions").glob("*.yaml"))
STEPS, SHARDS = 50_000, 10
"""About 500 steps a second of one core, on as many cores as there are; `make simulate` takes as many as it is told."""
FAULTS = (
    "conflict", "too_many", "server_error", "lost_before", "lost_after", "crash before", "crash after",
    "read too_many", "read server_error", "read lost_before",
)  # fmt: skip
MISCHIEF = (
    "again", "ambush", "answer", "back", "boast", "crash",
    "deaf", "edit", "evict", "forbid", "invalid", "jump", "lookup", "outage", "podcrash", "quota", "refuse", "replay",
    "scale", "second", "slow", "slowpods", "sluggish", "storm", "strategy", "verb",
)  # fmt: skip
COMMON: dict[Phase, tuple[Event, ...]] = {
    Phase.PENDING: (Event.NEW_REVISION, Event.FIRST_SERVING),
    Phase.HEALTHY: (Event.NEW_REVISION, Event.SPEC_INVALID),
    Phase.PROGRESSING: (
        Event.NEW_REVISION, Event.STABLE_AGAIN, Event.STEP_DONE, Event.STEPS_DONE, Event.PERSON_NEEDED,
        Event.VERDICT_BAD, Event.DEADLINE, Event.TIME_EXTENDED,
    ),
    Phase.PAUSED: (Event.NEW_REVISION,),
    Phase.PROMOTING: (Event.CANARY_SERVES_ALL,),
    Phase.ROLLING_BACK: (Event.STABLE_SERVES_ALL,),
    Phase.DEGRADED: (Event.NEW_REVISION, Event.STABLE_AGAIN),
    Phase.INVALID: (Event.SPEC_VALID,),
}  # fmt: skip
"""Moves of the state machine that the stories must make; all others have tests in tests/rollout."""
MOVES_MADE = 0.55
"""The share of all moves by the world that must have been made; those of a group are test_group.py's."""
VERBS_HEARD = 0.6
"""The share of all phases and verbs that must have met."""


@pytest.fixture(scope="module")
def played() -> Played:
    """What became of 50,000 steps."""
    workers = 1 if "PYTEST_XDIST_WORKER" in os.environ else min(os.cpu_count() or 1, 4)
    return play_shards(SHARDS, steps=STEPS, workers=workers)


def stories(test):
    """Mark a test of the random stories: they are played once, by one process of a parallel run."""
    for mark in (pytest.mark.slow, pytest.mark.timeout(1800), pytest.mark.xdist_group("stories")):
        test = mark(test)
    return test


@stories
def test_random_stories_break_no_promise(played: Played) -> None:
    print(f"{played.steps} steps in {played.stories} stories")
    for seed, promise, message in played.broken:
        shortest = shrink(draw(seed), promise, tries=25)
        pytest.fail(f"seed {seed}: {promise}: {message}\n{shortest}\n\n{as_yaml(shortest, promise=promise)}")
    assert played.steps >= STEPS


@stories
def test_every_fault_is_drawn(played: Played) -> None:
    wanted = [*(("fault", name) for name in FAULTS), *(("happening", name, "") for name in MISCHIEF)]
    wanted += [("happening", "drift", what) for what in WHAT]
    wanted += [("happening", "cut", collection) for collection in KINDS]
    wanted += [("happening", "prometheus", mode) for mode in ("down", "empty", "nan", "late")]
    wanted += [("happening", "routing", which) for which in ROUTINGS]
    wanted += [("happening", "shop", what) for what in CHANGES]
    assert never(played.reached, wanted) == []


@stories
def test_all_ways_of_traffic_and_of_waiting_are_met(played: Played) -> None:
    wanted = [("own", "written", ""), ("adopts", "done", ""), ("dependsOn", "waits", ""), ("dependsOn", "begins", "")]
    wanted += [("sticky", "asked again", who) for who in ("canary", "stable")]
    assert never(played.reached, wanted) == []


@stories
def test_all_parts_are_met(played: Played) -> None:
    """Groups, runs, webhooks, autoscalers, mirrors with a match, and ends."""
    wanted = [
        ("group", "promoted", ""),
        ("matched", "copied", ""),
        ("webhook", "passed", ""),
        ("webhook", "closed", ""),
    ]
    wanted += [("runs", which, "") for which in ("background", "step")]
    wanted += [("autoscaler", which, "") for which in ("more", "fewer")]
    wanted += [("parting", "over", policy) for policy in also.POLICIES]
    assert never(played.reached, wanted) == []


@stories
def test_every_verb_is_done_and_refused(played: Played) -> None:
    wanted = [("verb", verb.value, outcome) for verb in INTENTS for outcome in ("done", "refused")]
    never_refused = {("verb", "restart", "refused")}
    assert set(never(played.reached, wanted)) <= never_refused


@stories
def test_the_moves_of_the_state_machine_are_made(played: Played) -> None:
    moves = [
        ("cell", phase.value, event.value)
        for phase, row in TRANSITIONS.items()
        for event, cell in row.items()
        if isinstance(cell, Phase) and event not in INTENTS and event is not Event.GROUP_ROLLED_BACK
    ]
    common = [("cell", phase.value, event.value) for phase, events in COMMON.items() for event in events]
    assert never(played.reached, common) == []
    assert len(never(played.reached, moves)) <= (1 - MOVES_MADE) * len(moves)


@stories
def test_verbs_meet_the_phases(played: Played) -> None:
    cells = [("cell", phase.value, verb.value) for phase in Phase for verb in INTENTS]
    assert len(never(played.reached, cells)) <= (1 - VERBS_HEARD) * len(cells)


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
        for write in range(1, 40, 4):
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
