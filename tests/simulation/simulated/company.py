"""Company: a group of rollouts that people change wave by wave. All of a wave are promoted, or none."""

from typing import TYPE_CHECKING, Any

from controller.kube.resources import SELDON_ROLLOUT
from localcluster.apiserver.history import Event
from simulated.also import MATES
from simulated.api import Object
from simulated.ending import waits_for_somebody
from simulated.mates import LABELS, Mates
from simulated.part import Part
from simulated.people import PERSON
from simulated.promises import AT_REST

if TYPE_CHECKING:
    from simulated.world import World

BACK = 50.0
"""Seconds after which a member that was deleted is applied again."""


class Company(Part):
    """The other rollouts of the group. They have users, too."""

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._mates = Mates(world)
        self._names = MATES[: 1 + world.story.seed % 2]
        self._wave, self._model = 0, 0
        self._far: set[tuple[str, str]] = set()
        """(member, wave) of those that have agreed to be promoted, or had nothing to be promoted."""
        self._quiet = False
        world.api.watchers.append(self._happened)

    def spec(self) -> Object:
        return {"group": {"selector": {"matchLabels": LABELS}, "wave": "wave-0"}}

    def begin(self) -> None:
        for name in self._names:
            self._mates.do_mate(name, "good-0", "wave-0")
            self._world.users.others.append(name)

    def begun(self) -> None:
        self._mates.do_label()

    # what people do

    def do_together(self, ours: str, first: str, second: str, apart: float) -> None:
        """A new wave: of all in one go, or of the others a while later."""
        self._wave += 1
        wave = f"wave-{self._wave}"
        if self._world.present():
            self._world.people.do_edit(ours)
            self._mates.do_wave(wave)
        models = dict(zip(MATES, (first, second), strict=True))
        if apart:
            self._world.timeline.after(apart, lambda: self._others(models, wave))
        else:
            self._others(models, wave)

    def _others(self, models: dict[str, str], wave: str) -> None:
        for name in self._names if not self._quiet else ():
            if self._live(name):
                self._mates.do_mate_edit(name, models[name], wave)

    def do_member(self, name: str, verb: str) -> None:
        """Somebody asks a member for something."""
        if self._live(name):
            self._mates.do_mate_verb(name, verb)

    def do_leaver(self, name: str) -> None:
        """Somebody deletes a member, and applies it again."""
        if live := self._live(name):
            status = live.get("status") or {}
            for role in ("stableRevision", "canaryRevision"):  # whose requests find nobody until it is back
                self._world.troubled[(status.get(role) or {}).get("name", "")] = self._world.timeline.now
            self._world.api.delete(SELDON_ROLLOUT, name, actor=PERSON)
            self._world.timeline.after(BACK, lambda: self._again(name))

    def _again(self, name: str) -> None:
        if not self._live(name):
            self._mates.do_mate(name, "good-0", f"wave-{self._wave}")

    def _live(self, name: str) -> Object:
        return self._world.api.find(SELDON_ROLLOUT, name) or {}

    # the end

    def heal(self) -> None:
        """A last wave, of good models."""
        self._quiet = True
        for name in self._names:
            self._again(name)
            self._mates.do_mate_edit(name, "good-9", "wave-last")
        if self._world.present():
            self._mates.do_wave("wave-last")

    def at_rest(self) -> bool:
        found = [self._live(name).get("status") or {} for name in self._names]
        return all(
            (each.get("phase") in AT_REST or self._waits(each)) and not each.get("retiredRevisions") for each in found
        )

    def _waits(self, status: Object) -> bool:
        """Whether a member waits for somebody, or for ours, which does."""
        with_ours = (status.get("blockedOn") or {}).get("kind") == "group" and waits_for_somebody(self._world.status())
        return with_ours or waits_for_somebody(status)

    def judged(self) -> bool:
        return any(self._waits(self._live(name).get("status") or {}) for name in self._names)

    def children(self) -> set[str]:
        found = set()
        for name in self._names:
            status = self._live(name).get("status") or {}
            roles = ["stableRevision", *(["canaryRevision"] if self._waits(status) else [])]
            found |= {status[role]["name"] for role in roles if status.get(role)}
        return found

    # what is promised

    def _happened(self, _: str, event: Event) -> None:
        members = (*self._names, self._world.rollout)
        if event.collection != SELDON_ROLLOUT.name or event.key[1] not in members or event.type == "DELETED":
            return
        live, name = event.entry.object, event.key[1]
        status = live.get("status") or {}
        before = (event.previous or {}).get("status") or {}
        wave = (live["spec"].get("group") or {}).get("wave", "")
        self._goes_back(name, before, status)
        self._goes_on(name, wave, before, status)
        current = status.get("observedGeneration") == live["metadata"]["generation"]
        if current and (_level(status) == "Agreed" or status.get("phase") == "Healthy"):
            self._far.add((name, wave))

    def _goes_back(self, name: str, before: Object, after: Object) -> None:
        """Neither the judge nor a deadline takes back what has agreed."""
        if _level(before) != "Agreed" or after.get("phase") != "RollingBack" or before.get("phase") == "RollingBack":
            return
        why = (after.get("rejected") or [{"by": ""}])[-1]
        asked = (before.get("lastIntent") or {}).get("id") != (after.get("lastIntent") or {}).get("id")
        same = before.get("observedGeneration") == after.get("observedGeneration")
        if not asked and same and why["by"] in ("judge", "deadline", "group") and not self._alone(before):
            said = f"{name} had agreed and is taken back by {why['by']}"
            self._world.promises.broken("all of a wave are promoted, or none", said)

    def _goes_on(self, name: str, wave: str, before: Object, after: Object) -> None:
        """Nobody is promoted before all others of the wave have agreed, or had nothing to be promoted."""
        was, is_ = before.get("stableRevision") or {}, after.get("stableRevision") or {}
        if not was or not is_ or was["hash"] == is_["hash"] or self._alone(before) or self._alone(after):
            return
        self._world.reached["group", "promoted", ""] += 1
        known = (before.get("group") or {}).get("members")
        for other in (*self._names, self._world.rollout):
            live = self._live(other)
            meant = live and other != name and (known is None or other in known)
            same = (live.get("spec") or {}).get("group", {}).get("wave") == wave
            if meant and same and "deletionTimestamp" not in live["metadata"] and (other, wave) not in self._far:
                said = f"{name} is promoted with {wave}, and {other} is {(live.get('status') or {}).get('phase')}"
                self._world.promises.broken("all of a wave are promoted, or none", said)

    @staticmethod
    def _alone(status: Object) -> bool:
        group: dict[str, Any] = status.get("group") or {}
        return bool(status.get("forcedBy") or status.get("skipReason") or group.get("aloneBy"))


def _level(status: Object) -> str:
    return str((status.get("group") or {}).get("level") or "Running")
