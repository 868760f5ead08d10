"""The client of one simulated controller: every request takes time, may fail, and may be the last."""

import random
from collections.abc import Awaitable, Callable, Generator
from typing import Any

from controller.kube.errors import ConflictError, ForbiddenError, NotFoundError, TooManyRequestsError, UnavailableError
from controller.kube.resources import Resource
from controller.metrics import Metrics
from simulated.api import Api, Object, without_managed_fields
from simulated.faults import CrashedError, Faults

LATENCY = 0.004


class Pause:
    """Awaited, it gives the time to the world for some seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __await__(self) -> Generator[float, None, None]:
        yield self.seconds


class SimulatedClient:
    """What `controller.kube.client.Client` is to the controllers, against the store.

    Args:
        api: the server.
        actor: in whose name it writes.
        faults: what becomes of the writes.
        chance: how long requests take.
        about_to: told of each write before it is done: (verb, resource, object, patch with a name, or name).
    """

    def __init__(
        self,
        api: Api,
        actor: str,
        faults: Faults,
        chance: random.Random,
        about_to: Callable[[str, Resource, Any], None],
    ) -> None:
        self.api, self.actor, self.faults = api, actor, faults
        self.metrics = Metrics()
        self.writes = 0
        self._chance, self._about_to = chance, about_to

    async def _on_the_way(self) -> None:
        await Pause(self._chance.expovariate(1 / LATENCY) + self.faults.slow * self._chance.random())

    async def _write(self, verb: str, resource: Resource, what: Any, do: Callable[[], Object]) -> Object:
        fate = self.faults.fate()
        about = f"{verb} {resource.name}"
        await self._on_the_way()
        if fate == "crash before":
            raise CrashedError
        if fate == "conflict":
            raise ConflictError(409, "Conflict", "the object has been modified (simulated)", about=about)
        _fail(fate, about)
        if resource.name in self.faults.refused and verb != "status":
            raise ForbiddenError(403, "Forbidden", self.faults.refused[resource.name], about=about)
        self._about_to(verb, resource, what)
        self.writes += 1
        answer = do()
        if fate == "crash after":
            raise CrashedError
        if fate == "lost_after":
            raise UnavailableError(0, "Timeout", "no answer, though it was done (simulated)", about=about)
        if self._chance.random() < 0.3:
            await self._on_the_way()
        return without_managed_fields(answer) if "metadata" in answer else answer

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        fate = self.faults.fate_of_read()
        await self._on_the_way()
        _fail(fate, f"get {resource.name}")
        found = self.api.find(resource, name, namespace or "")
        if found is None:
            raise NotFoundError(404, "NotFound", f"{resource.name} {name!r} not found")
        return without_managed_fields(found)

    def apply(self, resource: Resource, obj: Object, *, force: bool = True) -> Awaitable[Object]:
        return self._write("apply", resource, obj, lambda: self.api.apply(resource, obj, actor=self.actor, force=force))

    def create(self, resource: Resource, obj: Object) -> Awaitable[Object]:
        return self._write("create", resource, obj, lambda: self.api.create(resource, obj, actor=self.actor))

    def merge_patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        patch: Object,
        *,
        resource_version: str | None = None,
    ) -> Awaitable[Object]:
        if resource_version is not None:
            patch = {**patch, "metadata": {**(patch.get("metadata") or {}), "resourceVersion": resource_version}}
        meta = {**(patch.get("metadata") or {}), "name": name}
        return self._write("patch", resource, {**patch, "metadata": meta}, lambda: self.api.merge(
            resource, name, patch, actor=self.actor, namespace=namespace or ""))  # fmt: skip

    def patch_status(
        self, resource: Resource, namespace: str | None, name: str, status: Object, *, resource_version: str
    ) -> Awaitable[Object]:
        return self._write("status", resource, name, lambda: self.api.put_status(
            resource, name, status, actor=self.actor, version=resource_version, namespace=namespace or ""))  # fmt: skip

    def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        propagation: str = "Background",
    ) -> Awaitable[Object]:
        space = namespace or ""
        return self._write("delete", resource, name, lambda: self.api.delete(
            resource, name, actor=self.actor, uid=uid or "", propagation=propagation, namespace=space))  # fmt: skip

    async def served(self, resource: Resource) -> Resource | None:
        return resource


def _fail(fate: str, about: str) -> None:
    if fate == "too_many":
        raise TooManyRequestsError(429, "TooManyRequests", "try again (simulated)", about=about)
    if fate == "server_error":
        raise UnavailableError(503, "ServiceUnavailable", "etcd has no leader (simulated)", about=about)
    if fate == "lost_before":
        raise UnavailableError(0, "Timeout", "no answer (simulated)", about=about)
