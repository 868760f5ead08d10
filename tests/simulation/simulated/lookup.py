"""Lookup: another rollout, on which ours depends."""

from typing import TYPE_CHECKING

from controller.kube.resources import SELDON_ROLLOUT
from localcluster.apiserver.history import Event
from simulated.api import NAMESPACE_NAME, Object
from simulated.people import PERSON, template

if TYPE_CHECKING:
    from simulated.world import World

NAME = "lookup"
RESTING = frozenset({"Pending", "Healthy", "Degraded", "Shadowed"})
"""Where something new may be held back."""


class Lookup:
    """People change it, alone or in one go with ours; ours begins nothing new meanwhile."""

    def __init__(self, world: "World") -> None:
        self._world = world
        world.api.watchers.append(self._happened)

    def create(self) -> None:
        """Apply it."""
        meta = {"name": NAME, "namespace": NAMESPACE_NAME}
        spec = {
            "template": template("good-0", 1),
            "strategy": {"canary": {"steps": [{"setWeight": 50}]}},
            "progressDeadline": "2m",
        }
        self._world.api.create(SELDON_ROLLOUT, {"metadata": meta, "spec": spec}, actor=PERSON)
        self._world.users.others.append(NAME)

    def live(self) -> Object | None:
        """It, as it is stored."""
        return self._world.api.find(SELDON_ROLLOUT, NAME)

    def do_lookup(self, model: str, ours: str = "") -> None:
        """A person applies another model of it, and of ours in the same go."""
        if self.live() is None:
            return
        self._world.api.merge(SELDON_ROLLOUT, NAME, {"spec": {"template": template(model, 1)}}, actor=PERSON)
        if ours:
            self._world.people.do_edit(ours)

    def heal(self) -> None:
        """A person has it end well."""
        live = self.live() or {"metadata": {}}
        status = live.get("status") or {}
        if status.get("phase") != "Healthy" or status.get("observedGeneration") != live["metadata"].get("generation"):
            self.do_lookup("good-9")

    def at_rest(self) -> bool:
        """Whether it is there in peace, or not at all."""
        status = (self.live() or {}).get("status") or {}
        return self.live() is None or (status.get("phase") == "Healthy" and not status.get("retiredRevisions"))

    def children(self) -> set[str]:
        """The SeldonDeployments that it should have at rest."""
        stable = ((self.live() or {}).get("status") or {}).get("stableRevision")
        return {stable["name"]} if stable else set()

    def _happened(self, actor: str, event: Event) -> None:
        if event.collection != SELDON_ROLLOUT.name or event.key[1] != self._world.rollout or event.previous is None:
            return
        before, after = event.previous.get("status") or {}, event.entry.object.get("status") or {}
        old, new = (each.get("canaryRevision") or {} for each in (before, after))
        depends = (event.entry.object.get("spec") or {}).get("dependsOn")
        waits = (
            (after.get("blockedOn") or {}).get("message", "").startswith(f"waits for rollout {NAMESPACE_NAME}/{NAME}")
        )
        if waits and not (before.get("blockedOn") or {}).get("message", "").startswith("waits for rollout"):
            self._world.reached["dependsOn", "waits", ""] += 1
        if not depends or not new or new.get("hash") == old.get("hash") or before.get("phase") not in RESTING:
            return
        if (before.get("lastIntent") or {}).get("id") != (after.get("lastIntent") or {}).get("id"):
            return  # a person wants it all the same
        process = next((each for each in self._world.processes if f"controller {each.name}" == actor), None)
        if process is None:
            return
        known = process.known.get(self._world.key, {}).get(NAME)
        status = (known or {}).get("status") or {}
        done = known is not None and status.get("observedGeneration") == known["metadata"]["generation"]
        if not done or status.get("phase") != "Healthy":
            said = f"began {new['name']} while {NAME} was {status.get('phase')}"
            self._world.promises.broken("nothing new begins before what it depends on is done", said)
        self._world.reached["dependsOn", "begins", ""] += 1
