"""Status, scale, logs, eviction, binding: doors to a part of an object, or past it."""

import pytest

MERGE = "application/merge-patch+json"


def pod(name="p", **spec):
    return {
        "metadata": {"name": name, "labels": {"app": "p"}},
        "spec": {"containers": [{"name": "c", "image": "i"}], **spec},
    }


def deployment():
    template = {"metadata": {"labels": {"app": "d"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"selector": {"matchLabels": {"app": "d"}}, "template": template, "replicas": 2}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec}


@pytest.fixture
async def deployed(api):
    made = await api.post(api.of("apps/v1", "deployments"), deployment())
    assert made.code == 201
    return api.of("apps/v1", "deployments", "d")


async def test_status_is_not_taken_at_creation(api):
    body = {**deployment(), "status": {"replicas": 9}}
    made = await api.post(api.of("apps/v1", "deployments"), body)
    assert made["status"] == {}


async def test_the_main_door_does_not_write_status(api, deployed):
    answer = await api.patch(deployed, {"status": {"replicas": 9}, "spec": {"replicas": 3}})
    assert answer["spec"]["replicas"] == 3
    assert "replicas" not in answer["status"]


async def test_the_status_door_writes_nothing_but_status(api, deployed):
    answer = await api.patch(f"{deployed}/status", {"status": {"replicas": 9}, "spec": {"replicas": 5}})
    assert (answer.code, answer["status"], answer["spec"]["replicas"]) == (200, {"replicas": 9}, 2)


async def test_a_stale_status_update_is_a_conflict(api, deployed):
    before = await api.get(deployed)
    await api.patch(f"{deployed}/status", {"status": {"replicas": 1}})
    answer = await api.put(f"{deployed}/status", {**before.body, "status": {"replicas": 2}})
    assert answer.code == 409


async def test_the_generation_counts_changes_of_the_spec_alone(api, deployed):
    def generation(answer):
        return answer["metadata"]["generation"]

    assert generation(await api.get(deployed)) == 1
    assert generation(await api.patch(deployed, {"metadata": {"labels": {"x": "y"}}})) == 1
    assert generation(await api.patch(f"{deployed}/status", {"status": {"replicas": 9}})) == 1
    assert generation(await api.patch(deployed, {"spec": {"replicas": 3}})) == 2
    assert generation(await api.patch(deployed, {"spec": {"replicas": 3}})) == 2


async def test_scale_reads_and_writes_replicas(api, deployed):
    scale = await api.get(f"{deployed}/scale")
    assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
    assert scale["spec"] == {"replicas": 2}
    assert scale["status"] == {"replicas": 0, "selector": "app=d"}
    scaled = await api.patch(f"{deployed}/scale", {"spec": {"replicas": 5}})
    assert (scaled.code, scaled["spec"]) == (200, {"replicas": 5})
    found = await api.get(deployed)
    assert (found["spec"]["replicas"], found["metadata"]["generation"]) == (5, 2)
    put = await api.put(f"{deployed}/scale", {**scaled.body, "spec": {"replicas": 0}})
    assert (put.code, put["spec"]) == (200, {})


async def test_a_stale_scale_is_a_conflict(api, deployed):
    scale = await api.get(f"{deployed}/scale")
    await api.patch(deployed, {"spec": {"paused": True}})
    answer = await api.put(f"{deployed}/scale", {**scale.body, "spec": {"replicas": 9}})
    assert answer.code == 409


async def test_replicas_are_not_negative(api, deployed):
    answer = await api.patch(f"{deployed}/scale", {"spec": {"replicas": -1}})
    assert (answer.code, answer["details"]["causes"][0]["field"]) == (422, "spec.replicas")


async def test_a_subresource_that_a_kind_does_not_have_is_not_found(api, deployed):
    assert (await api.get(f"{deployed}/nothing")).code == 404
    assert (await api.get(api.core("configmaps", "a") + "/status")).code == 404


async def test_binding_puts_a_pod_on_a_node(api):
    await api.post(api.core("pods"), pod())
    binding = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": "p"},
        "target": {"kind": "Node", "name": "n1"},
    }
    bound = await api.post(api.core("pods", "p") + "/binding", binding)
    assert (bound.code, bound["status"]) == (201, "Success")
    found = await api.get(api.core("pods", "p"))
    assert found["spec"]["nodeName"] == "n1"
    scheduled = [c for c in found["status"].get("conditions", []) if c["type"] == "PodScheduled"]
    assert scheduled[0]["status"] == "True"
    again = await api.post(api.core("pods", "p") + "/binding", binding)
    assert again.code == 409
    await api.delete(api.core("pods", "p"), gracePeriodSeconds=0)


async def test_a_pod_without_a_node_is_deleted_at_once(api):
    await api.post(api.core("pods"), pod())
    assert (await api.delete(api.core("pods", "p"))).code == 200
    assert (await api.get(api.core("pods", "p"))).code == 404


async def test_a_pod_on_a_node_gets_its_grace(api):
    await api.post(api.core("pods"), pod(nodeName="n1", terminationGracePeriodSeconds=7))
    marked = await api.delete(api.core("pods", "p"))
    assert marked["metadata"]["deletionGracePeriodSeconds"] == 7
    held = await api.get(api.core("pods", "p"))
    assert held["metadata"]["deletionTimestamp"] > held["metadata"]["creationTimestamp"]
    shorter = await api.delete(api.core("pods", "p"), {"gracePeriodSeconds": 2})
    assert shorter["metadata"]["deletionGracePeriodSeconds"] == 2
    ended = await api.delete(api.core("pods", "p"), {"gracePeriodSeconds": 0})
    assert ended.code == 200
    assert (await api.get(api.core("pods", "p"))).code == 404


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
async def test_a_pod_that_has_ended_needs_no_grace(api, phase):
    await api.post(api.core("pods"), pod(nodeName="n1"))
    await api.patch(api.core("pods", "p") + "/status", {"status": {"phase": phase}})
    await api.delete(api.core("pods", "p"))
    assert (await api.get(api.core("pods", "p"))).code == 404


async def test_an_eviction_deletes_the_pod(api):
    await api.post(api.core("pods"), pod())
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}
    evicted = await api.post(api.core("pods", "p") + "/eviction", body)
    assert (evicted.code, evicted["status"]) == (201, "Success")
    assert (await api.get(api.core("pods", "p"))).code == 404


async def test_an_eviction_is_charged_to_the_budget_and_refused_beyond_it(api):
    budget = {"metadata": {"name": "b"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "p"}}}}
    made = await api.post(api.of("policy/v1", "poddisruptionbudgets"), budget)
    path = api.of("policy/v1", "poddisruptionbudgets", "b")
    status = {"disruptionsAllowed": 1, "observedGeneration": made["metadata"]["generation"]}
    await api.patch(f"{path}/status", {"status": status})
    for name in ("p", "q"):
        await api.post(api.core("pods"), pod(name))
        ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        await api.patch(api.core("pods", name) + "/status", {"status": ready})
    body = {"apiVersion": "policy/v1", "kind": "Eviction"}
    first = await api.post(api.core("pods", "p") + "/eviction", {**body, "metadata": {"name": "p"}})
    assert first.code == 201, first.body
    assert (await api.get(path))["status"]["disruptionsAllowed"] == 0
    second = await api.post(api.core("pods", "q") + "/eviction", {**body, "metadata": {"name": "q"}})
    assert (second.code, second["reason"]) == (429, "TooManyRequests")
    assert second["details"]["causes"][0]["reason"] == "DisruptionBudget"


async def test_a_pods_spec_does_not_change_but_for_its_image(api):
    await api.post(api.core("pods"), pod())
    image = await api.patch(
        api.core("pods", "p"),
        {"spec": {"containers": [{"name": "c", "image": "j"}]}},
        kind="application/strategic-merge-patch+json",
    )
    assert (image.code, image["spec"]["containers"][0]["image"]) == (200, "j")
    other = await api.patch(api.core("pods", "p"), {"spec": {"nodeName": "n1"}})
    assert (other.code, other["details"]["causes"][0]["reason"]) == (422, "FieldValueForbidden")


async def test_a_namespace_is_finalized_through_its_own_door(api, ours_only):
    path = f"/api/v1/namespaces/{api.namespace}"
    namespace = await api.get(path)
    assert namespace["spec"] == {"finalizers": ["kubernetes"]}
    assert namespace["metadata"]["labels"]["kubernetes.io/metadata.name"] == api.namespace
