"""A world for the planners: objects in dictionaries, where actions take effect as an API server would have it."""

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from localcluster.times import stamp
from localcluster.workloads import deployments, replicasets
from localcluster.workloads.actions import Create, Delete, Patch, Plan, Tell

Object = dict[str, Any]
START = datetime(2024, 5, 1, 12, 0, 0, tzinfo=UTC)


def merged(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


class World:
    """One Deployment, its ReplicaSets and pods. Time stands still unless `wait` moves it."""

    def __init__(self, **spec: Any) -> None:
        self.now = START
        self.objects: dict[tuple[str, str], Object] = {}
        self.told: list[str] = []
        self._count = 0
        self.template = {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "a"}]},
        }
        full = {"replicas": 3, "selector": {"matchLabels": {"app": "web"}}, "template": self.template} | spec
        self.add(
            "deployments", {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": full}
        )

    def add(self, plural: str, obj: Object) -> Object:
        self._count += 1
        obj = copy.deepcopy(obj)
        meta = obj["metadata"]
        meta.setdefault("name", f"{meta.get('generateName', '')}{self._count:05}")
        meta |= {"namespace": "ml", "uid": f"uid-{self._count}", "resourceVersion": "1", "generation": 1}
        meta["creationTimestamp"] = stamp(self.now + timedelta(seconds=self._count))
        self.objects[plural, meta["name"]] = obj
        return obj

    def all(self, plural: str) -> list[Object]:
        return [obj for (kind, _), obj in self.objects.items() if kind == plural]

    @property
    def deployment(self) -> Object:
        return self.objects["deployments", "web"]

    @property
    def pods(self) -> list[Object]:
        return self.all("pods")

    @property
    def status(self) -> Object:
        return self.deployment.get("status") or {}

    def condition(self, kind: str) -> tuple[str, str] | None:
        for entry in self.status.get("conditions") or ():
            if entry["type"] == kind:
                return entry["status"], entry["reason"]
        return None

    def scale(self) -> dict[str, int]:
        """Wanted replicas by the image of each ReplicaSet's template."""
        return {
            rs["spec"]["template"]["spec"]["containers"][0]["image"]: rs["spec"]["replicas"]
            for rs in self.all("replicasets")
        }

    def change(self, spec: Object) -> None:
        """A person applies another spec."""
        found = self.deployment
        found["spec"] = merged(found["spec"], spec)
        found["metadata"]["generation"] += 1

    def use_image(self, image: str) -> None:
        self.change({"template": {"spec": {"containers": [{"name": "web", "image": image}]}}})

    def plan(self) -> Plan:
        return deployments.plan(self.deployment, self.all("replicasets"), self.pods, self.now)

    def step(self) -> bool:
        """Plan and act for the Deployment and every ReplicaSet; whether anything was asked for."""
        acted = self.act(self.plan())
        for replicaset in self.all("replicasets"):
            acted |= self.act(replicasets.plan(replicaset, self.pods, self.now))
        return acted

    def settle(self, steps: int = 50) -> None:
        """Step until nothing more is asked for."""
        for _ in range(steps):
            if not self.step():
                return
        raise AssertionError("the plans never come to rest")

    def act(self, plan: Plan) -> bool:
        for action in plan.actions:
            match action:
                case Create(plural=plural, obj=obj):
                    self.add(plural, obj)
                case Patch(plural=plural, target=target, patch=patch):
                    key = plural, target["metadata"]["name"]
                    before = self.objects[key]
                    after = merged(before, patch)
                    if after.get("spec") != before.get("spec"):
                        after["metadata"]["generation"] += 1
                    self.objects[key] = after
                case Delete(plural=plural, target=target):
                    self.delete(plural, target["metadata"]["name"])
                case Tell(reason=reason, message=message):
                    self.told.append(f"{reason}: {message}")
        return bool(plan.actions)

    def delete(self, plural: str, name: str) -> None:
        """Pods end gracefully: they only get their deletionTimestamp."""
        if plural == "pods":
            self.objects[plural, name]["metadata"]["deletionTimestamp"] = stamp(self.now)
        else:
            del self.objects[plural, name]

    def vanish(self, pod: Object) -> None:
        """The node has ended a pod."""
        self.objects.pop(("pods", pod["metadata"]["name"]), None)

    def set_ready(self, pod: Object, ready: bool = True) -> None:
        told = {"type": "Ready", "status": str(ready), "lastTransitionTime": stamp(self.now)}
        pod["status"] = {"phase": "Running", "podIP": "127.1.0.1", "conditions": [told]}

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def follow(self, *, image: str | None = None) -> None:
        """Let everything happen that the plans ask for, with every pod (of an image) getting ready at once."""
        for _ in range(60):
            for pod in list(self.pods):
                if "deletionTimestamp" in pod["metadata"]:
                    self.vanish(pod)
                elif "status" not in pod and image in (None, pod["spec"]["containers"][0]["image"]):
                    self.set_ready(pod)
            if not self.step():
                return
        raise AssertionError("the plans never come to rest")


@pytest.fixture(scope="session")
def world() -> type[World]:
    return World
