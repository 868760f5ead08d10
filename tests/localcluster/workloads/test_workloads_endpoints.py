"""EndpointSlices: who stands behind a Service, at which ports, and in which state."""

import pytest

from localcluster.workloads import endpoints
from localcluster.workloads.actions import Create, Delete, Patch

PORTS = [{"name": "http", "port": 80, "targetPort": "web", "protocol": "TCP"}]


def service(**spec):
    full = {"selector": {"app": "web"}, "ports": PORTS} | spec
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "ml", "uid": "s"},
        "spec": full,
    }


def pod(name, *, ready=True, ending=False, phase="Running", port=9000, labels=None, address="127.1.0.1"):
    meta = {"name": name, "namespace": "ml", "uid": name, "labels": labels or {"app": "web"}}
    if ending:
        meta["deletionTimestamp"] = "2024-05-01T12:00:00Z"
    status = {"phase": phase, "conditions": [{"type": "Ready", "status": str(ready)}]}
    if address:
        status["podIP"] = address
    container = {"name": "web", "ports": [{"name": "web", "containerPort": port}]}
    return {"metadata": meta, "spec": {"nodeName": "local", "containers": [container]}, "status": status}


def created(plan):
    return [action.obj for action in plan.actions if isinstance(action, Create)]


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({}, {"ready": True, "serving": True, "terminating": False}),
        ({"ready": False}, {"ready": False, "serving": False, "terminating": False}),
        ({"ending": True}, {"ready": False, "serving": True, "terminating": True}),
        ({"ending": True, "ready": False}, {"ready": False, "serving": False, "terminating": True}),
    ],
)
def test_the_conditions_of_an_endpoint_follow_its_pod(state, expected):
    [piece] = created(endpoints.plan(service(), [pod("a", **state)], []))
    assert piece["endpoints"][0]["conditions"] == expected


def test_an_endpoint_names_its_pod_and_the_named_port_is_a_number():
    [piece] = created(endpoints.plan(service(), [pod("a")], []))
    assert piece["endpoints"][0]["targetRef"] == {"kind": "Pod", "namespace": "ml", "name": "a", "uid": "a"}
    assert piece["ports"] == [{"name": "http", "port": 9000, "protocol": "TCP"}]
    assert piece["metadata"]["labels"]["kubernetes.io/service-name"] == "web"


@pytest.mark.parametrize(
    ("address", "kind", "text"),
    [
        ("127.1.0.2", "FQDN", "127-1-0-2.ml.pod.cluster.local"),
        ("10.1.0.2", "IPv4", "10.1.0.2"),
        ("fd00::2", "IPv6", "fd00::2"),
    ],
)
def test_a_loopback_address_stands_as_a_name_because_kubernetes_refuses_it_in_a_slice(address, kind, text):
    [piece] = created(endpoints.plan(service(), [pod("a", address=address)], []))
    assert (piece["addressType"], piece["endpoints"][0]["addresses"]) == (kind, [text])


@pytest.mark.parametrize(
    "other", [{"labels": {"app": "x"}}, {"address": ""}, {"phase": "Failed"}, {"phase": "Succeeded"}]
)
def test_pods_of_others_without_address_or_finished_are_no_endpoints(other):
    [piece] = created(endpoints.plan(service(), [pod("a", **other)], []))
    assert piece["endpoints"] == []


def test_pods_that_resolve_a_named_port_differently_are_in_slices_of_their_own():
    pieces = created(endpoints.plan(service(), [pod("a", port=9000), pod("b", port=9500)], []))
    found = {piece["ports"][0]["port"]: [one["targetRef"]["name"] for one in piece["endpoints"]] for piece in pieces}
    assert found == {9000: ["a"], 9500: ["b"]}


def test_a_headless_service_is_marked_and_has_endpoints_too():
    [piece] = created(endpoints.plan(service(clusterIP="None"), [pod("a")], []))
    assert piece["metadata"]["labels"]["service.kubernetes.io/headless"] == ""
    assert len(piece["endpoints"]) == 1


def test_a_service_that_publishes_unready_addresses_calls_them_ready():
    [piece] = created(endpoints.plan(service(publishNotReadyAddresses=True), [pod("a", ready=False)], []))
    assert piece["endpoints"][0]["conditions"]["ready"] is True


def test_a_slice_that_is_right_is_left_alone_and_a_wrong_one_is_patched():
    pods = [pod("a")]
    [piece] = created(endpoints.plan(service(), pods, []))
    piece["metadata"] |= {"uid": "u", "resourceVersion": "1"}
    assert endpoints.plan(service(), pods, [piece]).actions == ()
    [action] = endpoints.plan(service(), [pod("a", ready=False)], [piece]).actions
    assert isinstance(action, Patch)
    assert action.patch["endpoints"][0]["conditions"]["ready"] is False


@pytest.mark.parametrize("spec", [{"selector": None}, {"type": "ExternalName"}])
def test_slices_of_a_service_that_selects_nothing_any_more_are_deleted(spec):
    [piece] = created(endpoints.plan(service(), [pod("a")], []))
    plan = endpoints.plan(service(**spec), [pod("a")], [piece])
    assert [type(action) for action in plan.actions] == [Delete]


def test_more_endpoints_than_fit_go_into_further_slices():
    pods = [pod(f"p{index:03}") for index in range(endpoints.SLICE_SIZE + 1)]
    pieces = created(endpoints.plan(service(), pods, []))
    assert sorted(len(piece["endpoints"]) for piece in pieces) == [1, endpoints.SLICE_SIZE]
