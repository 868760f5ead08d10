"""A pure world: what an API server, a workload controller and a mesh would make of our writes."""

import base64
import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from controller.api.deployment import SeldonDeploymentStatus
from controller.deployment.actions import Action, Apply, Delete, Mark
from controller.deployment.configuration import Configuration
from controller.deployment.observed import RETIRED_ANNOTATION, Observed
from controller.deployment.plan import ABSENT_POLL, Plan, make
from controller.deployment.render import Desired, render
from controller.deployment.status import summarize
from controller.deployment.subject import Subject
from controller.deployment.succession import succeed

START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class World:
    """A cluster as plain data. `settle` makes workloads follow; nothing moves by itself."""

    objects: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    pods: dict[str, dict[str, Any]] = field(default_factory=dict)
    now: datetime = START
    mesh: bool = True
    patience: timedelta = timedelta(0)
    """How long the mesh's word is waited for."""
    keda: bool = True
    security: bool = True
    quick: bool = True
    """EndpointSlices follow when the world settles; while they do not, no port is known to lead anywhere."""
    sliced: dict[str, set[str]] = field(default_factory=dict)
    """The names of ports that the EndpointSlices of a Service know."""
    broken: set[str] = field(default_factory=set)
    """Images whose pods never become ready."""
    writes: list[str] = field(default_factory=list)
    served: Callable[[], None] = lambda: None
    """Called after each write, to check what must always hold."""
    version: int = 0

    def observed(self) -> Observed:
        endpoints: dict[str, set[str]] = {}
        for (kind, name), service in self.objects.items():
            if kind == "Service":
                endpoints[name] = {each["metadata"]["name"] for each in self.ready_pods(service["spec"]["selector"])}
        return Observed(
            uid="uid-1",
            objects=copy.deepcopy(self.objects),
            endpoints={name: frozenset(found) for name, found in endpoints.items()},
            reached={name: self.reached(name) for name in endpoints} if self.quick else {},
            pods=tuple(self.pods.values()),
            mesh=self.mesh,
            patience=self.patience,
            keda=self.keda,
            security=self.security,
        )

    def reached(self, name: str) -> frozenset[tuple[str, int]]:
        """What the EndpointSlices of a Service say of ports."""
        spec = self.objects["Service", name]["spec"]
        found = set()
        for pod in self.ready_pods(spec["selector"]):
            numbers = {
                each["name"]: each["containerPort"] for one in pod["spec"]["containers"] for each in one["ports"]
            }
            for each in spec["ports"]:
                if each["name"] not in self.sliced.get(name, ()):
                    continue
                target = each["targetPort"]
                found.add((each["name"], target if isinstance(target, int) else numbers.get(target, 0)))
        return frozenset(found)

    def ready_pods(self, selector: Mapping[str, str]) -> list[dict[str, Any]]:
        return [
            each
            for each in self.pods.values()
            if _is_ready(each) and selector.items() <= each["metadata"]["labels"].items()
        ]

    def _wake(self, pod: dict[str, Any]) -> None:
        """A pod with an orchestrator becomes ready when the nodes are there that it asks elsewhere."""
        if not pod["status"]["containerStatuses"] and all(
            any(self._targets(service, port) & _listens(each) for each in self._behind(service))
            for service, port in _asks(pod)
        ):
            pod["status"]["conditions"][0]["status"] = "True"

    def _behind(self, service: str) -> list[dict[str, Any]]:
        found = self.objects.get(("Service", service))
        return self.ready_pods(found["spec"]["selector"]) if found else []

    def _targets(self, service: str, port: int) -> set[int | str]:
        """Where a Service's port leads to, by its EndpointSlices: one place, or none."""
        named = [one for one in self.objects["Service", service]["spec"]["ports"] if one["port"] == port]
        return {one["targetPort"] for one in named if one["name"] in self.sliced.get(service, ())}

    def answers(self) -> None:
        """Check that every destination of the route has its rule, and ready pods in its subset that listen."""
        routes = [each for (kind, _), each in self.objects.items() if kind == "VirtualService"]
        for each in (one for route in routes for one in route["spec"]["http"][0]["route"]):
            if not each["weight"]:
                continue
            service = each["destination"]["host"].split(".")[0]
            rule = self.objects["DestinationRule", service]
            subset = next(one for one in rule["spec"]["subsets"] if one["name"] == each["destination"]["subset"])
            spec, port = self.objects["Service", service]["spec"], each["destination"]["port"]["number"]
            pods = self.ready_pods({**spec["selector"], **subset.get("labels", {})})
            assert pods, f"503 from {service}"
            targets = self._targets(service, port)
            assert targets, f"503: {service} has no port {port} that leads anywhere"
            assert all(targets <= _listens(pod) for pod in pods), f"connection refused at {service}:{port}"
            for asked, number in {address for pod in pods for address in _asks(pod)}:
                self._node_answers(asked, number)

    def _node_answers(self, service: str, port: int) -> None:
        """Check that whatever pod is chosen behind a node's Service listens where an orchestrator asks."""
        pods, targets = self._behind(service), self._targets(service, port)
        assert pods, f"no node behind {service}"
        assert targets, f"{service} has no port {port} that leads anywhere"
        for pod in pods:
            found = {_resolved(pod, each) for each in targets}
            assert found <= _ports_of_node(pod, service), f"the node {service}:{port} is not at {found}"

    def write(self, action: Action) -> None:
        self.version += 1
        match action:
            case Apply():
                self._apply(copy.deepcopy(dict(action.object)))
            case Mark():
                metadata = self.objects[action.kind, action.name]["metadata"]
                assert metadata["resourceVersion"] == action.resource_version
                metadata["annotations"][RETIRED_ANNOTATION] = action.retired_at
                metadata["resourceVersion"] = str(self.version)
                self.writes.append(f"mark {action.kind} {action.name}")
            case Delete():
                assert self.objects[action.kind, action.name]["metadata"]["uid"] == action.uid
                del self.objects[action.kind, action.name]
                self.writes.append(f"delete {action.kind} {action.name}")
        self.served()

    def _apply(self, obj: dict[str, Any]) -> None:
        key = (obj["kind"], obj["metadata"]["name"])
        old = self.objects.get(key)
        metadata = obj["metadata"]
        metadata["uid"] = old["metadata"]["uid"] if old else f"uid-of-{self.version}"
        metadata["resourceVersion"] = str(self.version)
        changed = old is None or old["spec"] != obj["spec"]
        metadata["generation"] = (old["metadata"]["generation"] if old else 0) + changed
        mark = (old or {}).get("metadata", {}).get("annotations", {}).get(RETIRED_ANNOTATION)
        if mark:
            metadata["annotations"][RETIRED_ANNOTATION] = mark
        if obj["kind"] == "Service":
            for what in ("name", "port"):
                given = [each[what] for each in obj["spec"]["ports"]]
                assert len(set(given)) == len(given), f"a Service's ports need a {what} each: {given}"
        if obj["kind"] == "Deployment":
            assert old is None or old["spec"]["selector"] == obj["spec"]["selector"], "a selector is immutable"
            obj["spec"].setdefault("replicas", 1)
            obj["status"] = (old or {}).get("status", {})
        self.objects[key] = obj
        self.writes.append(f"{'update' if old else 'create'} {key[0]} {key[1]}")

    def settle(self) -> None:
        """Roll every Deployment out as far as its image allows: new pods first, then old ones go."""
        self.sliced = {
            name: {each["name"] for each in service["spec"]["ports"]}
            for (kind, name), service in self.objects.items()
            if kind == "Service"
        }
        alive = {name for kind, name in self.objects if kind == "Deployment"}
        for name in [pod for pod, each in self.pods.items() if each["metadata"]["labels"]["app"] not in alive]:
            del self.pods[name]
        self.served()
        for _ in range(2):  # orchestrators are ready after the nodes that they ask
            for (kind, name), deployment in self.objects.items():
                if kind == "Deployment":
                    self._roll_out(name, deployment)

    def _roll_out(self, name: str, deployment: dict[str, Any]) -> None:
        template, replicas = deployment["spec"]["template"], deployment["spec"]["replicas"]
        works = not any(each["image"] in self.broken for each in template["spec"]["containers"])
        mine = {pod: each for pod, each in self.pods.items() if each["metadata"]["labels"]["app"] == name}
        digest = str(abs(hash(repr(template))))
        for index in range(replicas):
            pod = f"{name}-{digest[:6]}-{index}"
            if pod not in self.pods:
                self.version += 1
                self.pods[pod] = _pod(pod, template, f"127.1.{self.version // 250}.{self.version % 250}", works)
            self._wake(self.pods[pod])
        self.served()
        wanted = {f"{name}-{digest[:6]}-{index}" for index in range(replicas)}
        if all(_is_ready(self.pods[pod]) for pod in wanted):
            for pod in mine.keys() - wanted:
                del self.pods[pod]
                self.served()
        mine = {pod: each for pod, each in self.pods.items() if each["metadata"]["labels"]["app"] == name}
        ready = sum(_is_ready(each) for each in mine.values())
        deployment["status"] = {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": len(mine),
            "updatedReplicas": len(wanted),
            "availableReplicas": ready,
        }

    def plan(self, subject: Subject, configuration: Configuration | None = None) -> tuple[Desired, Observed, Plan]:
        configuration = configuration or Configuration()
        observed = self.observed()
        desired = succeed(render(subject, configuration), observed)
        return desired, observed, make(desired, observed, now=self.now, drain=configuration.drain)

    def step(self, subject: Subject, *, limit: int | None = None) -> Plan:
        """Plan, write, let the workloads follow; with a limit, crash after so many writes."""
        _, _, plan = self.plan(subject)
        for action in plan.actions[:limit]:
            self.write(action)
        return plan

    def converge(self, subject: Subject, *, steps: int = 40) -> SeldonDeploymentStatus:
        """Go on until nothing is left to write, time included; return the status."""
        for _ in range(steps):
            self.step(subject)
            self.settle()
            _, _, plan = self.plan(subject)
            if not plan.actions:
                if plan.requeue_after in (None, ABSENT_POLL):
                    return self.status(subject)
                self.now += plan.requeue_after
        raise AssertionError(f"not at rest after {steps} steps: {self.writes[-10:]}")

    def status(self, subject: Subject, previous: SeldonDeploymentStatus | None = None) -> SeldonDeploymentStatus:
        desired, observed, plan = self.plan(subject)
        return summarize(subject, desired, observed, plan, previous=previous or SeldonDeploymentStatus(), now=self.now)

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def _listens(pod: dict[str, Any]) -> set[int | str]:
    """The numbers and the names of a pod's ports: a Service may have either as its target."""
    ports = [port for container in pod["spec"]["containers"] for port in container["ports"]]
    return {port["containerPort"] for port in ports} | {port["name"] for port in ports}


def _resolved(pod: dict[str, Any], target: int | str) -> int:
    """Where a Service's target leads in a pod: a name is that of the first container which has it."""
    ports = (port for container in pod["spec"]["containers"] for port in container["ports"])
    return (
        target if isinstance(target, int) else next(each["containerPort"] for each in ports if each["name"] == target)
    )


def _ports_of_node(pod: dict[str, Any], service: str) -> set[int]:
    """The ports of the container that a node's Service is named after."""
    return {
        port["containerPort"]
        for container in pod["spec"]["containers"]
        if service.endswith(f"-{container['name']}")
        for port in container["ports"]
    }


def _is_ready(pod: dict[str, Any]) -> bool:
    return bool(pod["status"]["conditions"][0]["status"] == "True")


def _asks(pod: dict[str, Any]) -> set[tuple[str, int]]:
    """The nodes that a pod's orchestrator asks elsewhere, as Service and port."""
    told = [
        each["value"] for one in pod["spec"]["containers"] for each in one["env"] if each["name"] == "ENGINE_PREDICTOR"
    ]
    nodes = [json.loads(base64.b64decode(each))["graph"] for each in told]
    found = set()
    while nodes:
        node = nodes.pop()
        nodes += node.get("children") or ()
        endpoint = node.get("endpoint") or {}
        if endpoint.get("service_host") not in (None, "", "localhost"):
            name = endpoint["service_host"].split(".")[0]
            found |= {(name, endpoint["httpPort"]), (name, endpoint["grpcPort"])}
    return found


def _pod(name: str, template: dict[str, Any], address: str, works: bool) -> dict[str, Any]:
    waiting = {"reason": "CrashLoopBackOff"}
    ended = {"exitCode": 1, "reason": "Error", "message": "Traceback\nValueError: no such model"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": dict(template["metadata"]["labels"])},
        "spec": {
            "containers": [
                {"name": each["name"], "ports": each.get("ports", []), "env": each.get("env", [])}
                for each in template["spec"]["containers"]
            ]
        },
        "status": {
            "podIP": address,
            "conditions": [{"type": "Ready", "status": "False"}],
            "containerStatuses": []
            if works
            else [{"name": "classifier", "state": {"waiting": waiting}, "lastState": {"terminated": ended}}],
        },
    }
