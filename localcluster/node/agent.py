"""The node itself: it registers, takes every pod that has no node, and runs a PodRunner for each of its pods."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import platform
import shutil
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import orjson

from localcluster.client import ApiClient
from localcluster.node.addresses import AddressPool, claim
from localcluster.node.pod import PodRunner
from localcluster.node.room import NodeRoom, PodRoom
from localcluster.objects import ApiError, Key, NotFoundError, Object, key_of
from localcluster.reflector import Reflector
from localcluster.times import stamp

FINISHED = ("Succeeded", "Failed")
ABANDONED_GRACE = 2.0
"""Seconds for the processes of a pod whose object is gone already."""
KEPT_LOGS, HEARTBEAT = 200, 20.0
log = logging.getLogger(__name__)


class Agent:
    """Runs the pods of one node. `start()`, then `stop()`."""

    def __init__(self, room: NodeRoom, drained: Callable[[Object], Awaitable[None]]) -> None:
        self._room, self._drained = room, drained
        self._client: ApiClient = room.client
        self._pods = Reflector(room.client, "v1", "pods", on_change=self._changed)
        self._runners: dict[str, PodRunner] = {}
        self._queue: asyncio.Queue[tuple[Key, str]] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._follower: asyncio.Task[None] | None = None
        self._since = stamp(datetime.now(UTC))
        self._file = room.settings.data_dir / "addresses.json"
        saved = _read(self._file)
        octet = saved.get("octet")
        self._network = claim(octet if isinstance(octet, int) else None)
        self._addresses = AddressPool(self._network.octet)
        self._addresses.restore(saved)

    async def start(self) -> None:
        """Begin with the pods that are there."""
        self._background(self._keep_registered())
        await self._pods.synced()
        present = {pod["metadata"]["uid"] for pod in self._pods.objects.values()}
        for uid in self._addresses.taken.keys() - present:
            self._addresses.free(uid)
        for folder in (self._room.settings.data_dir / "pods").glob("*"):
            if folder.name not in present:
                shutil.rmtree(folder, ignore_errors=True)
        self._follower = asyncio.create_task(self._follow(), name="node")

    async def stop(self, grace: float = 5.0) -> None:
        """End every process within `grace` seconds; the pods' objects stay, for the next start."""
        await self._pods.stop()
        if self._follower is not None:
            self._follower.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(runner.end(grace, orderly=False) for runner in self._runners.values()))
        self._network.release()

    def _changed(self, new: Object | None, old: Object | None) -> None:
        obj = new or old
        assert obj is not None
        self._queue.put_nowait((key_of(obj), obj["metadata"]["uid"]))

    async def _follow(self) -> None:
        while True:
            key, uid = await self._queue.get()
            try:
                await self._look(key, uid)
            except (ApiError, OSError, KeyError, TypeError, ValueError) as error:
                log.exception("pod %s/%s", *key)
                self._again(key, uid, error)

    def _again(self, key: Key, uid: str, error: Exception) -> None:
        delay = 1.0 if isinstance(error, ApiError) else 5.0
        asyncio.get_running_loop().call_later(delay, self._queue.put_nowait, (key, uid))

    async def _look(self, key: Key, uid: str) -> None:
        """Bring one pod's runner in step with its object."""
        pod = self._pods.objects.get(key)
        runner = self._runners.get(uid)
        if pod is None or pod["metadata"]["uid"] != uid:
            if runner is not None:
                self._object_gone(uid, runner)
            return
        node = pod["spec"].get("nodeName")
        if not node and not pod["metadata"].get("deletionTimestamp"):
            await self._bind(pod)
            return
        if node and node != self._room.settings.node_name:
            return
        if pod["metadata"].get("deletionTimestamp"):
            self._end(pod, runner)
        elif runner is not None:
            await runner.update(pod)
        elif (pod.get("status") or {}).get("phase") not in FINISHED:
            self._begin(pod)

    def _begin(self, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        address = self._addresses.take(uid, (pod.get("status") or {}).get("podIP") or "")
        self._save()
        runner = PodRunner(PodRoom(self._room, pod, address), self._drained, self._pods.observe)
        self._runners[uid] = runner
        runner.start()

    def _end(self, pod: Object, runner: PodRunner | None) -> None:
        if runner is None:
            self._background(self._delete(pod))
        elif runner.ending is None:
            runner.room.pod = pod
            runner.ending = self._background(self._finish(pod, runner))

    async def _finish(self, pod: Object, runner: PodRunner) -> None:
        with contextlib.suppress(ApiError):
            await runner.end(runner.room.grace)
        self._forget(pod["metadata"]["uid"], runner)
        await self._delete(pod)

    def _object_gone(self, uid: str, runner: PodRunner) -> None:
        if runner.ending is None:
            runner.ending = self._background(self._abandon(uid, runner))
        else:
            self._background(runner.hasten(ABANDONED_GRACE))

    async def _abandon(self, uid: str, runner: PodRunner) -> None:
        """The object is gone (deleted by force): so must the processes."""
        await runner.end(ABANDONED_GRACE, orderly=False)
        self._forget(uid, runner)

    def _forget(self, uid: str, runner: PodRunner) -> None:
        self._runners.pop(uid, None)
        self._addresses.free(uid)
        self._save()
        runner.remove()
        self._prune_logs()

    async def _delete(self, pod: Object) -> None:
        """Tell the API that nothing of the pod is left."""
        namespace, name = key_of(pod)
        uid = pod["metadata"]["uid"]
        while True:
            try:
                await self._client.delete("v1", "pods", name, namespace=namespace, uid=uid, grace=0)
            except ApiError as error:
                log.warning("deleting pod %s/%s: %s", namespace, name, error)
                await asyncio.sleep(1)
            else:
                return

    async def _bind(self, pod: Object) -> None:
        namespace, name = key_of(pod)
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name, "namespace": namespace, "uid": pod["metadata"]["uid"]},
            "target": {"apiVersion": "v1", "kind": "Node", "name": self._room.settings.node_name},
        }
        with contextlib.suppress(NotFoundError):
            await self._client.create("v1", "pods", binding, namespace=namespace, sub="binding")

    async def _keep_registered(self) -> None:
        """The node's object, again and again: an API server that lost its data gets it back."""
        while True:
            try:
                await self._register()
            except ApiError as error:
                log.info("registering node %s: %s", self._room.settings.node_name, error)
                await asyncio.sleep(1)
            else:
                await asyncio.sleep(HEARTBEAT)

    async def _register(self) -> None:
        name = self._room.settings.node_name
        labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": _architecture()}
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}
        await self._client.apply("v1", "nodes", node)
        now = stamp(datetime.now(UTC))
        ready = {"type": "Ready", "status": "True", "reason": "NodeReady", "message": "pods run as local processes"}
        amounts = {"cpu": str(os.cpu_count() or 1), "memory": f"{_memory()}Ki", "pods": "1000"}
        status = {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": name}],
            "capacity": amounts,
            "allocatable": amounts,
            "conditions": [ready | {"lastHeartbeatTime": now, "lastTransitionTime": self._since}],
        }
        await self._client.patch("v1", "nodes", name, {"status": status}, sub="status")

    def _save(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        draft = self._file.with_suffix(".new")
        draft.write_bytes(orjson.dumps(self._addresses.state()))
        draft.replace(self._file)

    def _prune_logs(self) -> None:
        """Logs of gone pods stay to be read, the newest of them."""
        here = {runner.room.logs for runner in self._runners.values()}
        gone = [folder for folder in self._room.settings.log_dir.glob("*/*") if folder.is_dir() and folder not in here]
        gone.sort(key=lambda folder: folder.stat().st_mtime, reverse=True)
        for folder in gone[KEPT_LOGS:]:
            shutil.rmtree(folder, ignore_errors=True)

    def _background(self, work: Awaitable[None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _read(file: os.PathLike[str]) -> dict[str, object]:
    try:
        with open(file, "rb") as saved:  # noqa: PTH123
            content = orjson.loads(saved.read())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024
