"""Users who stay, and feedback that finds its revision: requests are sent through the routes that were written."""

import random
import re
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import ValidationError

from controller.api.routing import Sticky

COOKIE = {"cookie": {"name": "visit", "ttl": "10m"}}
HEADER = {"header": "x-visit"}
PREDICT, FEEDBACK = "/seldon/ml/iris/api/v1.0/predictions", "/seldon/ml/iris/api/v1.0/feedback"


def fits(wanted: dict[str, str], text: str | None) -> bool:
    if text is None:
        return False
    ((kind, value),) = wanted.items()
    whole = {"exact": text == value, "prefix": text.startswith(value)}
    return bool(re.fullmatch(value, text)) if kind == "regex" else whole[kind]


def answer(http: list[dict[str, Any]], path: str, headers: dict[str, str], chance: random.Random) -> dict[str, Any]:
    """Route one request as Istio does, and return what answers it: host, and the changed headers."""
    for route in http:
        for match in route["match"]:
            asked = match.get("headers", {})
            if fits(match["uri"], path) and all(fits(want, headers.get(name)) for name, want in asked.items()):
                parts = route["route"]
                part = chance.choices(parts, weights=[each["weight"] for each in parts])[0]
                return {"host": part["destination"]["host"], **part["headers"]["response"], "route": route["name"]}
    raise AssertionError(f"no route for {path} {headers}")


@dataclass
class User:
    """Sends back what it was told."""

    chance: random.Random
    grpc: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    revision: str = ""

    def ask(self, world, path: str = PREDICT) -> str:
        if self.grpc:
            path = "/seldon.protos.Seldon/Predict"
            self.headers |= {"seldon": "iris", "namespace": "ml"}
        found = answer(world.route["spec"]["http"], path, self.headers, self.chance)
        for name, text in found["set"].items():
            if name == "x-visit":
                self.headers[name] = text
        if "set-cookie" in found.get("add", {}):
            assert "Max-Age=600; Path=/seldon/ml/iris/; HttpOnly" in found["add"]["set-cookie"]
            self.headers["cookie"] = "theme=dark; " + found["add"]["set-cookie"].split(";")[0]
        self.revision = found["set"]["seldon-revision"]
        return self.revision


def sticky_world(make_world, sticky, *weights: float):
    steps = [step for weight in weights for step in ({"setWeight": weight}, {"pause": {}})]
    world = make_world(steps=steps)
    world.spec_extra = {"routing": {"sticky": sticky}}
    world.serving()
    world.upgrade().settle()
    return world


def crowd(size: int, seed: int) -> list[User]:
    chance = random.Random(seed)
    return [User(chance) for _ in range(size)]


def share(users: list[User], digest: str) -> float:
    return sum(user.revision == digest for user in users) / len(users)


@pytest.mark.parametrize(("sticky", "grpc"), [(COOKIE, False), (HEADER, False), (HEADER, True)])
def test_users_stay_with_the_canary_and_the_weight_is_a_share_of_users(make_world, sticky, grpc) -> None:
    world = sticky_world(make_world, sticky, 5, 25, 50)
    canary, chance = world.hash_of("m/v2"), random.Random(7)
    users = [User(chance, grpc) for _ in range(4000)]
    there: set[int] = set()
    for weight in (5, 25, 50):
        assert world.status.weights.canary == weight
        for _ in range(4):  # however often they come back
            for user in users:
                user.ask(world)
            now = {index for index, user in enumerate(users) if user.revision == canary}
            assert there <= now, "nobody who met the canary is lost"
            there = now
        # A binomial share of 4000 has a standard deviation of at most 0.008: four of them.
        assert share(users, canary) == pytest.approx(weight / 100, abs=0.032)
        before = [user.revision for user in users]
        assert [user.ask(world) for user in users] == before, "at one weight everybody stays"
        world.ask("promote")
        world.settle()


def test_users_who_come_back_much_later_are_drawn_for_what_was_added_since(make_world) -> None:
    world = sticky_world(make_world, COOKIE, 5, 25, 50)
    canary, chance = world.hash_of("m/v2"), random.Random(8)
    users = [User(chance) for _ in range(4000)]
    for user in users:
        user.ask(world)
    for _ in range(2):
        world.ask("promote")
        world.settle()
    for user in users:
        user.ask(world)
    assert world.status.weights.canary == 50
    assert share(users, canary) == pytest.approx(0.5, abs=0.032)


@pytest.mark.parametrize("sticky", [COOKIE, HEADER])
def test_at_an_abort_everybody_leaves_at_once(make_world, sticky) -> None:
    world = sticky_world(make_world, sticky, 50)
    users = crowd(50, seed=9)
    for user in users:
        user.ask(world)
    world.ask("abort")
    assert {user.ask(world) for user in users} == {world.hash_of("m/v1")}


def test_a_smaller_weight_takes_no_user_away(make_world) -> None:
    world = sticky_world(make_world, COOKIE, 50, 10)
    users = crowd(200, seed=10)
    before = [user.ask(world) for user in users]
    world.ask("promote")
    world.settle()
    assert world.status.weights.canary == 10
    assert [user.ask(world) for user in users] == before


@pytest.mark.parametrize("weights", [(50,), (20, 50)])
def test_stables_users_stay_while_a_canary_that_starts_again_leaves_as_stables_pods_come(make_world, weights) -> None:
    world = sticky_world(make_world, COOKIE, *weights)
    users = crowd(200, seed=12)
    for weight in weights:
        assert world.status.weights.canary == weight
        for user in users:
            user.ask(world)
        if weight != weights[-1]:
            world.ask("promote")
            world.settle()
    ours = [user for user in users if user.revision == world.hash_of("m/v1")]
    world.ready[world.hash_of("m/v1")] = 1  # of 2
    world.strategy, world.generation = {"blueGreen": {}}, world.generation + 1
    world.step()
    assert (world.status.strategy, world.live_weight(world.hash_of("m/v2"))) == ("blueGreen", 25)
    assert {user.ask(world) for user in ours} == {world.hash_of("m/v1")}


@pytest.mark.parametrize("cut_off", [False, True])
def test_who_met_stable_at_a_weight_of_no_step_stays(make_world, cut_off) -> None:
    """Stable's pods come one by one; what it cannot carry yet makes weights that no step names."""
    world = sticky_world(make_world, COOKIE, 80, 10)
    users = crowd(300, seed=13)
    stable = world.hash_of("m/v1")
    world.ready[stable] = 1  # of 2
    before = world.status
    world.ask("promote")
    kept = world.live_weight(world.hash_of("m/v2"))
    assert 10 < kept < 80
    there = [user for user in users if user.ask(world) == stable]
    assert there
    if cut_off:  # the route was written, its status was not
        world.status = before
    world.ready[stable] = 2
    world.run(5)
    assert world.status.weights.canary == world.live_weight(world.hash_of("m/v2")) == 10
    assert {user.ask(world) for user in there} == {stable}
    assert world.step().actions == ()


def test_cookies_of_an_earlier_canary_hold_nobody(make_world) -> None:
    world = sticky_world(make_world, COOKIE, 50)
    users = crowd(400, seed=11)
    for user in users:
        user.ask(world)
    world.upgrade("m/v3").settle()
    for user in users:
        user.ask(world)
    assert share(users, world.hash_of("m/v3")) == pytest.approx(0.5, abs=0.1)


def test_a_weight_of_users_is_reached_when_the_canary_is_seen(make_world) -> None:
    world = make_world(steps=[{"setWeight": 20}, {"pause": {}}])
    world.spec_extra = {"routing": {"sticky": COOKIE}}
    world.serving().share = 0.6  # few users, who send much
    world.upgrade().settle()
    assert (world.status.phase, world.status.weights.verified) == ("Paused", True)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({}, "exactly one of cookie, header"), ({"cookie": {}, "header": "x"}, "exactly one"),
     ({"header": "seldon-revision"}, "take another")],
)  # fmt: skip
def test_what_nobody_could_stay_by_is_refused(wrong, said) -> None:
    with pytest.raises(ValidationError, match=said):
        Sticky.model_validate(wrong)


def asked(world, path: str, revision: str, grpc: bool = False) -> set[str]:
    headers = {"seldon-revision": revision} | ({"seldon": "iris", "namespace": "ml"} if grpc else {})
    chance = random.Random(12)
    http = world.route["spec"]["http"]
    return {answer(http, path, headers, chance)["set"]["seldon-revision"] for _ in range(60)}


@pytest.mark.parametrize(("path", "grpc"), [(FEEDBACK, False), ("/seldon.protos.Seldon/SendFeedback", True)])
def test_feedback_goes_to_the_revision_that_answered_and_to_stable_once_it_is_gone(make_world, path, grpc) -> None:
    world = make_world(steps=[{"setWeight": 50}, {"pause": {}}]).serving()
    world.upgrade().settle()
    stable, canary = world.hash_of("m/v1"), world.hash_of("m/v2")
    assert asked(world, path, stable, grpc) == {stable}
    assert asked(world, path, canary, grpc) == {canary}
    assert asked(world, path, "nobody", grpc) == {stable, canary}
    other = "/seldon.protos.Seldon/Predict" if grpc else PREDICT
    assert asked(world, other, canary, grpc) == {stable, canary}, "a prediction is split by weight, whatever it names"
    world.ask("abort")
    assert asked(world, path, canary, grpc) == {stable}


def test_what_explains_an_answer_is_the_explainer_of_the_revision_that_gave_it(make_world) -> None:
    world = make_world(steps=[{"setWeight": 50}, {"pause": {}}]).serving()
    for image in ("m/v1", "m/v2"):
        explained(world, image)
        world.upgrade("m/v2").settle()
    explained(world, "m/v2")
    world.settle()
    path = "/seldon/ml/iris-explainer/default/api/v1.0/explain"
    stable, canary = world.hash_of("m/v1"), world.hash_of("m/v2")
    assert asked(world, path, canary) == {canary}
    assert asked(world, path, stable) == asked(world, path, "nobody") == {stable}
    found = answer(world.route["spec"]["http"], path, {"seldon-revision": canary}, random.Random(1))
    assert found["host"] == f"iris-{canary}-default-explainer.ml.svc.cluster.local"
    world.ask("abort")
    assert asked(world, path, canary) == {stable}


def explained(world, image: str) -> None:
    """The operator made an explainer beside a revision, and says where it is."""
    digest = world.hash_of(image)
    if digest in world.children:
        service = f"iris-{digest}-default-explainer"
        said = {"svcName": service, "httpEndpoint": f"{service}.ml:9000", "explainerFor": f"iris-{digest}-default"}
        world.children[digest]["status"] = {"serviceStatus": {service: said}}


def test_feedback_for_a_canary_without_pods_goes_the_usual_way(make_world) -> None:
    world = make_world(steps=[{"setWeight": 50}, {"pause": {}}]).serving()
    world.upgrade().settle()
    canary = world.hash_of("m/v2")
    world.ready[canary] = 0
    world.step()
    assert asked(world, FEEDBACK, canary) == {world.hash_of("m/v1")}


def test_feedback_for_a_stable_without_pods_goes_the_usual_way(make_world) -> None:
    world = make_world(steps=[{"setWeight": 50}, {"pause": {}}]).serving()
    world.upgrade().settle()
    stable, canary = world.hash_of("m/v1"), world.hash_of("m/v2")
    assert asked(world, FEEDBACK, stable) == {stable}
    world.ready[stable] = 0
    world.step()
    assert asked(world, FEEDBACK, stable) == {stable, canary}
