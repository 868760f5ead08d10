"""Outlier detection in DestinationRules: which is in effect for the canary, as Istio chooses, and that it is told."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.rollout import ejection
from controller.rollout.revisions import Destination

HOST = "iris-abc-default.ml.svc.cluster.local"
PART = Destination(service="iris-abc-default", host=HOST, subset="default", http_port=8000, grpc_port=5001, share=100)
EJECTS: dict[str, Any] = {"outlierDetection": {"consecutive5xxErrors": 3}}
QUIET: dict[str, Any] = {"connectionPool": {"http": {"idleTimeout": "60s"}}}


def rule(
    host: str = HOST, policy: Any = None, *, name: str = "theirs", namespace: str = "ml", age: int = 5, **spec: Any
) -> dict[str, Any]:
    meta = {"name": name, "namespace": namespace, "creationTimestamp": f"2026-01-01T00:00:0{age}Z"}
    return {"metadata": meta, "spec": {"host": host, **({"trafficPolicy": policy} if policy else {}), **spec}}


OURS = rule(policy=QUIET, name="iris-abc-default", age=4, subsets=[{"name": "default", "labels": {"version": "x"}}])
SUBSET = [{"name": "default", "trafficPolicy": EJECTS}]
PORT = {"portLevelSettings": [{"port": {"number": 8000}, **EJECTS}]}
OTHER_PORT = {"portLevelSettings": [{"port": {"number": 7000}, **EJECTS}]}
FREED = {**EJECTS, "portLevelSettings": [{"port": {"number": 8000}, "loadBalancer": {"simple": "RANDOM"}}]}
BOTH = rule(policy=EJECTS, subsets=[{"name": "default", "trafficPolicy": PORT}])

CASES = [
    ("nothing", [OURS], "ml", ""),
    ("the only rule", [rule(policy=EJECTS)], "ml", "theirs spec.trafficPolicy.outlierDetection"),
    ("by its short name", [rule("iris-abc-default", EJECTS)], "ml", "theirs spec.trafficPolicy.outlierDetection"),
    ("a name with a dot is in full", [rule("iris-abc-default.ml", EJECTS)], "ml", ""),
    ("another host", [rule("shop.ml.svc.cluster.local", EJECTS)], "ml", ""),
    ("younger than ours", [OURS, rule(policy=EJECTS)], "ml", ""),
    ("older than ours", [OURS, rule(policy=EJECTS, age=1)], "ml", "theirs spec.trafficPolicy.outlierDetection"),
    ("ours has no policy", [rule(name="a", age=1), rule(policy=EJECTS)], "ml",
     "theirs spec.trafficPolicy.outlierDetection"),
    ("an older subset", [OURS, rule(age=1, subsets=SUBSET)], "ml",
     "theirs spec.subsets[0].trafficPolicy.outlierDetection"),
    ("a younger subset", [OURS, rule(subsets=SUBSET)], "ml", ""),
    ("a wildcard alone", [rule("*.ml.svc.cluster.local", EJECTS)], "ml",
     "theirs spec.trafficPolicy.outlierDetection"),
    ("a wildcard beside ours", [OURS, rule("*.ml.svc.cluster.local", EJECTS, age=1)], "ml", ""),
    ("the longer wildcard", [rule("*", QUIET), rule("*.cluster.local", EJECTS)], "ml",
     "theirs spec.trafficPolicy.outlierDetection"),
    ("the gateway's namespace first", [OURS, rule("*.local", EJECTS, namespace="edge")], "edge",
     "theirs spec.trafficPolicy.outlierDetection"),
    ("not where others are", [OURS, rule("*.local", EJECTS, namespace="edge")], "ml", ""),
    ("the root last", [OURS, rule("*.local", EJECTS, namespace="istio-system")], "istio-system", ""),
    ("the root alone", [rule("*.local", EJECTS, namespace="istio-system")], "edge",
     "theirs spec.trafficPolicy.outlierDetection"),
    ("not exported", [rule(policy=EJECTS, exportTo=["."])], "edge", ""),
    ("exported to it", [rule(policy=EJECTS, exportTo=["edge"])], "edge", "theirs spec.trafficPolicy.outlierDetection"),
    ("its port", [rule(policy=PORT)], "ml", "theirs spec.trafficPolicy.portLevelSettings[0].outlierDetection"),
    ("another port", [rule(policy=OTHER_PORT)], "ml", ""),
    ("what is said for the port stands alone", [rule(policy=FREED)], "ml", ""),
    ("a subset's port over all", [BOTH], "ml",
     "theirs spec.subsets[0].trafficPolicy.portLevelSettings[0].outlierDetection"),
]  # fmt: skip


@pytest.mark.parametrize(("rules", "client", "found"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_the_rule_in_effect_is_istios_choice(rules, client, found) -> None:
    for order in (rules, rules[::-1]):
        seen = ejection.detection(ejection.in_effect(order, HOST, "ml", client, root="istio-system"), PART)
        assert (f"{seen[0]['metadata']['name']} {seen[1]}" if seen else "") == found


DETECTIONS = [
    ({}, "for answers with 5xx"),
    ({"consecutiveErrors": 7}, "for answers with 5xx"),
    ({"consecutive5xxErrors": 0, "consecutiveGatewayErrors": 2}, "for answers with 502, 503 or 504"),
    ({"consecutive5xxErrors": 0}, ""),
    ({"consecutive5xxErrors": 0, "splitExternalLocalOriginErrors": True}, ""),
]


@pytest.mark.parametrize(("detection", "said"), DETECTIONS)
def test_what_takes_a_canarys_failing_pods_out_is_told_once_and_it_goes_on(make_world, detection, said) -> None:
    world = make_world().serving()
    world.rules = [rule("*.ml.svc.cluster.local", {"outlierDetection": detection})]
    world.upgrade().run(20)
    told = [each for each in world.said if each.reason == "RouteHidesFaults"]
    assert [each.type for each in told] == (["Warning"] if said else [])
    for each in told:
        assert each.message.startswith("DestinationRule ml/theirs, spec.trafficPolicy.outlierDetection, takes pods of ")
        assert said in each.message
    assert world.live_weight(world.hash_of("m/v2")) == 20


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans()), max_size=12))
def test_where_no_rule_detects_anything_none_is_read(changes) -> None:
    known, stands = ejection.Ejecting(), {}
    for name, ejects in changes:
        before = stands.get(name, False)
        stands[name] = ejects
        assert known.note(rule(policy=EJECTS if ejects else QUIET, name=name)) == (before or ejects)
    assert known.any(("other", "ml")) == any(stands.values())


def test_gateways_say_who_sends_requests(make_world) -> None:
    obs = make_world().serving().observe()
    assert ejection.namespaces(obs) == ("istio-system", "ml")
    route = replace(obs.route, live={"metadata": {}, "spec": {"gateways": ["edge/front", "inner", "mesh"]}})
    assert ejection.namespaces(replace(obs, route=route)) == ("edge", "ml", "istio-system")


def test_the_meshs_root_namespace_is_the_configurations(make_world) -> None:
    obs = make_world().serving().observe()
    elsewhere = replace(obs, defaults=replace(obs.defaults, root_namespace="mesh"))
    assert ejection.namespaces(elsewhere) == ("istio-system", "ml", "mesh")
    rules = [rule("*.local", EJECTS, namespace="mesh")]
    assert list(ejection.in_effect(rules, HOST, "ml", "edge", root="mesh")) == rules
    assert ejection.in_effect(rules, HOST, "ml", "edge", root="istio-system") == ()
