"""Fractions of a percent: what a person writes, what the mesh is told, and what the gateway must be seen to do."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from controller.api.strategy import Step
from controller.rollout import traffic
from controller.rollout.observed import TrafficWindow
from controller.rollout.traffic import Split

HUNDREDTHS = st.integers(0, 10_000).map(lambda parts: parts / 100)


@pytest.mark.parametrize(
    ("written", "kept"), [(20, "20"), (20.0, "20"), (0.5, "0.5"), (0.25, "0.25"), (99.99, "99.99")]
)
def test_a_weight_is_kept_as_it_is_written_and_whole_ones_stay_whole(written, kept) -> None:
    step = Step.model_validate({"setWeight": written})
    assert str(step.set_weight) == kept
    assert step.model_dump_json(by_alias=True, exclude_none=True) == f'{{"setWeight":{kept}}}'


@pytest.mark.parametrize(
    ("wrong", "said"), [(0.125, "at most two decimals"), (100.5, "less than"), (-0.5, "greater than")]
)
def test_a_weight_that_cannot_be_counted_is_refused_in_words(wrong, said) -> None:
    with pytest.raises(ValidationError, match=said):
        Step.model_validate({"setWeight": wrong})


def weights(world) -> list[int]:
    (rest,) = [http for http in world.route["spec"]["http"] if http["name"] == "rest"]
    return [part["weight"] for part in rest["route"]]


@pytest.mark.parametrize(
    ("weight", "written"), [(20, [80, 20]), (0.5, [9950, 50]), (33.33, [6667, 3333]), (0.01, [9999, 1])]
)
def test_the_mesh_is_told_whole_percents_where_they_will_do(make_world, weight, written) -> None:
    world = make_world(steps=[{"setWeight": weight}, {"pause": {}}]).serving()
    world.upgrade().settle()
    assert weights(world) == written
    assert world.status.weights.canary == weight
    assert world.status.weights.stable == round(100 - weight, 2)


@pytest.fixture(scope="module")
def halfway(make_world):
    """A rollout at its first step, which nobody changes."""
    world = make_world(steps=[{"setWeight": 1}, {"pause": {}}]).serving()
    world.upgrade().settle()
    return world


@settings(max_examples=50, deadline=None)
@given(weight=HUNDREDTHS)
def test_the_live_weight_is_the_one_that_was_written(halfway, weight) -> None:
    world = halfway
    obs = world.observe()
    stable, canary = world.status.stable_revision.hash, world.status.canary_revision.hash
    route = traffic.virtual_service(obs, Split(stable=stable, canary=canary, weight=weight))
    found = [
        traffic.most(traffic.weight_of, traffic.weighed(route), [world.host(digest)]) for digest in (stable, canary)
    ]
    assert found == [round(100 - weight, 2), weight]
    assert round(sum(found), 2) == 100


def window(world, stable: int, canary: int) -> TrafficWindow:
    return TrafficWindow(since=world.now, until=world.now + timedelta(seconds=10), stable=stable, canary=canary)


@pytest.mark.parametrize(
    ("weight", "stable", "canary", "opinion"),
    [
        (0.5, 1000, 0, None),  # five are expected, none is no wonder
        (0.5, 4000, 0, False),  # twenty are expected
        (0.5, 995, 5, True),
        (0.5, 9950, 50, True),
        (0.5, 9600, 400, False),
        (99.5, 0, 1000, None),
        (99.5, 0, 4000, False),
        (99.5, 6, 994, True),
        (5, 950, 50, True),
        (5, 1000, 0, False),
        (5, 199, 0, None),
        (5, 200, 0, False),  # ten are expected: none speaks against it, though their spread would allow for it
        (95, 0, 200, False),
    ],
)
def test_a_small_weight_is_verified_by_requests_and_not_by_their_absence(
    world, weight, stable, canary, opinion
) -> None:
    split = Split(stable="a", canary="b", weight=weight)
    assert traffic.agrees(window(world, stable, canary), split) is opinion
