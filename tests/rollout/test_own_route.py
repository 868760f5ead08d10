"""A VirtualService of the person's own: only the named routes change, everything else is given back as it came."""

import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.api.meta import FINALIZER
from controller.rollout import actions
from controller.rollout.decide import decide

STEPS = [{"setWeight": 0.5}, {"pause": {}}, {"setWeight": 20}, {"pause": {}}]
FEW = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
HOSTS = st.sampled_from(["shop", "shop.other.svc.cluster.local", "iris-web", "example.com"])
JSON = st.recursive(
    st.booleans() | st.integers(-5, 5) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
MATCHES = st.lists(
    st.fixed_dictionaries(
        {"uri": st.fixed_dictionaries({"prefix": st.sampled_from(["/", "/predict/", "/v2/"])})},
        optional={
            "headers": st.fixed_dictionaries({"x-tenant": st.just({"exact": "a"})}),
            "ignoreUriCase": st.booleans(),
        },
    ),
    min_size=1,
    max_size=2,
)


@st.composite
def foreign_routes(draw):
    """Routes that are none of ours, with whatever somebody may have written into them."""
    route = [{"destination": {"host": draw(HOSTS), "port": {"number": 80}}, "weight": draw(st.integers(0, 100))}]
    known = {"name": draw(st.text(max_size=8)), "match": draw(MATCHES), "route": route, "timeout": "5s"}
    return {**draw(st.dictionaries(st.text(min_size=1, max_size=6), JSON, max_size=2)), **known}


@st.composite
def named_route(draw, name):
    """A named route, which leads to the rollout's name until its first revision serves."""
    entry = {"destination": {"host": "iris"}, "headers": {"request": {"set": {"x-by": "shop"}}}}
    extras = st.fixed_dictionaries(
        {},
        optional={
            "rewrite": st.just({"uri": "/"}),
            "timeout": st.just("3s"),
            "corsPolicy": st.dictionaries(st.text(max_size=5), JSON, max_size=2),
            "retries": st.just({"attempts": 0}),
            "mirrors": st.just([{"destination": {"host": "audit"}, "percentage": {"value": 3}}]),
        },
    )
    return {"name": name, "match": draw(MATCHES), "route": [entry], **draw(extras)}


@st.composite
def virtual_services(draw):
    http = [draw(named_route("predict")), *draw(st.lists(foreign_routes(), max_size=3)), draw(named_route("rpc"))]
    spec = {"hosts": ["shop.example.com"], "gateways": ["mesh"], "http": draw(st.permutations(http))}
    spec |= {"tcp": draw(JSON), "exportTo": ["."]} if draw(st.booleans()) else {}
    annotations = draw(st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2))
    return {"metadata": {"name": "shop", "resourceVersion": "1", "annotations": annotations}, "spec": spec}


def shop(*http: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": "shop", "resourceVersion": "1"}, "spec": {"hosts": ["*"], "http": list(http)}}


def route(name: str, host: str = "iris", **more: Any) -> dict[str, Any]:
    return {"name": name, "match": [{"uri": {"prefix": "/p/"}}], "route": [{"destination": {"host": host}}], **more}


def owning(make_world, own, steps=None, **named):
    world = make_world(steps=steps or STEPS)
    names = named or {"routes": ["predict"], "grpcRoutes": ["rpc"]}
    world.spec_extra = {"routing": {"virtualService": {"name": "shop", **names}}}
    world.own = own
    return world


def without_ours(obj: dict[str, Any], *names: str) -> dict[str, Any]:
    """What is left of a VirtualService without what the rollout may write."""
    rest = copy.deepcopy(obj)
    rest["metadata"].pop("resourceVersion", None)
    http = [each for each in rest["spec"]["http"] if not each.get("name", "").startswith("iris.seldon-rollouts/")]
    for each in http:
        if each.get("name") in names:
            each.pop("route")
            each["mirrors"] = [m for m in each.get("mirrors", []) if not m["destination"]["host"].startswith("iris-")]
    rest["spec"]["http"] = http
    return rest


def shares(world, name: str) -> dict[str, float]:
    (http,) = [each for each in world.own["spec"]["http"] if each.get("name") == name]
    total = sum(part["weight"] for part in http["route"])
    return {part["destination"]["host"].split(".")[0]: 100 * part["weight"] / total for part in http["route"]}


def child(world, image: str) -> str:
    return f"iris-{world.hash_of(image)}-default"


@FEW
@given(own=virtual_services())
def test_only_the_named_routes_of_any_virtual_service_change(make_world, own) -> None:
    before = without_ours(own, "predict", "rpc")
    world = owning(make_world, own).serving()
    assert shares(world, "predict") == shares(world, "rpc") == {child(world, "m/v1"): 100}
    writes = world.writes
    world.upgrade().settle()
    assert shares(world, "predict") == shares(world, "rpc") == {child(world, "m/v1"): 99.5, child(world, "m/v2"): 0.5}
    assert world.writes == writes + 1, "both routes are one write"
    world.good().ask("promote-full")
    world.settle()
    assert shares(world, "predict") == shares(world, "rpc") == {child(world, "m/v2"): 100}
    assert without_ours(world.own, "predict", "rpc") == before
    assert world.route is None


def test_ports_and_what_else_stands_at_a_destination_are_kept(make_world) -> None:
    dressed = {
        "destination": {"host": "iris"},
        "headers": {"response": {"set": {"x-by": "shop"}, "remove": ["server"]}},
    }
    world = owning(make_world, shop({**route("predict"), "route": [dressed]}, route("rpc"))).serving()
    world.upgrade().settle()
    predict, rpc = world.own["spec"]["http"]
    assert [part["destination"]["port"]["number"] for part in predict["route"] + rpc["route"]] == [
        8000,
        8000,
        5001,
        5001,
    ]
    for part, image in zip(predict["route"], ("m/v1", "m/v2"), strict=True):
        said = {"x-by": "shop", "seldon-revision": world.hash_of(image)}
        assert part["headers"] == {"response": {"set": said, "remove": ["server"]}}


COOKIE, HEADER, OTHER = {"cookie": {"name": "stay"}}, {"header": "x-stay"}, {"header": "x-other"}


def told(world) -> set[str]:
    """By which headers answers tell users to stay: names, and those of cookies."""
    changes = [part["headers"]["response"] for http in world.own["spec"]["http"] for part in http["route"]]
    cookies = {change["add"]["set-cookie"].partition("=")[0] for change in changes if "add" in change}
    return cookies | {name for change in changes for name in change["set"]} - {"seldon-revision", "x-by"}


@pytest.mark.parametrize(
    ("before", "after", "left"),
    [
        (COOKIE, HEADER, {"x-stay"}), (HEADER, COOKIE, {"stay"}), (HEADER, OTHER, {"x-other"}), (COOKIE, None, set()),
        (HEADER, None, set()),
    ],
)  # fmt: skip
def test_what_users_stayed_by_before_is_told_nobody(make_world, before, after, left) -> None:
    dressed = {"destination": {"host": "iris"}, "headers": {"response": {"set": {"x-by": "shop"}}}}
    world = owning(make_world, shop({**route("predict"), "route": [dressed]}, route("rpc")))
    own = world.spec_extra["routing"]
    world.spec_extra = {"routing": {**own, "sticky": before}}
    world.serving().upgrade().settle()
    world.spec_extra = {"routing": {**own, **({"sticky": after} if after else {})}}
    world.settle()
    assert told(world) == left


def test_drift_of_a_named_route_is_healed_and_of_others_left(make_world) -> None:
    world = owning(make_world, shop(route("predict"), route("rpc"), route("web", "shop"))).serving()
    world.upgrade().settle()
    predict, _, web = world.own["spec"]["http"]
    predict["route"][1]["weight"], web["timeout"] = 9000, "1s"
    world.own["metadata"]["resourceVersion"] = "77"
    changed = world.status.weights.changed_at
    world.step(1)
    assert shares(world, "predict")[child(world, "m/v2")] == 0.5
    assert world.own["spec"]["http"][2]["timeout"] == "1s"
    assert world.status.weights.changed_at > changed


def test_what_a_person_edits_elsewhere_is_no_change_of_the_weights(make_world) -> None:
    world = owning(make_world, shop(route("predict"), route("rpc"), route("web", "shop"))).serving()
    world.upgrade().settle()
    changed, writes = world.status.weights.changed_at, world.writes
    world.own["spec"]["http"][2]["timeout"] = "1s"
    world.settle()
    assert (world.status.weights.changed_at, world.writes) == (changed, writes)


def test_a_bad_canary_leaves_all_named_routes_in_one_write(make_world) -> None:
    world = owning(make_world, shop(route("predict"), route("rpc"))).serving()
    world.upgrade().settle()
    writes = world.writes
    world.ask("abort")
    assert world.writes == writes + 1
    assert shares(world, "predict") == shares(world, "rpc") == {child(world, "m/v1"): 100}


@pytest.mark.parametrize(
    ("http", "said"),
    [
        (None, "is not there: create it with the routes predict, rpc"),
        ([route("predict")], "has no HTTP route named rpc; it has predict"),
        ([route("predict"), route("rpc"), route("rpc")], "has several HTTP routes named rpc"),
        ([route("predict"), route("rpc", "shop")], "route rpc: shop is no revision of this rollout"),
        ([route("predict"), route("rpc", "iris.other")], "route rpc: iris.other is no revision of this rollout"),
        ([route("predict"), {"name": "rpc", "redirect": {"uri": "/"}}], "route rpc: it has no destinations"),
    ],
)
def test_what_cannot_be_written_is_said_and_not_touched(make_world, http, said) -> None:
    own = None if http is None else shop(*copy.deepcopy(http))
    world = owning(make_world, own)
    world.settle()
    assert (world.status.phase, world.status.blocked_on.kind) == ("Pending", "mesh")
    assert said in world.status.blocked_on.message
    assert world.own == (None if http is None else shop(*http))


def test_a_virtual_service_without_http_routes_cannot_be_split(make_world) -> None:
    own = {"metadata": {"name": "shop", "resourceVersion": "1"}, "spec": {"tls": [{"match": []}]}}
    world = owning(make_world, own)
    world.settle()
    assert "only TLS or TCP routes" in world.status.blocked_on.message


def test_a_header_route_has_all_that_the_route_behind_it_has(make_world) -> None:
    base = route("predict", rewrite={"uri": "/"}, timeout="3s", retries={"attempts": 0})
    base["match"] = [{"uri": {"prefix": "/p/"}, "headers": {"x-tenant": {"exact": "a"}}}, {"uri": {"prefix": "/q/"}}]
    match = [{"headers": {"X-Group": {"exact": "friends"}}}, {"path": {"prefix": "/api/"}, "method": "POST"}]
    steps = [{"setHeaderRoute": {"name": "friends", "match": match}}, {"pause": {}}]
    world = owning(make_world, shop(base, route("rpc")), steps=steps).serving()
    world.upgrade().settle()
    found = {http["name"]: http for http in world.own["spec"]["http"]}
    begin = "iris.seldon-rollouts/"
    assert list(found) == [
        f"{begin}predict/friends-0", f"{begin}predict/friends-1", "predict", f"{begin}rpc/friends-0", "rpc",
    ]  # fmt: skip
    first, second = found[f"{begin}predict/friends-0"], found[f"{begin}predict/friends-1"]
    friends = {"x-group": {"exact": "friends"}}
    assert first["match"] == [
        {"uri": {"prefix": "/p/"}, "headers": {"x-tenant": {"exact": "a"}, **friends}},
        {"uri": {"prefix": "/q/"}, "headers": friends},
    ]
    assert second["match"][1] == {"uri": {"prefix": "/q/api/"}, "method": {"exact": "POST"}}
    assert second["rewrite"] == {"uri": "/api/"}
    for special in (first, second):
        assert (special["timeout"], special["retries"]) == ("3s", {"attempts": 0})
        assert [part["destination"]["host"].split(".")[0] for part in special["route"]] == [child(world, "m/v2")]
    del world.own["spec"]["http"][0]
    world.step(1)
    assert list(found) == [http["name"] for http in world.own["spec"]["http"]], "healed"
    world.ask("abort")
    assert [http["name"] for http in world.own["spec"]["http"]] == ["predict", "rpc"]


def test_a_header_route_that_no_request_could_meet_is_said(make_world) -> None:
    base = route("predict")
    base["match"] = [{"uri": {"prefix": "/"}, "headers": {"x-group": {"exact": "staff"}}}]
    match = [{"headers": {"x-group": {"exact": "friends"}}}]
    steps = [{"setHeaderRoute": {"name": "friends", "match": match}}, {"pause": {}}]
    world = owning(make_world, shop(base), steps=steps, routes=["predict"]).serving()
    world.upgrade().settle()
    assert "route predict: it asks something else of the header x-group" in world.status.blocked_on.message
    assert world.own["spec"]["http"] == [http for http in world.own["spec"]["http"] if http["name"] == "predict"]


def test_copies_stand_beside_those_of_the_person(make_world) -> None:
    audit = {"destination": {"host": "audit"}, "percentage": {"value": 3}}
    steps = [{"setMirror": {"percentage": 12.5}}, {"pause": {}}]
    world = owning(make_world, shop(route("predict", mirrors=[audit])), steps=steps, routes=["predict"]).serving()
    world.upgrade().settle()
    first, second = world.own["spec"]["http"][0]["mirrors"]
    assert first == audit
    assert (second["destination"]["host"].split(".")[0], second["percentage"]) == (
        child(world, "m/v2"),
        {"value": 12.5},
    )
    world.ask("abort")
    assert world.own["spec"]["http"][0]["mirrors"] == [audit]


def test_a_mirror_of_the_old_form_stands_in_the_way_of_copies(make_world) -> None:
    steps = [{"setMirror": {}}, {"pause": {}}]
    own = shop(route("predict", mirror={"host": "audit"}))
    world = owning(make_world, own, steps=steps, routes=["predict"]).serving()
    world.upgrade().settle()
    assert "write it as `mirrors`" in world.status.blocked_on.message


def test_who_leaves_is_led_to_stable_and_the_usual_route_is_back(make_world) -> None:
    world = owning(make_world, shop(route("predict"), route("rpc"))).serving()
    world.upgrade().settle()
    world.spec_extra = {}
    world.settle()
    assert shares(world, "predict") == shares(world, "rpc") == {child(world, "m/v1"): 100}
    assert world.live_weight(world.hash_of("m/v2")) == 0.5, "the rollout goes on, on its own path"
    assert world.status.routing is None


def test_who_is_deleted_leaves_nothing_of_its_own(make_world) -> None:
    """The named routes lead to the host of the rollout's name again, as before the first revision; all else stays."""
    worn = {"headers": {"request": {"set": {"x-shop": "yes"}}, "response": {"set": {"x-served-by": "shop"}}}}
    first = route("predict", timeout="3s")
    first["route"] = [{"destination": {"host": "iris"}, **worn}]
    before = shop(route("pictures", "web"), first, route("rpc"))
    match = [{"headers": {"x-team": {"exact": "ml"}}}]
    steps = [{"setHeaderRoute": {"name": "inside", "match": match}}, {"setWeight": 20}, {"pause": {}}]
    world = owning(make_world, copy.deepcopy(before), steps=steps)
    world.spec_extra["routing"]["sticky"] = {"header": "x-user"}
    world.serving().upgrade().settle()
    assert len(world.own["spec"]["http"]) > 3
    deleted = replace(world.observe(), deleting=world.now)
    assert deleted.finalizers == (FINALIZER,)
    gone = decide(deleted, now=world.now)
    assert [type(each) for each in gone.actions] == [actions.PatchRoute, actions.HoldRollout]
    world.act(gone)
    assert world.own["spec"] == before["spec"]
    late = replace(world.observe(), deleting=world.now, finalizers=(FINALIZER,))
    assert [type(each) for each in decide(late, now=world.now).actions] == [actions.HoldRollout]


def test_who_moves_in_mid_rollout_keeps_the_weight_and_the_usual_route_goes(make_world) -> None:
    world = make_world(steps=STEPS).serving()
    world.upgrade().settle()
    world.own = shop(route("predict"), route("rpc"))
    world.spec_extra = {"routing": {"virtualService": {"name": "shop", "routes": ["predict"], "grpcRoutes": ["rpc"]}}}
    world.settle()
    assert shares(world, "predict")[child(world, "m/v2")] == 0.5
    assert world.route is None


def test_an_invalid_spec_leaves_the_route_where_it_is(make_world) -> None:
    world = owning(make_world, shop(route("predict"), route("rpc"))).serving()
    world.upgrade().settle()
    before = copy.deepcopy(world.own)
    world.invalid = "spec.strategy: nonsense"
    world.settle()
    assert (world.status.phase, world.own, world.route) == ("Invalid", before, None)


RETRIES = [
    ({"attempts": 2, "retryOn": "5xx,reset"}, "retries on 5xx:"),
    ({"attempts": 1, "retryOn": "connect-failure, gateway-error ,503"}, "retries on gateway-error, 503:"),
    ({"attempts": 0, "retryOn": "5xx"}, ""),
    ({"attempts": 2, "retryOn": "connect-failure,refused-stream,409"}, ""),
    ({"attempts": 2}, ""),
]


@pytest.mark.parametrize(("retries", "said"), RETRIES)
def test_retries_that_hide_a_canarys_faults_are_told_once(make_world, retries, said) -> None:
    own = shop(route("predict", retries=retries), route("other", "shop", retries={"attempts": 3, "retryOn": "5xx"}))
    world = owning(make_world, own, routes=["predict"]).serving()
    world.upgrade().run(20)
    told = [each for each in world.said if each.reason == "RouteHidesFaults"]
    assert [each.type for each in told] == (["Warning"] if said else [])
    assert all(said in each.message for each in told)
    assert world.live_weight(world.hash_of("m/v2")) == 0.5, "it goes on all the same"


def test_several_mirrors_of_the_person_stay_beside_the_copies_and_after_them(make_world) -> None:
    theirs = [
        {"destination": {"host": "audit"}, "percentage": {"value": 3}},
        {"destination": {"host": "archive.other.svc.cluster.local"}, "percentage": {"value": 100}},
    ]
    own = shop(route("predict", mirrors=copy.deepcopy(theirs)))
    steps = [{"setMirror": {"percentage": 50}}, {"pause": {}}]
    world = owning(make_world, own, steps, routes=["predict"]).serving()
    world.upgrade().run(10)
    (http,) = world.own["spec"]["http"]
    assert http["mirrors"][:2] == theirs
    assert [each["percentage"] for each in http["mirrors"][2:]] == [{"value": 50}]
    world.ask("abort")
    (http,) = world.own["spec"]["http"]
    assert http["mirrors"] == theirs
