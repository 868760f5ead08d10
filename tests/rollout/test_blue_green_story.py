"""The stories of blue-green: a preview, one switch, a way back."""

import pytest


def blue_green(**more):
    return {"blueGreen": more}


SKIP = {"prePromotionAnalysis": {"skip": True}}


@pytest.fixture
def green(world):
    """A world with v1 serving; the strategy is blue-green."""
    world.strategy = blue_green()
    return world.serving()


def shares(world):
    routes = {http["name"]: http["route"] for http in world.route["spec"]["http"]}
    return [part["weight"] for part in routes["rest"]]


def live(world, image: str) -> int:
    return world.live_weight(world.hash_of(image))


def test_the_switch_is_one_write_after_a_good_verdict_on_copies(green) -> None:
    seen = set()
    green.upgrade()
    for _ in range(10):
        green.step(1)
        seen.add(live(green, "m/v2"))
    assert (seen, green.copies(green.hash_of("m/v2"))) == ({0}, 100)
    green.good()
    for _ in range(30):
        green.step(1)
        seen.add(live(green, "m/v2"))
    assert (seen, green.status.phase) == ({0, 100}, "Healthy")


def test_without_a_verdict_on_copies_nothing_is_switched(green) -> None:
    green.upgrade().run(700)
    assert (green.status.phase, live(green, "m/v2")) == ("Paused", 0)


def test_a_bad_verdict_on_copies_ends_it_before_any_user_saw_it(green) -> None:
    green.upgrade().run(10)
    green.bad().settle()
    assert (green.status.phase, live(green, "m/v2")) == ("Degraded", 0)


def test_the_preview_header_leads_to_the_new_revision_until_the_switch(green) -> None:
    header = {"name": "X-Preview", "value": "yes"}
    green.strategy = blue_green(previewHeader=header, autoPromotionEnabled=False, **SKIP)
    green.upgrade().settle()
    (rest, grpc) = green.special().values()
    assert rest["match"][0]["headers"] == {"x-preview": {"exact": "yes"}}
    assert grpc["match"][0]["headers"]["x-preview"] == {"exact": "yes"}
    assert green.host(green.hash_of("m/v2")) == rest["route"][0]["destination"]["host"]
    assert (green.status.phase, shares(green)) == ("Paused", [100])
    assert green.status.canary_revision.path == f"/seldon/ml/iris-{green.hash_of('m/v2')}/"
    green.ask("promote")
    green.settle()
    assert (green.status.phase, green.special(), live(green, "m/v2")) == ("Healthy", {}, 100)


def test_a_preview_without_ready_pods_gets_no_request_by_header(green) -> None:
    green.strategy = blue_green(previewHeader={}, autoPromotionEnabled=False, **SKIP)
    green.upgrade().settle()
    green.ready[green.hash_of("m/v2")] = 0
    green.step(1)
    assert green.special() == {}
    green.ready[green.hash_of("m/v2")] = 2
    green.step(1)
    assert green.special() != {}


def test_a_preview_route_that_somebody_wiped_is_healed(green) -> None:
    green.strategy = blue_green(previewHeader={}, autoPromotionEnabled=False, **SKIP)
    green.upgrade().settle()
    green.route["spec"]["http"] = green.route["spec"]["http"][-2:]
    green.step(1)
    assert len(green.special()) == 2


def test_a_small_preview_has_all_its_pods_before_the_switch(green) -> None:
    green.strategy = blue_green(previewReplicas=1, autoPromotionEnabled=False, **SKIP)
    green.upgrade().settle()
    assert green.pods("m/v2") == 1
    green.starts = False
    green.ask("promote")
    green.run(5)
    assert (green.pods("m/v2"), live(green, "m/v2")) == (2, 0)
    green.ready[green.hash_of("m/v2")] = 2
    green.settle()
    assert (green.status.phase, live(green, "m/v2")) == ("Healthy", 100)


def test_promote_full_of_a_small_preview_scales_it_first(green) -> None:
    green.strategy = blue_green(previewReplicas=1, autoPromotionEnabled=False, **SKIP)
    green.upgrade().settle()
    green.starts = False
    green.ask("promote-full")
    green.run(3)
    assert (green.pods("m/v2"), live(green, "m/v2")) == (2, 0)


def test_a_rejected_small_preview_is_not_scaled_up_on_its_way_out(green) -> None:
    green.strategy = blue_green(previewReplicas=1)
    green.upgrade().run(10)
    green.bad().run(5)
    assert (green.status.phase, green.pods("m/v2")) == ("Degraded", 1)


def test_promotion_by_itself_waits_for_its_delay(green) -> None:
    green.strategy = blue_green(autoPromotionSeconds=60, **SKIP)
    green.upgrade().run(50)
    assert live(green, "m/v2") == 0
    assert "pausing for 1m" in green.status.message
    green.run(30)
    assert live(green, "m/v2") == 100


def post(**more):
    return blue_green(postPromotionAnalysis=more, **SKIP)


def test_after_the_switch_stable_gets_copies_and_stands_until_the_verdict(green) -> None:
    green.strategy = post()
    green.upgrade().run(30)
    assert (live(green, "m/v2"), green.copies(green.hash_of("m/v1"))) == (100, 100)
    assert (green.status.stable_revision.number, green.status.phase) == (1, "Progressing")
    green.good().settle()
    assert (green.status.stable_revision.number, green.copies(green.hash_of("m/v1"))) == (2, 0)


def test_a_bad_verdict_after_the_switch_switches_back_in_one_write(green) -> None:
    green.strategy = post()
    green.upgrade().run(30)
    green.bad().step()
    assert (live(green, "m/v1"), live(green, "m/v2"), shares(green)) == (100, 0, [100])
    green.settle()
    assert green.status.phase == "Degraded"


def test_no_verdict_after_the_switch_asks_a_person_and_keeps_the_way_back(green) -> None:
    green.strategy = post(maxDuration="1m")
    green.upgrade().run(120)
    assert (green.status.phase, len(green.children)) == ("Paused", 2)
    green.ask("abort")
    assert live(green, "m/v1") == 100


def test_an_invalid_spec_after_the_switch_does_not_promote(green) -> None:
    green.strategy = post()
    green.upgrade().run(30)
    green.invalid = "spec.x: no"
    green.run(3)
    green.invalid = ""
    green.run(10)
    assert (green.status.phase, green.status.stable_revision.number) == ("Progressing", 1)


def test_the_switch_falls_back_to_stable_while_the_new_pods_are_gone(green) -> None:
    green.strategy = post()
    green.upgrade().run(30)
    green.ready[green.hash_of("m/v2")] = 0
    green.step(1)
    assert live(green, "m/v1") == 100


def test_going_back_while_the_old_revision_stands_is_one_write_without_a_verdict(green) -> None:
    green.spec_extra = {"scaleDownDelay": "10m"}
    green.upgrade().good().settle()
    assert green.status.stable_revision.number == 2
    green.upgrade("m/v1").step()
    assert live(green, "m/v1") == 100
    green.settle()
    assert (green.status.phase, green.status.stable_revision.number) == ("Healthy", 1)
    assert "still stands" in green.status.history[-1].message


def test_going_back_after_the_old_revision_is_gone_is_a_rollout_like_any_other(green) -> None:
    green.upgrade().good().settle()
    green.run(60)
    green.upgrade("m/v1").run(10)
    assert live(green, "m/v1") == 0


def test_a_revision_that_was_superseded_half_way_has_no_fast_way_back(green) -> None:
    green.spec_extra = {"scaleDownDelay": "10m"}
    green.upgrade().run(10)
    green.upgrade("m/v3").run(10)
    green.upgrade("m/v2").run(10)
    assert live(green, "m/v2") == 0
