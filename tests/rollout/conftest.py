"""A small world for decisions: it does what a decision asks, and refuses what no cluster would hold."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controller.api.analysis import AnalysisRunSpec, AnalysisTemplateSpec
from controller.api.rollout import AnalysisStatus, Intent, MetricStatus, RolloutSpec, RolloutStatus
from controller.api.routing import OwnVirtualService
from controller.rollout import actions, gather, revisions, runs, traffic
from controller.rollout.actions import Announcement, Decision
from controller.rollout.decide import decide
from controller.rollout.observed import Answer, Child, Member, Observed, Peer, Route, Templates, TrafficWindow
from controller.rollout.revisions import Revision

SHORT_WAIT = timedelta(minutes=1)
"""What a world that settles waits for at once."""
START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def template(image: str, **spec: Any) -> dict[str, Any]:
    graph = {"name": "classifier", "implementation": "SKLEARN_SERVER", "modelUri": image}
    return {"spec": {"predictors": [{"name": "default", "replicas": 2, "graph": graph}], **spec}}


@dataclass
class World:
    """One rollout, its objects, its pods, its mesh, and the clock."""

    steps: list[dict[str, Any]] = field(
        default_factory=lambda: [{"setWeight": 20}, {"analysis": {}}, {"setWeight": 50}]
    )
    strategy: dict[str, Any] | None = None
    """Instead of a canary with these steps."""
    now: datetime = START
    image: str = "m/v1"
    generation: int = 1
    status: RolloutStatus = field(default_factory=RolloutStatus)
    spec_extra: dict[str, Any] = field(default_factory=dict)
    children: dict[str, dict[str, Any]] = field(default_factory=dict)
    stored: dict[str, Revision] = field(default_factory=dict)
    ready: dict[str, int] = field(default_factory=dict)
    route: dict[str, Any] | None = None
    own: dict[str, Any] | None = None
    """The person's VirtualService."""
    accepted: bool | None = True
    starts: bool = True
    """New pods become ready at once."""
    reached: bool = True
    """The DestinationRules of children exist from their first pod on."""
    verdict: AnalysisStatus | None = None
    share: float | None = None
    """The observed share of the canary, when it is not what the route says."""
    requests: int = 1000
    intent: Intent | None = None
    answer: Answer | None = None
    """What a gate's webhook said last."""
    invalid: str = ""
    said: list[Announcement] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    version: int = 1
    writes: int = 0
    """Of the person's VirtualService."""
    mesh: bool = True
    in_the_way: str = ""
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """AnalysisRuns by name."""
    templates: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Specs of AnalysisTemplates by name."""
    labels: dict[str, str] = field(default_factory=dict)
    peers: dict[str, Peer] = field(default_factory=dict)
    """The rollouts that it depends on."""
    members: dict[str, Member] = field(default_factory=dict)
    """The others of its group, as they are seen from here."""
    name: str = "iris"
    rules: list[dict[str, Any]] = field(default_factory=list)
    """DestinationRules."""
    finalizers: tuple[str, ...] = ()

    def template(self) -> dict[str, Any]:
        return template(self.image)

    def raw_spec(self) -> dict[str, Any]:
        strategy = self.strategy or {"canary": {"steps": self.steps}}
        return {"template": self.template(), "strategy": strategy, **self.spec_extra}

    def target(self) -> Revision:
        digest = revisions.template_hash(self.template())
        if digest in self.stored:
            return Revision(hash=digest, number=self.stored[digest].number, template=self.template())
        number = max((r.number for r in self.stored.values()), default=0) + 1
        return Revision(hash=digest, number=number, template=self.template())

    def observe(self) -> Observed:
        spec = None if self.invalid else RolloutSpec.model_validate(self.raw_spec())
        target = None if self.invalid else self.target()
        known = {**self.stored, **({target.hash: target} if target else {})}
        obs = Observed(
            namespace="ml", name=self.name, uid="u1", generation=self.generation, resource_version="1", spec=spec,
            invalid=self.invalid, target=target, status=self.status, intent=self.intent, revisions=known,
            stored=frozenset(self.stored), children={h: self._child(h) for h in self.children}, mesh=self.mesh,
            route=self._route(spec), in_the_way=self.in_the_way, answer=self.answer, peers=self.peers,
            members=self.members, left=tuple(self._left(spec)), rules=tuple(self.rules), finalizers=self.finalizers,
            runs={name: gather.run(live) for name, live in self.runs.items()}, templates=self._templates(spec),
            live={"metadata": {"name": self.name, "namespace": "ml", "labels": self.labels}, "spec": self.raw_spec()},
        )  # fmt: skip
        return copy_with(obs, analysis=self._analysis(), traffic=self._traffic(obs))

    def _templates(self, spec: RolloutSpec | None) -> Templates:
        named = [reference for each in runs.named_in(spec) for reference in each.templates] if spec else []
        return {
            each: AnalysisTemplateSpec.model_validate(self.templates[each.template_name])
            if each.template_name in self.templates
            else None
            for each in named
        }

    def run_of(self, role: str) -> dict[str, Any] | None:
        """The running revision's AnalysisRun."""
        canary = self.status.canary_revision
        name = f"{self.name}-{canary.hash}-{self.status.attempt}-{role}" if canary else ""
        return self.runs.get(name)

    def run_is(self, role: str, phase: str, message: str = "") -> "World":
        """Let the analysis controller say something."""
        run = self.run_of(role)
        assert run is not None, f"no run {role} among {sorted(self.runs)}"
        run["status"] = {"phase": phase, "message": message}
        return self

    def _in_force(self, spec: RolloutSpec | None) -> OwnVirtualService | None:
        routing = spec.routing if spec is not None else self.status.routing
        return routing.virtual_service if routing is not None else None

    def _route(self, spec: RolloutSpec | None) -> Route | None:
        own = self._in_force(spec) is not None
        live = self.own if own else self.route
        return Route(live=copy.deepcopy(live), ours=not own, accepted=self.accepted) if live else None

    def _left(self, spec: RolloutSpec | None) -> Iterator[Route]:
        now = self._in_force(spec)
        before = self.status.routing.virtual_service if self.status.routing is not None else None
        if now is not None and self.route is not None:
            yield Route(live=self.route, ours=True, accepted=True)
        if before is not None and before != now and self.own is not None:
            yield Route(live=copy.deepcopy(self.own), ours=False, accepted=True)

    def _child(self, digest: str) -> Child:
        have = self.ready.get(digest, 0)
        live = self.children[digest]
        want = live["spec"]["predictors"][0]["replicas"]
        return Child(
            hash=digest, name=live["metadata"]["name"], live=live, replicas=want, ready_replicas=have,
            pods=((have, want),), reached=self.reached, available=have >= want,
            message="" if have >= want else "container classifier: CrashLoopBackOff",
            role=live["metadata"]["labels"]["rollouts.seldon.io/role"],
        )  # fmt: skip

    def _analysis(self) -> AnalysisStatus | None:
        started = self.status.analysis.started_at
        if self.verdict is None or started is None:
            return None
        return self.verdict.model_copy(update={"started_at": started})

    def _traffic(self, obs: Observed) -> TrafficWindow | None:
        changed = self.status.weights.changed_at
        canary = self.status.canary_revision
        if self.answering() is None or changed is None or canary is None or self.now < changed + timedelta(seconds=2):
            return None
        share = self.share if self.share is not None else self.live_weight(canary.hash) / 100
        count = round(self.requests * share)
        copies, control = self.copies(canary.hash), 0
        if self.status.stable_revision is not None and share == 1:
            control = self.copies(self.status.stable_revision.hash)
        stable = self.requests - count + round(control * self.requests / 100)
        canary_requests = count + round(copies * self.requests / 100)
        return TrafficWindow(since=changed, until=self.now, stable=stable, canary=canary_requests)

    def copies(self, digest: str) -> float:
        """Percent of live requests that a revision gets copied."""
        routes = self.route["spec"]["http"] if self.route else []
        mirrors = [mirror for http in routes if http["name"] == "rest" for mirror in http.get("mirrors", [])]
        return sum(m["percentage"]["value"] for m in mirrors if digest in m["destination"]["host"])

    def special(self) -> dict[str, dict[str, Any]]:
        """The routes of steps before the two that take all requests, by name: without those for feedback."""
        routes = self.route["spec"]["http"][:-2] if self.route else []
        return {http["name"]: http for http in routes if "-feedback-" not in http["name"]}

    def pods(self, image: str) -> int:
        """How many pods a revision is told to have."""
        return self.children[self.hash_of(image)]["spec"]["predictors"][0]["replicas"]

    def answering(self) -> dict[str, Any] | None:
        """The VirtualService that takes requests; of a person's, the first named route stands for all."""
        own = self._in_force(RolloutSpec.model_validate(self.raw_spec()))
        if own is None or self.own is None:
            return self.route if own is None else None
        names = (*own.routes, *own.grpc_routes)
        named = [http for http in self.own["spec"].get("http", ()) if http.get("name") in names]
        return {"spec": {"http": [{**named[0], "name": "rest"}]}} if named else None

    def live_weight(self, digest: str) -> float:
        route = self.answering()
        if route is None or digest not in self.observed_revisions():
            return 0
        parts = revisions.destinations(self.name, "ml", self.observed_revisions()[digest], revisions.Ports())
        return traffic.most(traffic.weight_of, traffic.weighed(route), [part.host for part in parts])

    def observed_revisions(self) -> dict[str, Revision]:
        return {**self.stored, self.target().hash: self.target()}

    def decide(self) -> Decision:
        return decide(self.observe(), now=self.now)

    def act(self, decision: Decision) -> None:
        for action in decision.actions:
            self._one(action)
            if isinstance(action, actions.HoldRollout):
                self.finalizers = action.finalizers
        if decision.status.phase != self.status.phase:
            self.log.append(decision.status.phase)
        self.status = RolloutStatus.model_validate(
            decision.status.model_dump(by_alias=True, mode="json", exclude_none=True)
        )
        self.said += decision.announcements

    def _one(self, action: actions.Action) -> None:
        match action:
            case actions.KeepRevision():
                digest = action.object["metadata"]["labels"]["rollouts.seldon.io/revision-hash"]
                self.stored[digest] = Revision(
                    hash=digest, number=action.object["revision"], template=action.object["data"]["template"]
                )
            case actions.ApplyDeployment():
                digest = action.object["metadata"]["labels"]["rollouts.seldon.io/revision-hash"]
                was = self.children[digest]["spec"]["predictors"][0]["replicas"] if digest in self.children else 0
                self.children[digest] = copy.deepcopy(dict(action.object))
                self.children[digest]["metadata"]["uid"] = f"uid-{digest}"
                want = self.children[digest]["spec"]["predictors"][0]["replicas"]
                if want != was:
                    self.ready[digest] = want if self.starts else min(self.ready.get(digest, 0), want)
            case actions.ApplyRoute():
                self._apply_route(action)
            case actions.PatchRoute():
                assert self.own is not None
                assert self.own["metadata"]["resourceVersion"] == action.resource_version
                assert self.own["metadata"]["name"] == action.name
                self.version += 1
                self.own["metadata"]["resourceVersion"] = str(self.version)
                self.own["spec"]["http"] = copy.deepcopy(list(action.http))
                self.writes += 1
            case actions.DeleteRoute():
                self.route = None
            case actions.DeleteDeployment():
                digest = action.name.removeprefix(f"{self.name}-")
                assert self.live_weight(digest) == 0, f"{action.name} goes while it has traffic"
                assert not traffic.mentions(self.route or {}, [self.host(digest)])
                self.children.pop(digest, None)
                self.ready.pop(digest, None)
            case actions.ForgetRevision():
                self.stored.pop(action.name.removeprefix(f"{self.name}-"), None)
            case actions.CreateRun():
                self._create_run(action)
            case actions.StopRun():
                self.runs[action.name]["spec"]["terminate"] = True
            case actions.DeleteRun():
                assert self.runs.pop(action.name)["status"]["phase"] not in ("Pending", "Running")

    def _create_run(self, action: actions.CreateRun) -> None:
        made = copy.deepcopy(dict(action.object))
        AnalysisRunSpec.model_validate(made["spec"])
        name = made["metadata"]["name"]
        assert name not in self.runs, f"{name} is made twice"
        made["metadata"]["creationTimestamp"] = self.now.isoformat()
        self.runs[name] = made
        labels = [run["metadata"]["labels"] for run in self.going()]
        roles = [one["rollouts.seldon.io/run"] for one in labels]
        assert len(roles) == len(set(roles)), f"two at once: {labels}"

    def going(self) -> list[dict[str, Any]]:
        """The AnalysisRuns that go on, and were not told to end."""
        over = ("Successful", "Failed", "Error", "Inconclusive")
        runs = self.runs.values()
        return [
            run for run in runs if run.get("status", {}).get("phase") not in over and not run["spec"].get("terminate")
        ]

    def _apply_route(self, action: actions.ApplyRoute) -> None:
        desired = copy.deepcopy(dict(action.object))
        for http in desired["spec"]["http"]:
            total = sum(part["weight"] for part in http["route"])
            assert total in (100, 10_000)
            for part in http["route"]:
                digest = part["destination"]["host"].split(".")[0].removeprefix(f"{self.name}-").split("-")[0]
                if http["name"] in ("rest", "grpc"):
                    was = self.live_weight(digest)
                    # Where nobody has pods, the requests have to go somewhere.
                    dead = not any(self.ready.get(d, 0) and self.live_weight(d) for d in self.children)
                    less = was >= 100 * part["weight"] / total
                    assert self.ready.get(digest, 0) > 0 or less or dead, f"{digest} has no pods"
                else:
                    assert self.ready.get(digest, 0) > 0, f"a header route to {digest} without pods"
        self.version += 1
        desired["metadata"]["resourceVersion"] = str(self.version)
        self.route = desired

    def host(self, digest: str) -> str:
        return f"{self.name}-{digest}-default.ml.svc.cluster.local"

    def step(self, seconds: float = 0) -> Decision:
        """Let time pass, decide and act once."""
        self.now += timedelta(seconds=seconds)
        held = self.finalizers
        decision = self.decide()
        self.act(decision)
        return decision if self.finalizers == held else self.step()

    def settle(self, limit: int = 400) -> Decision:
        """Go on until nothing happens without much time or a person; what waits for less than a minute goes on."""
        quiet = 0
        decision = self.step()
        for _ in range(limit):
            before, wait = self._standing(), decision.requeue_after
            short = quiet and wait is not None and wait <= SHORT_WAIT
            decision = self.step(max(1, wait.total_seconds()) if short else 1)
            quiet = quiet + 1 if self._standing() == before else 0
            if quiet > 3:
                return decision
        return decision

    def _standing(self) -> tuple[RolloutStatus, dict[str, Any] | None]:
        """What stands: without the share that was seen last, which is counted anew every second."""
        weights = self.status.weights.model_copy(update={"observed": None})
        return self.status.model_copy(update={"weights": weights}), self.route

    def run(self, seconds: int) -> None:
        for _ in range(seconds):
            self.step(1)

    def good(self) -> "World":
        self.verdict = AnalysisStatus(verdict="Good", message="errors: 0.1 % against 0.1 %")
        return self

    def bad(self) -> "World":
        metric = MetricStatus(
            name="errorRate", verdict="Bad", message="failed requests: 5 % against 0.1 %", canary=0.05, stable=0.001,
            evidence=312.0, needed=100.0, canary_requests=4310,
        )  # fmt: skip
        self.verdict = AnalysisStatus(verdict="Bad", message=metric.message, metrics=(metric,))
        return self

    def ask(
        self, verb: str, by: str = "ada", reason: str = "because", gate: str = "", revision: int | None = None
    ) -> Decision:
        number = int(self.intent.id) + 1 if self.intent else 1
        said = {"id": str(number), "verb": verb, "by": by, "reason": reason, "gate": gate, "revision": revision}
        self.intent = Intent.model_validate(said)
        return self.step()

    def hash_of(self, image: str) -> str:
        return revisions.template_hash(template(image))

    def serving(self) -> "World":
        """Bring the first revision up."""
        self.settle()
        assert self.status.phase == "Healthy", self.status.message
        return self

    def upgrade(self, image: str = "m/v2") -> "World":
        self.image = image
        self.generation += 1
        self.verdict = None
        return self


def copy_with(obs: Observed, **changes: Any) -> Observed:
    from dataclasses import replace

    return replace(obs, **changes)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(scope="session")
def make_world() -> type[World]:
    return World
