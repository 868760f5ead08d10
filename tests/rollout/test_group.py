"""Rollouts of one group are promoted, or rolled back, as one, however old what each has seen of the others is."""

import copy
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.api.rollout import RolloutSpec
from controller.rollout import seen

RELEASE = {"matchLabels": {"release": "winter"}}
STEPS = [{"setWeight": 20}, {"analysis": {}}]


@dataclass
class Group:
    """Rollouts that see each other as they were when they last looked."""

    worlds: dict

    def look(self, who, whom):
        """Let one see what another's status says now."""
        world = self.worlds[whom]
        status = world.status.model_dump(by_alias=True, mode="json", exclude_none=True)
        live = {"metadata": {"generation": world.generation}, "spec": world.raw_spec(), "status": status}
        self.worlds[who].members = {**self.worlds[who].members, whom: seen.member(live)}

    def look_around(self):
        for who in self.worlds:
            for whom in self.worlds:
                if who != whom:
                    self.look(who, whom)

    def run(self, times, seconds=1):
        """Let everybody go on, and see what the others did a moment ago."""
        for _ in range(times):
            for world in self.worlds.values():
                world.step(seconds)
            self.look_around()
        return self

    def upgrade(self, *names):
        for name in names or self.worlds:
            self.worlds[name].upgrade()
        return self

    @property
    def a(self):
        return self.worlds["a"].status

    @property
    def b(self):
        return self.worlds["b"].status

    @property
    def c(self):
        return self.worlds["c"].status


@pytest.fixture
def make_group(make_world):
    def made(*names, steps=STEPS, selector=RELEASE, wave="", **spec):
        group = {"selector": selector, **({"wave": wave} if wave else {})}
        worlds = {
            name: make_world(
                name=name, steps=steps, labels={"release": "winter"}, spec_extra={"group": dict(group), **spec}
            )
            for name in names or ("a", "b")
        }
        for world in worlds.values():
            world.serving()
        made = Group(worlds)
        made.look_around()
        return made

    return made


@pytest.fixture
def waiting(make_group):
    """A is ready, b is not judged yet."""
    group = make_group().upgrade()
    group.worlds["a"].good()
    return group.run(60)


def test_who_is_ready_waits_at_its_last_weight_and_names_the_others(waiting):
    a = waiting.a
    assert (a.phase, a.group.level) == ("Progressing", "Ready")
    assert (a.weights.canary, a.canary_revision.number) == (20, 2)
    assert (a.blocked_on.kind, a.blocked_on.message) == (
        "group", "ready to promote; waits for b (Progressing: step 2 of 3)",
    )  # fmt: skip
    assert waiting.b.group.level == "Running"


def test_when_all_are_ready_all_are_promoted(waiting):
    waiting.worlds["b"].good()
    waiting.run(60)
    for status in (waiting.a, waiting.b):
        assert (status.phase, status.stable_revision.number) == ("Healthy", 2)


def test_nobody_becomes_stable_before_all_traffic_of_all_has_moved(waiting):
    waiting.worlds["b"].good().accepted = False
    waiting.run(60)
    assert (waiting.a.phase, waiting.a.group.level) == ("Promoting", "Serving")
    assert waiting.a.weights.canary == 100
    assert waiting.a.blocked_on.message == "all traffic has moved; waits for b (Promoting)"
    assert waiting.a.stable_revision.number == 1, "what was stable still stands"
    waiting.worlds["b"].bad()
    waiting.run(3)
    assert waiting.b.rejected[-1].by == "judge"
    assert waiting.a.rejected[-1].by == "group"
    assert waiting.a.weights.canary == 0


@pytest.mark.parametrize("how", ["judge", "person"])
def test_when_one_is_rolled_back_all_are_and_say_why(waiting, how):
    if how == "judge":
        waiting.worlds["b"].bad()
    else:
        waiting.worlds["b"].ask("abort", reason="no")
    waiting.run(5)
    (entry,), (first,) = waiting.a.rejected, waiting.b.rejected
    assert entry.by == "group"
    assert entry.message == f"revision 2 of b, which is of the same group, was rolled back: {first.message}"
    waiting.run(10)
    assert (waiting.a.phase, waiting.b.phase) == ("Degraded", "Degraded")
    for world in waiting.worlds.values():
        assert (world.live_weight(world.hash_of("m/v1")), world.live_weight(world.hash_of("m/v2"))) == (100, 0)


def test_a_deadline_of_one_ends_it_for_all(make_group):
    group = make_group()
    group.worlds["b"].starts = False
    group.worlds["a"].good()
    group.upgrade().run(10)
    group.run(3, seconds=300)
    assert group.b.rejected[-1].by == "deadline"
    group.run(2)
    assert group.a.rejected[-1].by == "group"


def test_it_reaches_those_who_still_go_through_their_steps(make_group):
    group = make_group("a", "b", "c").upgrade().run(10)
    group.worlds["b"].bad()
    group.run(10)
    assert [group.worlds[name].status.phase for name in "abc"] == ["Degraded"] * 3
    assert "revision 2 of b" in group.c.rejected[-1].message


def test_members_that_were_not_changed_hold_nobody_up(make_group):
    group = make_group().upgrade("a")
    group.worlds["a"].good()
    group.run(90)
    assert (group.a.phase, group.a.stable_revision.number) == ("Healthy", 2)
    assert (group.b.phase, group.b.stable_revision.number) == ("Healthy", 1)


def test_one_that_begins_while_somebody_waits_is_waited_for(make_group):
    group = make_group("a", "b", "c").upgrade("a").upgrade("b")
    group.worlds["a"].good()
    group.run(60)
    assert group.a.blocked_on.message == "ready to promote; waits for b (Progressing: step 2 of 3)"
    group.upgrade("c").run(20)
    group.worlds["b"].good()
    group.run(60)
    assert group.a.blocked_on.message == "ready to promote; waits for c (Progressing: step 2 of 3)"
    assert [group.a.stable_revision.number, group.b.stable_revision.number] == [1, 1]
    group.worlds["c"].good()
    group.run(60)
    assert [group.worlds[name].status.stable_revision.number for name in "abc"] == [2, 2, 2]


def test_one_that_begins_after_the_first_has_left_is_a_wave_of_its_own(make_group):
    group = make_group("a", "b", "c").upgrade("a").upgrade("b")
    for name in "ab":
        group.worlds[name].good()
    while group.a.phase != "Promoting":
        group.run(1)
    group.upgrade("c").run(60)
    assert [group.worlds[name].status.stable_revision.number for name in "abc"] == [2, 2, 1]
    assert (group.c.phase, group.worlds["c"].live_weight(group.worlds["c"].hash_of("m/v2"))) == ("Progressing", 20)


def test_with_a_wave_a_member_that_has_not_got_it_is_waited_for(make_group):
    group = make_group(wave="one").upgrade("a")
    group.worlds["a"].good().spec_extra["group"]["wave"] = "two"
    group.run(60)
    assert group.a.blocked_on.message == "ready to promote; waits for b (has wave 'one', not 'two')"
    group.worlds["b"].spec_extra["group"]["wave"] = "two"
    group.worlds["b"].generation += 1
    group.run(60)
    assert (group.a.phase, group.a.stable_revision.number) == ("Healthy", 2), "b has nothing new in this wave"


def test_a_new_wave_tries_again_what_went_back_for_anothers_sake(make_group):
    group = make_group(wave="one").upgrade()
    group.worlds["a"].good()
    group.worlds["b"].bad()
    group.run(60)
    assert (group.a.phase, group.b.phase) == ("Degraded", "Degraded")
    for name in "ab":
        group.worlds[name].spec_extra["group"]["wave"] = "two"
        group.worlds[name].generation += 1
    group.worlds["b"].upgrade("m/v3").good()
    group.run(120)
    assert (group.a.phase, group.a.stable_revision.number) == ("Healthy", 2)
    assert (group.b.phase, group.b.stable_revision.number) == ("Healthy", 3)


class TestNothingWaitsForEver:
    def test_a_person_is_asked_when_another_stands_still(self, waiting):
        waiting.worlds["b"].ask("pause")
        waiting.run(11, seconds=60)
        a = waiting.a
        assert (a.phase, a.blocked_on.kind, a.group.level) == ("Paused", "person", "Ready")
        assert "not all of the group get ready: b (Paused: paused by ada: because)" in a.message
        waiting.worlds["b"].good().ask("resume")
        waiting.run(60)
        assert [waiting.a.phase, waiting.b.phase] == ["Healthy", "Healthy"], "it goes on by itself when all are ready"

    def test_who_moves_is_waited_for_as_long_as_it_moves(self, make_group):
        group = make_group()
        group.worlds["b"].steps = [{"setWeight": 20}, {"pause": {"duration": "1h"}}]
        group.upgrade()
        for world in group.worlds.values():
            world.good()
        group.run(25, seconds=60)
        assert (group.a.phase, group.a.blocked_on.kind) == ("Progressing", "group")

    def test_a_person_may_promote_one_without_the_others(self, waiting):
        waiting.worlds["a"].ask("promote")
        waiting.run(60)
        assert (waiting.a.phase, waiting.a.stable_revision.number) == ("Healthy", 2)
        assert "promoted without its group by ada" in waiting.a.history[-1].message
        waiting.worlds["b"].good()
        waiting.run(60)
        assert waiting.b.phase == "Healthy", "the others do not wait for it any more"

    def test_promote_full_goes_alone_at_once(self, make_group):
        group = make_group().upgrade().run(5)
        group.worlds["a"].ask("promote-full")
        group.run(60)
        assert (group.a.phase, group.b.phase) == ("Healthy", "Progressing")

    def test_one_that_never_takes_its_traffic_is_given_up_with_all(self, waiting):
        waiting.worlds["b"].good()
        while waiting.a.phase != "Promoting":
            waiting.run(1)
        waiting.worlds["b"].invalid = "spec.template: broken"
        waiting.run(12, seconds=60)
        assert waiting.a.phase == "Degraded"
        assert "the group does not come together: b (Invalid)" in waiting.a.rejected[-1].message


class TestWhatIsWrittenWrongly:
    def test_labels_of_its_own(self, make_group):
        group = make_group()
        group.worlds["a"].labels = {}
        group.upgrade("a").run(10)
        assert "release: winter, which this rollout itself does not have" in group.a.message
        assert group.a.canary_revision is None

    def test_a_member_with_another_selector(self, make_group):
        group = make_group()
        group.worlds["b"].spec_extra["group"]["selector"] = {"matchLabels": {"release": "winter", "tier": "x"}}
        group.look_around()
        group.upgrade("a").run(10)
        assert "rollout ml/b has the labels of the group; give it the same spec.group.selector" in group.a.message

    def test_dependence_within_the_group(self, make_group):
        group = make_group()
        group.worlds["a"].spec_extra["dependsOn"] = [{"name": "b"}]
        group.upgrade("a").run(10)
        assert "spec.dependsOn names b, which is of the same group" in group.a.message

    def test_a_shadow_that_promotes_nothing(self, make_world):
        spec = {**make_world().raw_spec(), "strategy": {"shadow": {}}, "group": {"selector": RELEASE}}
        with pytest.raises(ValueError, match="a shadow promotes nothing"):
            RolloutSpec.model_validate(spec)


def test_blue_green_waits_before_the_switch(make_group):
    group = make_group()
    for world in group.worlds.values():
        world.strategy = {"blueGreen": {"prePromotionAnalysis": {"skip": True}}}
    group.run(3).upgrade()
    group.worlds["b"].starts = False
    group.run(60)
    assert (group.a.weights.canary, group.a.group.level) == (0, "Ready")
    group.worlds["b"].ready[group.worlds["b"].hash_of("m/v2")] = 2
    group.run(60)
    assert (group.a.phase, group.b.phase) == ("Healthy", "Healthy")


def test_at_rest_nothing_is_written(make_group):
    group = make_group().upgrade()
    for world in group.worlds.values():
        world.good()
    group.run(120)
    before = (group.a, group.b)
    group.run(20)
    assert (group.a, group.b) == before


NAMES = ("a", "b")
MOVES = st.one_of(
    st.tuples(st.just("step"), st.sampled_from(NAMES), st.sampled_from([1, 6])),
    st.tuples(st.just("look"), st.sampled_from(NAMES), st.just(0)),
    st.tuples(st.just("step"), st.sampled_from(NAMES), st.just(6)),
    st.tuples(st.just("look"), st.sampled_from(NAMES), st.just(0)),
    st.tuples(st.sampled_from(["bad", "good", "lost", "mesh"]), st.sampled_from(NAMES), st.just(1)),
)


@pytest.fixture
def beginnings(make_group):
    """Waves in which each is ready, has all traffic, or has agreed; none knows that the other is as far."""
    group = make_group(*NAMES, steps=[{"setWeight": 50}]).upgrade()
    group.look_around()
    for world in group.worlds.values():
        world.good()
        for _ in range(5):
            world.step(6)
    assert [group.a.group.level, group.b.group.level] == ["Ready", "Ready"]
    further = copy.deepcopy(group)
    further.look_around()
    for world in further.worlds.values():
        for _ in range(3):
            world.step(6)
    assert [further.a.group.level, further.b.group.level] == ["Serving", "Serving"]
    agreed = copy.deepcopy(further)
    agreed.look_around()
    for world in agreed.worlds.values():
        world.step(1)
    assert [agreed.a.group.level, agreed.b.group.level] == ["Agreed", "Agreed"]
    return group, further, agreed


def fates(group):
    """What became of the new revisions."""
    promoted = {name for name, world in group.worlds.items() if world.status.stable_revision.number == 2}
    return promoted, {name for name, world in group.worlds.items() if world.status.rejected}


def play(group, move):
    kind, who, value = move
    world = group.worlds[who]
    match kind:
        case "step":
            world.now = max(each.now for each in group.worlds.values())  # one clock
            world.step(value)
        case "look":
            group.look(who, "b" if who == "a" else "a")
        case "lost":
            status = world.status
            world.step(value)
            world.status = status  # what was done is done, but nobody has read of it
        case "mesh":
            world.accepted = not world.accepted
        case _:
            getattr(world, kind)()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(begin=st.sampled_from([0, 1, 2]), moves=st.lists(MOVES, min_size=5, max_size=40))
def test_whatever_each_has_seen_none_is_promoted_where_another_is_rolled_back(beginnings, begin, moves):
    group = copy.deepcopy(beginnings[begin])
    for move in moves:
        play(group, move)
        promoted, rejected = fates(group)
        assert not (promoted and rejected), move
    for world in group.worlds.values():
        world.accepted = True
    for _ in range(30):
        promoted, rejected = fates(group)
        assert not (promoted and rejected)
        if len(promoted | rejected) == len(NAMES):
            return
        group.run(1, seconds=6)
    pytest.fail(f"they come to no end: {[world.status.message for world in group.worlds.values()]}")
