"""The stories of AnalysisRuns that a rollout makes: in the background, and for a step."""

import pytest
from pydantic import ValidationError

from controller.api.rollout import Intent, RolloutSpec
from controller.rollout.answers import refused

QUERY = {"prometheus": {"query": "vector(1)"}}
ENDING = {"metrics": [{"name": "rate", "interval": "30s", "count": 5, "provider": QUERY}]}
ENDLESS = {"metrics": [{"name": "rate", "interval": "30s", "provider": QUERY}]}
WITH_ARGS = {
    "args": [{"name": "team"}, {"name": "hash"}, {"name": "token"}, {"name": "limit", "value": "3"}],
    "metrics": [{"name": "rate", "provider": QUERY}],
}
NAMED = {"templates": [{"templateName": "rate"}]}
BACK = "background"


@pytest.fixture
def watched(world):
    """A canary at its first weight, with a run in the background that has an end."""
    world.templates = {"rate": ENDING}
    world.spec_extra = {"analysis": NAMED}
    world.serving().upgrade()
    world.run(6)
    return world


@pytest.fixture
def stepped(world):
    """A canary at a step that waits for its run."""
    world.templates = {"rate": ENDING}
    world.steps = [{"setWeight": 20}, {"analysis": NAMED}, {"setWeight": 50}]
    world.serving().upgrade()
    world.run(6)
    assert world.status.current_step_index == 1
    return world


class TestBackground:
    def test_it_begins_with_the_canarys_first_request_and_is_made_once(self, world) -> None:
        world.templates, world.spec_extra = {"rate": ENDING}, {"analysis": NAMED}
        world.serving().upgrade().step()
        assert world.runs == {}
        world.run(6)
        (run,) = world.runs.values()
        assert run["metadata"]["name"] == f"iris-{world.hash_of('m/v2')}-{world.status.attempt}-background"
        assert run["metadata"]["ownerReferences"][0]["uid"] == "u1"
        assert world.decide().actions == ()

    def test_it_begins_with_the_step_that_is_named(self, world) -> None:
        world.templates = {"rate": ENDING}
        world.steps = [{"setWeight": 10}, {"pause": {}}, {"setWeight": 20}, {"pause": {}}]
        world.spec_extra = {"analysis": {**NAMED, "startingStep": 2}}
        world.serving().upgrade().settle()
        assert world.runs == {}
        world.ask("resume")
        assert world.run_of(BACK) is not None

    def test_going_back_within_the_rollback_window_makes_none(self, world) -> None:
        world.spec_extra = {"rollbackWindow": {"revisions": 1}}
        world.serving().upgrade().good().settle()
        world.verdict, world.templates = None, {"rate": ENDING}
        world.spec_extra |= {"analysis": NAMED}
        world.upgrade("m/v1").run(30)
        assert (world.status.phase, world.live_weight(world.hash_of("m/v1"))) == ("Healthy", 100)
        assert world.runs == {}

    def test_a_failed_run_takes_all_traffic_off_and_says_why(self, watched) -> None:
        watched.run_is(BACK, "Failed", "rate: 3 of 5 failed").good().settle()
        rejected = watched.status.rejected[-1]
        assert (watched.status.phase, watched.live_weight(watched.hash_of("m/v2"))) == ("Degraded", 0)
        assert (rejected.by, rejected.reason.message) == ("analysis", rejected.message)
        assert "-background is Failed: rate: 3 of 5 failed" in rejected.message

    def test_a_good_judge_alone_promotes_nothing_while_it_runs(self, watched) -> None:
        watched.run_is(BACK, "Running").good()
        watched.run(700)
        assert (watched.status.phase, watched.status.blocked_on.kind) == ("Progressing", "metric")
        assert "-background is Running" in watched.status.message

    def test_a_successful_run_and_a_good_judge_promote(self, watched) -> None:
        watched.run_is(BACK, "Successful").good().settle()
        assert watched.status.phase == "Healthy"
        assert [run.phase for run in watched.status.analysis.runs] == ["Successful"]

    def test_one_without_end_runs_with_the_promotion_and_is_told_to_end(self, world) -> None:
        world.templates, world.spec_extra = {"rate": ENDLESS}, {"analysis": NAMED}
        world.serving().upgrade().good().settle()
        assert world.status.phase == "Healthy"
        assert world.going() == []

    def test_an_error_asks_a_person_after_the_steps_time_and_rolls_nothing_back(self, watched) -> None:
        watched.run_is(BACK, "Error", "no answer").good()
        watched.run(300)
        assert watched.status.phase == "Progressing"
        watched.run(400)
        assert (watched.status.phase, watched.status.rejected) == ("Paused", ())
        assert "no answer" in watched.status.pause_reason

    def test_an_inconclusive_one_asks_at_once_and_again_before_the_promotion(self, watched) -> None:
        watched.run_is(BACK, "Inconclusive", "between the limits").good().step()
        assert (watched.status.phase, "say pass or fail" in watched.status.message) == ("Paused", True)
        watched.ask("pass")
        watched.run(700)
        assert watched.status.phase == "Paused"
        assert watched.status.current_step_index == watched.status.step_count
        watched.ask("pass")
        watched.settle()
        assert watched.status.phase == "Healthy"

    def test_a_person_fails_an_inconclusive_one(self, watched) -> None:
        watched.run_is(BACK, "Inconclusive").step()
        watched.ask("fail", by="ada")
        watched.settle()
        assert (watched.status.phase, watched.status.rejected[-1].by) == ("Degraded", "ada")

    def test_blue_green_waits_for_it_after_the_switch(self, make_world) -> None:
        strategy = {"blueGreen": {"prePromotionAnalysis": {"skip": True}}}
        world = make_world(strategy=strategy, templates={"rate": ENDING}, spec_extra={"analysis": NAMED})
        world.serving().upgrade()
        world.run(20)
        assert (world.status.phase, world.live_weight(world.hash_of("m/v2"))) == ("Progressing", 100)
        world.run_is(BACK, "Failed").settle()
        assert world.live_weight(world.hash_of("m/v1")) == 100

    def test_promote_full_does_without(self, watched) -> None:
        watched.ask("promote-full")
        assert watched.going() == []
        watched.run_is(BACK, "Failed").settle()
        assert watched.status.phase == "Healthy"


class TestStep:
    def test_it_waits_for_its_run_and_goes_on_when_it_is_successful(self, stepped) -> None:
        stepped.good()
        stepped.run(30)
        assert stepped.status.current_step_index == 1
        assert "-step-2 is Pending" in stepped.status.message
        stepped.run_is("step-2", "Successful").settle()
        assert stepped.status.phase == "Healthy"

    def test_the_judge_goes_on_and_a_bad_verdict_rolls_back(self, stepped) -> None:
        stepped.bad().settle()
        assert (stepped.status.phase, stepped.status.rejected[-1].by) == ("Degraded", "judge")
        assert stepped.going() == []

    def test_its_failure_rolls_back(self, stepped) -> None:
        stepped.run_is("step-2", "Failed").settle()
        assert (stepped.status.phase, stepped.status.rejected[-1].by) == ("Degraded", "analysis")

    def test_without_an_end_in_the_longest_time_a_person_is_asked(self, world) -> None:
        world.templates = {"rate": ENDING}
        world.steps = [{"setWeight": 20}, {"analysis": {**NAMED, "maxDuration": "60s"}}]
        world.serving().upgrade().good()
        world.run(50)
        assert world.status.phase == "Progressing"
        world.run(40)
        assert (world.status.phase, "no verdict in time" in world.status.pause_reason) == ("Paused", True)

    def test_a_skipped_steps_run_is_told_to_end_and_heard_no_more(self, stepped) -> None:
        name = stepped.run_of("step-2")["metadata"]["name"]
        stepped.ask("skip")
        stepped.runs[name]["status"] = {"phase": "Failed"}
        stepped.good().settle()
        assert (stepped.runs[name]["spec"]["terminate"], stepped.status.phase) == (True, "Healthy")

    def test_a_crash_between_the_run_and_the_status_leaves_the_run_to_its_step(self, world) -> None:
        world.templates = {"rate": ENDING}
        world.steps = [{"setWeight": 20}, {"analysis": NAMED}]
        world.serving().upgrade()
        before = world.status
        while world.status.current_step_index == 0:
            before = world.status
            world.step(1)
        world.status = before
        world.run(5)
        assert (world.status.current_step_index, len(world.runs)) == (1, 1)
        assert world.going() == [world.run_of("step-2")]

    def test_a_retry_has_a_run_of_its_own(self, stepped) -> None:
        stepped.run_is("step-2", "Failed").settle()
        stepped.ask("retry")
        stepped.run(6)
        stepped.run_is("step-2", "Successful").good().settle()
        assert (len(stepped.runs), stepped.status.phase) == (2, "Healthy")

    def test_blue_green_before_the_switch(self, make_world) -> None:
        world = make_world(strategy={"blueGreen": {"prePromotionAnalysis": NAMED}}, templates={"rate": ENDING})
        world.serving().upgrade().good()
        world.run(30)
        role = f"step-{world.status.current_step_index + 1}"
        assert world.live_weight(world.hash_of("m/v1")) == 100
        world.run_is(role, "Successful").settle()
        assert (world.status.phase, world.live_weight(world.hash_of("m/v2"))) == ("Healthy", 100)

    def test_an_interval_without_count_is_refused(self, world) -> None:
        world.templates, world.steps = {"rate": ENDLESS}, [{"setWeight": 20}, {"analysis": NAMED}]
        world.serving().upgrade()
        world.run(5)
        assert "no count" in world.status.blocked_on.message


class TestMaking:
    def test_a_missing_template_holds_the_canary_without_traffic_until_it_comes(self, world) -> None:
        world.spec_extra = {"analysis": NAMED}
        world.serving().upgrade().good()
        world.run(700)
        assert (world.status.blocked_on.kind, world.status.phase) == ("error", "Progressing")
        assert "there is no AnalysisTemplate 'rate'" in world.status.message
        assert world.live_weight(world.hash_of("m/v2")) == 0
        world.templates["rate"] = ENDLESS
        world.settle()
        assert world.status.phase == "Healthy"

    def test_arguments_are_fields_of_the_rollout_and_hashes_and_secrets_stay(self, world) -> None:
        world.templates, world.labels = {"rate": WITH_ARGS}, {"org/team": "red"}
        secret = {"secretKeyRef": {"name": "login", "key": "token"}}
        args = [
            {"name": "team", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['org/team']"}}},
            {"name": "hash", "valueFrom": {"podTemplateHashValue": "Latest"}},
            {"name": "token", "valueFrom": secret},
        ]
        world.spec_extra = {"analysis": {**NAMED, "args": args}}
        world.serving().upgrade()
        world.run(6)
        assert world.run_of(BACK)["spec"]["args"] == [
            {"name": "team", "value": "red"},
            {"name": "hash", "value": world.hash_of("m/v2")},
            {"name": "token", "valueFrom": secret},
            {"name": "limit", "value": "3"},
        ]

    @pytest.mark.parametrize(
        ("args", "said"),
        [
            ([], "argument 'team' has no value"),
            ([{"name": "team", "valueFrom": {"fieldRef": {"fieldPath": "spec.nothing"}}}], "no field 'spec.nothing'"),
            ([{"name": "team", "valueFrom": {"fieldRef": {"fieldPath": "spec.template"}}}], "no text or number"),
            ([{"name": "team", "valueFrom": {"fieldRef": {"fieldPath": "spec[*]"}}}], "is no path"),
        ],
    )
    def test_an_argument_without_a_value_is_named(self, world, args: list, said: str) -> None:
        one = {"args": [{"name": "team"}], "metrics": [{"name": "rate", "provider": QUERY}]}
        world.templates, world.spec_extra = {"rate": one}, {"analysis": {**NAMED, "args": args} if args else NAMED}
        world.serving().upgrade()
        world.run(3)
        assert world.status.blocked_on.kind == "error"
        assert said in world.status.blocked_on.message

    def test_only_so_many_finished_runs_are_kept_and_the_oldest_go(self, stepped) -> None:
        stepped.spec_extra = {"analysis": {"unsuccessfulRunHistoryLimit": 2}}
        for _ in range(4):
            stepped.run_is("step-2", "Failed").settle()
            stepped.ask("retry")
            stepped.run(6)
        stepped.ask("abort")
        attempts = [run["metadata"]["labels"]["rollouts.seldon.io/attempt"] for run in stepped.runs.values()]
        assert [int(each) for each in attempts] == [stepped.status.attempt - back for back in (2, 1, 0)]

    def test_a_superseded_revisions_run_ends(self, watched) -> None:
        old = watched.run_of(BACK)
        watched.upgrade("m/v3")
        watched.run(6)
        assert old["spec"]["terminate"] is True
        assert watched.going() == [watched.run_of(BACK)]

    def test_pass_is_refused_while_a_run_goes_on_elsewhere(self, watched) -> None:
        watched.status = watched.status.model_copy(update={"current_step_index": 0})
        said = refused(watched.observe(), watched.status, Intent(id="1", verb="pass"))
        assert "no analysis is waited for" in said


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"analysis": {"args": [{"name": "a", "value": "b"}]}}, "args without templates"),
        ({"analysis": {"startingStep": 0}}, "startingStep without templates"),
        ({"analysis": {**NAMED, "startingStep": 9}}, "the last step is 5"),
        ({"analysis": {**NAMED, "startingStep": 0}, "strategy": {"shadow": {}}}, "counts the steps of a canary"),
        ({"strategy": {"blueGreen": {"prePromotionAnalysis": {"skip": True, **NAMED}}}}, "skip and templates"),
        ({"analysis": {**NAMED, "args": [{"name": "a"}, {"name": "a"}]}}, "argument 'a' is given twice"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(extra: dict, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        RolloutSpec.model_validate({"template": {"spec": {}}, **extra})
