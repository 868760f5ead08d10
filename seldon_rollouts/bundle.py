"""Bundle: the manifests that an administrator applies, put together for one installation. Pure, over documents."""

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Literal

Object = dict[str, Any]

_OF_OPERATOR = "seldon-rollouts-operator"
_OF_ROLLOUT = ("seldon-rollouts-rollout", "seldon-rollouts-analysis")
_SELDON_CRD = "seldondeployments.machinelearning.seldon.io"
_SETTINGS = "seldon-config"
_MONITORING = ("PodMonitor", "ServiceMonitor", "PrometheusRule")
GRAFANA = "seldon-rollouts-grafana-dashboards"
CONTROLLER = "seldon-rollouts-controller"
PROMETHEUS, GATEWAY = "http://prometheus.istio-system:9090", "istio-system/seldon-gateway"


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What is wanted of an installation."""

    controllers: Literal["both", "operator", "rollout"] = "both"
    """rollout: beside a Seldon Core v1 operator that is in the cluster already."""
    prometheus_url: str = PROMETHEUS
    gateway: str = GATEWAY
    registry: str = ""
    """Where the images are, such as registry.example/team; Docker Hub when empty."""
    pod_monitors: bool = True
    """Whether the Prometheus operator is there; else pods carry prometheus.io annotations."""
    service_monitor: bool = False
    """A ServiceMonitor for the controller, in the place of its PodMonitor."""
    rules: bool = False
    """Alerts, for the Prometheus operator."""
    grafana: bool = False
    """Dashboards, in a ConfigMap that Grafana's sidecar finds."""
    monitoring_labels: Mapping[str, str] = field(default_factory=dict)
    """Labels by which the Prometheus operator and Grafana's sidecar choose, such as release: prometheus."""
    webhooks: bool = False
    """What is wrong is said when it is applied."""
    notifications: bool = False
    """People are told; the file is in the Secret `seldon-rollouts-notifications`."""
    prometheus_secret: str = ""
    """The Secret with what Prometheus asks for at its door."""
    dashboard: bool = False


def bundle(documents: Iterable[Mapping[str, Any]], wanted: Installation) -> list[Object]:
    """Return what to apply, in order: definitions and namespaces first.

    Args:
        documents: those of crds/, manifests/base and of the parts that are wanted.
        wanted: the installation.
    """
    kept = [_adapted(deepcopy(dict(each)), wanted) for each in documents if _belongs(each, wanted)]
    first = {"CustomResourceDefinition": 0, "Namespace": 1, "ServiceAccount": 2}
    return sorted(kept, key=lambda each: first.get(each["kind"], 3))


def _belongs(obj: Mapping[str, Any], wanted: Installation) -> bool:
    kind, name = obj["kind"], obj["metadata"]["name"]
    if kind == "PodMonitor" and not wanted.pod_monitors:
        return False
    if wanted.controllers == "operator":
        return not (name in _OF_ROLLOUT or (kind == "CustomResourceDefinition" and name != _SELDON_CRD))
    if wanted.controllers == "rollout":
        theirs = kind == "MutatingWebhookConfiguration" or (kind == "ConfigMap" and name == _SETTINGS)
        return name not in (_OF_OPERATOR, _SELDON_CRD) and not theirs
    return True


def _adapted(obj: Object, wanted: Installation) -> Object:
    kind, name = obj["kind"], obj["metadata"]["name"]
    if kind in _MONITORING or name == GRAFANA:
        obj["metadata"]["labels"] = {**obj["metadata"].get("labels", {}), **wanted.monitoring_labels}
    if kind == "PodMonitor" and name == CONTROLLER and wanted.service_monitor:
        return _by_service(obj)
    if kind == "ValidatingWebhookConfiguration":
        obj["webhooks"] = [each for each in obj["webhooks"] if _asked_of_us(each, wanted)]
    if kind == "Namespace" and wanted.controllers == "rollout":
        # The operator's pods live here too, and may need more.
        obj["metadata"].get("labels", {}).pop("pod-security.kubernetes.io/enforce", None)
    return _deployed(obj, wanted) if kind == "Deployment" else obj


def _by_service(monitor: Object) -> Object:
    """Return the ServiceMonitor that reads what a PodMonitor reads."""
    (endpoint,) = monitor["spec"].pop("podMetricsEndpoints")
    spec = {**monitor["spec"], "endpoints": [{**endpoint, "port": "http-metrics"}]}
    return {**monitor, "kind": "ServiceMonitor", "spec": spec}


def _asked_of_us(webhook: Mapping[str, Any], wanted: Installation) -> bool:
    """Say whether a webhook is about objects that one of the installed controllers looks after."""
    resources = {resource for rule in webhook["rules"] for resource in rule["resources"]}
    return {"both": True, "operator": "seldondeployments" in resources, "rollout": "seldonrollouts" in resources}[
        wanted.controllers
    ]


def _deployed(obj: Object, wanted: Installation) -> Object:
    pod, ours = obj["spec"]["template"], obj["metadata"]["name"] == CONTROLLER
    for container in pod["spec"]["containers"]:
        container["args"] = _arguments(container["args"], wanted, controller=ours)
        if wanted.registry:
            container["image"] = f"{wanted.registry.rstrip('/')}/{container['image'].rpartition('/')[2]}"
    (container,) = pod["spec"]["containers"]
    if ours and wanted.webhooks:
        container["args"].append("--webhook-listen=0.0.0.0:9443")
        container["ports"].append({"name": "webhook", "containerPort": 9443})
    if ours and wanted.notifications:
        container["args"].append("--notifications-file=/etc/notifications/notifications.yaml")
        _mount(pod["spec"], "notifications", "/etc/notifications", "seldon-rollouts-notifications")
    if wanted.prometheus_secret:
        container["args"].append("--prometheus-access=/etc/prometheus-access")
        _mount(pod["spec"], "prometheus-access", "/etc/prometheus-access", wanted.prometheus_secret)
    if not wanted.pod_monitors and ours:
        pod["metadata"].setdefault("annotations", {}).update(
            {"prometheus.io/scrape": "true", "prometheus.io/port": "8080"}
        )
    return obj


def _mount(pod: Object, name: str, path: str, secret: str) -> None:
    (container,) = pod["containers"]
    container.setdefault("volumeMounts", []).append({"name": name, "mountPath": path, "readOnly": True})
    pod.setdefault("volumes", []).append({"name": name, "secret": {"secretName": secret}})


def _arguments(given: Sequence[str], wanted: Installation, *, controller: bool) -> list[str]:
    own = {"--prometheus-url": wanted.prometheus_url, "--gateway": wanted.gateway}
    known = [f"{flag}={own[flag]}" if (flag := each.partition("=")[0]) in own else each for each in given]
    parts = {"both": "", "operator": "operator", "rollout": "rollout,analysis"}[wanted.controllers]
    return [*known, f"--controllers={parts}"] if controller and parts else known


def grafana(dashboards: Mapping[str, str]) -> Object:
    """Return dashboards, by file name, in the ConfigMap that Grafana's sidecar finds by its label."""
    labels = {"app.kubernetes.io/part-of": "seldon-rollouts", "grafana_dashboard": "1"}
    meta = {"name": GRAFANA, "namespace": "seldon-system", "labels": labels}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": dict(dashboards)}
