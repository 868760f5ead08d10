"""What the API writes into pods and what makes them, and what it refuses of them."""

import pytest


def template(**spec):
    return {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}


def workload(**spec):
    return {
        "metadata": {"name": "w"},
        "spec": {"selector": {"matchLabels": {"app": "a"}}, "template": template(), **spec},
    }


async def test_a_pod_is_completed(api):
    container = {
        "name": "c", "image": "repo/i:1",
        "ports": [{"containerPort": 80}],
        "env": [{"name": "P", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
        "readinessProbe": {"httpGet": {"port": 80}},
        "resources": {"limits": {"cpu": "1"}},
        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
    }  # fmt: skip
    volumes = [
        {"name": "v"},
        {"name": "s", "secret": {"secretName": "x"}},
        {"name": "d", "downwardAPI": {"items": [{"path": "a", "fieldRef": {"fieldPath": "metadata.annotations"}}]}},
    ]
    made = await api.post(
        api.core("pods"), {"metadata": {"name": "p"}, "spec": {"containers": [container], "volumes": volumes}}
    )
    assert made.code == 201, made.body
    spec = made["spec"]
    wanted = {
        "restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "terminationGracePeriodSeconds": 30,
        "schedulerName": "default-scheduler", "securityContext": {}, "enableServiceLinks": True,
    }  # fmt: skip
    assert {key: spec[key] for key in wanted} == wanted
    (found,) = spec["containers"]
    assert found["imagePullPolicy"] == "IfNotPresent"
    assert found["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert found["env"][0]["valueFrom"]["fieldRef"] == {"apiVersion": "v1", "fieldPath": "status.podIP"}
    assert found["readinessProbe"] == {
        "httpGet": {"path": "/", "port": 80, "scheme": "HTTP"},
        "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3,
    }  # fmt: skip
    assert found["resources"] == {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}
    assert (found["terminationMessagePath"], found["terminationMessagePolicy"]) == ("/dev/termination-log", "File")
    assert spec["volumes"][:2] == [
        {"name": "v", "emptyDir": {}},
        {"name": "s", "secret": {"secretName": "x", "defaultMode": 420}},
    ]
    assert spec["volumes"][2]["downwardAPI"] == {
        "defaultMode": 420,
        "items": [{"path": "a", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.annotations"}}],
    }
    assert made["status"] == {"phase": "Pending", "qosClass": "Burstable"}


@pytest.mark.parametrize(
    ("image", "policy"), [("i", "Always"), ("i:latest", "Always"), ("i:1", "IfNotPresent"), ("h:5000/i", "Always")]
)
async def test_the_pull_policy_follows_the_tag(api, image, policy):
    made = await api.post(
        api.core("pods"), {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": image}]}}
    )
    assert made["spec"]["containers"][0]["imagePullPolicy"] == policy


@pytest.mark.parametrize(
    ("spec", "field", "reason"),
    [
        ({"containers": []}, "spec.containers", "FieldValueRequired"),
        ({"containers": [{"image": "i"}]}, "spec.containers[0].name", "FieldValueRequired"),
        ({"containers": [{"name": "UP", "image": "i"}]}, "spec.containers[0].name", "FieldValueInvalid"),
        (
            {"containers": [{"name": "c", "image": "i"}, {"name": "c", "image": "i"}]},
            "spec.containers[1].name",
            "FieldValueDuplicate",
        ),
        ({"containers": [{"name": "c"}]}, "spec.containers[0].image", "FieldValueRequired"),
        (
            {"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 0}]}]},
            "spec.containers[0].ports[0].containerPort",
            "FieldValueRequired",
        ),
        (
            {"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 70000}]}]},
            "spec.containers[0].ports[0].containerPort",
            "FieldValueInvalid",
        ),
        (
            {"containers": [{"name": "c", "image": "i", "volumeMounts": [{"name": "x", "mountPath": "/x"}]}]},
            "spec.containers[0].volumeMounts[0].name",
            "FieldValueNotFound",
        ),
        (
            {"containers": [{"name": "c", "image": "i", "imagePullPolicy": "Maybe"}]},
            "spec.containers[0].imagePullPolicy",
            "FieldValueNotSupported",
        ),
        (
            {"restartPolicy": "Perhaps", "containers": [{"name": "c", "image": "i"}]},
            "spec.restartPolicy",
            "FieldValueNotSupported",
        ),
    ],
)
async def test_a_pod_that_cannot_be_is_invalid(api, spec, field, reason):
    answer = await api.post(api.core("pods"), {"metadata": {"name": "p"}, "spec": spec})
    assert answer.code == 422, answer.body
    assert (field, reason) in {(c["field"], c["reason"]) for c in answer["details"]["causes"]}


@pytest.mark.parametrize(
    ("plural", "more", "wanted"),
    [
        (
            "deployments", {},
            {
                "replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600,
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
            },
        ),
        ("deployments", {"strategy": {"type": "Recreate"}}, {"strategy": {"type": "Recreate"}}),
        ("replicasets", {}, {"replicas": 1}),
        (
            "statefulsets", {"serviceName": "s"},
            {
                "replicas": 1, "revisionHistoryLimit": 10, "podManagementPolicy": "OrderedReady",
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
                "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
            },
        ),
        (
            "daemonsets", {},
            {
                "revisionHistoryLimit": 10,
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
            },
        ),
    ],
)  # fmt: skip
async def test_workloads_are_completed(api, plural, more, wanted):
    made = await api.post(api.of("apps/v1", plural), workload(**more))
    assert made.code == 201, made.body
    assert {key: made["spec"][key] for key in wanted} == wanted
    assert made["metadata"]["generation"] == 1
    assert made["spec"]["template"]["spec"]["restartPolicy"] == "Always"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"selector": {"matchLabels": {"app": "other"}}}, "spec.template.metadata.labels"),
        ({"selector": None}, "spec.selector"),
        ({"replicas": -1}, "spec.replicas"),
        ({"template": template(restartPolicy="Never")}, "spec.template.spec.restartPolicy"),
        (
            {"template": {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": []}}},
            "spec.template.spec.containers",
        ),
    ],
)
async def test_a_deployment_that_cannot_be_is_invalid(api, change, field):
    answer = await api.post(api.of("apps/v1", "deployments"), workload(**change))
    assert answer.code == 422
    assert field in {c["field"] for c in answer["details"]["causes"]}


async def test_a_deployments_selector_does_not_change(api):
    await api.post(api.of("apps/v1", "deployments"), workload())
    labels = {"selector": {"matchLabels": {"app": "b"}}, "template": {"metadata": {"labels": {"app": "b"}}}}
    answer = await api.patch(api.of("apps/v1", "deployments", "w"), {"spec": labels})
    assert answer.code == 422
    assert "field is immutable" in answer["message"]
