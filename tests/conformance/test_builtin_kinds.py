"""What the API writes into the other built-in kinds, and what it refuses of them."""

import pytest


async def test_a_service_gets_an_address(api):
    made = await api.post(
        api.core("services"), {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}], "selector": {"a": "b"}}}
    )
    assert made.code == 201
    spec = made["spec"]
    assert spec["clusterIP"].startswith("10.96.")
    assert spec["clusterIPs"] == [spec["clusterIP"]]
    assert spec["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    wanted = {
        "type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster", "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
    }  # fmt: skip
    assert {key: spec[key] for key in wanted} == wanted
    assert made["status"] == {"loadBalancer": {}}


async def test_services_have_addresses_of_their_own(api):
    body = {"spec": {"ports": [{"port": 80}]}}
    made = [await api.post(api.core("services"), {"metadata": {"name": f"s{n}"}, **body}) for n in range(5)]
    assert len({answer["spec"]["clusterIP"] for answer in made}) == 5
    taken = made[0]["spec"]["clusterIP"]
    answer = await api.post(
        api.core("services"), {"metadata": {"name": "t"}, "spec": {"ports": [{"port": 80}], "clusterIP": taken}}
    )
    assert answer.code == 422


async def test_a_headless_service_has_none(api):
    made = await api.post(
        api.core("services"), {"metadata": {"name": "s"}, "spec": {"clusterIP": "None", "selector": {"a": "b"}}}
    )
    assert (made.code, made["spec"]["clusterIP"], made["spec"]["clusterIPs"]) == (201, "None", ["None"])


async def test_an_external_name_has_no_address(api):
    made = await api.post(
        api.core("services"),
        {"metadata": {"name": "s"}, "spec": {"type": "ExternalName", "externalName": "a.example.com"}},
    )
    assert made.code == 201
    assert "clusterIP" not in made["spec"]


async def test_a_node_port_is_given(api):
    made = await api.post(
        api.core("services"), {"metadata": {"name": "s"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}}
    )
    assert 30000 <= made["spec"]["ports"][0]["nodePort"] < 32768


async def test_an_applied_service_keeps_its_address(api):
    body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}
    first = await api.apply(api.core("services", "s"), body, "m")
    second = await api.apply(api.core("services", "s"), {**body, "spec": {"ports": [{"port": 81}]}}, "m")
    assert (second.code, second["spec"]["clusterIP"]) == (200, first["spec"]["clusterIP"])
    assert [p["port"] for p in second["spec"]["ports"]] == [81]
    updated = await api.put(api.core("services", "s"), {**body, "spec": {"ports": [{"port": 82}]}})
    assert (updated.code, updated["spec"]["clusterIP"]) == (200, first["spec"]["clusterIP"])


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({}, "spec.ports"),
        ({"ports": [{"port": 80}, {"port": 81}]}, "spec.ports[0].name"),
        ({"ports": [{"port": 0}]}, "spec.ports[0].port"),
        ({"ports": [{"port": 80}], "type": "Odd"}, "spec.type"),
        ({"ports": [{"port": 80}], "clusterIP": "10.1.1.1"}, "spec.clusterIPs"),
    ],
)
async def test_a_service_that_cannot_be_is_invalid(api, spec, field):
    answer = await api.post(api.core("services"), {"metadata": {"name": "s"}, "spec": spec})
    assert answer.code == 422, answer.body
    assert field in {c["field"] for c in answer["details"]["causes"]}


async def test_a_secret_takes_text_and_keeps_its_type(api):
    made = await api.post(api.core("secrets"), {"metadata": {"name": "s"}, "stringData": {"k": "v"}})
    assert (made["data"], made["type"]) == ({"k": "dg=="}, "Opaque")
    assert "stringData" not in made.body
    answer = await api.patch(api.core("secrets", "s"), {"type": "other"})
    assert answer.code == 422


async def test_what_is_immutable_stays(api):
    await api.post(api.core("configmaps"), {"metadata": {"name": "a"}, "immutable": True, "data": {"k": "v"}})
    assert (await api.patch(api.core("configmaps", "a"), {"data": {"k": "w"}})).code == 422
    assert (await api.patch(api.core("configmaps", "a"), {"metadata": {"labels": {"x": "y"}}})).code == 200


@pytest.mark.parametrize("key", ["a b", "a/b", ""])
async def test_a_key_of_a_config_map_is_a_file_name(api, key):
    answer = await api.post(api.core("configmaps"), {"metadata": {"name": "a"}, "data": {key: "v"}})
    assert answer.code == 422


async def test_an_autoscaler_is_completed_and_checked(api):
    path = api.of("autoscaling/v2", "horizontalpodautoscalers")
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}
    made = await api.post(path, {"metadata": {"name": "h"}, "spec": {"scaleTargetRef": target, "maxReplicas": 3}})
    assert made.code == 201
    assert made["spec"]["minReplicas"] == 1
    assert made["spec"]["metrics"][0]["resource"] == {
        "name": "cpu",
        "target": {"type": "Utilization", "averageUtilization": 80},
    }
    for spec, field in (
        ({"maxReplicas": 0}, "spec.maxReplicas"),
        ({"maxReplicas": 2, "minReplicas": 3}, "spec.maxReplicas"),
    ):
        answer = await api.post(path, {"metadata": {"name": "x"}, "spec": {"scaleTargetRef": target, **spec}})
        assert field in {c["field"] for c in answer["details"]["causes"]}


async def test_a_lease_is_taken_by_its_version(api):
    path = api.of("coordination.k8s.io/v1", "leases")
    spec = {"holderIdentity": "a", "leaseDurationSeconds": 15, "renewTime": "2024-01-01T00:00:00.000000Z"}
    made = await api.post(path, {"metadata": {"name": "l"}, "spec": spec})
    assert made["spec"] == spec
    first = await api.put(f"{path}/l", {**made.body, "spec": {**spec, "holderIdentity": "b"}})
    second = await api.put(f"{path}/l", {**made.body, "spec": {**spec, "holderIdentity": "c"}})
    assert (first.code, second.code) == (200, 409)


async def test_events_have_two_faces(api):
    involved = {"kind": "Pod", "name": "p", "namespace": api.namespace}
    body = {
        "metadata": {"name": "e"}, "involvedObject": involved, "reason": "R", "message": "m", "type": "Normal",
        "source": {"component": "c"}, "count": 2,
        "firstTimestamp": "2024-01-01T00:00:00Z", "lastTimestamp": "2024-01-01T00:00:00Z",
    }  # fmt: skip
    made = await api.post(api.core("events"), body)
    assert made.code == 201, made.body
    other = await api.get(api.of("events.k8s.io/v1", "events", "e"))
    assert (other["apiVersion"], other["note"], other["regarding"]["name"]) == ("events.k8s.io/v1", "m", "p")
    assert (other["deprecatedCount"], other["deprecatedSource"]) == (2, {"component": "c"})
    new = {
        "metadata": {"name": "f"}, "regarding": involved, "reason": "R", "note": "n", "type": "Warning", "action": "A",
        "eventTime": "2024-01-01T00:00:00.000000Z", "reportingController": "x.example.com/c", "reportingInstance": "i",
    }  # fmt: skip
    made = await api.post(api.of("events.k8s.io/v1", "events"), new)
    assert made.code == 201, made.body
    core = await api.get(api.core("events", "f"))
    assert (core["message"], core["involvedObject"]["name"], core["reportingComponent"]) == (
        "n",
        "p",
        "x.example.com/c",
    )


async def test_an_event_is_in_the_namespace_of_what_it_is_about(api):
    answer = await api.post(
        api.core("events"),
        {"metadata": {"name": "e"}, "involvedObject": {"kind": "Pod", "namespace": "other", "name": "p"}},
    )
    assert answer.code == 422


async def test_a_budget_says_one_thing(api):
    spec = {"minAvailable": 1, "maxUnavailable": 1, "selector": {"matchLabels": {"a": "b"}}}
    answer = await api.post(api.of("policy/v1", "poddisruptionbudgets"), {"metadata": {"name": "b"}, "spec": spec})
    assert answer.code == 422


async def test_an_endpoint_slice_has_a_type(api):
    path = api.of("discovery.k8s.io/v1", "endpointslices")
    good = {
        "metadata": {"name": "s"},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.1.1.1"]}],
        "ports": [{"port": 80}],
    }
    made = await api.post(path, good)
    assert made.code == 201, made.body
    assert made["ports"] == [{"name": "", "port": 80, "protocol": "TCP"}]
    del good["addressType"]
    assert (await api.post(path, {**good, "metadata": {"name": "t"}})).code == 422


@pytest.mark.parametrize(
    ("kind", "address", "said"),
    [
        ("IPv4", "127.1.0.2", "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
        ("IPv4", "0.0.0.0", "may not be unspecified (0.0.0.0)"),
        ("IPv4", "169.254.1.1", "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
        ("IPv4", "224.0.0.1", "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"),
        ("IPv6", "::1", "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
        ("IPv6", "10.1.1.1", ""),
        ("IPv4", "fd00::1", ""),
    ],
)
async def test_an_endpoint_has_an_address_that_others_can_reach(api, kind, address, said):
    made = await api.post(
        api.of("discovery.k8s.io/v1", "endpointslices"),
        {"metadata": {"name": "s"}, "addressType": kind, "endpoints": [{"addresses": [address]}], "ports": []},
    )
    assert made.code == 422
    assert said in made["message"]


async def test_a_name_may_stand_for_an_address_in_an_endpoint_slice(api):
    names = [{"addresses": ["127-1-0-2.ml.pod.cluster.local"]}]
    made = await api.post(
        api.of("discovery.k8s.io/v1", "endpointslices"),
        {"metadata": {"name": "s"}, "addressType": "FQDN", "endpoints": names, "ports": []},
    )
    assert made.code == 201, made.body


async def test_a_webhook_is_completed(api):
    path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
    rule = {
        "apiGroups": ["none.example.com"],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["nothing"],
    }
    hook = {
        "name": "a.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"],
        "clientConfig": {"url": "https://127.0.0.1:1/x"},
        "rules": [rule],
    }  # fmt: skip
    made = await api.post(path, {"metadata": {"name": api.namespace}, "webhooks": [hook]})
    assert made.code == 201, made.body
    (found,) = made["webhooks"]
    assert (found["failurePolicy"], found["matchPolicy"], found["timeoutSeconds"]) == ("Fail", "Equivalent", 10)
    assert (found["namespaceSelector"], found["objectSelector"], found["rules"][0]["scope"]) == ({}, {}, "*")
    await api.delete(f"{path}/{api.namespace}")
