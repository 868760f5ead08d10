"""Parting: a rollout is deleted. What is left of it then is what its policy says, and nothing else."""

from typing import TYPE_CHECKING

from controller.kube.resources import (
    ANALYSIS_RUN,
    CONTROLLER_REVISION,
    DEPLOYMENT,
    HORIZONTAL_POD_AUTOSCALER,
    POD,
    SELDON_DEPLOYMENT,
    SELDON_ROLLOUT,
    SERVICE,
    VIRTUAL_SERVICE,
)
from localcluster.apiserver.history import Event
from simulated.api import Object
from simulated.mesh import hosts
from simulated.part import Part
from simulated.promises import BrokenPromiseError

if TYPE_CHECKING:
    from simulated.world import World

PATIENCE = 600.0
"""Seconds after which a deletion leaves alone whoever serves."""
LONGEST = 900.0
"""Seconds after which a deletion has ended, in a world without other trouble."""


class Parting(Part):
    """People delete the rollout, and may apply it again, to take up what it left."""

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._policy = ""
        """What it said when it was deleted last."""
        self._asked_at = self._gone_at = 0.0
        self._stable = ""
        world.api.watchers.append(self._happened)

    def spec(self) -> Object:
        return {"deletionPolicy": self._world.story.policy}

    def do_apply(self, model: str) -> None:
        """People apply it again, where it is gone."""
        if self._world.live() is None:
            self._world.people.create(model, adopt=True)
            self._world.reached["parting", "applied again", self._policy] += 1

    def _happened(self, _: str, event: Event) -> None:
        if event.collection != SELDON_ROLLOUT.name or event.key != self._world.key:
            return
        live, now = event.entry.object, self._world.timeline.now
        begins = event.type == "DELETED" or "deletionTimestamp" in live["metadata"]
        before = (event.previous or {}).get("metadata") or {}
        if begins and "deletionTimestamp" not in before:
            self._asked_at, self._policy = now, live["spec"].get("deletionPolicy", "Delete")
            adopting = self._world.api.find(SELDON_DEPLOYMENT, self._world.rollout) is not None
            self._policy = "Adoption" if adopting and before.get("finalizers") else self._policy
        status = live.get("status") or {}
        if begins:
            self._stable = (status.get("stableRevision") or {}).get("name", "")
        if event.type == "DELETED":
            self._gone_at = now
            self._world.reached["parting", "over", self._policy] += 1

    def takes_all(self, child: str) -> bool:
        """Say whether a person had this SeldonDeployment taken away, with the rollout."""
        return self._policy == "Delete" and self._world.api.find(SELDON_DEPLOYMENT, child) is None

    def look(self) -> None:
        """Every deletion ends."""
        world, live = self._world, self._world.live() or {"metadata": {}}
        lasted = world.timeline.now - self._asked_at
        if "deletionTimestamp" in live["metadata"] and lasted > LONGEST and world.calm(self._asked_at + 1.0):
            world.promises.broken("a deletion ends", f"it lasts {lasted:.0f} s: {world.status().get('message')}")

    def at_rest(self) -> bool:
        return "deletionTimestamp" not in (self._world.live() or {"metadata": {}})["metadata"]

    def ended(self) -> None:
        if self._world.live() is None and self._gone_at:
            left = self._left()
            self._nothing_else(left)
            self._led_to(left)

    def _left(self) -> set[str]:
        """The SeldonDeployments that its policy leaves, and that are there."""
        found = {each["metadata"]["name"] for each in self._world.api.all(SELDON_DEPLOYMENT)}
        found -= {name for part in self._world.parts for name in part.children()} | self._world.lookup.children()
        plain, late = self._world.rollout, self._gone_at - self._asked_at >= PATIENCE - 30.0
        expected = {"Delete": set(), "Adoption": {plain}, "KeepStable": {self._stable} - {""}, "Leave": {plain}}
        wanted = expected[self._policy]
        if not self._stable and self._policy in ("KeepStable", "Leave"):
            wanted = set()
        served = late and self._policy in ("KeepStable", "Leave") and self._stable in found
        if found != wanted and not served:
            said = f"{self._policy} of {self._stable} leaves {found}, expected {wanted}"
            raise BrokenPromiseError("what is left is what the policy says", said)
        owned = [each["metadata"]["name"] for each in self._world.api.all(SELDON_DEPLOYMENT)
                 if each["metadata"]["name"] in found and each["metadata"].get("ownerReferences")]  # fmt: skip
        if owned:
            raise BrokenPromiseError("what is left is nobody's", f"{owned} has an owner that is gone")
        return found

    def _nothing_else(self, left: set[str]) -> None:
        api, prefix = self._world.api, f"{self._world.rollout}-"
        for resource in (DEPLOYMENT, SERVICE, POD, HORIZONTAL_POD_AUTOSCALER, ANALYSIS_RUN, CONTROLLER_REVISION):
            for each in api.all(resource):
                name, child = (
                    each["metadata"]["name"],
                    (each["metadata"].get("labels") or {}).get("seldon-deployment-id"),
                )
                if name.startswith(prefix) and (child not in left or resource in (ANALYSIS_RUN, CONTROLLER_REVISION)):
                    raise BrokenPromiseError("no object is left over", f"{resource.kind} {name} of a deleted rollout")

    def _led_to(self, left: set[str]) -> None:
        """No route names what is gone, and all that is left has its requests."""
        api, rollout = self._world.api, self._world.rollout
        named = {host for each in api.all(VIRTUAL_SERVICE) for host in hosts(each)}
        ours = {host for host in named if host.startswith(f"{rollout}-")}
        wanted = {f"{name}-default.{self._world.key[0]}.svc.cluster.local" for name in left}
        if not ours <= wanted:
            raise BrokenPromiseError("no route names what is gone", f"{ours - wanted} of {ours}")
        special = [http["name"] for each in api.all(VIRTUAL_SERVICE) for http in each["spec"]["http"]
                   if str(http.get("name")).startswith(f"{rollout}.seldon-rollouts/")]  # fmt: skip
        if special:
            raise BrokenPromiseError("no route names what is gone", f"{special} are left in a person's VirtualService")
        if left and self._policy != "Delete":
            weights, _ = self._world.mesh.shares(self._world.users.door)
            served = {host for host in wanted if weights.get(host)}
            if round(sum(weights.get(host, 0) for host in served)) != 100:
                raise BrokenPromiseError("what is left serves", f"{weights} does not lead to {left}")
