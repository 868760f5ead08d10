"""One controller process: the real caches and the real controllers, driven by hand on simulated time."""

import random
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from controller.deployment.reconciler import DeploymentController
from controller.errors import ControllerError
from controller.kube import selectors
from controller.kube.cluster import Cluster
from controller.kube.errors import ApiError, ConflictError
from controller.kube.informer import Informer
from controller.kube.resources import DEPLOYMENT, SELDON_DEPLOYMENT, SELDON_ROLLOUT, Resource
from controller.kube.watches import Change, Controller, Watch
from controller.queue import Key, Schedule
from controller.rollout.reconciler import RolloutController
from controller.settings import Settings
from localcluster.apiserver.history import Event
from simulated.api import NAMESPACE_NAME, Api, Object, without_managed_fields
from simulated.asking import Ask, Errands, Post
from simulated.client import SimulatedClient
from simulated.faults import CrashedError, Faults
from simulated.timeline import Timeline

TICK = 10.0
NEWS = 0.02
"""Seconds that an event of a watch takes, on average."""


class Notes:
    """In the place of the recorder of Kubernetes Events: what the controllers said."""

    def __init__(self, say: Callable[[str, str, str, str], None]) -> None:
        self._say = say

    def record(self, regarding: Object, *, type: str, reason: str, message: str, action: str = "") -> None:  # noqa: A002
        self._say(regarding["kind"], regarding["metadata"]["name"], reason, message)


@dataclass(slots=True)
class Stream:
    """The watch of one kind: what was not delivered yet, in its order."""

    informer: Informer
    resource: Resource
    pending: deque[Event] = field(default_factory=deque)
    last_at: float = 0.0
    cut: bool = False


@dataclass(slots=True)
class Room:
    """A controller with its queue."""

    controller: Controller
    schedule: Schedule = field(default_factory=Schedule)


@dataclass(slots=True)
class Hooks:
    """What the world wants to know of a process."""

    about_to: Callable[["Process", str, Resource, Any], None]
    said: Callable[[str, str, str, str], None]
    passed: Callable[["Process", str, Key, Exception | None], None]
    crashed: Callable[["Process"], None]
    asked: Ask
    """Answers the webhooks of gates."""


class Process:
    """Runs both controllers until it crashes or is stopped.

    Args:
        name: such as A; part of the actor's name.
        timeline: the time.
        api: the server.
        faults: what becomes of its writes and of its news.
        monitor: makes the judge.
        hooks: whom to tell.
        skew: seconds by which its clock is off.
        operator: whether it also runs our operator, or `--controllers=rollout` beside another.
    """

    def __init__(
        self,
        name: str,
        timeline: Timeline,
        api: Api,
        *,
        faults: Faults,
        monitor: Callable[[], Any],
        hooks: Hooks,
        skew: float = 0.0,
        operator: bool = True,
    ) -> None:
        self.name, self.alive, self.skew = name, True, skew
        self.timeline, self.api, self.faults, self.hooks = timeline, api, faults, hooks
        self.chance: random.Random = timeline.chance(f"process {name}")
        self.monitor = monitor()
        self.client = SimulatedClient(api, f"controller {name}", faults, self.chance, self._about_to)
        self.cluster = Cluster(self.client, recorder=Notes(hooks.said))  # type: ignore[arg-type]  # their stand-ins
        settings = Settings(prometheus_url="")
        rollout = RolloutController(self.cluster, settings)
        rollout._monitor = self.monitor
        rollout._webhooks._http = Post(hooks.asked, self.chance)  # type: ignore[assignment]  # their stand-ins
        rollout._webhooks._beside = Errands(timeline, lambda: not self.alive, lambda: self.skew)  # type: ignore[assignment]
        ours = Settings(prometheus_url="", namespaces=(NAMESPACE_NAME,))  # nobody else's: its label is not looked at
        self.rooms = (Room(rollout), *((Room(DeploymentController(self.cluster, ours)),) if operator else ()))
        self.streams: dict[str, Stream] = {}
        self.in_pass = 0
        self.starts: dict[tuple[str, Key], dict[str, int]] = {}
        """For each pass under way: the ready pods of each Deployment when it began."""
        self.known: dict[Key, dict[str, Object]] = {}
        """For each pass of a rollout under way: the rollouts that it knew of when it began, by name."""
        self._prepare()
        self.timeline.at((self.timeline.now // TICK + 1) * TICK, self._tick)

    # caches

    def _prepare(self) -> None:
        for room in self.rooms:
            for watch in room.controller.watches:
                informer = self.cluster.watch(
                    watch.resource, labels=watch.labels, optional=watch.optional, indexed=watch.indexed,
                    on_change=lambda change, room=room, watch=watch: self._changed(room, watch, change),
                )  # fmt: skip
                if self.api.serves(watch.resource) or not watch.optional:
                    self.streams[self.api.kind(watch.resource).collection] = Stream(informer, watch.resource)
                else:
                    self._absent(informer)
            room.controller.start(lambda key, room=room: self.add(room, key))
        self.api.watchers.append(self._happened)
        for stream in self.streams.values():
            for reflector in stream.informer._reflectors:
                reflector.served = stream.resource
                reflector.listed.set()
            self._list(stream)

    @staticmethod
    def _absent(informer: Informer) -> None:
        """A kind that may be missing, and is."""
        informer.replace((), version="", began=informer.begin(), namespace=None)
        for reflector in informer._reflectors:
            reflector.listed.set()

    def _list(self, stream: Stream) -> None:
        labels = stream.informer.labels
        objects = [without_managed_fields(obj) for obj in self.api.all(stream.resource)]
        chosen = [obj for obj in objects if selectors.matches(labels, obj)]
        stream.pending.clear()
        stream.informer.replace(chosen, version=str(self.api.revision), began=stream.informer.begin(), namespace=None)

    def _happened(self, _: str, event: Event) -> None:
        stream = self.streams.get(event.collection)
        if stream is None or not self.alive:
            return
        stream.pending.append(event)
        if not stream.cut:
            self._schedule_delivery(stream)

    def _schedule_delivery(self, stream: Stream) -> None:
        delay = self.chance.expovariate(1 / NEWS) + self.faults.deaf * self.chance.random()
        stream.last_at = max(stream.last_at, self.timeline.now + delay)
        self.timeline.at(stream.last_at, lambda: self._deliver(stream))

    def _deliver(self, stream: Stream) -> None:
        if not self.alive or stream.cut or not stream.pending:
            return
        event = stream.pending.popleft()
        obj, labels = without_managed_fields(event.entry.object), stream.informer.labels
        before = event.previous is not None and selectors.matches(labels, event.previous)
        now = event.type != "DELETED" and selectors.matches(labels, obj)
        if now:
            stream.informer.event("MODIFIED" if before else "ADDED", obj)
        elif before:
            stream.informer.event("DELETED", obj)

    def cut_watch(self, collection: str, seconds: float, *, gone: bool) -> None:
        """Let a watch fall silent for a while; then it goes on where it was, or (410) lists anew."""
        if collection not in self.streams:
            return
        stream = self.streams[collection]
        stream.cut = True
        self.timeline.after(seconds, lambda: self._reconnect(stream, gone))

    def _reconnect(self, stream: Stream, gone: bool) -> None:
        if not self.alive or not stream.cut:
            return
        stream.cut = False
        if gone:
            self._list(stream)
        for _ in tuple(stream.pending):
            self._schedule_delivery(stream)

    def replay(self, collection: str, *, shuffled: bool = False) -> None:
        """Tell old news again, as a watch does that was opened anew at an old version; shuffled, in any order."""
        if collection not in self.streams:
            return
        stream = self.streams[collection]
        recent = [
            event for event in self.api.store.history.collection(collection).events if event not in stream.pending
        ]
        for event in recent[-5:]:
            stream.pending.appendleft(event)
        ordered = sorted(stream.pending, key=lambda event: event.revision)
        if shuffled:
            self.chance.shuffle(ordered)
        stream.pending = deque(ordered)
        for _ in recent[-5:]:
            self._schedule_delivery(stream)

    # the queue, as the manager works it

    def _changed(self, room: Room, watch: Watch, change: Change) -> None:
        for obj in (change.object, change.previous) if watch.concerned(change) else ():
            for key in watch.keys(obj) if obj is not None else ():
                self.add(room, key)

    def add(self, room: Room, key: Key) -> None:
        """Make a key due."""
        room.schedule.add(key, self.timeline.now)
        self._arm(room)

    def _arm(self, room: Room) -> None:
        now = self.timeline.now
        if room.schedule.ready(now):
            self.timeline.after(0.001, lambda: self._dispatch(room), counts=False)
        elif (at := room.schedule.next_at()) is not None:
            self.timeline.at(at, lambda: self._dispatch(room), counts=False)

    def _dispatch(self, room: Room) -> None:
        if not self.alive:
            return
        while (key := room.schedule.take(self.timeline.now)) is not None:
            self.in_pass += 1
            self.starts[room.controller.name, key] = self._ready_pods()
            self.known[key] = {each["metadata"]["name"]: each for each in self.cluster.list(SELDON_ROLLOUT)}
            self._go_on(room, key, room.controller.reconcile(key))
            if not self.alive:
                return

    def _ready_pods(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for obj in self.cluster.list(DEPLOYMENT):
            child = (obj["metadata"].get("labels") or {}).get("seldon-deployment-id", "")
            if self.cluster.get(SELDON_DEPLOYMENT, obj["metadata"].get("namespace"), child) is None:
                continue  # its pods go with it
            ready = int((obj.get("status") or {}).get("readyReplicas") or 0)
            # Those beyond what is wanted are about to go.
            found[child] = found.get(child, 0) + min(ready, int(obj["spec"].get("replicas", 1)))
        return found

    def _go_on(self, room: Room, key: Key, work: Coroutine[Any, Any, timedelta | None]) -> None:
        """Run a pass up to its next request, or to its end."""
        if not self.alive:
            work.close()
            return
        self.timeline.skew = self.skew
        problem: Exception | None = None
        again: timedelta | None = None
        try:
            pause = work.send(None)
            self.timeline.after(pause, lambda: self._go_on(room, key, work))
            return
        except StopIteration as end:
            again = end.value
        except CrashedError:
            self.stop()
            self.hooks.crashed(self)
            return
        except Exception as error:  # noqa: BLE001 - as the manager: one object's trouble stays its own
            problem = error
        finally:
            self.timeline.skew = 0.0
        self.in_pass -= 1
        self._ended(room, key, again, problem)
        self.hooks.passed(self, room.controller.name, key, problem)

    def _ended(self, room: Room, key: Key, again: timedelta | None, problem: Exception | None) -> None:
        now = self.timeline.now
        if problem is None:
            room.schedule.forget(key)
            if again is not None:
                room.schedule.add_at(key, now + max(again.total_seconds(), 0.0), now)
        elif isinstance(problem, ControllerError) and not problem.retry:
            room.schedule.forget(key)
        else:
            asked = problem.retry_after if isinstance(problem, ApiError) else None
            room.schedule.fail(key, now, draw=self.chance.random(), at_least=asked or timedelta(0))
        room.schedule.done(key, now)
        self._arm(room)

    def _about_to(self, verb: str, resource: Resource, what: Any) -> None:
        self.hooks.about_to(self, verb, resource, what)

    # the judge

    def _tick(self) -> None:
        if not self.alive:
            return
        for key in sorted(self.monitor.tick(self.timeline.true_time())):
            self.add(self.rooms[0], key)
        self.timeline.after(TICK, self._tick, counts=bool(self.monitor.busy))

    # the end

    def stop(self) -> None:
        """End at once: nothing that was begun goes on."""
        self.alive = False
        if self._happened in self.api.watchers:
            self.api.watchers.remove(self._happened)

    @property
    def idle(self) -> bool:
        """Whether no pass is under way and no news is waiting."""
        waiting = any(stream.pending for stream in self.streams.values())
        return (
            not waiting and not self.in_pass and not any(room.schedule.ready(self.timeline.now) for room in self.rooms)
        )


__all__ = ["ConflictError", "Hooks", "Process"]
