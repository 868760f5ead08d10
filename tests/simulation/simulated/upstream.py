"""Seldon Core v1's own operator, unmodified, in the place of ours: its names and labels, and what it does otherwise.

It never says which generation a status is about, so that `Available` may speak of the spec before; its statuses come
late and, in a conflict, later still. Each SeldonDeployment gets a VirtualService of its own, once all pods are ready,
and the DestinationRule only after that. Its webhook of old writes the defaults into the stored spec.
"""

import copy
from contextlib import suppress
from typing import Any

from controller.kube.resources import (
    DEPLOYMENT,
    DESTINATION_RULE,
    SELDON_DEPLOYMENT,
    SERVICE,
    VIRTUAL_SERVICE,
    Resource,
)
from localcluster.apiserver.history import Event
from simulated.api import NAMESPACE_NAME, Api, ApiError, Object
from simulated.timeline import Timeline

ACTOR = "upstream's operator"
CONTROLLER_ID = "seldon.io/controller-id"
OWNS = frozenset({"deployments.apps", "services", "virtualservices.networking.istio.io"})
"""What wakes it: DestinationRules do not."""
CONFLICTS = 0.3
"""The share of its status writes that meet another's, and wait for the next pass."""
AGAIN = 6.0
"""Seconds until it tries again."""


def defaulted(obj: Object) -> Object:
    """Return a SeldonDeployment as the webhook stores it."""
    found = copy.deepcopy(obj)
    for index, predictor in enumerate((found.get("spec") or {}).get("predictors") or []):
        labels = predictor.setdefault("labels", {})
        labels.setdefault("version", predictor["name"])
        graph = predictor["graph"]
        graph.setdefault("type", "MODEL")
        port = 9000 + index
        graph.setdefault("endpoint", {
            "type": "REST", "service_host": "localhost", "service_port": port, "httpPort": port, "grpcPort": 9500,
        })  # fmt: skip
        parts = predictor.setdefault("componentSpecs", [])
        if not parts:
            parts.append({"spec": {"containers": []}})
        containers = parts[0]["spec"].setdefault("containers", [])
        if all(each["name"] != graph["name"] for each in containers):
            containers.append({"name": graph["name"], "image": "seldonio/sklearnserver:1.17.1"})
        for each in containers:
            each.setdefault("imagePullPolicy", "IfNotPresent")
            ports = each.setdefault("ports", [])
            if all(one.get("name") != "http" for one in ports):
                ports.append({"name": "http", "containerPort": port, "protocol": "TCP"})
    return found


class Upstream:
    """Follows SeldonDeployments, one pass after another, without watches that could be cut."""

    def __init__(self, timeline: Timeline, api: Api, *, webhook: bool) -> None:
        self._timeline, self._api = timeline, api
        self._chance = timeline.chance("upstream")
        self._due: set[str] = set()
        self.late = 1.0
        """Seconds that a pass takes to begin, about."""
        if webhook:
            api.admission[SELDON_DEPLOYMENT.name] = defaulted
        api.watchers.append(self._happened)

    def _happened(self, actor: str, event: Event) -> None:
        if event.collection == SELDON_DEPLOYMENT.name:
            if event.type != "DELETED" and actor != ACTOR:
                self._soon(event.key[1])
        elif event.collection in OWNS:
            labels = event.entry.object["metadata"].get("labels") or {}
            owners = [each["name"] for each in event.entry.object["metadata"].get("ownerReferences") or ()
                      if each["kind"] == "SeldonDeployment"]  # fmt: skip
            if actor != ACTOR or event.type == "DELETED":
                for name in {labels.get("seldon-deployment-id"), *owners} - {None}:
                    self._soon(name)

    def _soon(self, name: str, at_least: float = 0.0) -> None:
        if name not in self._due:
            self._due.add(name)
            delay = at_least + self.late * (0.1 + self._chance.random())
            self._timeline.after(delay, lambda: self._reconcile(name))

    def _reconcile(self, name: str) -> None:
        self._due.discard(name)
        live = self._api.find(SELDON_DEPLOYMENT, name)
        if live is None or "deletionTimestamp" in live["metadata"]:
            return
        if (live["metadata"].get("labels") or {}).get(CONTROLLER_ID):
            return  # another operator's
        spec = defaulted(live)["spec"]
        with suppress(ApiError):  # seen again in a later pass
            ready = [self._predictor(live, predictor, spec.get("replicas")) for predictor in spec["predictors"]]
            if all(ready):
                self._write(VIRTUAL_SERVICE, self._route(live, spec))
                for predictor in spec["predictors"]:
                    self._write(DESTINATION_RULE, self._rule(live, predictor))
            self._status(live, spec, available=all(ready))

    # what it writes

    def _predictor(self, live: Object, predictor: Object, usual: int | None) -> bool:
        """Write a predictor's objects; say whether all of its pods are ready."""
        name = live["metadata"]["name"]
        key, ours = f"{name}-{predictor['name']}", {"seldon-deployment-id": name}
        selector = {"seldon-app": key}
        ports = [{"name": "http", "port": 8000}, {"name": "grpc", "port": 5001}]
        self._write(SERVICE, self._object(live, key, {**ours, **selector}, {"selector": selector, "ports": ports}))
        part = predictor["componentSpecs"][0]
        tail = "-".join(each["name"] for each in part["spec"]["containers"])
        deployment = f"{key}-0-{tail}"
        labels = {**ours, "app": deployment, "fluentd": "true", **predictor["labels"]}
        replicas = part.get("replicas") or predictor.get("replicas", usual)
        pods = {
            "metadata": {"labels": {**labels, **selector}, "annotations": predictor.get("annotations") or {}},
            "spec": {"containers": part["spec"]["containers"]},
        }
        wanted: Object = {"selector": {"matchLabels": {"app": deployment}}, "template": pods}
        if replicas is not None:
            wanted["replicas"] = replicas
        stored = self._write(DEPLOYMENT, self._object(live, deployment, labels, wanted))
        status = stored.get("status") or {}
        fresh = status.get("observedGeneration") == stored["metadata"]["generation"]
        ready, want = status.get("readyReplicas", 0), stored["spec"].get("replicas", 1)
        return bool(fresh and ready and ready == want)

    def _route(self, live: Object, spec: Object) -> Object:
        name = live["metadata"]["name"]
        parts = [
            {"destination": {**self._place(name, each), "port": {"number": 8000}}, "weight": each.get("traffic", 0)}
            for each in spec["predictors"]
        ]
        match = [{"uri": {"prefix": f"/seldon/{NAMESPACE_NAME}/{name}/"}}]
        http = [{"match": match, "rewrite": {"uri": "/"}, "route": parts}]
        wanted = {"hosts": ["*"], "gateways": ["istio-system/seldon-gateway"], "http": http}
        return self._object(live, name, {}, wanted)

    def _rule(self, live: Object, predictor: Object) -> Object:
        place = self._place(live["metadata"]["name"], predictor)
        subset = {"name": predictor["name"], "labels": {"version": predictor["labels"]["version"]}}
        return self._object(live, f"{live['metadata']['name']}-{predictor['name']}", {}, {
            "host": place["host"], "subsets": [subset],
        })  # fmt: skip

    def _place(self, name: str, predictor: Object) -> Object:
        host = f"{name}-{predictor['name']}.{NAMESPACE_NAME}.svc.cluster.local"
        return {"host": host, "subset": predictor["name"]}

    def _object(self, live: Object, name: str, labels: Object, spec: Object) -> Object:
        meta = live["metadata"]
        owner = {
            "apiVersion": live["apiVersion"], "kind": "SeldonDeployment", "name": meta["name"], "uid": meta["uid"],
            "controller": True, "blockOwnerDeletion": True,
        }  # fmt: skip
        return {
            "metadata": {"name": name, "namespace": NAMESPACE_NAME, "labels": labels, "ownerReferences": [owner]},
            "spec": spec,
        }

    def _write(self, resource: Resource, wanted: Object) -> Object:
        """Create an object, or make its spec what it should be."""
        name = wanted["metadata"]["name"]
        live = self._api.find(resource, name)
        if live is None:
            return self._api.create(resource, wanted, actor=ACTOR)
        uid = wanted["metadata"]["ownerReferences"][0]["uid"]
        owners = [each["uid"] for each in live["metadata"].get("ownerReferences") or ()]
        if uid not in owners:
            return live  # it updates by name and fails: what is another's stays
        if _differs(wanted["spec"], live["spec"]):
            return self._api.merge(resource, name, {"spec": wanted["spec"]}, actor=ACTOR)
        return live

    def _status(self, live: Object, spec: Object, *, available: bool) -> None:
        name = live["metadata"]["name"]
        if self._chance.random() < CONFLICTS:
            self._soon(name, AGAIN)
            return
        deployments = [each for each in self._api.all(DEPLOYMENT)
                       if each["metadata"]["labels"].get("seldon-deployment-id") == name]  # fmt: skip
        status: dict[str, Any] = {
            "state": "Available" if available else "Creating",
            "deploymentStatus": {
                each["metadata"]["name"]: {"availableReplicas": (each.get("status") or {}).get("availableReplicas", 0)}
                for each in deployments
            },
            "serviceStatus": {
                f"{name}-{each['name']}": {"svcName": f"{name}-{each['name']}"} for each in spec["predictors"]
            },
        }
        if (live.get("status") or {}) != status:
            self._api.put_status(SELDON_DEPLOYMENT, name, status, actor=ACTOR)


def _differs(wanted: Any, live: Any) -> bool:
    if isinstance(wanted, dict):
        return not isinstance(live, dict) or any(_differs(value, live.get(key)) for key, value in wanted.items())
    if isinstance(wanted, list):
        return not isinstance(live, list) or len(wanted) != len(live) or any(map(_differs, wanted, live))
    return bool(wanted != live)
