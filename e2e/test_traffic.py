"""Traffic that is more than a weight, on the cluster: a person's own VirtualService, fractions, users who stay."""

import copy
import json
import urllib.request
from typing import Any

import pytest

from e2e import manifests

ISTIO = {"group": "networking.istio.io", "version": "v1", "plural": "virtualservices"}
FEEDBACK = {"request": {"data": {"ndarray": [[0.0]]}}, "response": {}, "reward": 1.0}


def rollout(uri: str, steps: list[dict[str, Any]], routing: dict[str, Any]) -> dict[str, Any]:
    return manifests.rollout(uri, {"canary": {"steps": steps}}, routing=routing)


def phase(kube) -> str:
    return str(kube.status("digits").get("phase"))


def shop(namespace: str) -> dict[str, Any]:
    """A VirtualService as a person would write it: one route is the rollout's, the other nobody else's business."""
    predict = {
        "name": "predict",
        "match": [{"uri": {"prefix": f"/shop/{namespace}/"}}],
        "rewrite": {"uri": "/"},
        "timeout": "8s",
        "route": [{"destination": {"host": "digits"}}],
    }
    web = {
        "name": "web",
        "match": [{"uri": {"exact": f"/web/{namespace}"}}],
        "directResponse": {"status": 200, "body": {"string": "the shop"}},
    }
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "shop", "annotations": {"by": "the shop's people"}},
        "spec": {"hosts": ["*"], "gateways": ["istio-system/seldon-gateway"], "http": [predict, web]},
    }


def rest_of(obj: dict[str, Any]) -> dict[str, Any]:
    """What of the VirtualService is not the rollout's."""
    spec = copy.deepcopy(obj["spec"])
    spec["http"][0].pop("route")
    return {"spec": spec, "annotations": obj["metadata"]["annotations"]}


def test_a_persons_virtual_service_is_split_by_half_a_percent_and_promoted(kube, crowd, trained) -> None:
    kube.write(shop(kube.namespace), **ISTIO)
    before = rest_of(kube.read("shop", **ISTIO))
    routing = {"virtualService": {"name": "shop", "routes": ["predict"]}}
    steps = [{"setWeight": 0.5}, {"pause": {}}]
    kube.write(rollout(trained.uris[0], steps, routing))
    kube.until("the first revision serves", lambda: phase(kube) == "Healthy")
    with crowd("digits", 300, path=f"/shop/{kube.namespace}") as users:
        kube.write(rollout(trained.uris[1], steps, routing))
        kube.until("half a percent is verified", lambda: phase(kube) == "Paused")
        canary = kube.status("digits")["canaryRevision"]["hash"]

        def seen() -> int:
            return users.tallies[canary].requests if canary in users.tallies else 0

        sent, met = users.sent, seen()
        kube.until("enough is counted", lambda: users.sent > sent + 2400)
        share = (seen() - met) / (users.sent - sent)
        kube.ask("digits", "promote-full")
        kube.until("it is promoted", lambda: phase(kube) == "Healthy" and "canaryRevision" not in kube.status("digits"))
    # 12 of 2400 are expected, with a standard deviation of 3.5: one at least, and 33 at most.
    assert 0 < share < 0.014
    assert users.failures == []
    after = kube.read("shop", **ISTIO)
    assert rest_of(after) == before
    (only,) = after["spec"]["http"][0]["route"]
    assert only["destination"]["host"].startswith(f"digits-{canary}-")


def answered(url: str, body: dict[str, Any], **headers: str) -> dict[str, str]:
    """Ask once, and return the headers of the answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    data = json.dumps(body).encode()
    asked = urllib.request.Request(url, data, {"Content-Type": "application/json", **named})
    with urllib.request.urlopen(asked, timeout=10) as answer:
        return {name.lower(): value for name, value in answer.headers.items()}


def test_users_stay_feedback_finds_its_revision_and_all_leave_at_an_abort(world, kube, crowd, trained) -> None:
    routing, steps = {"sticky": {"header": "x-visit"}}, [{"setWeight": 50}, {"pause": {}}]
    row = {"data": {"ndarray": [[float(value) for value in trained.rows[0]]]}}
    url = f"{world.gateway_url}/seldon/{kube.namespace}/digits/api/v1.0/"
    kube.write(rollout(trained.uris[0], steps, routing))
    kube.until("the first revision serves", lambda: phase(kube) == "Healthy")
    with crowd("digits", 60):
        kube.write(rollout(trained.uris[1], steps, routing))
        kube.until("the weight is verified", lambda: phase(kube) == "Paused")
        status = kube.status("digits")
        stable, canary = status["stableRevision"]["hash"], status["canaryRevision"]["hash"]
        users = [answered(url + "predictions", row) for _ in range(24)]
        again = [answered(url + "predictions", row, x_visit=user["x-visit"]) for user in users for _ in range(4)]
        told = [answered(url + "feedback", FEEDBACK, seldon_revision=each) for each in (stable, canary) * 10]
        kube.ask("digits", "abort")
        kube.until("stable serves all", lambda: phase(kube) == "Degraded")
        late = [answered(url + "predictions", row, x_visit=user["x-visit"]) for user in users]
    first = [user["seldon-revision"] for user in users for _ in range(4)]
    assert set(first) == {stable, canary}
    assert [each["seldon-revision"] for each in again] == first
    assert [each["seldon-revision"] for each in told] == [stable, canary] * 10
    assert {each["seldon-revision"] for each in late} == {stable}


FRIENDS = {"headers": {"x-group": {"exact": "friends"}}}
WITH_FRIENDS = [
    {"setHeaderRoute": {"name": "friends", "match": [FRIENDS]}},
    {"pause": {}},
    {"setWeight": 50},
    {"pause": {}},
]


def ours_of(obj: dict[str, Any]) -> list[dict[str, Any]]:
    """The routes in a person's VirtualService that the rollout added."""
    return [http for http in obj["spec"]["http"] if http.get("name", "").startswith("digits.seldon-rollouts/")]


def theirs_of(obj: dict[str, Any]) -> dict[str, Any]:
    """What of the VirtualService is neither a destination of the named route nor a route that the rollout added."""
    added = ours_of(obj)
    spec = {**obj["spec"], "http": [http for http in obj["spec"]["http"] if http not in added]}
    return rest_of({**obj, "spec": spec})


@pytest.mark.long
def test_friends_by_header_in_a_persons_virtual_service_reach_the_canary_and_nobody_else(
    world, kube, crowd, trained
) -> None:
    kube.write(shop(kube.namespace), **ISTIO)
    before = theirs_of(kube.read("shop", **ISTIO))
    routing = {"virtualService": {"name": "shop", "routes": ["predict"]}}
    row = {"data": {"ndarray": [[float(value) for value in trained.rows[0]]]}}
    url = f"{world.gateway_url}/shop/{kube.namespace}/api/v1.0/predictions"

    def revisions(times: int = 40, **headers: str) -> list[str]:
        return [answered(url, row, **headers)["seldon-revision"] for _ in range(times)]

    kube.write(rollout(trained.uris[0], WITH_FRIENDS, routing))
    kube.until("the first revision serves", lambda: phase(kube) == "Healthy")
    with crowd("digits", 100, path=f"/shop/{kube.namespace}") as users:
        kube.write(rollout(trained.uris[1], WITH_FRIENDS, routing))
        kube.until("friends are led away", lambda: phase(kube) == "Paused")
        status = kube.status("digits")
        stable, canary = status["stableRevision"]["hash"], status["canaryRevision"]["hash"]
        led = kube.read("shop", **ISTIO)
        alone = {"friends": revisions(x_group="friends"), "others": revisions(), "foes": revisions(x_group="foes")}
        met = set(users.tallies)
        kube.ask("digits", "promote")
        kube.until(
            "the weight is verified",
            lambda: phase(kube) == "Paused" and kube.status("digits")["canaryRevision"]["weight"] == 50,
        )
        shared = {"friends": revisions(x_group="friends"), "others": revisions()}
        both = kube.read("shop", **ISTIO)
        kube.ask("digits", "promote")
        kube.until("it is promoted", lambda: phase(kube) == "Healthy" and "canaryRevision" not in kube.status("digits"))
        after = kube.read("shop", **ISTIO)
    assert {who: set(found) for who, found in alone.items()} == {
        "friends": {canary},
        "others": {stable},
        "foes": {stable},
    }
    assert met == {stable}
    assert {who: set(found) for who, found in shared.items()} == {"friends": {canary}, "others": {stable, canary}}
    for seen in (led, both):
        (added,) = ours_of(seen)
        assert added["match"] == [{"uri": {"prefix": f"/shop/{kube.namespace}/"}, "headers": FRIENDS["headers"]}]
        assert (added["timeout"], added["rewrite"]) == ("8s", {"uri": "/"})
    assert [theirs_of(seen) for seen in (led, both, after)] == [before] * 3
    assert ours_of(after) == []
    assert users.failures == []
