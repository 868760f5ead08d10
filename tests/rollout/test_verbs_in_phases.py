"""Every verb in every phase, asked of a rollout that stands there: done as the table says, or answered and no more.

Revision 2 is stable, revision 3 is the canary, and revision 1 can be gone back to.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from controller.rollout.phases import INTENTS, TRANSITIONS, Event, Phase

from .conftest import World

ROOT = Path(__file__).parents[2]
STEPS = [
    {"setWeight": 20},
    {"analysis": {"maxDuration": "60s"}},
    {"setWeight": 50},
    {"gate": {"approval": {"name": "owner"}}},
]


def pending() -> World:
    world = World(starts=False)
    world.step()
    return world


def healthy() -> World:
    world = World(steps=STEPS).serving().upgrade()
    world.run(8)
    world.ask("promote-full")
    world.settle()
    world.verdict, world.requests = None, 100_000
    return world


def progressing() -> World:
    world = healthy().upgrade("m/v3")
    world.run(8)
    return world


def paused() -> World:
    world = progressing()
    world.run(90)
    return world


def promoting() -> World:
    world = progressing()
    world.ask("promote-full")
    world.share = 0.5
    world.run(5)
    return world


def rolling_back() -> World:
    world = progressing()
    world.ready[world.hash_of("m/v2")] = 1
    world.ask("abort")
    return world


def degraded() -> World:
    world = progressing()
    world.bad().settle()
    world.verdict = None
    return world


def shadowed() -> World:
    world = healthy()
    world.strategy, world.spec_extra = {"shadow": {}}, {"rollbackWindow": {"revisions": 1}}
    world.upgrade("m/v3").run(10)
    world.good().settle()
    world.verdict = None
    return world


def invalid() -> World:
    world = progressing()
    world.invalid = "spec.x: no"
    world.step()
    return world


STANDING: dict[Phase, Callable[[], World]] = {
    Phase.PENDING: pending, Phase.HEALTHY: healthy, Phase.PROGRESSING: progressing, Phase.PAUSED: paused,
    Phase.PROMOTING: promoting, Phase.ROLLING_BACK: rolling_back, Phase.DEGRADED: degraded,
    Phase.SHADOWED: shadowed, Phase.INVALID: invalid,
}  # fmt: skip
AGAIN = {"retry": "Progressing", "rollback": "Progressing"}
OUT = {"abort": "RollingBack", "fail": "RollingBack"}
ON = {
    "promote": "Progressing", "promote-full": "Promoting", "skip": "Progressing", "pass": "Progressing",
    "rollback": "Progressing", **OUT,
}  # fmt: skip
DONE: dict[Phase, dict[str, str]] = {
    Phase.PENDING: {"restart": "Pending"},
    Phase.HEALTHY: {"restart": "Healthy", "rollback": "Progressing"},
    Phase.PROGRESSING: {**ON, "restart": "Progressing", "pause": "Paused", "approve": "Progressing"},
    Phase.PAUSED: {**ON, "restart": "Paused", "resume": "Progressing", "approve": "Paused"},
    Phase.PROMOTING: {**OUT, "restart": "Promoting", "rollback": "Progressing"},
    Phase.ROLLING_BACK: {**AGAIN, "restart": "RollingBack"},
    Phase.DEGRADED: {**AGAIN, "restart": "Degraded"},
    Phase.SHADOWED: {"retry": "Progressing", "rollback": "Promoting", "restart": "Shadowed"},  # within the window
    Phase.INVALID: {**OUT, "restart": "Invalid"},
}
"""What each verb leads to in these stories; what is missing is refused."""


@pytest.mark.parametrize("verb", sorted(verb.value for verb in INTENTS))
@pytest.mark.parametrize("phase", list(Phase))
def test_it_is_done_as_the_table_says_or_answered_once_and_nothing_moves(phase: Phase, verb: str) -> None:
    world = STANDING[phase]()
    assert world.status.phase == phase.value, world.status.message
    before, told = world.route, len(world.said)
    world.ask(verb, by="ada", reason="because", gate="owner", revision=1 if verb == "rollback" else None)
    answer, after = world.status.last_intent, DONE[phase].get(verb)
    assert (answer.verb, answer.by, answer.outcome) == (verb, "ada", "done" if after else "refused")
    if after:
        assert world.status.phase == after
        assert any("ada" in each.message and "because" in each.message for each in world.said[told:])
    else:
        assert answer.message
        assert (world.status.phase, world.route) == (phase.value, before)
        assert [each.reason for each in world.said[told:]] == ["Refused"]
        world.step()
        assert [each.reason for each in world.said[told:]].count("Refused") == 1


@pytest.mark.parametrize("verb", ["abort", "fail"])
@pytest.mark.parametrize("phase", [Phase.PROGRESSING, Phase.PAUSED, Phase.PROMOTING, Phase.INVALID])
def test_what_is_taken_out_has_nothing_after_the_same_pass(phase: Phase, verb: str) -> None:
    world = STANDING[phase]()
    assert world.live_weight(world.hash_of("m/v3")) in (20, 100)
    world.ask(verb)
    assert (world.live_weight(world.hash_of("m/v3")), world.live_weight(world.hash_of("m/v2"))) == (0, 100)


def documented() -> dict[tuple[Phase, Event], str]:
    """The table of docs/seldonrollout.md, by phase and verb."""
    lines = (ROOT / "docs" / "seldonrollout.md").read_text().splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("| verb | Pending |"))
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[start:]]
    table = rows[: next((index for index, row in enumerate(rows) if len(row) < 2), len(rows))]
    phases = [Phase(name) for name in table[0][1:]]
    return {
        (phase, Event(row[0].strip("`"))): cell
        for row in table[2:]
        for phase, cell in zip(phases, row[1:], strict=True)
    }


def test_the_table_in_the_docs_is_the_table() -> None:
    wanted = {
        (phase, verb): cell.value if isinstance(cell := TRANSITIONS[phase][verb], Phase) else "no"
        for phase in Phase
        for verb in INTENTS
    }
    assert documented() == wanted
