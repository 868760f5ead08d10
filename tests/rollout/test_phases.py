"""The table of phases: complete, and honest about what it refuses."""

import pytest

from controller.rollout.effects import EFFECTS
from controller.rollout.phases import INTENTS, TRANSITIONS, Event, Phase, legal, refusal


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("event", list(Event))
def test_every_phase_and_event_has_a_cell(phase: Phase, event: Event) -> None:
    assert event in TRANSITIONS[phase]


def test_every_event_has_an_effect() -> None:
    assert list(EFFECTS) == list(Event)


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("verb", sorted(INTENTS))
def test_every_verb_has_an_effect_or_an_answer(phase: Phase, verb: Event) -> None:
    assert legal(phase, verb) != bool(refusal(phase, verb))


@pytest.mark.parametrize("phase", list(Phase))
def test_world_events_are_never_answered_with_words(phase: Phase) -> None:
    worldly = [TRANSITIONS[phase][event] for event in Event if event not in INTENTS]
    assert all(cell is None or isinstance(cell, Phase) for cell in worldly)


@pytest.mark.parametrize("phase", [Phase.PROGRESSING, Phase.PAUSED, Phase.PROMOTING, Phase.INVALID])
def test_abort_takes_a_running_canary_out_in_every_phase(phase: Phase) -> None:
    assert TRANSITIONS[phase][Event.ABORT] is Phase.ROLLING_BACK


def test_only_the_judge_or_a_person_leads_to_promotion() -> None:
    rows = [(phase, row) for phase, row in TRANSITIONS.items() if phase is not Phase.PROMOTING]
    ways = {event for _, row in rows for event, cell in row.items() if cell is Phase.PROMOTING}
    assert ways == {Event.STEPS_DONE, Event.PROMOTE_FULL}
