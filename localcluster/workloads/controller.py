"""The shell of the workloads: watches, plans one object at a time, and does what the plan says."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from localcluster.client import ApiClient
from localcluster.events import Recorder
from localcluster.objects import ApiError, ConflictError, Object, key_of
from localcluster.reflector import Reflector
from localcluster.selectors import covers, labels_of, matches
from localcluster.workloads import deployments, endpoints, finished, jobs, replicasets
from localcluster.workloads.actions import Action, Create, Delete, Patch, Plan, Tell, describe
from localcluster.workloads.pods import controller_of
from localcluster.workloads.work import Item, Work

COMPONENT = "local-workloads"
KINDS = {
    "deployments": "apps/v1",
    "replicasets": "apps/v1",
    "jobs": "batch/v1",
    "pods": "v1",
    "services": "v1",
    "endpointslices": "discovery.k8s.io/v1",
}
log = logging.getLogger(__name__)


class Workloads:
    """Deployments, ReplicaSets, Jobs and EndpointSlices of one API server. `start()`, then `stop()`."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._events = Recorder(client, COMPONENT)
        self.caches = {
            plural: Reflector(client, group_version, plural, on_change=self._handler(plural))
            for plural, group_version in KINDS.items()
        }
        self._by_namespace: dict[str, dict[str, dict[str, Object]]] = {
            plural: defaultdict(dict) for plural in ("replicasets", "pods", "endpointslices")
        }
        self._failures: dict[str, str] = {}
        self._work = Work(self._sync)

    async def start(self) -> None:
        """Begin; returns when every kind has been listed."""
        await asyncio.gather(*(cache.synced() for cache in self.caches.values()))
        self._work.start()

    async def stop(self) -> None:
        """End all watches and workers."""
        await self._work.stop()
        await self._events.close()
        await asyncio.gather(*(cache.stop() for cache in self.caches.values()))

    def _handler(self, plural: str) -> Callable[[Object | None, Object | None], None]:
        def changed(new: Object | None, old: Object | None) -> None:
            self._index(plural, new, old)
            for obj in (new, old):
                if obj is not None:
                    for item in self._affected(plural, obj):
                        self._work.add(item)

        return changed

    def _index(self, plural: str, new: Object | None, old: Object | None) -> None:
        index = self._by_namespace.get(plural)
        if index is None:
            return
        if new is not None:
            namespace, name = key_of(new)
            index[namespace][name] = new
        elif old is not None:
            namespace, name = key_of(old)
            index[namespace].pop(name, None)

    def _affected(self, plural: str, obj: Object) -> Iterable[Item]:
        """What has to be looked at again when an object changed."""
        namespace, name = key_of(obj)
        if plural != "endpointslices" and plural != "pods":
            yield Item(plural, namespace, name)
        if plural == "endpointslices":
            service = labels_of(obj).get(endpoints.SERVICE_NAME)
            if service:
                yield Item("services", namespace, service)
        if plural == "replicasets":
            yield from self._controllers("deployments", obj)
        if plural == "pods":
            yield Item("pods", namespace, "")
            yield from self._controllers("replicasets", obj)
            yield from self._controllers("jobs", obj)
            yield from self._services_of(obj)

    def _controllers(self, plural: str, obj: Object) -> Iterable[Item]:
        """The controller of an object and, for a pod, its Deployment; or all that could adopt it."""
        namespace, _ = key_of(obj)
        owner = controller_of(obj)
        if owner is None:
            for key, candidate in self.caches[plural].objects.items():
                if key[0] == namespace and matches(candidate["spec"].get("selector"), labels_of(obj)):
                    yield Item(plural, *key)
            return
        if owner["kind"].lower() + "s" != plural:
            return
        yield Item(plural, namespace, owner["name"])
        parent = self.caches[plural].objects.get((namespace, owner["name"]))
        if plural == "replicasets" and parent is not None:
            yield from self._controllers("deployments", parent)

    def _services_of(self, pod: Object) -> Iterable[Item]:
        namespace, _ = key_of(pod)
        for key, service in self.caches["services"].objects.items():
            selector = service["spec"].get("selector")
            if key[0] == namespace and selector and covers(selector, labels_of(pod)):
                yield Item("services", *key)

    async def _sync(self, item: Item) -> float | None:
        """Look at one object and do what its plan says; the seconds after which to look again."""
        plan = self._plan(item, datetime.now(UTC))
        for action in plan.actions:
            log.debug("%s %s/%s: %s", item.plural, item.namespace, item.name, describe(action))
        await self._carry_out(item, plan)
        return plan.requeue_after

    def _plan(self, item: Item, now: datetime) -> Plan:
        pods = list(self._by_namespace["pods"][item.namespace].values())
        if item.plural == "pods":
            return finished.plan(pods)
        obj = self.caches[item.plural].objects.get((item.namespace, item.name))
        if obj is None:
            return Plan()
        match item.plural:
            case "deployments":
                return deployments.plan(
                    obj, list(self._by_namespace["replicasets"][item.namespace].values()), pods, now
                )
            case "replicasets":
                return replicasets.plan(obj, pods, now, self._failures.get(obj["metadata"]["uid"], ""))
            case "jobs":
                return jobs.plan(obj, pods, now)
            case _:
                return endpoints.plan(obj, pods, list(self._by_namespace["endpointslices"][item.namespace].values()))

    async def _carry_out(self, item: Item, plan: Plan) -> None:
        """In order; neighbouring pods are created and deleted side by side."""
        waiting: list[Action] = []
        for action in plan.actions:
            if isinstance(action, Create | Delete) and action.plural == "pods":
                waiting.append(action)
                continue
            await self._together(item, waiting)
            waiting = []
            await self._act(item, action)
        await self._together(item, waiting)

    async def _together(self, item: Item, actions: list[Action]) -> None:
        results = await asyncio.gather(*(self._act(item, action) for action in actions), return_exceptions=True)
        for error in results:
            if isinstance(error, BaseException):
                raise error

    async def _act(self, item: Item, action: Action) -> None:
        match action:
            case Create():
                await self._create(item, action)
            case Patch(group_version=version, plural=plural, target=target, sub=sub):
                namespace, name = key_of(target)
                made = await self._client.patch(version, plural, name, action.body(), namespace=namespace, sub=sub)
                self.caches[plural].observe(made)
            case Delete(group_version=version, plural=plural, target=target):
                namespace, name = key_of(target)
                uid = target["metadata"]["uid"]
                await self._client.delete(version, plural, name, namespace=namespace, uid=uid)
                await self._read_back(version, plural, target)
            case Tell(about=about, reason=reason, message=message, warning=warning):
                self._events.tell(about, reason, message, warning=warning)

    async def _read_back(self, version: str, plural: str, target: Object) -> None:
        """After a delete: gone, or still there with a deletionTimestamp (pods that end gracefully, finalizers)."""
        namespace, name = key_of(target)
        try:
            left = await self._client.get(version, plural, name, namespace=namespace)
        except ApiError as error:
            if error.status == 404:
                self.caches[plural].forget(target)
            return
        self.caches[plural].observe(left)

    async def _create(self, item: Item, action: Create) -> None:
        owner = self.caches[item.plural].objects.get((item.namespace, item.name))
        uid = owner["metadata"]["uid"] if owner else ""
        try:
            made = await self._client.create(action.group_version, action.plural, action.obj)
        except ConflictError as error:
            if action.plural == "replicasets" and error.reason == "AlreadyExists" and owner is not None:
                await self._count_collision(owner)
            raise
        except ApiError as error:
            if action.plural == "pods" and owner is not None:
                self._events.tell(owner, "FailedCreate", f"Error creating: {error.message}", warning=True)
                if item.plural == "replicasets":
                    self._failures[uid] = error.message
                    await self._act_on_status(owner)
            raise
        if action.plural == "pods":
            self._failures.pop(uid, None)
        self.caches[action.plural].observe(made)

    async def _act_on_status(self, replicaset: Object) -> None:
        """The failure to create pods belongs into the status even though the plan stops here."""
        pods = list(self._by_namespace["pods"][replicaset["metadata"]["namespace"]].values())
        failure = self._failures[replicaset["metadata"]["uid"]]
        plan = replicasets.plan(replicaset, pods, datetime.now(UTC), failure)
        for action in plan.actions:
            if isinstance(action, Patch) and action.sub == "status":
                await self._act(Item("replicasets", *key_of(replicaset)), action)

    async def _count_collision(self, deployment: Object) -> None:
        """The name that we would give belongs to someone else's ReplicaSet: the next hash takes another one."""
        count = int((deployment.get("status") or {}).get("collisionCount") or 0) + 1
        patch = {"status": {"collisionCount": count}}
        target = Patch(group_version="apps/v1", plural="deployments", target=deployment, patch=patch, sub="status")
        await self._act(Item("deployments", *key_of(deployment)), target)
