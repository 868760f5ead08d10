"""The API server of the simulated world: the embedded server's store with its garbage collector, without HTTP."""

import itertools
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import yaml

from controller.kube.errors import ApiError, error_from_status
from controller.kube.resources import NAMESPACE, Resource
from localcluster.apiserver import custom, errors
from localcluster.apiserver.deletion import Deletion
from localcluster.apiserver.gc import Collector
from localcluster.apiserver.history import Event
from localcluster.apiserver.kinds import Kind
from localcluster.apiserver.patches import JSON, MERGE
from localcluster.apiserver.store import Store, Write
from simulated.timeline import Timeline

Object = dict[str, Any]
ROOT = Path(__file__).parents[3]
NAMESPACE_NAME = "ml"


@cache
def custom_kinds() -> tuple[Kind, ...]:
    """Our kinds and Istio's, out of their definitions; compiled once for all worlds."""
    found: list[Kind] = []
    for folder in ("crds", "localcluster/istio_crds"):
        for path in sorted((ROOT / folder).glob("*.yaml")):
            for definition in yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader):
                if definition and definition.get("kind") == "CustomResourceDefinition":
                    found += custom.served(definition)
    return tuple(found)


def without_managed_fields(obj: Object) -> Object:
    """Return an object as informers keep it; what the store gave is shared and stays as it is."""
    return {**obj, "metadata": {key: value for key, value in obj["metadata"].items() if key != "managedFields"}}


class Api:
    """Reads and writes as an HTTP client would have them, with our own errors."""

    def __init__(self, timeline: Timeline) -> None:
        uids = itertools.count(1)
        self.store = Store(
            clock=timeline.true_time, uids=lambda: f"uid-{next(uids)}", suffixes=lambda: f"{next(uids):05d}"
        )
        for kind in custom_kinds():
            self.store.kinds.add(kind)
        self._kinds: dict[str, Kind] = {}
        self._collector = Collector(self.store)
        self.admission: dict[str, Callable[[Object], Object]] = {}
        """By resource: what a webhook makes of objects that are created or applied, before they are stored."""
        self.watchers: list[Callable[[str, Event], None]] = []
        """Told of each change, with the actor who made it."""
        self.actor = "world"
        self.store.history.listeners.append(self._happened)
        self.create(NAMESPACE, {"metadata": {"name": NAMESPACE_NAME}})

    def _happened(self, event: Event) -> None:
        for watcher in tuple(self.watchers):
            watcher(self.actor, event)

    def kind(self, resource: Resource) -> Kind:
        """The store's kind for a resource of ours."""
        found = self._kinds.get(resource.name)
        if found is None:
            found = self._kinds[resource.name] = self.store.kind(resource.api_version, resource.kind)
        return found

    def serves(self, resource: Resource) -> bool:
        """Whether the store knows a kind."""
        return self.store.kinds.by_name(resource.api_version, resource.kind) is not None

    # reading

    def find(self, resource: Resource, name: str, namespace: str = NAMESPACE_NAME) -> Object | None:
        """The stored object, shared: not to be changed."""
        return self.store.find(self.kind(resource), namespace, name)

    def all(self, resource: Resource) -> list[Object]:
        """All stored objects of a kind, shared: not to be changed."""
        kind = self.kind(resource)
        return [kind.at_version(entry.object) for entry in self.store.history.entries(kind.collection).values()]

    @property
    def revision(self) -> int:
        return self.store.revision

    # writing; each raises our own ApiError

    def _do(self, actor: str, about: str, do: Callable[[], Object]) -> Object:
        before, self.actor = self.actor, actor
        try:
            answer = do()
            self.actor = f"garbage collector after {actor}"
            self._collector.run()
            return answer
        except errors.ApiError as error:
            raise error_from_status(error.code, error.status(), about=about) from error
        finally:
            self.actor = before

    def _admitted(self, resource: Resource, obj: Object) -> Object:
        admit = self.admission.get(resource.name)
        return {**(admit(obj) if admit is not None else obj), "apiVersion": resource.api_version, "kind": resource.kind}

    def create(self, resource: Resource, obj: Object, *, actor: str = "world") -> Object:
        namespace = obj["metadata"].get("namespace", "") if resource.namespaced else ""
        kind, write = self.kind(resource), Write(manager=actor)
        sent = self._admitted(resource, obj)
        return self._do(actor, f"create {resource.name}", lambda: self.store.create(
            kind, _sent(sent), namespace=namespace, write=write))  # fmt: skip

    def apply(self, resource: Resource, obj: Object, *, actor: str, force: bool = True) -> Object:
        meta = obj["metadata"]
        namespace = meta.get("namespace", "") if resource.namespaced else ""
        kind, write = self.kind(resource), Write(manager="seldon-rollouts", force=force)
        sent = self._admitted(resource, obj)
        return self._do(actor, f"apply {resource.name} {meta['name']}", lambda: self.store.apply(
            kind, namespace, meta["name"], _sent(sent), write=write))  # fmt: skip

    def merge(self, resource: Resource, name: str, patch: Object, *, actor: str, subresource: str = "",
              namespace: str = NAMESPACE_NAME) -> Object:  # fmt: skip
        kind, write = self.kind(resource), Write(manager=actor, subresource=subresource)
        return self._do(actor, f"patch {resource.name} {name}", lambda: self.store.patch(
            kind, namespace, name, media=MERGE, body=_sent(patch), write=write))  # fmt: skip

    def put_status(self, resource: Resource, name: str, status: Object, *, actor: str, version: str = "",
                   namespace: str = NAMESPACE_NAME) -> Object:  # fmt: skip
        operations: list[Object] = [{"op": "add", "path": "/status", "value": status}]
        if version:
            operations.insert(0, {"op": "replace", "path": "/metadata/resourceVersion", "value": version})
        kind, write = self.kind(resource), Write(manager=actor, subresource="status")
        return self._do(actor, f"patch status of {resource.name} {name}", lambda: self.store.patch(
            kind, namespace, name, media=JSON, body=_sent(operations), write=write))  # fmt: skip

    def delete(self, resource: Resource, name: str, *, actor: str, uid: str = "", propagation: str = "Background",
               namespace: str = NAMESPACE_NAME) -> Object:  # fmt: skip
        kind, how = self.kind(resource), Deletion(propagation=propagation, uid=uid)
        return self._do(actor, f"delete {resource.name} {name}", lambda: self.store.delete(
            kind, namespace, name, how))  # fmt: skip


def _sent(body: Any) -> Any:
    """What a server would read of a body: plain JSON, nobody else's."""
    return orjson.loads(orjson.dumps(body))


__all__ = ["NAMESPACE_NAME", "Api", "ApiError", "Object", "without_managed_fields"]
