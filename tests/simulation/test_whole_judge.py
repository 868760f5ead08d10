"""The whole controller on a seeded trace, by a Prometheus that is asked over HTTP, says what the library says."""

import logging

import pytest

from bench.traces import Scenario
from bench.whole import Played, Traced, play

WORSE = Scenario(name="1 to 3 %, 100 rps", stable_errors=0.01, canary_errors=0.03)
SLOWER = Scenario(name="latency x1.2, 1000 rps", rps=1000, latency="scale")
GOOD = Scenario(name="good 0.1 %, 1000 rps", rps=1000)


@pytest.fixture(autouse=True, scope="module")
def _quiet():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="module")
def undisturbed() -> Played:
    return play(WORSE, 1)


def crash(world: Traced) -> None:
    process = world.processes[0]
    process.stop()
    world._crashed(process)


def down(world: Traced) -> None:
    world.scraped.down = True


def up(world: Traced) -> None:
    world.scraped.down = False


def test_a_worse_revision_is_rolled_back_by_the_evidence_of_the_library(undisturbed) -> None:
    assert (undisturbed.end, undisturbed.judged) == ("rolled back", undisturbed.by_library)
    (rejected,) = undisturbed.status["rejected"]
    assert rejected["reason"]["message"] == undisturbed.judged.findings[0].message


@pytest.mark.parametrize(("scenario", "end"), [(SLOWER, "rolled back"), (GOOD, "promoted")], ids=["slower", "good"])
def test_so_are_a_slower_one_and_one_that_is_promoted(scenario: Scenario, end: str) -> None:
    played = play(scenario, 1)
    assert (played.end, played.judged) == (end, played.by_library)


def test_a_controller_that_crashes_comes_to_the_same_evidence(undisturbed) -> None:
    assert play(WORSE, 1, (90, crash), (120, crash)).judged == undisturbed.judged


def test_without_prometheus_there_is_no_verdict_and_with_it_again_the_same_evidence(undisturbed) -> None:
    said = []
    played = play(
        WORSE, 1, (80, down), (115, lambda world: said.append(world.status()["analysis"]["verdict"])), (125, up)
    )
    assert (said, played.judged) == (["Error"], undisturbed.judged)
