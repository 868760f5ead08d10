"""A step's time counts from when the mesh took its weight; it is left only when that was seen at the gateway."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.rollout import actions

STAY = {"pause": {"duration": "1m"}}


def _at(world, index: int, limit: int = 200) -> float:
    """Go on until a step begins; return the seconds since the first weight was written."""
    for _ in range(limit):
        if world.status.current_step_index >= index:
            break
        world.step(1)
    assert world.status.current_step_index == index
    return (world.now - world.status.analysis.started_at).total_seconds()


def test_what_a_weight_took_to_be_seen_counts_for_the_pause_after_it(world) -> None:
    world.steps, world.requests = [{"setWeight": 20}, STAY, {"setWeight": 50}], 5
    world.serving().upgrade()
    seen = _at(world, 1)
    assert seen >= 25  # so few requests are waited for half a minute
    assert 58 <= _at(world, 2) <= 62


def test_and_for_the_least_time_of_an_analysis_however_soon_its_verdict_is_good(world) -> None:
    world.steps = [{"setWeight": 20}, {"analysis": {"minDuration": "1m"}}, {"setWeight": 50}]
    world.requests = 5
    world.serving().upgrade().good()
    _at(world, 1)
    assert "staying for 1m" in world.step(1).status.message
    assert 58 <= _at(world, 2) <= 62


def test_a_step_that_began_with_no_weight_has_all_its_time(world) -> None:
    world.steps, world.requests = [{"setWeight": 20}, STAY, STAY, {"setWeight": 50}], 5
    world.serving().upgrade()
    assert 58 <= _at(world, 2) <= 62
    assert 118 <= _at(world, 3) <= 122


def test_no_time_counts_while_the_gateway_says_otherwise(world) -> None:
    world.steps = [{"setWeight": 20}, STAY, {"setWeight": 50}]
    world.serving().upgrade()
    world.share = 0.0
    world.run(100)
    assert (world.status.current_step_index, world.status.blocked_on.kind) == (0, "weight")
    world.share = None
    agreed = (world.now - world.status.analysis.started_at).total_seconds()
    assert agreed + 58 <= _at(world, 2) <= agreed + 62


def test_however_short_its_time_a_step_does_not_begin_before_its_weight_is_seen(world) -> None:
    world.steps, world.requests = [{"setWeight": 20}, {"pause": {"duration": "5s"}}, {"setWeight": 50}], 5
    world.serving().upgrade()
    assert 28 <= _at(world, 2) <= 32


@pytest.mark.parametrize("verb", ["resume", "promote"])
def test_nor_while_a_person_holds_the_weight_before_it(world, verb) -> None:
    world.steps, world.requests = [{"setWeight": 20}, STAY, {"setWeight": 50}], 5
    world.serving().upgrade()
    world.run(15)
    assert world.status.weights.accepted_at is not None
    world.ask("pause")
    world.run(300)
    world.ask(verb)
    assert world.status.current_step_index == 1
    world.run(40)
    assert world.status.current_step_index == 1
    world.run(20)
    assert world.status.current_step_index == 2


def test_the_time_stops_while_a_person_holds_it(world) -> None:
    world.steps, world.requests = [{"setWeight": 20}, STAY, {"setWeight": 50}], 5
    world.serving().upgrade()
    seen = _at(world, 1)
    world.ask("pause")
    world.run(300)
    world.ask("resume")
    world.run(round(55 - seen))
    assert world.status.current_step_index == 1
    assert 358 <= _at(world, 2) <= 365


def test_a_weight_that_was_put_right_is_seen_before_a_bake_ends(world) -> None:
    world.spec_extra = {"bake": {"duration": "2m"}}
    world.steps = [{"setWeight": 20}]
    world.serving().upgrade().good()
    world.run(60)
    assert "baking" in world.status.message
    world.share = 0.2
    world.run(200)
    assert (world.status.phase, world.status.blocked_on.kind) == ("Progressing", "weight")
    world.share = None
    world.settle()
    assert (world.status.phase, world.status.stable_revision.number) == ("Healthy", 2)


@pytest.mark.parametrize("index", [2, 4])
def test_a_weight_of_a_pass_that_was_cut_off_is_seen_as_any_other_before_it_goes_on(world, index) -> None:
    world.steps, world.requests = [{"setWeight": 20}, STAY, {"setWeight": 50}, STAY], 5
    world.serving().upgrade().good()
    _at(world, index - 1)
    for _ in range(100):
        world.now += timedelta(seconds=1)
        decision = world.decide()
        if any(isinstance(action, actions.ApplyRoute) for action in decision.actions):
            break
        world.act(decision)
    for action in decision.actions:
        world._one(action)  # and the process ends before it writes the status
    world.run(20)
    after = (world.status.current_step_index, world.status.phase)
    assert after == (index, "Progressing" if index == 2 else "Promoting")
    world.run(15)
    assert (world.status.current_step_index, world.status.phase) != after


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    accepted=st.lists(st.tuples(st.sampled_from([True, None, False]), st.integers(1, 40)), max_size=4),
    shares=st.lists(st.sampled_from([None, None, 0.0, 0.9]), min_size=4, max_size=4),
    requests=st.sampled_from([0, 5, 1000]),
    pause=st.integers(1, 90),
)
def test_whatever_the_mesh_says_and_when_nothing_goes_on_before_its_time(
    make_world, accepted, shares, requests, pause
) -> None:
    """The next weight comes no sooner than the pause after the mesh took the last one, and never unseen."""
    steps = [{"setWeight": 20}, {"pause": {"duration": f"{pause}s"}}, {"setWeight": 50}]
    world = make_world(steps=steps, requests=requests).serving().upgrade()
    taken = None
    for (said, seconds), share in zip([*accepted, (True, 300)], [*shares[: len(accepted)], None], strict=True):
        world.accepted, world.share = said, share
        for _ in range(seconds):
            before = world.status
            world.step(1)
            written = before.weights.changed_at if before.weights.canary == 20 else None
            silent = said is None and written is not None and world.now >= written + timedelta(seconds=5)
            if taken is None and written is not None and (said or silent):
                taken = world.now
            if before.current_step_index == 0 and world.status.current_step_index:
                patient = requests < 30 and world.now >= written + timedelta(seconds=30)
                assert patient or (requests == 1000 and share is None)
            if world.status.current_step_index == 2:
                assert taken is not None
                assert world.now >= taken + timedelta(seconds=pause)
                return
    raise AssertionError(f"still at step {world.status.current_step_index + 1}: {world.status.message}")
