"""Copies of some requests only: those that match are answered as all others are, and copied; no other is copied."""

from dataclasses import replace

import pytest

from controller.api.strategy import RouteMatch
from controller.rollout.observed import TrafficWindow
from controller.rollout.split import Split
from controller.rollout.traffic import agrees

from .test_own_route import owning, route, shop

READS = {"method": "POST", "path": {"exact": "/api/v1.0/predictions"}}
OURS = {"headers": {"X-Team": {"exact": "ours"}}}


def mirroring(percentage: float, *match: dict) -> list[dict]:
    return [{"setMirror": {"percentage": percentage, "match": list(match)}}, {"pause": {}}]


def routes(world) -> dict[str, dict]:
    return {http["name"]: http for http in world.route["spec"]["http"] if "-feedback-" not in http["name"]}


def copied(http: dict) -> list[float]:
    return [each["percentage"]["value"] for each in http.get("mirrors") or ()]


@pytest.fixture
def mirrored(world):
    """A world in which some requests are copied to v2."""
    world.steps = [*mirroring(60, READS, OURS), {"setWeight": 20}, {"pause": {}}]
    world.serving().upgrade().run(40)
    assert world.status.phase == "Paused", world.status.message
    return world


def test_only_what_matches_is_copied_and_stable_answers_all(mirrored) -> None:
    found = routes(mirrored)
    assert list(found) == ["rest-mirror.0", "rest-mirror.1", "grpc-mirror.1", "rest", "grpc"]
    assert {name: copied(http) for name, http in found.items()} == {
        "rest-mirror.0": [60], "rest-mirror.1": [60], "grpc-mirror.1": [60], "rest": [], "grpc": [],
    }  # fmt: skip
    assert {len(http["route"]) for http in found.values()} == {1}
    assert found["rest-mirror.0"]["match"] == [
        {"uri": {"exact": "/seldon/ml/iris/api/v1.0/predictions"}, "method": {"exact": "POST"}}
    ]
    assert found["rest-mirror.1"]["match"][0]["headers"] == {"x-team": {"exact": "ours"}}
    stable, canary = mirrored.status.stable_revision, mirrored.status.canary_revision
    assert (stable.weight, canary.weight, canary.mirror) == (100, 0, 60)


def test_where_no_request_matches_it_goes_on_after_a_while_and_where_some_do_at_once(world) -> None:
    split = Split(stable="a", canary="b", mirror=60, mirrored=(RouteMatch.model_validate(READS),))
    window = TrafficWindow(since=world.now, until=world.now, stable=500, canary=0)
    assert (agrees(window, split), agrees(replace(window, canary=1), split)) == (None, True)
    assert agrees(window, replace(split, mirrored=())) is False


def test_somebody_who_takes_the_copies_away_is_put_right(mirrored) -> None:
    del mirrored.route["spec"]["http"][0]["mirrors"]
    mirrored.step(1)
    assert copied(routes(mirrored)["rest-mirror.0"]) == [60]


def test_a_weight_ends_the_copies_and_their_routes(mirrored) -> None:
    mirrored.ask("promote")
    mirrored.run(10)
    assert list(routes(mirrored)) == ["rest", "grpc"]
    assert mirrored.status.canary_revision.mirror == 0
    assert mirrored.status.weights.mirror_match == ()


def test_copies_beside_a_weight_leave_the_weight_to_what_matches(world) -> None:
    world.steps = [{"setWeight": 20}, *mirroring(100, READS)]
    world.serving().upgrade().settle()
    found = routes(world)
    assert {name: [part["weight"] for part in http["route"]] for name, http in found.items()} == {
        "rest-mirror.0": [80, 20], "rest": [80, 20], "grpc": [80, 20],
    }  # fmt: skip
    assert (copied(found["rest-mirror.0"]), copied(found["rest"])) == ([100], [])


def test_copies_of_other_requests_are_a_comparison_of_their_own(world) -> None:
    world.steps = [*mirroring(60, READS), *mirroring(60, OURS)]
    world.serving().upgrade().run(40)
    since = world.status.analysis.started_at
    world.ask("promote")
    world.run(40)
    assert world.status.analysis.started_at > since
    assert list(routes(world)) == ["rest-mirror.0", "grpc-mirror.0", "rest", "grpc"]


def test_an_abort_takes_all_of_it_away_in_one_write(mirrored) -> None:
    mirrored.ask("abort")
    assert list(routes(mirrored)) == ["rest", "grpc"]
    assert mirrored.hash_of("m/v2") not in str(mirrored.route)


def test_a_persons_route_is_copied_in_front_of_itself(make_world) -> None:
    base = route("predict", timeout="3s", rewrite={"uri": "/"})
    world = owning(make_world, shop(base), steps=mirroring(60, READS), routes=["predict"]).serving()
    world.upgrade().run(10)
    special, usual = world.own["spec"]["http"]
    assert special["name"] == "iris.seldon-rollouts/predict/mirror.0"
    assert special["match"] == [{"uri": {"exact": "/p/api/v1.0/predictions"}, "method": {"exact": "POST"}}]
    assert (special["timeout"], copied(special), copied(usual)) == ("3s", [60], [])
    assert world.status.canary_revision.mirror == 60
    world.ready[world.hash_of("m/v2")] = 1
    world.run(3)
    assert copied(world.own["spec"]["http"][0]) == [60], "they stay while some pods are missing"
    world.ask("abort")
    assert [http["name"] for http in world.own["spec"]["http"]] == ["predict"]
