"""Deployments, ReplicaSets, StatefulSets, DaemonSets, Jobs, autoscalers and budgets: defaults and refusals."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from localcluster.apiserver import selectors
from localcluster.apiserver.errors import Cause
from localcluster.apiserver.metadata import immutable, required, unsupported, wrong_value
from localcluster.apiserver.pods import check_template, default_spec

JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class WorkloadRules:
    """A kind with a selector and a pod template. `complete` fills in what is its own."""

    complete: Callable[[JsonObject], None]
    fixed: tuple[str, ...] = ("selector",)

    def default(self, new: JsonObject) -> None:
        spec = new.setdefault("spec", {})
        template = spec.get("template")
        if template is not None:
            template.setdefault("metadata", {})
            default_spec(template.setdefault("spec", {}))
        self.complete(new)
        new.setdefault("status", {})

    def validate(self, new: JsonObject, old: JsonObject | None) -> Iterable[Cause]:
        spec = new["spec"]
        yield from check_replicas(spec.get("replicas", 0), "spec.replicas")
        yield from _check_selector(spec)
        yield from check_template(spec.get("template"), "spec.template")
        policy = ((spec.get("template") or {}).get("spec") or {}).get("restartPolicy")
        if policy != "Always":
            yield unsupported("spec.template.spec.restartPolicy", policy, ("Always",))
        if old is not None:
            for name in self.fixed:
                if spec.get(name) != old["spec"].get(name):
                    yield immutable(f"spec.{name}", spec.get(name))


def check_replicas(number: int, field: str) -> Iterator[Cause]:
    if number < 0:
        yield wrong_value(field, number, "must be greater than or equal to 0")


def _check_selector(spec: JsonObject) -> Iterator[Cause]:
    selector = spec.get("selector")
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    if selector is None:
        yield required("spec.selector")
    elif not selector.get("matchLabels") and not selector.get("matchExpressions"):
        yield wrong_value("spec.selector", selector, "empty selector is invalid for deployment")
    elif not selectors.from_object(selector).matches(labels):
        yield wrong_value("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")


def _deployment(new: JsonObject) -> None:
    spec = new["spec"]
    spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)
    strategy = spec.setdefault("strategy", {})
    strategy.setdefault("type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")


def _replica_set(new: JsonObject) -> None:
    new["spec"].setdefault("replicas", 1)
    new.setdefault("status", {}).setdefault("replicas", 0)
    labels = ((new["spec"].get("template") or {}).get("metadata") or {}).get("labels")
    if labels and not new["metadata"].get("labels"):
        new["metadata"]["labels"] = dict(labels)


def _stateful_set(new: JsonObject) -> None:
    spec = new["spec"]
    spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("podManagementPolicy", "OrderedReady")
    spec.setdefault("persistentVolumeClaimRetentionPolicy", {"whenDeleted": "Retain", "whenScaled": "Retain"})
    update = spec.setdefault("updateStrategy", {})
    update.setdefault("type", "RollingUpdate")
    if update["type"] == "RollingUpdate":
        update.setdefault("rollingUpdate", {}).setdefault("partition", 0)


def _daemon_set(new: JsonObject) -> None:
    spec = new["spec"]
    spec.setdefault("revisionHistoryLimit", 10)
    update = spec.setdefault("updateStrategy", {})
    update.setdefault("type", "RollingUpdate")
    if update["type"] == "RollingUpdate":
        rolling = update.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", 1)
        rolling.setdefault("maxSurge", 0)


DEPLOYMENT = WorkloadRules(_deployment)
REPLICA_SET = WorkloadRules(_replica_set)
STATEFUL_SET = WorkloadRules(_stateful_set, ("selector", "serviceName", "podManagementPolicy", "volumeClaimTemplates"))
DAEMON_SET = WorkloadRules(_daemon_set)


class JobRules:
    """A Job selects its pods by its own uid unless it is told otherwise."""

    def default(self, new: JsonObject) -> None:
        spec = new.setdefault("spec", {})
        default_job(spec)
        uid, name = new["metadata"].get("uid", ""), new["metadata"].get("name", "")
        if "selector" not in spec and not spec.get("manualSelector"):
            own = {"batch.kubernetes.io/controller-uid": uid}
            spec["selector"] = {"matchLabels": dict(own)}
            labels = spec.setdefault("template", {}).setdefault("metadata", {}).setdefault("labels", {})
            labels |= {**own, "controller-uid": uid, "batch.kubernetes.io/job-name": name, "job-name": name}
        new.setdefault("status", {})

    def validate(self, new: JsonObject, old: JsonObject | None) -> Iterable[Cause]:
        yield from check_template(new["spec"].get("template"), "spec.template")
        policy = ((new["spec"].get("template") or {}).get("spec") or {}).get("restartPolicy")
        if policy not in ("OnFailure", "Never"):
            told = 'Required value: valid values: "OnFailure", "Never"'
            yield Cause("FieldValueRequired", told, "spec.template.spec.restartPolicy")
        if old is not None and new["spec"].get("template") != old["spec"].get("template"):
            yield immutable("spec.template", "object")


def default_job(spec: JsonObject) -> None:
    template = spec.get("template")
    if template is not None:
        pod = template.setdefault("spec", {})
        asked = pod.get("restartPolicy")
        default_spec(pod)
        if asked is None:
            pod["restartPolicy"] = "Always"
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    spec.setdefault("backoffLimit", 6)
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    spec.setdefault("podReplacementPolicy", "TerminatingOrFailed")


class CronJobRules:
    def default(self, new: JsonObject) -> None:
        spec = new.setdefault("spec", {})
        spec.setdefault("concurrencyPolicy", "Allow")
        spec.setdefault("suspend", False)
        spec.setdefault("successfulJobsHistoryLimit", 3)
        spec.setdefault("failedJobsHistoryLimit", 1)
        template = ((spec.get("jobTemplate") or {}).get("spec") or {}).get("template")
        if template is not None:
            default_spec(template.setdefault("spec", {}))
        new.setdefault("status", {})

    def validate(self, new: JsonObject, old: JsonObject | None) -> Iterable[Cause]:
        if not new["spec"].get("schedule"):
            yield required("spec.schedule")


class AutoscalerRules:
    def default(self, new: JsonObject) -> None:
        spec = new.setdefault("spec", {})
        spec.setdefault("minReplicas", 1)
        if not spec.get("metrics"):
            target = {"type": "Utilization", "averageUtilization": 80}
            spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
        new.setdefault("status", {}).setdefault("desiredReplicas", 0)
        new["status"].setdefault("currentMetrics", None)

    def validate(self, new: JsonObject, old: JsonObject | None) -> Iterable[Cause]:
        spec = new["spec"]
        target = spec.get("scaleTargetRef") or {}
        for name in ("kind", "name"):
            if not target.get(name):
                yield required(f"spec.scaleTargetRef.{name}")
        lowest, highest = spec.get("minReplicas", 1), spec.get("maxReplicas", 0)
        if lowest < 1:
            yield wrong_value("spec.minReplicas", lowest, "must be greater than or equal to 1")
        if highest < 1:
            yield wrong_value("spec.maxReplicas", highest, "must be greater than 0")
        elif highest < lowest:
            yield wrong_value("spec.maxReplicas", highest, "must be greater than or equal to `minReplicas`")


class BudgetRules:
    def default(self, new: JsonObject) -> None:
        status = new.setdefault("status", {})
        for name in ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"):
            status.setdefault(name, 0)

    def validate(self, new: JsonObject, old: JsonObject | None) -> Iterable[Cause]:
        spec = new.get("spec") or {}
        if "minAvailable" in spec and "maxUnavailable" in spec:
            yield wrong_value("spec", "object", "minAvailable and maxUnavailable cannot be both set")
