"""The stories of single steps: routes by header, scale, gates, pauses that end, the short form."""

from datetime import UTC, datetime, timedelta

import pytest

from controller.api.rollout import RolloutSpec
from controller.api.strategy import HeaderRoute, RouteMatch, Strategy, TimeWindow
from controller.rollout import gate, matching
from controller.rollout.course import course, title
from controller.rollout.observed import Answer

FRIENDS = {"name": "friends", "match": [{"headers": {"X-Group": {"exact": "friends"}}}]}


def at_step(world, *steps) -> None:
    """Bring v1 up, and v2 as far as its steps let it."""
    world.steps = [*steps]
    world.serving().upgrade().run(30)


def test_a_header_route_takes_its_requests_and_only_those(world) -> None:
    at_step(world, {"setHeaderRoute": FRIENDS}, {"pause": {}})
    rest, grpc = world.special().values()
    assert rest["match"] == [{"uri": {"prefix": "/seldon/ml/iris/"}, "headers": {"x-group": {"exact": "friends"}}}]
    assert grpc["match"][0]["headers"]["seldon"] == {"exact": "iris"}
    assert [part["weight"] for part in rest["route"]] == [100]
    assert world.live_weight(world.hash_of("m/v2")) == 0


def test_a_header_route_waits_for_all_pods_and_stays_when_one_goes(world) -> None:
    """Its destination's subset exists only once they are ready: before, who it names would be answered by nobody."""
    world.steps = [{"setHeaderRoute": FRIENDS}, {"pause": {}}]
    world.serving().upgrade().starts = False
    world.run(2)
    world.ready[world.hash_of("m/v2")] = 1
    world.run(3)
    assert world.special() == {}
    assert "the canary revision has 1 of 2 pods ready" in world.status.blocked_on.message
    world.ready[world.hash_of("m/v2")] = 2
    world.run(3)
    assert (world.status.phase, list(world.special())) == ("Paused", ["rest-friends-0", "grpc-friends-0"])
    world.ready[world.hash_of("m/v2")] = 1
    world.run(3)
    assert list(world.special()) == ["rest-friends-0", "grpc-friends-0"]


def test_a_header_route_stays_in_force_and_is_healed_until_it_is_removed(world) -> None:
    at_step(world, {"setHeaderRoute": FRIENDS}, {"pause": {}}, {"setHeaderRoute": {"name": "friends"}}, {"pause": {}})
    world.route["spec"]["http"] = world.route["spec"]["http"][-2:]
    world.step(1)
    assert list(world.special()) == ["rest-friends-0", "grpc-friends-0"]
    world.ask("resume")
    world.settle()
    assert (world.status.phase, world.special()) == ("Paused", {})


def test_a_route_of_the_same_name_takes_the_place_of_the_first(world) -> None:
    other = {"name": "friends", "match": [{"method": "POST"}]}
    at_step(world, {"setHeaderRoute": FRIENDS}, {"setHeaderRoute": other}, {"pause": {}})
    (rest,) = world.special().values()
    assert rest["match"][0]["method"] == {"exact": "POST"}


@pytest.mark.parametrize("end", ["abort", "promote-full"])
def test_no_header_route_is_left_at_the_end(world, end: str) -> None:
    at_step(world, {"setHeaderRoute": FRIENDS}, {"pause": {}})
    world.ask(end)
    world.settle()
    assert (world.special(), world.status.header_routes) == ({}, ())


def test_a_path_keeps_what_the_model_sees_of_it() -> None:
    match = RouteMatch.model_validate({"path": {"prefix": "/api/v1.0/"}, "method": "POST"})
    assert matching.rest("/seldon/ml/iris/", match) == {
        "match": [{"uri": {"prefix": "/seldon/ml/iris/api/v1.0/"}, "method": {"exact": "POST"}}],
        "rewrite": {"uri": "/api/v1.0/"},
    }
    assert matching.grpc("ml", "iris", match) == {}


@pytest.mark.parametrize(
    ("cookie", "yes", "no"),
    [
        ({"exact": "a.b"}, ["group=a.b", "x=1; group=a.b; y=2"], ["group=axb", "mygroup=a.b", "group=a.bc"]),
        ({"prefix": "be"}, ["group=beta", "x=1;group=be"], ["group=alpha; x=be"]),
        ({"regex": "a|b"}, ["group=a", "group=b; x=1"], ["group=ab", "group=c"]),
    ],
)
def test_a_cookie_is_found_among_others(cookie, yes, no) -> None:
    import re

    match = RouteMatch.model_validate({"cookies": {"group": cookie}})
    pattern = matching.rest("/", match)["match"][0]["headers"]["cookie"]["regex"]
    assert all(re.fullmatch(pattern, text) for text in yes)
    assert not any(re.fullmatch(pattern, text) for text in no)


@pytest.mark.parametrize(
    "match",
    [{}, {"headers": {}}, {"cookies": {"a": {"exact": "1"}}, "headers": {"Cookie": {"exact": "x"}}}, {"path": {}}],
)
def test_a_match_that_says_nothing_or_too_much_is_refused(match) -> None:
    with pytest.raises(ValueError, match="has"):
        HeaderRoute.model_validate({"name": "x", "match": [match]})


def four(image: str):
    graph = {"name": "classifier", "implementation": "SKLEARN_SERVER", "modelUri": image}
    return {"spec": {"predictors": [{"name": "default", "replicas": 4, "graph": graph}]}}


@pytest.fixture
def big(make_world, monkeypatch):
    """A world whose template asks for four pods."""
    monkeypatch.setattr(make_world, "template", lambda self: four(self.image))
    return make_world()


@pytest.mark.parametrize(
    ("scale", "pods"), [({"replicas": 3}, 3), ({"percent": 30}, 2), ({"matchWeight": True}, 1), ({"auto": True}, 4)]
)
def test_the_canary_has_as_many_pods_as_its_scale_says(big, scale, pods: int) -> None:
    at_step(big, {"setScale": scale}, {"setWeight": 10}, {"pause": {}})
    assert (big.pods("m/v2"), big.pods("m/v1")) == (pods, 4)


def test_pods_that_follow_the_weight_are_there_before_it_and_go_after_it(big) -> None:
    at_step(
        big, {"setScale": {"matchWeight": True}}, {"setWeight": 25}, {"pause": {}}, {"setWeight": 75}, {"pause": {}},
        {"setWeight": 25}, {"pause": {}},
    )  # fmt: skip
    big.starts = False
    big.ask("resume")
    big.run(3)
    assert (big.pods("m/v2"), big.live_weight(big.hash_of("m/v2"))) == (3, 25)
    big.ready[big.hash_of("m/v2")] = 3
    big.run(10)
    assert big.live_weight(big.hash_of("m/v2")) == 75
    big.ask("resume")
    assert (big.pods("m/v2"), big.live_weight(big.hash_of("m/v2"))) == (3, 25), "in the pass that lowers the weight"
    big.step(1)
    assert big.pods("m/v2") == 1


def test_a_scaled_canary_has_all_pods_before_it_takes_all_traffic(big) -> None:
    at_step(big, {"setScale": {"replicas": 1}}, {"setWeight": 10}, {"pause": {}})
    big.starts = False
    big.ask("promote-full")
    big.run(3)
    assert (big.pods("m/v2"), big.live_weight(big.hash_of("m/v2"))) == (4, 10)
    big.ready[big.hash_of("m/v2")] = 4
    big.settle()
    assert (big.status.phase, big.live_weight(big.hash_of("m/v2"))) == ("Healthy", 100)


def test_what_an_autoscaler_owns_is_not_scaled(big) -> None:
    from controller.api.strategy import SetScale
    from controller.rollout import scaling

    spec = {"predictors": [{"name": "a", "replicas": 4, "componentSpecs": [{"hpaSpec": {"maxReplicas": 9}}]}]}
    assert scaling.scaled(spec, SetScale(replicas=1), weight=0) == spec


@pytest.mark.parametrize(("what", "phase"), [("promote", "Healthy"), ("abort", "Degraded")])
def test_a_pause_that_nobody_ends_ends_as_it_says(world, what: str, phase: str) -> None:
    world.steps = [{"setWeight": 10}, {"pause": {"maxDuration": "5m", "onTimeout": what}}]
    world.serving().upgrade().good()
    world.run(280)
    assert world.status.phase == "Paused"
    world.run(30)
    world.settle()
    assert world.status.phase == phase
    assert any("nobody answered for 5m" in said.message for said in world.said)


def test_a_persons_own_pause_stops_the_clock_of_the_step(world) -> None:
    at_step(world, {"setWeight": 10}, {"analysis": {}}, {"pause": {"maxDuration": "1m", "onTimeout": "abort"}})
    world.ask("pause")
    world.good().run(200)
    assert world.status.phase == "Paused"


def test_a_gate_for_approval_waits_for_its_name(world) -> None:
    at_step(world, {"setWeight": 10}, {"gate": {"approval": {"name": "security"}}}, {"setWeight": 50}, {"pause": {}})
    world.run(600)
    assert (world.status.blocked_on.kind, world.status.current_step_index) == ("person", 1)
    assert "approve security" in world.status.message
    world.ask("approve", by="grace")
    world.settle()
    assert world.live_weight(world.hash_of("m/v2")) == 50
    assert world.status.approvals[0].by == "grace"


def test_an_approval_may_come_before_its_gate_and_ends_with_its_revision(world) -> None:
    at_step(world, {"setWeight": 10}, {"pause": {}}, {"gate": {"approval": {"name": "security"}}}, {"pause": {}})
    world.ask("approve", gate="security")
    world.ask("resume")
    world.settle()
    assert world.status.current_step_index == 3
    world.upgrade("m/v3").step()
    assert world.status.approvals == ()


def test_an_approval_that_nothing_asks_for_is_refused(world) -> None:
    at_step(world, {"setWeight": 10}, {"pause": {}}, {"gate": {"approval": {"name": "security"}}})
    world.ask("approve", gate="legal")
    assert "security" in world.status.last_intent.message
    assert (world.status.last_intent.outcome, world.status.approvals) == ("refused", ())


HOOK = {"gate": {"webhook": {"url": "http://gate.ml/confirm", "interval": "20s"}}}


def answered(world, opened: bool) -> None:
    question = gate.question(world.observe(), world.status)
    world.answer = Answer(question=question, open=opened, message="HTTP 200" if opened else "HTTP 403", at=world.now)


def test_a_gate_by_webhook_opens_by_its_answer_alone(world) -> None:
    at_step(world, {"setWeight": 10}, HOOK, {"setWeight": 50}, {"pause": {}})
    assert "asking the webhook" in world.status.message
    answered(world, opened=False)
    decision = world.step()
    assert (world.status.current_step_index, decision.requeue_after) == (1, timedelta(seconds=20))
    assert "HTTP 403" in world.status.message
    answered(world, opened=True)
    world.settle()
    assert world.live_weight(world.hash_of("m/v2")) == 50


def test_an_answer_about_another_revision_opens_nothing(world) -> None:
    at_step(world, {"setWeight": 10}, HOOK, {"pause": {}})
    answered(world, opened=True)
    world.upgrade("m/v3").settle()
    assert world.status.current_step_index == 1


def test_a_bad_verdict_is_heard_at_a_closed_gate(world) -> None:
    at_step(world, {"setWeight": 10}, HOOK, {"pause": {}})
    world.bad().settle()
    assert world.status.phase == "Degraded"


def test_a_gate_by_hours_opens_with_the_window(world) -> None:
    # The world begins on a Thursday at noon.
    window = {"days": ["Thu"], "start": "13:00", "end": "14:00"}
    at_step(world, {"setWeight": 10}, {"gate": {"windows": [window]}}, {"setWeight": 50}, {"pause": {}})
    assert "opens at 2026-01-01 13:00 UTC" in world.status.message
    assert timedelta(minutes=50) < world.decide().requeue_after <= timedelta(hours=1)
    world.step(3600)
    world.settle()
    assert world.live_weight(world.hash_of("m/v2")) == 50


@pytest.mark.parametrize(
    ("window", "now", "opening"),
    [
        ({"start": "09:00", "end": "17:00"}, "2026-01-01T12:00", "2026-01-01T09:00"),
        ({"start": "09:00", "end": "17:00"}, "2026-01-01T17:00", "2026-01-02T09:00"),
        ({"start": "22:00", "end": "06:00"}, "2026-01-01T03:00", "2025-12-31T22:00"),
        ({"start": "22:00", "end": "06:00", "days": ["Wed"]}, "2026-01-01T05:59", "2025-12-31T22:00"),
        ({"start": "22:00", "end": "06:00", "days": ["Wed"]}, "2026-01-01T06:00", "2026-01-07T22:00"),
        ({"start": "09:00", "end": "17:00", "days": ["Mon"]}, "2026-01-01T12:00", "2026-01-05T09:00"),
        ({"start": "09:00", "end": "17:00", "timeZone": "Europe/Berlin"}, "2026-07-01T06:30", "2026-07-01T07:00"),
        ({"start": "00:00", "end": "00:00"}, "2026-01-01T12:00", "2026-01-01T00:00"),
    ],
)
def test_a_window_opens_when_it_says(window, now: str, opening: str) -> None:
    given = datetime.fromisoformat(now).replace(tzinfo=UTC)
    found = gate.next_opening([TimeWindow.model_validate(window)], given)
    assert found == datetime.fromisoformat(opening).replace(tzinfo=UTC)


def test_the_short_form_is_the_long_one_written_short(world) -> None:
    strategy = {"canary": {"weights": [5, 50], "interval": "2m"}}
    short = course(RolloutSpec.model_validate({"template": {"spec": {}}, "strategy": strategy}))
    assert [title(stage) for stage in short.stages] == ["weight 5 %", "judge", "weight 50 %", "judge"]
    world.strategy = strategy
    world.serving().upgrade().good()
    world.run(100)
    assert world.live_weight(world.hash_of("m/v2")) == 5
    world.run(220)
    assert world.status.phase == "Healthy"


def test_what_comes_before_the_first_judged_step_is_not_judged(world) -> None:
    world.strategy = {"canary": {"judgedFromStep": 2, "steps": [{"setWeight": 10}, {"pause": {}}, {"setWeight": 20}]}}
    world.serving().upgrade().settle()
    assert (world.status.phase, world.status.analysis.started_at) == ("Paused", None)
    world.ask("resume")
    world.run(5)
    assert world.status.analysis.started_at is not None


@pytest.mark.parametrize(
    ("strategy", "said"),
    [
        ({}, "exactly one"),
        ({"canary": {}, "shadow": {}}, "exactly one"),
        ({"canary": {"steps": [{"setWeight": 5}], "weights": [5]}}, "steps or weights"),
        ({"canary": {"interval": "1m"}}, "interval belongs to weights"),
        ({"canary": {"steps": [{"pause": {"maxDuration": "1m"}}]}}, "belong together"),
        ({"canary": {"steps": [{"gate": {}}]}}, "exactly one"),
        ({"canary": {"steps": [{"setScale": {"replicas": 1, "percent": 5}}]}}, "exactly one"),
        ({"canary": {"steps": [{"setScale": {"auto": False}}]}}, "true, or absent"),
        ({"shadow": {"duration": "1m", "untilVerdict": {}}}, "not both"),
    ],
)
def test_a_strategy_that_cannot_be_meant_is_refused_in_words(strategy, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Strategy.model_validate(strategy)
