"""Pods, in the place of the workload controllers, the scheduler and the kubelets."""

import hashlib
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import orjson

from controller.kube.resources import DEPLOYMENT, ENDPOINT_SLICE, POD, SERVICE
from localcluster.apiserver.history import Event
from simulated.api import NAMESPACE_NAME, Api, ApiError, Object
from simulated.quality import Qualities
from simulated.timeline import Timeline

ACTOR = "workloads"
SERVICE_NAME = "kubernetes.io/service-name"
START_TIME = (0.5, 8.0)
"""Seconds that a pod takes to become ready: at least, and at most."""


@dataclass(slots=True)
class PodState:
    """One pod."""

    name: str
    digest: str
    labels: dict[str, str]
    ip: str
    ready: bool = False
    ready_since: float = 0.0
    broken: str = ""
    """Why it is not ready, when it is not just starting."""


@dataclass(slots=True)
class Pods:
    """The pods of one Deployment."""

    uid: str
    pods: dict[str, PodState] = field(default_factory=dict)
    refused: bool = False
    disturbed_at: float = -1e9
    """When the world last took a ready pod away, or refused one."""


class Workloads:
    """Follows Deployments and Services."""

    def __init__(self, timeline: Timeline, api: Api, qualities: Qualities) -> None:
        self._timeline, self._api, self._qualities = timeline, api, qualities
        self._chance = timeline.chance("workloads")
        self.sets: dict[str, Pods] = {}
        self.quota = False
        self.start_time = START_TIME
        self._count = 0
        self._due: set[str] = set()
        self._slices_due = False
        api.watchers.append(self._happened)

    def _happened(self, _: str, event: Event) -> None:
        name = event.key[1]
        if event.collection == "deployments.apps":
            if event.type == "DELETED":
                self.sets.pop(name, None)
                self._slices()
            elif (
                event.previous is None
                or event.previous["metadata"]["generation"] != event.entry.object["metadata"]["generation"]
            ):
                self._soon(name)
        elif event.collection == "services" and event.type != "DELETED":
            self._slices()

    def _soon(self, name: str) -> None:
        if name not in self._due:
            self._due.add(name)
            self._timeline.after(0.02 + 0.2 * self._chance.random(), lambda: self._sync(name))

    def _slices(self) -> None:
        if not self._slices_due:
            self._slices_due = True
            self._timeline.after(0.05 + 0.2 * self._chance.random(), self._write_slices)

    # pods

    def _sync(self, name: str) -> None:
        """Make the pods of a Deployment what it asks for; new pods first, old ones when those are ready."""
        self._due.discard(name)
        live = self._api.find(DEPLOYMENT, name)
        if live is None:
            return
        state = self.sets.get(name)
        if state is None or state.uid != live["metadata"]["uid"]:
            state = self.sets[name] = Pods(live["metadata"]["uid"])
        wanted = _replicas(live)
        digest = _digest(live["spec"]["template"])
        current = [pod for pod in state.pods.values() if pod.digest == digest]
        # As Kubernetes does: of the old pods, those that are not ready go first.
        old = sorted((pod for pod in state.pods.values() if pod.digest != digest), key=lambda pod: pod.ready)
        state.refused = self.quota and len(current) < wanted
        if not self.quota:
            for _ in range(wanted - len(current)):
                self._create(live, name, state, digest)
        for pod in sorted(current, key=lambda pod: (pod.ready, pod.name))[: max(0, len(current) - wanted)]:
            self._remove(state, pod)
        fresh = sum(pod.ready for pod in state.pods.values() if pod.digest == digest)
        for pod in old[: max(0, len(old) + fresh - wanted)] if wanted else old:
            self._remove(state, pod)
        self._status(live, name, state, digest)

    def _create(self, live: Object, name: str, state: Pods, digest: str) -> None:
        self._count += 1
        number = self._count
        template = live["spec"]["template"]
        labels = dict((template.get("metadata") or {}).get("labels") or {})
        pod = PodState(f"{name}-{digest[:5]}-{number}", digest, labels, f"10.0.{number // 250}.{number % 250 + 1}")
        state.pods[pod.name] = pod
        containers = [
            {"name": each["name"], "image": each.get("image", "x")} for each in template["spec"]["containers"]
        ]
        owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name, "uid": state.uid, "controller": True}
        self._api.create(
            POD,
            {
                "metadata": {
                    "name": pod.name,
                    "namespace": NAMESPACE_NAME,
                    "labels": labels,
                    "ownerReferences": [owner],
                },
                "spec": {"containers": containers},
            },
            actor=ACTOR,
        )
        quality = self._qualities.of_deployment(live)
        if not quality.starts:
            self._timeline.after(1.0, lambda: self.fail(name, pod.name, "CrashLoopBackOff"))
            return
        self._timeline.after(self._chance.uniform(*self.start_time), lambda: self._set_ready(name, pod.name, True, ""))

    def _remove(self, state: Pods, pod: PodState) -> None:
        state.pods.pop(pod.name, None)
        with suppress(ApiError):  # the garbage collector may have been first
            self._api.delete(POD, pod.name, actor=ACTOR)
        self._slices()

    def _set_ready(self, name: str, pod_name: str, ready: bool, broken: str) -> None:
        state = self.sets.get(name)
        pod = state.pods.get(pod_name) if state else None
        if state is None or pod is None or (ready and pod.ready):
            return
        if pod.ready and not ready:
            state.disturbed_at = self._timeline.now
        pod.ready, pod.broken = ready, broken
        pod.ready_since = self._timeline.now
        waiting: Object = {"waiting": {"reason": broken}} if broken else {"running": {}}
        status = {
            "phase": "Running",
            "podIP": pod.ip,
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            "containerStatuses": [
                {
                    "name": "classifier",
                    "image": "x",
                    "imageID": "",
                    "ready": ready,
                    "restartCount": 0 if not broken else 1,
                    "state": waiting,
                }
            ],
        }
        try:
            self._api.put_status(POD, pod_name, status, actor=ACTOR)
        except ApiError:
            return
        self._slices()
        self._soon(name)

    def fail(self, name: str, pod_name: str, why: str) -> None:
        """Let a pod be not ready."""
        self._set_ready(name, pod_name, False, why)

    # what the story does

    def some_pods(self, ready: bool = True) -> list[tuple[str, str]]:
        """Return (Deployment, pod) in a stable order."""
        return [
            (name, pod.name)
            for name, state in sorted(self.sets.items())
            for pod in sorted(state.pods.values(), key=lambda pod: pod.name)
            if pod.ready == ready
        ]

    def starting(self) -> list[str]:
        """Return the pods that will be ready in a while."""
        return [
            pod.name for state in self.sets.values() for pod in state.pods.values() if not pod.ready and not pod.broken
        ]

    def crash(self, name: str, pod: str, seconds: float) -> None:
        """Let a ready pod crash, and come back after a while."""
        self.fail(name, pod, "Error")
        self._timeline.after(seconds, lambda: self._set_ready(name, pod, True, ""))

    def evict(self, name: str, pod_name: str) -> None:
        """Take a pod away; its Deployment makes another."""
        state = self.sets.get(name)
        pod = state.pods.get(pod_name) if state else None
        if state is None or pod is None:
            return
        state.disturbed_at = self._timeline.now
        self._remove(state, pod)
        self._soon(name)

    def set_quota(self, on: bool) -> None:
        """Refuse new pods, or no longer."""
        self.quota = on
        for name in sorted(self.sets):
            self._soon(name)

    def ready(self, labels: dict[str, str]) -> int:
        """Count the ready pods with these labels."""
        return sum(
            pod.ready and labels.items() <= pod.labels.items()
            for state in self.sets.values()
            for pod in state.pods.values()
        )

    def disturbed_at(self, child: str) -> float:
        """When the world last took a pod of a SeldonDeployment away."""
        return max(
            (
                state.disturbed_at
                for state in self.sets.values()
                if any(pod.labels.get("seldon-deployment-id") == child for pod in state.pods.values())
            ),
            default=-1e9,
        )

    # what it tells

    def _status(self, live: Object, name: str, state: Pods, digest: str) -> None:
        current = [pod for pod in state.pods.values() if pod.digest == digest]
        ready = sum(pod.ready for pod in state.pods.values())
        status: dict[str, Any] = {
            "observedGeneration": live["metadata"]["generation"],
            "replicas": len(state.pods),
            "updatedReplicas": len(current),
            "readyReplicas": ready,
            "availableReplicas": ready,
        }
        if state.refused:
            status["conditions"] = [
                {
                    "type": "ReplicaFailure",
                    "status": "True",
                    "reason": "FailedCreate",
                    "message": "exceeded quota: pods",
                }
            ]
        if {key: value for key, value in (live.get("status") or {}).items() if value} != {
            key: value for key, value in status.items() if value
        }:
            self._api.put_status(DEPLOYMENT, name, status, actor=ACTOR)

    def _write_slices(self) -> None:
        self._slices_due = False
        for service in self._api.all(SERVICE):
            selector = service["spec"].get("selector")
            if not selector:
                continue
            name = service["metadata"]["name"]
            pods = sorted(
                (pod.ip, pod.name)
                for state in self.sets.values()
                for pod in state.pods.values()
                if pod.ready and selector.items() <= pod.labels.items()
            )
            self._write_slice(service, f"{name}-x", pods)

    def _write_slice(self, service: Object, name: str, pods: list[tuple[str, str]]) -> None:
        live = self._api.find(ENDPOINT_SLICE, name)
        endpoints: list[Object] = [
            {"addresses": [ip], "conditions": {"ready": True}, "targetRef": {"kind": "Pod", "name": pod}}
            for ip, pod in pods
        ]
        meta = service["metadata"]
        if live is None:
            owner = {
                "apiVersion": "v1",
                "kind": "Service",
                "name": meta["name"],
                "uid": meta["uid"],
                "controller": True,
            }
            labels = {**(meta.get("labels") or {}), SERVICE_NAME: meta["name"]}
            slice_ = {
                "metadata": {
                    "name": name,
                    "namespace": NAMESPACE_NAME,
                    "labels": labels,
                    "ownerReferences": [owner],
                },
                "addressType": "IPv4",
                "endpoints": endpoints,
                "ports": [],
            }
            self._api.create(ENDPOINT_SLICE, slice_, actor=ACTOR)
        elif (live.get("endpoints") or []) != endpoints:
            self._api.merge(ENDPOINT_SLICE, name, {"endpoints": endpoints}, actor=ACTOR)


def _replicas(live: Object) -> int:
    number = live["spec"].get("replicas")
    return 1 if number is None else int(number)


def _digest(template: Object) -> str:
    return hashlib.sha256(orjson.dumps(template, option=orjson.OPT_SORT_KEYS)).hexdigest()
