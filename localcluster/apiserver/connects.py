"""Subresources that are no part of an object: a pod's log, eviction and binding, a namespace's finalization, tokens."""

from collections.abc import Awaitable
from typing import Any

from localcluster.apiserver import errors, negotiation, selectors
from localcluster.apiserver.asked import deletion, object_of
from localcluster.apiserver.decoding import copy
from localcluster.apiserver.deletion import Deletion
from localcluster.apiserver.http import Request, Response, Stream
from localcluster.apiserver.issuing import Issuing
from localcluster.apiserver.kinds import Kind
from localcluster.apiserver.logs import Logs
from localcluster.apiserver.store import Store, Write
from localcluster.apiserver.target import Target

JsonObject = dict[str, Any]

_CREATED: JsonObject = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


class Connects:
    def __init__(self, store: Store, logs: Logs, issuing: Issuing) -> None:
        self._store = store
        self._logs = logs
        self._issuing = issuing

    def answer(self, request: Request, target: Target, kind: Kind) -> Response | Awaitable[Response | Stream] | Stream:
        """Raises ApiError."""
        match target.subresource, request.method:
            case "log", "GET":
                pod = self._store.get(kind, target.namespace or "", target.name)
                return self._logs.answer(pod, request.query)
            case "eviction", "POST":
                return self._evict(request, target, kind)
            case "binding", "POST":
                return self._bind(request, target, kind)
            case "finalize", "PUT":
                return self._finalize(request, target, kind)
            case "token", "POST":
                account = self._store.get(kind, target.namespace or "", target.name)
                issued = self._issuing.answer(account, object_of(request))
                return Response(201, negotiation.encode(issued, negotiation.PLAIN)[0])
            case _:
                raise errors.method_not_allowed(kind.group, kind.plural)

    def _evict(self, request: Request, target: Target, kind: Kind) -> Response:
        """Deletes the pod unless a disruption budget forbids it; the budget that allows it is charged."""
        options = object_of(request).get("deleteOptions") or {}
        namespace = target.namespace or ""
        pod = self._store.get(kind, namespace, target.name)
        budgets = self._budgets(namespace, pod["metadata"].get("labels"))
        for budget in budgets:
            if (budget.get("status") or {}).get("disruptionsAllowed", 0) <= 0:
                name = budget["metadata"]["name"]
                cause = errors.Cause("DisruptionBudget", f"The disruption budget {name} does not allow it now", "")
                raise errors.too_many_requests(
                    "Cannot evict pod as it would violate the pod's disruption budget.", causes=[cause]
                )
        budget_kind = self._store.kind("policy/v1", "PodDisruptionBudget")
        for budget in budgets:
            allowed = budget["status"]["disruptionsAllowed"] - 1
            charged = {**budget, "status": {**budget["status"], "disruptionsAllowed": allowed}}
            self._store.update(
                budget_kind,
                namespace,
                budget["metadata"]["name"],
                charged,
                write=Write(manager="eviction", subresource="status"),
            )
        how = deletion(request) if not options else Deletion(grace=options.get("gracePeriodSeconds"))
        self._store.delete(kind, namespace, target.name, how)
        return Response(201, negotiation.encode(_CREATED, negotiation.PLAIN)[0])

    def _budgets(self, namespace: str, labels: JsonObject | None) -> list[JsonObject]:
        found = self._store.history.entries("poddisruptionbudgets.policy").items()
        return [
            entry.object
            for (where, _), entry in found
            if where == namespace
            and selectors.from_object((entry.object.get("spec") or {}).get("selector")).matches(labels)
        ]

    def _bind(self, request: Request, target: Target, kind: Kind) -> Response:
        node = (object_of(request).get("target") or {}).get("name", "")
        pod = copy(self._store.get(kind, target.namespace or "", target.name))
        if pod.setdefault("spec", {}).get("nodeName"):
            raise errors.conflict(
                "",
                "pods/binding",
                target.name,
                f'pod {target.name} is already assigned to node "{pod["spec"]["nodeName"]}"',
            )
        pod["spec"]["nodeName"] = node
        scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": self._store.now()}
        others = [c for c in pod["status"].get("conditions") or () if c["type"] != "PodScheduled"]
        pod["status"]["conditions"] = [*others, scheduled]
        self._store.update(
            kind, target.namespace or "", target.name, pod, write=Write(manager="binding", subresource="binding")
        )
        return Response(201, negotiation.encode(_CREATED, negotiation.PLAIN)[0])

    def _finalize(self, request: Request, target: Target, kind: Kind) -> Response:
        namespace = object_of(request)
        write = Write(manager="finalize", subresource="finalize")
        finalized = self._store.update(kind, "", target.name, namespace, write=write)
        return Response(200, negotiation.encode(finalized, negotiation.PLAIN)[0])
