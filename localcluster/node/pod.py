"""One pod from its start to its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from localcluster.node import volumes
from localcluster.node.container import ContainerRunner
from localcluster.node.environment import ConfigError
from localcluster.node.room import PodRoom
from localcluster.node.status import Sight, View, Waiting, pod_status
from localcluster.objects import ApiError, NotFoundError, Object, key_of
from localcluster.times import moment

REFRESH, RETRY, SETTLE = 15.0, 2.0, 0.5
log = logging.getLogger(__name__)
OnStatus = Callable[[Object], None]


class PodRunner:
    """Runs the containers of one pod. `update` tells it about the newest object; `end` ends it in good order."""

    def __init__(self, room: PodRoom, drained: Callable[[Object], Awaitable[None]], on_status: OnStatus) -> None:
        self.room = room
        self._drained, self._on_status = drained, on_status
        spec = room.pod["spec"]
        self._policy: str = spec.get("restartPolicy") or "Always"
        self._since = moment((room.pod.get("status") or {}).get("startTime")) or datetime.now(UTC)
        self._dirty = asyncio.Event()
        self._prepared, self._ending = False, False
        self._obstacle: Waiting | None = None
        self._told = _told(room.pod)
        self._init = [self._runner(one, "initContainerStatuses") for one in spec.get("initContainers") or ()]
        self._main = [self._runner(one, "containerStatuses") for one in spec["containers"]]
        self._sidecars: dict[str, asyncio.Task[int]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._life: asyncio.Task[None] | None = None
        self.ending: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._life = asyncio.create_task(self._live(), name=f"pod {'/'.join(key_of(self.room.pod))}")
        self._tasks = [asyncio.create_task(self._report_changes()), asyncio.create_task(self._refresh_volumes())]
        self._dirty.set()

    async def update(self, pod: Object) -> None:
        """The pod's object changed: its labels and annotations go to the downward API files."""
        self.room.pod = pod
        if _told(pod) != self._told and volumes.is_live(pod) and self._prepared:
            await self._refresh()
        if pod["spec"].get("readinessGates"):
            self._dirty.set()

    async def end(self, grace: float, *, orderly: bool = True) -> None:
        """End all containers within `grace` seconds. Orderly: the pod leaves its Services first, and reports."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace
        if orderly:
            self._ending = True
            await self._drained(self.room.pod)
        else:
            for reporter in self._tasks:
                reporter.cancel()  # what is stopped from outside reports nothing: the next node starts the pod again
        await asyncio.gather(*(runner.stop(deadline, hook=orderly) for runner in self._main))
        for runner in reversed(self._init):
            await runner.stop(max(deadline, loop.time() + 1), hook=orderly)
        lives = [self._life] if self._life else []
        if lives:
            await asyncio.wait(lives, timeout=SETTLE)
        tasks = (*lives, *self._tasks, *self._sidecars.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if orderly:
            await self._report()

    async def hasten(self, grace: float) -> None:
        """It is being ended already, and now its object is gone: what is left after `grace` seconds is killed."""
        await asyncio.sleep(grace)
        await asyncio.gather(*(runner.kill() for runner in (*self._main, *self._init)))

    def remove(self) -> None:
        """Remove its folders; the logs stay."""
        shutil.rmtree(self.room.folder, ignore_errors=True)

    def _runner(self, container: dict[str, Any], field: str) -> ContainerRunner:
        known = (self.room.pod.get("status") or {}).get(field) or ()
        earlier = next((one for one in known if one["name"] == container["name"]), None)
        restarts = 0 if earlier is None else earlier["restartCount"] + ("containerID" in earlier)
        waiting = Waiting(
            "PodInitializing" if field == "containerStatuses" and self._has_init() else "ContainerCreating"
        )
        view = View(name=container["name"], image=container.get("image") or "", state=waiting, restarts=restarts)
        return ContainerRunner(self.room, container, view, self._dirty.set)

    def _has_init(self) -> bool:
        return bool(self.room.pod["spec"].get("initContainers"))

    async def _live(self) -> None:
        await self._prepare()
        for runner in self._init:
            if not await self._initialize(runner):
                return
        await asyncio.gather(*(runner.run(self._policy) for runner in self._main))
        deadline = asyncio.get_running_loop().time() + self.room.grace
        for runner in reversed(self._init):
            await runner.stop(deadline)

    async def _prepare(self) -> None:
        while True:
            try:
                await self.room.prepare()
            except (ConfigError, ApiError, OSError) as error:
                self._obstacle = Waiting("ContainerCreating", str(error))
                self._dirty.set()
                self.room.tell("FailedMount", str(error), warning=True)
                await asyncio.sleep(RETRY)
            else:
                self._obstacle, self._prepared = None, True
                return

    async def _initialize(self, runner: ContainerRunner) -> bool:
        """Run an init container to its end, or a sidecar until it has started; False when the pod has failed."""
        if runner.container.get("restartPolicy") != "Always":
            code = await runner.run("Never" if self._policy == "Never" else "OnFailure")
            return code == 0
        self._sidecars[runner.view.name] = asyncio.create_task(runner.run("Always"))
        while not runner.view.started:  # noqa: ASYNC110 - its changes wake the report of the status
            await asyncio.sleep(0.05)
        return True

    async def _report_changes(self) -> None:
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            try:
                await self._report()
            except ApiError as error:
                log.info("status of %s: %s", "/".join(key_of(self.room.pod)), error)
                await asyncio.sleep(0.5)
                self._dirty.set()

    async def _report(self) -> None:
        """Write the status where it differs from what the API has."""
        pod = self.room.pod
        sight = Sight(
            init=[runner.view for runner in self._init],
            main=[runner.view for runner in self._main],
            address=self.room.address,
            since=self._since,
            policy=self._policy,
            ending=self._ending,
            obstacle=self._obstacle,
        )
        status = pod_status(pod, sight, datetime.now(UTC))
        present = _without_nulls(pod.get("status") or {})
        if all(present.get(name) == value for name, value in status.items()):
            return
        namespace, name = key_of(pod)
        patch = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": status}
        with contextlib.suppress(NotFoundError):
            made = await self.room.node.client.patch("v1", "pods", name, patch, namespace=namespace, sub="status")
            self.room.pod = made
            self._on_status(made)

    async def _refresh_volumes(self) -> None:
        """ConfigMaps and Secrets may change without the pod changing."""
        while True:
            await asyncio.sleep(REFRESH)
            if volumes.is_live(self.room.pod) and self._prepared:
                await self._refresh()

    async def _refresh(self) -> None:
        self._told = _told(self.room.pod)
        try:
            await self.room.refresh()
        except (ConfigError, ApiError, OSError) as error:
            self.room.tell("FailedMount", str(error), warning=True)


def _told(pod: Object) -> tuple[Any, Any]:
    """What the downward API tells of a pod and may change."""
    return pod["metadata"].get("labels"), pod["metadata"].get("annotations")


def _without_nulls(value: Any) -> Any:
    """A real API server writes some unset fields as null."""
    if isinstance(value, dict):
        return {name: _without_nulls(entry) for name, entry in value.items() if entry is not None}
    return [_without_nulls(entry) for entry in value] if isinstance(value, list) else value
