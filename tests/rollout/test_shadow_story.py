"""The stories of a shadow: copies only, a report, and what comes after."""

import pytest


def shadow(**more):
    return {"shadow": {"percentage": 100, **more}}


def weights(world):
    return [part["weight"] for part in world.route["spec"]["http"][-2]["route"]]


@pytest.fixture
def shadowed(world):
    """A world with v1 serving and v2 asked for as a shadow until the judge has enough."""
    world.strategy = shadow()
    world.serving().upgrade()
    return world


def test_a_shadow_gets_copies_and_no_user(shadowed) -> None:
    shadowed.run(10)
    assert (weights(shadowed), shadowed.copies(shadowed.hash_of("m/v2"))) == ([100], 100)
    assert shadowed.status.phase == "Progressing"


def test_a_good_verdict_ends_the_shadow_with_its_report_and_its_pods_go(shadowed) -> None:
    shadowed.run(10)
    shadowed.good().settle()
    report = shadowed.status.shadow
    assert (shadowed.status.phase, report.verdict, report.number, report.percentage) == ("Shadowed", "Good", 2, 100)
    assert report.started_at < report.ended_at
    shadowed.run(60)
    assert set(shadowed.children) == {shadowed.hash_of("m/v1")}
    assert shadowed.copies(shadowed.hash_of("m/v2")) == 0


def test_a_shadow_that_is_over_is_not_begun_again_by_itself(shadowed) -> None:
    shadowed.run(10)
    shadowed.good().settle()
    shadowed.run(600)
    assert (shadowed.status.phase, len(shadowed.children)) == ("Shadowed", 1)


def test_a_bad_verdict_ends_the_shadow_at_once_and_rejects_the_revision(shadowed) -> None:
    shadowed.run(10)
    shadowed.bad().step()
    assert shadowed.copies(shadowed.hash_of("m/v2")) == 0
    shadowed.settle()
    assert (shadowed.status.phase, shadowed.status.shadow.verdict) == ("Degraded", "Bad")
    assert shadowed.status.rejected[-1].number == 2


def test_without_enough_evidence_the_shadow_ends_inconclusive_and_never_promotes(shadowed) -> None:
    shadowed.strategy = shadow(untilVerdict={"maxDuration": "2m"})
    shadowed.run(130)
    assert (shadowed.status.phase, shadowed.status.shadow.verdict) == ("Shadowed", "NoData")
    assert shadowed.status.stable_revision.number == 1


def test_a_shadow_with_a_duration_lasts_that_long_however_good_it_is(shadowed) -> None:
    shadowed.strategy = shadow(duration="5m")
    shadowed.good().run(250)
    assert shadowed.status.phase == "Progressing"
    shadowed.run(70)
    assert shadowed.status.phase == "Shadowed"


def test_a_shadow_goes_on_into_its_steps_with_a_comparison_of_their_own(shadowed) -> None:
    shadowed.strategy = shadow(then={"steps": [{"setWeight": 30}, {"analysis": {"minDuration": "1m"}}]})
    shadowed.run(10)
    copied_since = shadowed.status.analysis.started_at
    shadowed.good().run(20)
    assert (weights(shadowed), shadowed.status.shadow.verdict) == ([70, 30], "Good")
    assert shadowed.status.analysis.started_at > copied_since
    shadowed.settle()
    shadowed.run(90)
    assert (shadowed.status.phase, shadowed.status.stable_revision.number) == ("Healthy", 2)


def test_without_a_verdict_no_shadow_goes_on_to_users_by_itself(shadowed) -> None:
    shadowed.strategy = shadow(untilVerdict={"maxDuration": "1m"}, then={"steps": [{"setWeight": 30}]})
    shadowed.run(90)
    assert (shadowed.status.phase, weights(shadowed)) == ("Paused", [100])


def test_a_shadow_that_is_over_is_released_by_another_strategy(shadowed) -> None:
    shadowed.run(10)
    shadowed.good().settle()
    shadowed.strategy = None
    shadowed.settle()
    assert (shadowed.status.phase, shadowed.status.stable_revision.number) == ("Healthy", 2)


def test_a_shadow_that_is_over_is_begun_again_by_retry(shadowed) -> None:
    shadowed.run(10)
    shadowed.good().settle()
    shadowed.verdict = None
    shadowed.ask("retry")
    assert shadowed.status.phase == "Progressing"


def test_going_back_to_stables_template_leaves_the_shadow_behind(shadowed) -> None:
    shadowed.run(10)
    shadowed.good().settle()
    shadowed.upgrade("m/v1").settle()
    assert (shadowed.status.phase, weights(shadowed)) == ("Healthy", [100])


def test_a_shadow_is_never_promoted_in_full(shadowed) -> None:
    shadowed.run(10)
    shadowed.ask("promote-full")
    assert shadowed.status.last_intent.outcome == "refused"
    assert weights(shadowed) == [100]


def test_changing_the_strategy_half_way_starts_again_against_stable(shadowed) -> None:
    shadowed.run(10)
    shadowed.strategy = {"canary": {"steps": [{"setWeight": 40}, {"pause": {}}]}}
    shadowed.run(10)
    assert (weights(shadowed), shadowed.copies(shadowed.hash_of("m/v2"))) == ([60, 40], 0)
    assert any("the strategy is canary now" in said.message for said in shadowed.said)
