"""The whole simulated world, and how a story is played in it."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from analysis.providers.asked.answer import AskError
from controller import clock
from controller.kube.resources import DEPLOYMENT, SELDON_ROLLOUT
from simulated.api import NAMESPACE_NAME, Api, ApiError, Object
from simulated.asking import Ask
from simulated.autoscaler import Autoscaler
from simulated.company import Company
from simulated.copies import Copies
from simulated.drift import Drift
from simulated.ending import Ending
from simulated.faults import Faults
from simulated.gatekeeper import Gatekeeper
from simulated.judge import Prometheus, SimulatedMonitor
from simulated.lookup import NAME as LOOKUP
from simulated.lookup import Lookup
from simulated.mates import Mates
from simulated.mesh import Mesh
from simulated.mischief import Mischief
from simulated.onward import Onward
from simulated.part import Part
from simulated.parting import Parting
from simulated.people import People
from simulated.process import Hooks, Process
from simulated.promises import Promises
from simulated.quality import Qualities
from simulated.reached import Reached, counted
from simulated.shop import ROUTINGS, Shop
from simulated.stayers import Stayers
from simulated.story import Happening, Story
from simulated.timeline import Timeline
from simulated.trials import Trials
from simulated.upstream import Upstream
from simulated.users import Users
from simulated.vigil import Vigil
from simulated.ways import WAYS
from simulated.workloads import Workloads

QUIET = frozenset({"drift", "verb", "answer", "ambush"})
"""Happenings that trouble no controller: what is healed is healed all the same."""
Kind = TypeVar("Kind", bound=Part)
PARTS: dict[str, type[Part]] = {
    "group": Company,
    "runs": Trials,
    "webhook": Gatekeeper,
    "autoscaler": Autoscaler,
    "matched": Copies,
    "deletion": Parting,
}
UNHEEDED = frozenset(
    {
        "edit",
        "back",
        "again",
        "strategy",
        "scale",
        "invalid",
        "verb",
        "answer",
        "ambush",
        "routing",
        "drift",
        "shop",
        "delete",
    }
)
"""What nobody does to a rollout that is deleted, or gone."""
RECENTLY = 300.0
"""Seconds in which what the world took away excuses a lost request: back-off may be as long."""
SHORTLY = 30.0
"""Seconds in which it does although requests are answered: pods that go still answer for a while."""


class World:
    """Everything, from one seed."""

    def __init__(
        self,
        story: Story,
        *,
        rollout: str = "iris",
        say: Callable[[str, str], None] | None = None,
        reached: Reached | None = None,
    ) -> None:
        self.story, self.rollout, self.key, self.way = story, rollout, (NAMESPACE_NAME, rollout), WAYS[story.strategy]
        self.more: Object = {
            **({"routing": ROUTINGS[story.routing]} if story.routing else {}),
            **({"dependsOn": [{"name": LOOKUP}]} if story.depends else {}),
        }
        """What its spec says beside the strategy."""
        self.say = say or (lambda _who, _what: None)
        self.reached: Reached = Counter() if reached is None else reached
        self.timeline = Timeline(story.seed)
        self.api = Api(self.timeline)
        self.qualities = Qualities(self.api)
        self.workloads = Workloads(self.timeline, self.api, self.qualities)
        self.mesh = Mesh(self.timeline, self.api, silent=story.silent)
        self.users = Users(
            self.timeline, self.api, self.mesh, self.workloads, self.qualities, rollout=rollout, rate=story.rate
        )
        self.upstream = Upstream(self.timeline, self.api, webhook=story.seed % 2 == 1) if story.upstream else None
        self.prometheus = Prometheus()
        self.faults = Faults(self.timeline.chance("faults"), self.reached)
        self.promises = Promises(self)
        self.vigil, self.onward = Vigil(self), Onward(self)
        self.users.after, self.users.reached = self._asked, self.reach
        self.jumped = False
        self.noisy_until = 0.0
        """Until when something troubles the controllers."""
        self.troubled: dict[str, float] = {}
        """When the world last took something from a SeldonDeployment."""
        self.answered: dict[str, float] = {}
        """When a SeldonDeployment last answered."""
        self.processes: list[Process] = []
        self._names = 0
        self.people = People(self)
        self.shop, self.lookup, self.stayers = Shop(self), Lookup(self), Stayers(self)
        self.ask: Ask = lambda _question: (0.0, AskError("nobody is there"))
        """Answers the webhooks of gates."""
        self.ending = Ending(self)
        self.parts = tuple(PARTS[name](self) for name in story.also)
        for part in self.parts:
            self.more |= part.spec()
        self._doers = (*self.parts, self.people, Mates(self), self.shop, self.lookup, Mischief(self), Drift(self))
        self.users.wanted_door = self.door

    # the controllers

    def start_controller(self, skew: float = 0.0) -> Process:
        """Start a controller process; one that crashes is followed by another."""
        self._names += 1
        hooks = Hooks(
            about_to=self.promises.about_to,
            said=lambda kind, name, reason, message: self.say(f"{kind} {name}", f"{reason}: {message}"),
            passed=lambda process, controller, key, _problem: self.promises.passed(process, controller, key),
            crashed=self._crashed,
            asked=lambda question: self.ask(question),  # noqa: PLW0108 - a part may take it over later
        )
        process = Process(
            str(self._names), self.timeline, self.api, faults=self.faults,
            monitor=self.monitor, hooks=hooks, skew=skew,
            operator=self.upstream is None,
        )  # fmt: skip
        self.processes = [each for each in self.processes if each.alive] + [process]
        return process

    def monitor(self) -> Any:
        """Make the judge of a controller process."""
        return SimulatedMonitor(self.users.ledger, self.prometheus)

    def _crashed(self, process: Process) -> None:
        self.say("controller", "crashed")
        self.noisy_until = max(self.noisy_until, self.timeline.now + 6.0)
        self.processes.remove(process)
        if not self.processes:
            self.timeline.after(1.0 + 4.0 * process.chance.random(), self._start_again)

    def _start_again(self) -> None:
        if not self.processes:
            self.start_controller()

    @contextmanager
    def on_simulated_time(self) -> Iterator["World"]:
        """Let the controllers read the simulated clock."""
        real = clock.now
        clock.now = self.timeline.shown_time
        try:
            with counted(self.reached):
                yield self
        finally:
            clock.now = real

    # what others ask

    def live(self) -> Object | None:
        """The rollout as it is stored."""
        return self.api.find(SELDON_ROLLOUT, self.rollout)

    def part(self, kind: type[Kind]) -> Kind | None:
        """A part of the world, if the story has it."""
        return next((each for each in self.parts if isinstance(each, kind)), None)

    def present(self) -> bool:
        """Whether the rollout is there, and not about to go."""
        live = self.live()
        return live is not None and "deletionTimestamp" not in live["metadata"]

    def door(self) -> str:
        """The VirtualService by which the rollout is reached: a person's, where its spec says so."""
        routing = ((self.live() or {}).get("spec") or {}).get("routing") or {}
        return str((routing.get("virtualService") or {}).get("name") or self.rollout)

    def _asked(self) -> None:
        """The users have sent their requests."""
        self.stayers.ask(self.users.door)
        self.vigil.look()
        self.onward.look()
        for part in self.parts:
            part.look()

    def status(self) -> Object:
        """Its status."""
        return (self.live() or {}).get("status") or {}

    def reach(self, child: str) -> None:
        """Note that a SeldonDeployment answers."""
        self.answered[child] = self.timeline.now

    def trouble(self, deployment: str) -> None:
        """Note that the world takes something from whom a Deployment belongs to."""
        live = self.api.find(DEPLOYMENT, deployment) or {"metadata": {}}
        self.troubled[(live["metadata"].get("labels") or {}).get("seldon-deployment-id", "")] = self.timeline.now

    def excused(self, child: str) -> bool:
        """Say whether requests to a SeldonDeployment may find nobody.

        The route in effect is somebody else's, or something was taken from the SeldonDeployment lately and it has not
        answered since, or may not be given back.
        """
        barred = DEPLOYMENT.name in self.faults.refused and self._silent(child)
        recently = RECENTLY if self._silent(child) else SHORTLY
        parting = self.part(Parting)
        taken = parting is not None and parting.takes_all(child)
        return self.mesh.astray(self.users.door) or barred or taken or self.robbed(child, recently)

    def _silent(self, child: str) -> bool:
        """Say whether something was taken from a SeldonDeployment and it has not answered since."""
        return self.answered.get(child, -1e9) < self.troubled.get(child, -2e9) + SHORTLY

    def allowed_again(self) -> None:
        """What was taken, and could not be given back until now, may take as long as if it were taken now."""
        for child in filter(self._silent, list(self.troubled)):
            self.troubled[child] = self.timeline.now

    def robbed(self, child: str, seconds: float) -> bool:
        """Say whether something was taken from a SeldonDeployment lately, or its pods cannot be."""
        recent = self.timeline.now - self.troubled.get(child, -1e9)
        broken = any(pod.broken for state in self.workloads.sets.values() for pod in state.pods.values()
                     if pod.labels.get("seldon-deployment-id") == child)  # fmt: skip
        return recent < seconds or broken or self.workloads.quota

    def calm(self, since: float) -> bool:
        """Say whether nothing has troubled the controllers since a time."""
        return self.noisy_until < since

    # playing

    def begin(self) -> None:
        """People apply what there is at first."""
        if "own" in self.story.routing:
            self.shop.open()
        if self.story.depends:
            self.lookup.create()
        for part in self.parts:
            part.begin()
        if self.story.adopts:
            self.people.do_deployment("good-0")
            self.timeline.run_until(40.0)
            self.people.do_adopt("good-0", self.story.policy or "Delete")
        else:
            self.people.create()
        for part in self.parts:
            part.begun()

    def happen(self, happening: Happening) -> None:
        """Let one thing happen."""
        name = f"do_{happening.kind}"
        if happening.kind in UNHEEDED and not self.present():
            return
        if happening.kind not in QUIET:
            self.noisy_until = max(self.noisy_until, self.timeline.now)
        before = self.api.revision
        with suppress(ApiError):
            next(getattr(doer, name) for doer in self._doers if hasattr(doer, name))(*happening.values)
        if happening.kind != "drift" or self.api.revision != before:
            which = (
                str(happening.values[0]) if happening.kind in ("drift", "prometheus", "cut", "routing", "shop") else ""
            )
            self.reached["happening", happening.kind, which] += 1


def play(story: Story, reached: Reached | None = None) -> World:
    """Play a story to its end; count what it reached.

    Raises:
        BrokenPromiseError: a promise was broken.
    """
    world = World(story, reached=reached)
    with world.on_simulated_time():
        world.start_controller()
        world.begin()
        world.timeline.run_until(world.timeline.now + (1.0 if story.early else 30.0))
        for happening in story.happenings:
            world.timeline.run_until(world.timeline.now + happening.after)
            world.happen(happening)
        world.timeline.run_until(world.timeline.now + 5.0)
        world.ending.heal()
        world.ending.come_to_rest()
    return world
