"""No verdict in time: where requests are few there is more time once, then a person is asked. Never a promotion."""

from controller.api.rollout import AnalysisStatus

UNDECIDED = AnalysisStatus(verdict="Inconclusive", message="failed requests: about 1,200 more requests")


def waiting(world, requests: int):
    """A canary at 20 percent whose judge wants more; so many requests are counted in the last window."""
    world.steps = [{"setWeight": 20}, {"analysis": {"maxDuration": "5m"}}, {"setWeight": 50}]
    world.requests = requests
    world.serving().upgrade()
    world.verdict = UNDECIDED
    world.run(320)
    return world


def test_a_canary_with_few_requests_gets_its_time_once_more(world) -> None:
    waiting(world, 100)
    extended = [entry for entry in world.status.history if entry.type == "Extended"]
    assert (world.status.phase, world.status.step_extended, len(extended)) == ("Progressing", True, 1)
    assert "about 1,200 more requests; the canary gets 0.1 requests a second, so the step has 5m more" in (
        extended[0].message
    )


def test_after_the_extension_a_person_is_asked_and_told_what_is_missing(world) -> None:
    waiting(world, 100).run(300)
    assert (world.status.phase, world.live_weight(world.hash_of("m/v2"))) == ("Paused", 20)
    assert "give it more weight" in world.status.pause_reason


def test_a_verdict_within_the_extension_goes_on(world) -> None:
    waiting(world, 100).good().run(100)
    assert world.status.phase == "Healthy"


def test_a_canary_with_many_requests_is_not_waited_for_longer(world) -> None:
    assert waiting(world, 100_000).status.phase == "Paused"


def test_each_step_may_be_extended(world) -> None:
    world.steps = [{"setWeight": 20}, {"analysis": {"maxDuration": "5m"}}, {"analysis": {"maxDuration": "5m"}}]
    world.requests = 100
    world.serving().upgrade()
    world.verdict = UNDECIDED
    world.run(320)
    world.ask("skip")
    assert not world.status.step_extended
    world.run(320)
    assert (world.status.phase, world.status.step_extended) == ("Progressing", True)


def test_a_revision_whose_steps_are_cut_before_it_had_a_request_is_a_persons_at_once(world) -> None:
    world.steps = [{"pause": {"duration": "1h"}}, {"setWeight": 20}]
    world.serving().upgrade().step()
    world.steps = [{"pause": {"duration": "10s"}}]
    world.run(15)
    assert (world.status.phase, world.status.blocked_on.kind) == ("Paused", "person")
    assert "the new revision has had no requests to be judged by: promote it, or abort" in world.status.message


def test_it_goes_on_where_steps_are_given_again(world) -> None:
    world.steps = [{"pause": {"duration": "10s"}}]
    world.serving().upgrade().run(15)
    world.steps = [{"pause": {"duration": "10s"}}, {"setWeight": 20}, {"setWeight": 40}]
    world.ask("resume")
    world.good().run(20)
    assert world.status.phase == "Healthy"


def test_who_resumes_has_the_verdict_waited_for_as_long_again(world) -> None:
    waiting(world, 10_000_000).run(3600)
    world.ask("resume")
    assert world.status.phase == "Progressing"
    world.run(290)
    assert world.status.phase == "Progressing"
    world.run(20)
    assert world.status.phase == "Paused"
    world.ask("resume")
    world.good().run(100)
    assert world.status.phase == "Healthy"


def test_what_a_canary_has_stood_before_the_pause_counts_for_the_least_time(world) -> None:
    world.steps = [{"setWeight": 20}, {"analysis": {"minDuration": "4m", "maxDuration": "5m"}}, {"pause": {}}]
    world.requests = 100_000
    world.serving().upgrade()
    world.verdict = UNDECIDED
    world.run(320)
    world.ask("resume")
    world.good().step(1)
    assert (world.status.phase, world.status.current_step_index) == ("Paused", 2)
