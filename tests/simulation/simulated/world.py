"""The whole simulated world, and how a story is played in it."""

import json
from collections.abc import Callable
from contextlib import contextmanager, suppress
from typing import Any

from controller import clock
from controller.api.meta import INTENT_ANNOTATION
from controller.kube.resources import (
    CONTROLLER_REVISION,
    DEPLOYMENT,
    ENDPOINT_SLICE,
    POD,
    SELDON_DEPLOYMENT,
    SELDON_ROLLOUT,
    SERVICE,
    VIRTUAL_SERVICE,
)
from simulated.api import NAMESPACE_NAME, Api, ApiError, Object
from simulated.faults import Faults
from simulated.judge import Prometheus, SimulatedMonitor
from simulated.mesh import Mesh
from simulated.process import Hooks, Process
from simulated.promises import AT_REST, BrokenPromiseError, Promises
from simulated.quality import Qualities
from simulated.story import BAKES, STRATEGIES, Happening, Story
from simulated.timeline import Timeline
from simulated.users import Users
from simulated.workloads import Workloads

PERSON = "kubectl"
LONGEST_END = 3 * 3600.0
"""Seconds of simulated time in which everything must have come to rest once the faults have stopped."""


class World:
    """Everything, from one seed."""

    def __init__(self, story: Story, *, rollout: str = "iris", say: Callable[[str, str], None] | None = None) -> None:
        self.rollout, self.key = rollout, (NAMESPACE_NAME, rollout)
        self.say = say or (lambda _who, _what: None)
        self.timeline = Timeline(story.seed)
        self.api = Api(self.timeline)
        self.qualities = Qualities(self.api)
        self.workloads = Workloads(self.timeline, self.api, self.qualities)
        self.mesh = Mesh(self.timeline, self.api, silent=story.silent)
        self.users = Users(
            self.timeline, self.api, self.mesh, self.workloads, self.qualities, rollout=rollout, rate=story.rate
        )
        self.prometheus = Prometheus()
        self.faults = Faults(self.timeline.chance("faults"))
        self.promises = Promises(self)
        self.jumped = False
        self.troubled: dict[str, float] = {}
        """When the world last took something from a SeldonDeployment."""
        self.processes: list[Process] = []
        self._names = 0
        self._ids = 0
        self._strategy, self._bake = STRATEGIES[story.strategy], BAKES.get(story.strategy)

    # the controllers

    def start_controller(self, skew: float = 0.0) -> Process:
        """Start a controller process; one that crashes is followed by another."""
        self._names += 1
        hooks = Hooks(
            about_to=self.promises.about_to,
            said=lambda kind, name, reason, message: self.say(f"{kind} {name}", f"{reason}: {message}"),
            passed=lambda process, controller, _key, _problem: self.promises.passed(process, controller),
            crashed=self._crashed,
        )
        process = Process(
            str(self._names), self.timeline, self.api, faults=self.faults,
            monitor=self.monitor, hooks=hooks, skew=skew,
        )  # fmt: skip
        self.processes = [each for each in self.processes if each.alive] + [process]
        return process

    def monitor(self) -> Any:
        """Make the judge of a controller process."""
        return SimulatedMonitor(self.users.ledger, self.prometheus)

    def _crashed(self, process: Process) -> None:
        self.say("controller", "crashed")
        self.processes.remove(process)
        if not self.processes:
            self.timeline.after(1.0 + 4.0 * process.chance.random(), self._start_again)

    def _start_again(self) -> None:
        if not self.processes:
            self.start_controller()

    @contextmanager
    def on_simulated_time(self) -> Any:
        """Let the controllers read the simulated clock."""
        real = clock.now
        clock.now = self.timeline.shown_time
        try:
            yield self
        finally:
            clock.now = real

    # people

    def live(self) -> Object | None:
        """The rollout as it is stored."""
        return self.api.find(SELDON_ROLLOUT, self.rollout)

    def status(self) -> Object:
        """Its status."""
        return (self.live() or {}).get("status") or {}

    def create(self, model: str = "good-0", replicas: int = 2, **spec: Any) -> None:
        """Apply a first rollout."""
        self.api.create(
            SELDON_ROLLOUT,
            {
                "metadata": {"name": self.rollout, "namespace": NAMESPACE_NAME},
                "spec": {
                    "template": template(model, replicas),
                    "strategy": self._strategy,
                    **({"bake": self._bake} if self._bake else {}),
                    **spec,
                },
            },
            actor=PERSON,
        )

    def do_deployment(self, model: str, replicas: int = 3) -> None:
        """Apply a SeldonDeployment of the rollout's name, which no rollout knows of yet."""
        meta = {"name": self.rollout, "namespace": NAMESPACE_NAME}
        self.api.create(SELDON_DEPLOYMENT, {"metadata": meta, **template(model, replicas)}, actor=PERSON)

    def do_adopt(self, model: str, policy: str = "Delete", replicas: int = 3) -> None:
        """Apply a rollout that takes over what serves under its name."""
        self.create(model, replicas, adopt=True, deletionPolicy=policy)

    def do_delete(self) -> None:
        """Delete the rollout."""
        self.api.delete(SELDON_ROLLOUT, self.rollout, actor=PERSON)

    def _patch(self, patch: Object) -> None:
        self.api.merge(SELDON_ROLLOUT, self.rollout, patch, actor=PERSON)

    def do_edit(self, model: str) -> None:
        spec = (self.live() or {})["spec"]["template"]["spec"]
        replicas = spec["predictors"][0].get("replicas", 2)
        self._patch({"spec": {"template": {"metadata": None, **template(model, replicas)}}})

    def do_strategy(self, index: int) -> None:
        self.do_release(STRATEGIES[index], BAKES.get(index))

    def do_release(self, strategy: Object, bake: Object | None = None) -> None:
        """Change the strategy; another one takes the place of the one before."""
        others: Object = dict.fromkeys(("canary", "blueGreen", "shadow"))
        self._patch({"spec": {"strategy": {**others, **strategy}, "bake": bake}})

    def do_scale(self, replicas: int) -> None:
        predictors = json.loads(json.dumps((self.live() or {})["spec"]["template"]["spec"]["predictors"]))
        predictors[0]["replicas"] = replicas
        self._patch({"spec": {"template": {"spec": {"predictors": predictors}}}})

    def do_invalid(self) -> None:
        predictors = json.loads(json.dumps((self.live() or {})["spec"]["template"]["spec"]["predictors"]))
        predictors[0]["annotations"] = {"seldon.io/svc-name": "mine"}
        self._patch({"spec": {"template": {"spec": {"predictors": predictors}}}})

    def do_verb(self, verb: str, by: str = "ada", reason: str = "", revision: int = 1) -> None:
        self._ids += 1
        which = {"revision": revision} if verb == "rollback" else {}
        intent = json.dumps({"id": str(self._ids), "verb": verb, "by": by, "reason": reason, **which})
        self._patch({"metadata": {"annotations": {INTENT_ANNOTATION: intent}}})

    # faults

    def _for(self, seconds: float, then: Callable[[], None]) -> None:
        self.timeline.after(seconds, then)

    def do_storm(self, strength: float, seconds: float) -> None:
        self.faults.storm(strength)
        self._for(seconds, lambda: self.faults.storm(0.0))

    def do_slow(self, more: float, seconds: float) -> None:
        self.faults.slow = more
        self._for(seconds, lambda: setattr(self.faults, "slow", 0.0))

    def do_deaf(self, more: float, seconds: float) -> None:
        self.faults.deaf = more
        self._for(seconds, lambda: setattr(self.faults, "deaf", 0.0))

    def do_crash(self, writes: int, after: bool) -> None:
        self.faults.crash_in.append((writes, after))

    def do_second(self, seconds: float, skew: float) -> None:
        """A second controller begins to lead, and the first does not know for a while that it does not."""
        old = self.processes[-1] if self.processes else None
        self.start_controller(skew)
        if old is not None:
            self._for(seconds, lambda: self._retire(old))

    def _retire(self, process: Process) -> None:
        process.stop()
        self.processes = [each for each in self.processes if each.alive]
        if not self.processes:
            self.start_controller()

    def do_forbid(self, collection: str, said: str, seconds: float) -> None:
        """The server refuses all writes of a kind, but those of statuses."""
        self.faults.refused[collection] = said
        self._for(seconds, lambda: self.faults.refused.pop(collection, None))

    def do_cut(self, collection: str, seconds: float, gone: bool) -> None:
        for process in self.processes:
            process.cut_watch(collection, seconds, gone=gone)

    def do_replay(self, collection: str) -> None:
        for process in self.processes:
            process.replay(collection)

    def do_podcrash(self, index: int, seconds: float) -> None:
        pods = self.workloads.some_pods()
        if pods:
            name, pod = pods[index % len(pods)]
            self._trouble_deployment(name)
            self.workloads.crash(name, pod, seconds)

    def do_outage(self, index: int, seconds: float) -> None:
        """All pods of one revision crash."""
        pods = self.workloads.some_pods()
        names = sorted({name for name, _ in pods})
        for name, pod in pods:
            if name == names[index % len(names)]:
                self._trouble_deployment(name)
                self.workloads.crash(name, pod, seconds)

    def do_evict(self, index: int) -> None:
        pods = self.workloads.some_pods()
        if pods:
            self._trouble_deployment(pods[index % len(pods)][0])
            self.workloads.evict(*pods[index % len(pods)])

    def _trouble_deployment(self, name: str) -> None:
        live = self.api.find(DEPLOYMENT, name) or {"metadata": {}}
        self.troubled[(live["metadata"].get("labels") or {}).get("seldon-deployment-id", "")] = self.timeline.now

    def excused(self, child: str, seconds: float) -> bool:
        """Say whether pods of a SeldonDeployment were taken away lately, so that requests may find nobody."""
        recent = self.timeline.now - max(self.troubled.get(child, -1e9), self.troubled.get("*", -1e9))
        broken = any(pod.broken for state in self.workloads.sets.values() for pod in state.pods.values()
                     if pod.labels.get("seldon-deployment-id") == child)  # fmt: skip
        return recent < seconds or broken or self.workloads.quota

    def do_quota(self, seconds: float) -> None:
        self.workloads.set_quota(True)
        self._for(seconds, lambda: self.workloads.set_quota(False))

    def do_sluggish(self, delay: float, seconds: float) -> None:
        """A mesh that takes long; a silent one stays within what Istio promises."""
        self.mesh.delay = min(delay, 3.0) if self.mesh.silent else delay
        self._for(seconds, lambda: setattr(self.mesh, "delay", 0.3))

    def do_refuse(self, seconds: float) -> None:
        if not self.mesh.silent:
            self.mesh.set_refusing(True)
            self._for(seconds, lambda: self.mesh.set_refusing(False))

    def do_prometheus(self, mode: str, seconds: float) -> None:
        self.prometheus.mode = mode
        self._for(seconds, lambda: setattr(self.prometheus, "mode", "up"))

    def do_jump(self, seconds: float) -> None:
        self.jumped = True
        for process in self.processes:
            process.skew += seconds

    def do_drift(self, what: str) -> None:
        """Somebody changes or deletes what the controllers own."""
        with suppress(ApiError):
            getattr(self, f"_drift_{what}")()

    def _drift_weights(self) -> None:
        live = self.api.find(VIRTUAL_SERVICE, self.rollout)
        if live is not None:
            http = json.loads(json.dumps(live["spec"]["http"]))
            http[0]["route"] = http[0]["route"][:1]
            http[0]["route"][0]["weight"] = 100
            self.troubled["*"] = self.timeline.now
            self.api.merge(VIRTUAL_SERVICE, self.rollout, {"spec": {"http": http}}, actor=PERSON)

    def _drift_route(self) -> None:
        self.api.delete(VIRTUAL_SERVICE, self.rollout, actor=PERSON)

    def _drift_child(self) -> None:
        self._delete_first(SELDON_DEPLOYMENT)

    def _drift_history(self) -> None:
        self._delete_first(CONTROLLER_REVISION)

    def _drift_deployment(self) -> None:
        self._delete_first(DEPLOYMENT)

    def _drift_service(self) -> None:
        self._delete_first(SERVICE)

    def _drift_status(self) -> None:
        self.api.put_status(SELDON_ROLLOUT, self.rollout, {}, actor=PERSON)

    def _delete_first(self, resource: Any) -> None:
        self.troubled["*"] = self.timeline.now
        name = min((obj["metadata"]["name"] for obj in self.api.all(resource)), default="")
        self.api.delete(resource, name, actor=PERSON)

    # playing

    def happen(self, happening: Happening) -> None:
        """Let one thing happen."""
        with suppress(ApiError):
            getattr(self, f"do_{happening.kind}")(*happening.values)

    def heal(self) -> None:
        """Stop all faults; a person corrects a spec that cannot be done."""
        self.faults.calm()
        self.workloads.set_quota(False)
        self.mesh.delay = 0.3
        self.mesh.set_refusing(False)
        self.prometheus.mode = "up"
        for process in self.processes:
            process.skew = 0.0
        for name, state in self.workloads.sets.items():
            for pod in list(state.pods.values()):
                if pod.broken == "Error":
                    self.workloads._set_ready(name, pod.name, True, "")
        if "svc-name" in json.dumps(self.live()):
            self.do_edit("good-9")

    def come_to_rest(self) -> None:
        """Wait until everything is at rest.

        Raises:
            BrokenPromiseError: it does not come to rest, or something is left over, or passes at rest write.
        """
        end = self.timeline.now + LONGEST_END
        quiet = 0
        while quiet < 3:
            before = self.api.revision
            self.timeline.run_until(self.timeline.now + 40)
            still = self.status().get("phase") in AT_REST and not self.status().get("retiredRevisions")
            judged = self.status().get("phase") == "Paused"
            quiet = quiet + 1 if still and (judged or self.api.revision == before) else 0
            if self.timeline.now > end:
                raise BrokenPromiseError("everything comes to rest", f"after three hours: {self._words()}")
        self._check_children()
        self._check_silence()

    def _words(self) -> str:
        status = self.status()
        return f"{status.get('phase')}: {status.get('message')} (blocked on {status.get('blockedOn')})"

    def _check_children(self) -> None:
        status = self.status()
        roles = ["stableRevision", *(["canaryRevision"] if status["phase"] == "Paused" else [])]
        expected = {status[role]["name"] for role in roles if status.get(role)}
        found = {obj["metadata"]["name"] for obj in self.api.all(SELDON_DEPLOYMENT)}
        if found != expected:
            raise BrokenPromiseError("exactly the expected children", f"expected {expected}, found {found}")
        for resource in (DEPLOYMENT, SERVICE, POD, ENDPOINT_SLICE):
            for obj in self.api.all(resource):
                owner = (obj["metadata"].get("labels") or {}).get("seldon-deployment-id")
                if owner not in expected:
                    raise BrokenPromiseError("no object is left over", f"{resource.kind} {obj['metadata']['name']}")
        weights, copies = self.mesh.shares(self.rollout)
        hosts = {f"{name}-default.{NAMESPACE_NAME}.svc.cluster.local" for name in expected}
        if not (weights.keys() | copies.keys()) <= hosts or round(sum(weights.values()), 6) != 100:
            raise BrokenPromiseError("the route leads to who serves", f"{weights} {copies}, expected {hosts}")

    def _check_silence(self) -> None:
        """No write at rest; while a canary is paused it is judged, and its figures are written."""
        if self.status()["phase"] == "Paused":
            return
        before = self.api.revision, sum(process.client.writes for process in self.processes)
        for process in self.processes:
            for room in process.rooms:
                for key in [
                    self.key,
                    *((NAMESPACE_NAME, o["metadata"]["name"]) for o in self.api.all(SELDON_DEPLOYMENT)),
                ]:
                    process.add(room, key)
        self.timeline.run_until(self.timeline.now + 30)
        after = self.api.revision, sum(process.client.writes for process in self.processes)
        if after != before:
            raise BrokenPromiseError("no write at rest", f"revision and writes went from {before} to {after}")


def template(model: str, replicas: int) -> Object:
    """A template of one model; its URI says how good it is."""
    graph = {"name": "classifier", "implementation": "SKLEARN_SERVER", "modelUri": f"gs://m/{model}"}
    return {"spec": {"predictors": [{"name": "default", "replicas": replicas, "graph": graph}]}}


def play(story: Story) -> World:
    """Play a story to its end.

    Raises:
        BrokenPromiseError: a promise was broken.
    """
    world = World(story)
    with world.on_simulated_time():
        world.start_controller()
        world.create()
        world.timeline.run_until(30.0)
        for happening in story.happenings:
            world.timeline.run_until(world.timeline.now + happening.after)
            world.happen(happening)
        world.timeline.run_until(world.timeline.now + 5.0)
        world.heal()
        world.come_to_rest()
    return world
