"""How rollouts ended, how long they took and why: what the histogram of durations is made of."""

from datetime import timedelta

import pytest

from controller.rollout.endings import Ending, endings


@pytest.fixture
def ended(world) -> list[Ending]:
    """What ended, pass by pass, as the shell counts it."""
    found: list[Ending] = []
    act = world.act

    def counting(decision) -> None:
        found.extend(endings(world.status, decision.status))
        act(decision)

    world.act = counting
    return found


def said(found: list[Ending]) -> list[tuple[str, str]]:
    return [(each.outcome, each.reason) for each in found]


def test_a_promotion_is_the_judges_and_counted_once(world, ended) -> None:
    world.serving()
    began = world.now
    world.upgrade().good().settle()
    assert said(ended) == [("promoted", "first"), ("promoted", "judge")]
    assert timedelta(0) < ended[-1].took <= world.now - began


def test_a_rollback_by_the_judge_names_the_metric(world, ended) -> None:
    world.serving().upgrade().run(8)
    world.bad().settle()
    assert said(ended)[1:] == [("rolledBack", "errorRate")]


@pytest.mark.parametrize(
    ("verb", "outcome"), [("abort", ("rolledBack", "person")), ("promote-full", ("promoted", "person"))]
)
def test_what_a_person_decides_is_a_persons(world, ended, verb, outcome) -> None:
    world.serving().upgrade().run(8)
    world.ask(verb)
    world.settle()
    assert said(ended)[1:] == [outcome]


def test_a_retry_is_timed_from_its_own_beginning(world, ended) -> None:
    world.serving().upgrade().run(8)
    world.bad().settle()
    world.step(3600)
    world.good().ask("retry")
    world.settle()
    assert said(ended)[1:] == [("rolledBack", "errorRate"), ("promoted", "judge")]
    assert ended[-1].took < timedelta(hours=1)


def test_pods_that_never_come_are_the_deadlines(world, ended) -> None:
    world.serving().starts = False
    world.upgrade().run(3)
    world.step(700)
    world.run(3)
    assert said(ended)[1:] == [("rolledBack", "progressDeadline")]


def test_a_template_that_goes_back_to_stable_is_no_rollback(world, ended) -> None:
    world.serving().upgrade().run(8)
    world.image = "m/v1"
    world.generation += 1
    world.settle()
    assert said(ended)[1:] == [("superseded", "templateChanged")]
