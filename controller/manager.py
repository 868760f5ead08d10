"""Brings caches, queues, workers, the lease and health together; starts them in order and stops them within a bound."""

import asyncio
import logging
import time
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

from controller.backoff import Backoff
from controller.errors import ControllerError
from controller.health import Health
from controller.kube import selectors
from controller.kube.cluster import Cluster
from controller.kube.election import Election
from controller.kube.errors import ApiError, ConflictError
from controller.kube.watches import Change, Controller, Watch
from controller.queue import Key, WorkQueue

log = logging.getLogger("seldon_rollouts.manager")

LONGEST_PASS = timedelta(minutes=5)
RESTART = Backoff(timedelta(seconds=1), timedelta(minutes=1))


@dataclass(frozen=True, slots=True)
class _Room:
    """A controller with its queue."""

    controller: Controller
    queue: WorkQueue = field(default_factory=WorkQueue)


class Manager:
    """Runs controllers.

    Args:
        cluster: the caches; the manager starts and stops it.
        controllers: what runs.
        health: where it tells how it is.
        workers: passes at the same time, for each controller.
        election: who may work; None when we always may.
        grace: how long passes under way may take to end.
    """

    def __init__(
        self,
        cluster: Cluster,
        controllers: Iterable[Controller],
        *,
        health: Health,
        workers: int = 8,
        election: Election | None = None,
        grace: timedelta = timedelta(seconds=20),
    ) -> None:
        self._cluster, self._health, self._workers = cluster, health, workers
        self._election, self._grace = election, grace
        self._rooms = tuple(_Room(controller) for controller in controllers)
        self._metrics = health.metrics
        if election is not None:
            cluster.fence = election.holds

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set; then let passes under way end, give up the lease, write the last events.

        Raises:
            ValueError: two controllers have one name.
            Exception: what broke the work beyond a single pass.
        """
        self._prepare()
        await self._cluster.start()
        for name, task in self._cluster.tasks.items():
            self._health.watch_task(f"informer {name}", task)
        try:
            if await _unless(stop, self._cluster.synced()):
                log.info("caches are complete")
                await self._lead_or_stand_by(stop)
        finally:
            for room in self._rooms:
                room.queue.close()
            await self._cluster.stop()
            log.info("stopped")

    def _prepare(self) -> None:
        names = [room.controller.name for room in self._rooms]
        if len(set(names)) != len(names):
            raise ValueError(f"controllers {names} are not distinct; expected one name each")
        self._health.ready["caches"] = lambda: "; ".join(self._cluster.unsynced())
        for room in self._rooms:
            name = room.controller.name
            self._metrics.queue_depth.labels(name).set_function(partial(_depth, room.queue))
            self._metrics.queue_delayed.labels(name).set_function(partial(_delayed, room.queue))
            for watch in room.controller.watches:
                self._cluster.watch(
                    watch.resource,
                    labels=watch.labels,
                    optional=watch.optional,
                    indexed=watch.indexed,
                    on_change=partial(self._changed, room, watch),
                )
            room.controller.start(room.queue.add)

    async def _lead_or_stand_by(self, stop: asyncio.Event) -> None:
        if self._election is None:
            await self._work(stop)
            return
        election = self._election
        self._health.ready["lease"] = lambda: "" if election.looked.is_set() else "the lease has not been read"
        task = asyncio.create_task(election.run(partial(self._work, stop)), name="election")
        self._health.watch_task("election", task)
        stopping = asyncio.create_task(stop.wait())
        try:
            self._health.leading = False
            await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done() and not election.holds():
                task.cancel()  # standing by: there is nothing to finish
            await asyncio.wait({task}, timeout=(self._grace * 2).total_seconds())
        finally:
            stopping.cancel()
            task.cancel()
            await asyncio.gather(stopping, task, return_exceptions=True)
        if not task.cancelled():
            task.result()

    # work, while we lead

    async def _work(self, stop: asyncio.Event) -> None:
        """Work until `stop`; returns when the passes under way have ended. Cancelled when the lease is lost."""
        self._leading(True)
        for room in self._rooms:
            self._requeue_all(room)
        own = [asyncio.create_task(self._own(room), name=f"{room.controller.name} run") for room in self._rooms]
        passes = [
            asyncio.create_task(self._passes(room), name=f"{room.controller.name} worker {number}")
            for room in self._rooms
            for number in range(self._workers)
        ]
        for task in (*own, *passes):
            self._health.watch_task(task.get_name(), task)
        waiting = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([waiting, *passes], return_when=asyncio.FIRST_COMPLETED)
            for task in passes:
                if task.done() and not stop.is_set():
                    task.result()  # a worker never ends by itself: whatever ended it has to be seen
            await self._drain(passes)
        finally:
            everything: list[asyncio.Task[Any]] = [waiting, *own, *passes]
            for task in everything:
                task.cancel()
                self._health.live.pop(task.get_name(), None)
            await asyncio.gather(*everything, return_exceptions=True)
            self._leading(False)

    async def _drain(self, passes: list[asyncio.Task[None]]) -> None:
        """Let passes under way end, for the length of the grace."""
        for room in self._rooms:
            room.queue.close()
        _, late = await asyncio.wait(passes, timeout=self._grace.total_seconds())
        if late:
            log.warning("passes cut off at the end of the grace passes=%d", len(late))

    def _leading(self, leading: bool) -> None:
        self._health.leading = leading
        self._metrics.leader.set(1 if leading else 0)

    async def _own(self, room: _Room) -> None:
        """Run a controller's own work; when it breaks, run it again."""
        failures = 0
        while True:
            try:
                await room.controller.run()
            except Exception:
                failures += 1
                log.exception("run broke controller=%s failures=%d", room.controller.name, failures)
                await asyncio.sleep(RESTART.after(failures).total_seconds())
            else:
                await asyncio.Event().wait()  # it has no work of its own

    async def _passes(self, room: _Room) -> None:
        waited = self._metrics.queue_seconds.labels(room.controller.name)
        while (key := await room.queue.get()) is not None:
            waited.observe(room.queue.schedule.waited)
            try:
                await self._pass(room, key)
            except asyncio.CancelledError:
                room.queue.add(key)  # it was cut off: whoever leads next begins anew
                raise
            finally:
                room.queue.done(key)

    async def _pass(self, room: _Room, key: Key) -> None:
        """Reconcile one key; whatever happens, only this key is touched."""
        name = room.controller.name
        began = time.monotonic()
        result, error, level = "ok", "", logging.DEBUG
        again: timedelta | None = None
        try:
            async with asyncio.timeout(LONGEST_PASS.total_seconds()):
                again = await room.controller.reconcile(key)
            room.queue.forget(key)
            if again is not None:
                room.queue.add_after(key, max(again, timedelta(0)))
        except Exception as problem:  # noqa: BLE001 - one object's trouble stays its own
            result, error = "error", f"{type(problem).__name__}: {problem}"
            again = self._failed(room, key, problem)
            level = logging.INFO if isinstance(problem, ConflictError) else logging.WARNING
            self._metrics.reconcile_errors.labels(name, type(problem).__name__).inc()
        took = time.monotonic() - began
        self._metrics.reconcile_seconds.labels(name, result).observe(took)
        log.log(
            level,
            "pass controller=%s key=%s/%s result=%s took=%.3fs again=%s%s",
            name,
            *key,
            result,
            took,
            "when something changes" if again is None else f"{again.total_seconds():.1f}s",
            f" error={error}" if error else "",
        )

    @staticmethod
    def _failed(room: _Room, key: Key, problem: Exception) -> timedelta | None:
        """Arrange the next try; return its wait, or None when only a change can help."""
        if isinstance(problem, ControllerError):
            if not problem.retry:
                room.queue.forget(key)
                return None
            asked = problem.retry_after if isinstance(problem, ApiError) else None
            return room.queue.fail(key, at_least=asked or timedelta(0))
        log.error("pass crashed controller=%s key=%s/%s", room.controller.name, *key, exc_info=problem)
        return room.queue.fail(key)

    # news

    def _changed(self, room: _Room, watch: Watch, change: Change) -> None:
        if not watch.concerned(change):
            return
        self._wake(room, watch, change.object)
        if change.previous is not None and change.previous is not change.object:
            self._wake(room, watch, change.previous)

    def _wake(self, room: _Room, watch: Watch, obj: dict[str, Any]) -> None:
        try:
            for key in watch.keys(obj):
                room.queue.add(key)
        except Exception:
            self._metrics.malformed.labels(watch.resource.name).inc()
            metadata = obj.get("metadata") or {}
            log.exception(
                "whom to wake is unknown controller=%s resource=%s object=%s/%s",
                room.controller.name,
                watch.resource.name,
                metadata.get("namespace"),
                metadata.get("name"),
            )

    def _requeue_all(self, room: _Room) -> None:
        """Look at everything once when we begin to lead: another may have led in between."""
        for watch in room.controller.watches:
            for obj in self._cluster.list(watch.resource):
                if selectors.matches(watch.labels, obj):
                    self._wake(room, watch, obj)


def _depth(queue: WorkQueue) -> float:
    return float(queue.depth())


def _delayed(queue: WorkQueue) -> float:
    return float(queue.schedule.delayed)


async def _unless(stop: asyncio.Event, waited_for: Coroutine[Any, Any, None]) -> bool:
    """Wait for something, or for the end; return whether it came."""
    tasks = asyncio.create_task(waited_for), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return tasks[0].done() and not stop.is_set()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
