"""What an administrator applies is complete, consistent, and gives the controller no more than it needs."""

import json
from pathlib import Path

import pytest
import yaml

from controller.api.crds import KINDS
from controller.deployment.configuration import CONFIG_MAP, Configuration, with_config_map
from controller.startup import parse_settings

ROOT = Path(__file__).parents[2]
OVERLAYS = sorted(path.name for path in (ROOT / "manifests" / "overlays").iterdir())


def _one(objects, kind, name=None):
    found = [each for each in objects if each["kind"] == kind and name in (None, each["metadata"]["name"])]
    assert len(found) == 1, (kind, name, len(found))
    return found[0]


def _names(objects, kind):
    return {each["metadata"]["name"] for each in objects if each["kind"] == kind}


def _container(objects):
    return _one(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]


def _settings(objects):
    return parse_settings(_container(objects)["args"], {"POD_NAMESPACE": "seldon-system"})


def test_the_base_brings_everything_that_the_controller_needs(kustomize):
    objects = kustomize("manifests/base")
    assert _names(objects, "CustomResourceDefinition") == {f"{kind.plural}.{kind.group}" for kind in KINDS}
    kinds = {each["kind"] for each in objects}
    assert kinds >= {
        "Namespace",
        "ServiceAccount",
        "ClusterRole",
        "Role",
        "Deployment",
        "Service",
        "ConfigMap",
        "PodMonitor",
    }


def test_every_file_of_the_base_is_listed():
    folder = ROOT / "manifests" / "base"
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    files = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
    assert {name for name in listed if not name.startswith("..")} == files


def test_every_object_in_a_namespace_is_in_the_one_that_the_base_makes(base):
    namespace = _one(base, "Namespace")["metadata"]["name"]
    cluster_wide = {"Namespace", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}
    homes = {each["metadata"].get("namespace") for each in base if each["kind"] not in cluster_wide}
    assert homes == {namespace}


def test_the_controller_accepts_the_arguments_of_its_deployment(base):
    settings = _settings(base)
    assert settings.leader_elect
    assert settings.controllers == {"operator", "rollout", "analysis"}
    assert settings.operator_namespace == "seldon-system"
    assert settings.prometheus_url


def test_probes_and_ports_are_where_the_controller_listens(base):
    container = _container(base)
    port = _settings(base).listen_address[1]
    assert container["ports"] == [{"name": "metrics", "containerPort": port}]
    paths = {name: container[name]["httpGet"]["path"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert paths == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    assert {container[name]["httpGet"]["port"] for name in paths} == {"metrics"}


def test_the_pod_has_longer_to_end_than_its_passes(base):
    pod = _one(base, "Deployment")["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > 2 * _settings(base).grace.total_seconds()


def test_the_pod_meets_the_restricted_pod_security_standard(base):
    pod = _one(base, "Deployment")["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 8888
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC", "volumes"} & pod.keys()


def test_the_container_asks_for_resources_and_has_a_bound_of_memory(base):
    resources = _container(base)["resources"]
    assert {"cpu", "memory"} <= resources["requests"].keys()
    assert "memory" in resources["limits"]


def test_the_service_and_the_monitor_select_the_controllers_pods(base):
    labels = _one(base, "Deployment")["spec"]["template"]["metadata"]["labels"]
    service = _one(base, "Service")
    monitor = _one(base, "PodMonitor", "seldon-rollouts-controller")
    assert service["spec"]["selector"].items() <= labels.items()
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    named = {port["name"] for port in _container(base)["ports"]}
    assert {port["targetPort"] for port in service["spec"]["ports"]} <= named
    assert {endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"]} <= named


def test_the_config_map_says_what_the_operator_would_do_without_it(base):
    data = _one(base, "ConfigMap", CONFIG_MAP)["data"]
    assert with_config_map(Configuration(), data) == Configuration()
    assert all(json.loads(text) for text in data.values())


def test_no_image_is_left_to_chance(base):
    images = [_container(base)["image"]]
    images += [image.reference for servers in Configuration().servers.values() for image in servers.values()]
    images += [Configuration().explainer_image, Configuration().explainer_image_v2]
    assert all(":" in image and not image.endswith(":latest") for image in images)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_overlay_renders_and_its_arguments_are_accepted(kustomize, overlay):
    assert _settings(kustomize(f"manifests/overlays/{overlay}")).leader_elect


def test_the_rollout_controller_alone_leaves_a_foreign_operators_things_alone(kustomize):
    objects = kustomize("manifests/overlays/rollout-only")
    assert _settings(objects).controllers == {"rollout", "analysis"}
    assert not any("machinelearning" in name for name in _names(objects, "CustomResourceDefinition"))
    assert _names(objects, "ConfigMap") == set()
    assert _names(objects, "ClusterRoleBinding") == {"seldon-rollouts-rollout", "seldon-rollouts-analysis"}
    assert "pod-security.kubernetes.io/enforce" not in _one(objects, "Namespace")["metadata"]["labels"]


def test_the_operator_alone_needs_no_rollouts(kustomize):
    objects = kustomize("manifests/overlays/operator-only")
    assert _settings(objects).controllers == {"operator"}
    assert _names(objects, "CustomResourceDefinition") == {"seldondeployments.machinelearning.seldon.io"}
    assert _names(objects, "ClusterRoleBinding") == {"seldon-rollouts-operator"}


def test_without_the_prometheus_operator_the_pod_is_found_by_annotations(kustomize):
    objects = kustomize("manifests/overlays/without-prometheus-operator")
    assert _names(objects, "PodMonitor") == set()
    annotations = _one(objects, "Deployment")["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/scrape"] == "true"
    assert int(annotations["prometheus.io/port"]) == _settings(objects).listen_address[1]


def test_the_webhooks_ask_where_the_controller_listens_and_cover_every_version(kustomize):
    objects = kustomize("manifests/overlays/with-webhooks")
    service = _one(objects, "Service", "seldon-rollouts-webhook")
    ports = {each["name"]: each["containerPort"] for each in _container(objects)["ports"]}
    assert ports[service["spec"]["ports"][0]["targetPort"]] == _settings(objects).webhook_address[1]
    kinds = {f"{kind.plural}.{kind.group}": set(kind.versions) for kind in KINDS}
    for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"):
        for hook in _one(objects, kind)["webhooks"]:
            asked = hook["clientConfig"]["service"]
            assert (asked["name"], asked["namespace"]) == (service["metadata"]["name"], "seldon-system")
            (rule,) = hook["rules"]
            assert set(rule["apiVersions"]) == kinds[f"{rule['resources'][0]}.{rule['apiGroups'][0]}"]
            assert (hook["failurePolicy"] == "Fail") == (rule["resources"] == ["seldondeployments"])


def test_the_dashboard_of_a_cluster_is_open_to_nobody_who_is_not_signed_in(kustomize):
    objects = kustomize("manifests/dashboard")
    args = _container(objects)["args"]
    assert {"--login", "--host=0.0.0.0"} <= set(args)
    rules = _one(objects, "ClusterRole")["rules"]
    written = {(tuple(each["resources"]), verb) for each in rules for verb in each["verbs"] if verb == "create"}
    assert written == {(("tokenreviews",), "create"), (("subjectaccessreviews",), "create")}
