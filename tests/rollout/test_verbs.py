"""What people may ask for beside going on: back to an earlier revision, other pods, a word in the judge's place."""

from datetime import timedelta

import pytest

from controller.api.meta import RESTARTED_ANNOTATION
from controller.api.rollout import AnalysisStatus
from controller.rollout import revisions
from controller.rollout.intents import parse_intent
from controller.rollout.phases import Phase, legal


@pytest.fixture
def third(world):
    """A world in which v1, v2 and v3 were stable in turn; v3 is the template's."""
    world.serving()
    for image in ("m/v2", "m/v3"):
        world.upgrade(image).good().settle()
    world.run(60)
    world.verdict = None
    return world


class TestRollback:
    def test_an_earlier_revision_takes_over_by_its_steps_and_no_spec_is_written(self, third) -> None:
        third.ask("rollback", revision=1)
        third.run(10)
        assert third.live_weight(third.hash_of("m/v1")) == 20
        third.good().settle()
        assert (third.status.phase, third.image) == ("Healthy", "m/v3")
        assert third.status.stable_revision.number == 1
        assert third.status.pinned.instead_of == third.hash_of("m/v3")
        assert "pinned by ada in the place of the template: because" in third.status.message

    def test_within_the_window_it_takes_all_traffic_in_one_write(self, third) -> None:
        third.spec_extra = {"rollbackWindow": {"revisions": 1}}
        third.ask("rollback", revision=2)
        seen = set()
        for _ in range(15):
            third.step(1)
            seen.add(third.live_weight(third.hash_of("m/v2")))
        assert (seen <= {0, 100}, third.status.phase) == (True, "Healthy")

    def test_within_the_window_even_a_shadow_strategy_goes_back(self, third) -> None:
        third.spec_extra, third.strategy = {"rollbackWindow": {"revisions": 1}}, {"shadow": {}}
        third.ask("rollback", revision=2)
        third.settle()
        assert (third.status.phase, third.status.stable_revision.number) == ("Healthy", 2)

    def test_who_and_why_stand_in_the_history_and_in_the_answer(self, third) -> None:
        third.ask("rollback", by="grace", reason="latency at night", revision=2)
        assert third.status.last_intent.outcome == "done"
        assert (third.status.pinned.by, third.status.pinned.reason) == ("grace", "latency at night")
        assert any(
            e.type == "RollbackBegun" and "by grace: latency at night" in e.message for e in third.status.history
        )

    def test_another_template_ends_the_pin(self, third) -> None:
        third.ask("rollback", revision=2)
        third.good().settle()
        third.upgrade("m/v4").good().settle()
        assert (third.status.stable_revision.number, third.status.pinned) == (4, None)

    def test_a_retry_goes_back_to_the_template(self, third) -> None:
        third.ask("rollback", revision=2)
        third.good().settle()
        third.ask("retry")
        third.settle()
        assert (third.status.stable_revision.number, third.status.pinned) == (3, None)

    def test_a_pin_outlives_restarts_and_time(self, third) -> None:
        third.ask("rollback", revision=2)
        third.good().settle()
        third.now = third.now.replace(year=third.now.year + 1)
        third.settle()
        assert third.status.stable_revision.number == 2

    def test_one_that_turns_out_bad_is_rejected_and_the_template_serves(self, third) -> None:
        third.ask("rollback", revision=1)
        third.run(10)
        third.bad().settle()
        assert (third.status.phase, third.status.stable_revision.number) == ("Healthy", 3)
        assert (third.status.rejected[-1].number, third.status.pinned) == (1, None)

    def test_in_the_midst_of_another_rollout_that_one_is_drained(self, third) -> None:
        third.upgrade("m/v4").run(10)
        assert third.live_weight(third.hash_of("m/v4")) == 20
        third.ask("rollback", revision=1)
        third.good().settle()
        third.run(60)
        assert third.status.stable_revision.number == 1
        assert set(third.children) == {third.hash_of("m/v1")}

    def test_a_rejected_pin_is_held_where_the_template_was_never_stable(self, third) -> None:
        third.upgrade("m/v4").run(10)
        third.ask("rollback", revision=1)
        third.bad().settle()
        assert (third.status.phase, third.status.stable_revision.number) == ("Degraded", 3)
        third.verdict = None
        third.ask("retry")
        assert third.status.canary_revision.number == 4

    @pytest.mark.parametrize(
        ("number", "said"),
        [
            (None, "needs the number of a revision; there are 1, 2, 3"),
            (9, "revision 9 is not in the history"),
            (3, "revision 3 is stable already"),
        ],
    )
    def test_what_cannot_be_gone_back_to_is_answered(self, third, number, said) -> None:
        third.ask("rollback", revision=number)
        assert third.status.last_intent.outcome == "refused"
        assert said in third.status.last_intent.message
        assert (third.status.phase, third.status.pinned) == ("Healthy", None)

    def test_what_was_rejected_is_not_gone_back_to(self, third) -> None:
        third.upgrade("m/v4").run(10)
        third.bad().settle()
        third.verdict = None
        third.ask("rollback", revision=4)
        assert "revision 4 was rejected" in third.status.last_intent.message

    def test_what_the_history_dropped_is_not_there_any_more(self, third) -> None:
        third.spec_extra = {"revisionHistoryLimit": 0}
        third.settle()
        third.ask("rollback", revision=1)
        assert third.status.last_intent.message == "revision 1 is not in the history (any more); there are 3"


class TestRestart:
    def stamps(self, world) -> dict[str, str]:
        return {
            digest: child["spec"]["predictors"][0].get("annotations", {}).get(RESTARTED_ANNOTATION, "")
            for digest, child in world.children.items()
        }

    def test_stable_and_canary_get_other_pods_and_keep_their_revisions(self, world) -> None:
        world.serving().upgrade().run(8)
        before = set(world.children)
        world.ask("restart", by="ada", reason="leak")
        assert set(self.stamps(world).values()) == {f"{world.now:%Y-%m-%dT%H:%M:%SZ}"}
        assert (set(world.children), world.status.phase) == (before, "Progressing")
        assert "revision 1 and 2 are replaced, as asked by ada: leak" in world.status.history[-1].message

    def test_the_annotation_is_no_part_of_the_revision_and_stays(self, world) -> None:
        world.serving()
        world.ask("restart")
        stamp = self.stamps(world)
        world.run(300)
        (child,) = world.children.values()
        assert self.stamps(world) == stamp
        assert revisions.template_hash({"spec": child["spec"]}) == revisions.template_hash(world.template())

    def test_a_lost_status_does_not_restart_them_again(self, world) -> None:
        from controller.api.rollout import RolloutStatus

        world.serving()
        world.ask("restart")
        stamp, world.status, world.intent = self.stamps(world), RolloutStatus(), None
        world.settle()
        world.upgrade("m/v1").settle()
        assert self.stamps(world) == stamp

    @pytest.mark.parametrize("phase", list(Phase))
    def test_it_is_legal_wherever_there_are_pods(self, phase) -> None:
        from controller.rollout.phases import Event

        assert legal(phase, Event.RESTART)

    def test_a_restarted_canary_keeps_its_weight_until_its_pods_are_back(self, world) -> None:
        world.serving().upgrade().run(8)
        world.ask("restart")
        world.ready[world.hash_of("m/v2")] = 1
        world.good().run(30)
        assert world.live_weight(world.hash_of("m/v2")) == 20
        world.ready[world.hash_of("m/v2")] = 2
        world.settle()
        assert world.status.phase == "Healthy"


@pytest.mark.parametrize(
    ("before", "verb", "type_", "told"),
    [
        ((), "skip", "StepCompleted", "skipped by ada: because"),
        ((), "promote", "StepCompleted", "skipped by ada: because"),
        ((), "promote-full", "Promoting", "promoted by ada: because"),
        (("pause",), "resume", "Resumed", "resumed by ada: because"),
        (("abort",), "retry", "Retried", "retried by ada: because"),
    ],
)
def test_each_verb_stands_in_the_history_with_who_and_why(world, before, verb, type_, told) -> None:
    world.steps = [{"setWeight": 20}, {"pause": {"duration": "10m"}}]
    world.serving().upgrade().run(30)
    for earlier in before:
        world.ask(earlier)
        world.run(10)
    world.ask(verb)
    assert any(entry.type == type_ and told in entry.message for entry in world.status.history)


def inconclusive(world):
    world.verdict = AnalysisStatus(verdict="Inconclusive", message="not enough requests")
    return world


class TestPassAndFail:
    def test_a_pass_counts_as_good_once(self, world) -> None:
        world.steps = [{"setWeight": 20}, {"analysis": {}}, {"setWeight": 40}, {"analysis": {}}]
        inconclusive(world.serving().upgrade()).run(1300)
        assert world.status.phase == "Paused"
        world.ask("pass", by="grace", reason="looked at the figures")
        world.run(20)
        assert (world.status.phase, world.status.current_step_index) == ("Progressing", 3)
        assert world.status.passed is None
        assert any("passed by grace: looked at the figures" in e.message for e in world.status.history)

    def test_a_pass_at_the_end_promotes_and_says_who(self, world) -> None:
        world.steps = [{"setWeight": 50}]
        inconclusive(world.serving().upgrade()).run(1300)
        world.ask("pass", by="grace")
        world.settle()
        assert world.status.phase == "Healthy"
        assert "its analysis was passed by grace" in world.status.history[-1].message

    def test_a_pass_before_the_time_is_over_is_heard_too_and_stands_in_the_status(self, world) -> None:
        world.steps = [{"setWeight": 20}, {"analysis": {"minDuration": "5m"}}]
        inconclusive(world.serving().upgrade()).run(20)
        world.ask("pass", by="grace")
        assert (world.status.passed.by, world.status.current_step_index) == ("grace", 1)
        world.run(310)
        assert world.status.current_step_index == 2

    def test_what_the_judge_finds_bad_later_is_rolled_back_all_the_same(self, world) -> None:
        world.steps = [{"setWeight": 20}, {"analysis": {"minDuration": "5m"}}]
        inconclusive(world.serving().upgrade()).run(20)
        world.ask("pass")
        world.bad().settle()
        assert world.status.phase == "Degraded"

    def test_a_fail_rolls_back_and_says_who_and_with_which_figures(self, world) -> None:
        inconclusive(world.serving().upgrade()).run(20)
        world.ask("fail", by="grace", reason="wrong answers")
        world.settle()
        rejected = world.status.rejected[-1]
        assert (world.status.phase, rejected.by) == ("Degraded", "grace")
        assert rejected.message == "the analysis was failed by grace: wrong answers"
        assert rejected.reason.metric == "analysis"

    @pytest.mark.parametrize(
        ("steps", "verb", "said"),
        [
            ([{"setWeight": 20}, {"pause": {}}], "pass", "no analysis is waited for at this step"),
            ([{"gate": {"approval": {"name": "x"}}}], "fail", "nothing is judged yet"),
        ],
    )
    def test_where_nothing_is_analysed_they_are_answered(self, world, steps, verb, said) -> None:
        world.steps = steps
        world.serving().upgrade().settle()
        world.ask(verb)
        assert said in world.status.last_intent.message

    def test_a_persons_pause_is_not_ended_by_a_pass(self, world) -> None:
        inconclusive(world.serving().upgrade()).run(20)
        world.ask("pause", by="ada")
        world.ask("pass", by="grace")
        assert world.status.last_intent.message == "the rollout was paused by ada; resume it first"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("[]", "not an object"),
        ('{"verb": "abort"}', "no id"),
        ('{"id": "7", "verb": "explode"}', "verb 'explode' is not one of abort"),
        ('{"id": "7", "verb": "rollback", "revision": 0}', "revision 0 is no number of a revision"),
        ('{"id": "7", "verb": "rollback", "revision": "2"}', "revision '2' is no number of a revision"),
    ],
)
def test_an_intent_that_cannot_be_read_is_answered_once(world, text: str, said: str) -> None:
    world.serving()
    world.intent = parse_intent(text)
    world.step()
    assert (world.status.last_intent.outcome, said in world.status.last_intent.message) == ("refused", True)
    told = len(world.said)
    world.run(3)
    assert len(world.said) == told


class TestAnInvalidSpec:
    @pytest.mark.parametrize("verb", ["abort", "fail"])
    def test_of_a_first_revision_leaves_nothing_to_go_back_to(self, world, verb) -> None:
        world.starts = False
        world.step()
        world.invalid = "spec.x: no"
        world.step()
        world.ask(verb)
        assert (world.status.phase, world.status.last_intent.outcome) == ("Invalid", "refused")
        assert "first revision" in world.status.last_intent.message
        world.invalid, world.starts = "", True
        world.now += timedelta(hours=1)
        world.settle()
        world.ready = dict.fromkeys(world.ready, 2)
        world.settle()
        assert world.status.phase == "Healthy"

    def test_at_rest_has_nothing_to_abort(self, world) -> None:
        world.serving().invalid = "spec.x: no"
        world.step()
        world.ask("abort")
        assert world.status.last_intent.outcome == "refused"
        world.invalid = ""
        world.settle()
        assert world.status.phase == "Healthy"
