"""Trials: AnalysisRuns out of templates. What a failed one may not let happen, and that none outlives its rollout."""

from datetime import datetime
from typing import TYPE_CHECKING

from controller.api.meta import ATTEMPT_LABEL, REVISION_LABEL, RUN_LABEL
from controller.kube.resources import ANALYSIS_RUN, ANALYSIS_TEMPLATE, SELDON_ROLLOUT, VIRTUAL_SERVICE
from localcluster.apiserver.history import Event
from simulated.api import Object
from simulated.measuring import OVER, Measuring
from simulated.part import Part
from simulated.people import PERSON
from simulated.promises import BrokenPromiseError
from simulated.quality import MODELS
from simulated.timeline import START
from simulated.ways import NAMED

if TYPE_CHECKING:
    from simulated.world import World

TEMPLATE, KEPT = "rate", 2
NOTICED = 5.0
"""Seconds after which a controller knows what became of a run, in a world without other trouble."""
LONG = 120.0
"""Seconds in a calm world after which nothing is measured any more for a rollout that has ended."""
RUNNING = frozenset({"Progressing", "Paused", "Promoting", "Invalid"})
BAD = ("Failed", "Failed", "Failed", "Inconclusive")
GOOD = ("Successful", "Successful", "Successful", "Successful", "Failed", "Inconclusive", "Error")


class Trials(Part):
    """They tell the truth of a bad revision mostly, and of a good one mostly, too."""

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._chance = world.timeline.chance("trials")
        self.measuring = Measuring(world.timeline, world.api, self._end)
        self._rests_since = self._doomed_until = 0.0
        self._weights: dict[str, float] = {}
        world.api.watchers.append(self._happened)

    def spec(self) -> Object:
        """In half of the stories one runs in the background, too."""
        kept = {"successfulRunHistoryLimit": KEPT, "unsuccessfulRunHistoryLimit": KEPT}
        return {"analysis": {**kept, **(NAMED if self._world.story.seed % 2 else {})}}

    def begin(self) -> None:
        self.measuring.template(TEMPLATE)

    def _end(self, run: Object) -> tuple[float, str]:
        child = f"{self._world.rollout}-{run['metadata']['labels'][REVISION_LABEL]}"
        bad = self._world.qualities.of_child(child).fails >= MODELS["poor"].fails
        drawn = self._chance.choice([3.0, 40.0, 150.0]), self._chance.choice(BAD if bad else GOOD)
        return (drawn[0], "Failed") if self._world.timeline.now < self._doomed_until else drawn

    # what happens to them

    def do_unrun(self, index: int) -> None:
        """Somebody deletes a run that goes on."""
        going = sorted(run["metadata"]["name"] for run in self.measuring.going())
        if going:
            self._world.api.delete(ANALYSIS_RUN, going[index % len(going)], actor=PERSON)

    def do_untemplate(self, seconds: float) -> None:
        """Somebody deletes the template, and applies it again later."""
        self._world.api.delete(ANALYSIS_TEMPLATE, TEMPLATE, actor=PERSON)
        self._world.timeline.after(seconds, lambda: self.measuring.template(TEMPLATE))

    def do_unmeasured(self, seconds: float) -> None:
        """Nobody measures for a while."""
        self.measuring.away_until = self._world.timeline.now + seconds

    def do_doomed(self, seconds: float) -> None:
        """Every run that begins in a while fails, whatever the judge says."""
        self._doomed_until = self._world.timeline.now + seconds

    def heal(self) -> None:
        self._doomed_until = self._world.timeline.now
        self.measuring.away_until = 0.0
        self.measuring.template(TEMPLATE)

    # what is promised

    def _happened(self, actor: str, event: Event) -> None:
        if event.collection == ANALYSIS_RUN.name and event.previous is None and event.type != "DELETED":
            self._made(event.entry.object)
        elif event.collection == VIRTUAL_SERVICE.name and event.key[1] == self._world.door():
            self._routed(actor)
        elif event.collection == SELDON_ROLLOUT.name and event.key == self._world.key and event.type == "MODIFIED":
            self._stable(event.previous or {}, event.entry.object)

    def _made(self, run: Object) -> None:
        role = run["metadata"]["labels"][RUN_LABEL]
        self._world.reached["runs", role.split("-")[0], ""] += 1
        others = [each for each in self.measuring.going() if each["metadata"]["labels"][RUN_LABEL] == role]
        if len(others) > 1 and len(self._world.processes) == 1:
            said = f"{[each['metadata']['name'] for each in others]}"
            self._world.promises.broken("there is one run of a role at a time", said)

    def _failed(self, digest: str, status: Object) -> str:
        """The run that speaks against a revision, and that every controller knows of by now; empty without one."""
        intent = (status.get("lastIntent") or {}).get("at")
        asked = (datetime.fromisoformat(intent) - START).total_seconds() if intent else 0.0
        for run in self._world.api.all(ANALYSIS_RUN):
            labels, (at, phase) = run["metadata"]["labels"], self.measuring.ended.get(run["metadata"]["uid"], (0.0, ""))
            mine = (labels[REVISION_LABEL], labels[ATTEMPT_LABEL]) == (digest, str(status.get("attempt")))
            late = self._world.timeline.now - at > NOTICED and self._world.calm(at) and asked < at
            if mine and late and phase == "Failed":
                return str(run["metadata"]["name"])
        return ""

    def _routed(self, actor: str) -> None:
        world, status = self._world, self._world.status()
        live = world.api.find(VIRTUAL_SERVICE, world.door())
        before, self._weights = self._weights, weights_of(live)
        canary = status.get("canaryRevision") or {}
        if not actor.startswith("controller") or not canary or status.get("forcedBy") or status.get("skipReason"):
            return
        host = f"{canary['name']}-default.{world.key[0]}.svc.cluster.local"
        if self._weights.get(host, 0.0) > before.get(host, 0.0) and (run := self._failed(canary["hash"], status)):
            world.promises.broken("a failed run never lets a weight go up", f"{run} has failed, {host} gets more")

    def _stable(self, before: Object, after: Object) -> None:
        old, new = before.get("status") or {}, after.get("status") or {}
        was, is_ = old.get("stableRevision") or {}, new.get("stableRevision") or {}
        promoted = was and is_ and was["hash"] != is_["hash"]
        forced = new.get("forcedBy") or old.get("forcedBy")
        if promoted and not forced and (run := self._failed(is_["hash"], old)):
            self._world.promises.broken("a failed run promotes nothing", f"{run} has failed")

    def look(self) -> None:
        """No run is left running after its rollout has ended."""
        world, now = self._world, self._world.timeline.now
        over = world.status().get("phase") not in RUNNING
        if not over or not self.measuring.going():
            self._rests_since = now
        elif now > self._rests_since + LONG and world.calm(self._rests_since):
            names = [each["metadata"]["name"] for each in self.measuring.going()]
            world.promises.broken("no run goes on after its rollout has ended", f"{names} in {world.status()['phase']}")

    def ended(self) -> None:
        status, going = self._world.status(), self.measuring.going()
        roles = [run["metadata"]["labels"][RUN_LABEL] for run in going]
        if len(roles) != len(set(roles)) or (roles and status.get("phase") not in ("Paused", "Progressing")):
            raise BrokenPromiseError("no run goes on after its rollout has ended", f"{roles} in {status.get('phase')}")
        there = {run["metadata"]["name"]: self.measuring.phase(run) for run in self._world.api.all(ANALYSIS_RUN)}
        told = {each["name"]: each["phase"] for each in (status.get("analysis") or {}).get("runs") or ()}
        if any(there.get(name) != phase for name, phase in told.items()):
            raise BrokenPromiseError("the status tells how its runs stand", f"{told}, and they are {there}")
        canary = (status.get("canaryRevision") or {}).get("hash")
        labels = [
            run["metadata"]["labels"] for run in self._world.api.all(ANALYSIS_RUN) if self.measuring.phase(run) in OVER
        ]
        kept = [
            each
            for each in labels
            if (each[REVISION_LABEL], each[ATTEMPT_LABEL]) != (canary, str(status.get("attempt")))
        ]
        if len(kept) > 2 * KEPT and status.get("phase") != "Invalid":
            raise BrokenPromiseError("the oldest runs go", f"{len(kept)} are kept, {KEPT} of each kind were asked for")


def weights_of(route: Object | None) -> dict[str, float]:
    """What the routes of everybody's requests give to each host, at most."""
    found: dict[str, float] = {}
    for http in (route or {}).get("spec", {}).get("http") or ():
        for part in http["route"]:
            if http.get("name") in ("rest", "predict"):
                host = part["destination"]["host"]
                found[host] = max(found.get(host, 0.0), part.get("weight", 100))
    return found
