"""What a plan asks for, object by object: each compared once with what stands, and never taken from others. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from controller.deployment.actions import Action, Apply, Delete, Mark
from controller.deployment.drift import HASH_ANNOTATION, differs
from controller.deployment.observed import Identity, Object, Observed, identity, is_ending, retired_at
from controller.deployment.render import Desired


@dataclass(slots=True)
class Draft:
    """A plan while it is made.

    Args:
        observed: what stands.
        standing: what of the desired stands as it is desired, by kind and name.
        actions: writes, in order.
        waits: what stands in the way, in words.
        obstacles: what of that only a person can take away.
    """

    observed: Observed
    standing: frozenset[Identity]
    actions: list[Action] = field(default_factory=list)
    waits: list[str] = field(default_factory=list)
    obstacles: list[str] = field(default_factory=list)

    def want(self, desired: Mapping[str, Any], meanwhile: Mapping[str, Any] | None = None) -> bool:
        """Ask for an object, or for what it must be meanwhile; return whether it is so already."""
        wanted = desired if meanwhile is None else meanwhile
        live = self.observed.live(wanted)
        kind, name = identity(wanted)
        if live is None:
            self.actions.append(Apply(wanted, creates=True, first=True))
            return False
        if not self.observed.owns(live):
            (self.waits if _is_left_over(live, wanted) else self.obstacles).append(stranger(live))
            return False
        if is_ending(live):
            self.waits.append(f"{kind} {name} is being deleted")
            return False
        if retired_at(live):
            self.actions.append(Mark(kind, name, live["metadata"]["resourceVersion"], None))
        if _must_be_recreated(wanted, live):
            self.actions.append(Delete(kind, name, live["metadata"]["uid"]))
            self.actions.append(Apply(wanted, creates=True, first=True))
            return False
        stands = (kind, name) in self.standing if wanted is desired else not differs(wanted, live)
        if not stands:
            self.change(live, _careful(wanted, live))
        return stands

    def change(self, live: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        """Ask for an object that stands to be so."""
        first = HASH_ANNOTATION not in (live["metadata"].get("annotations") or {})
        self.actions.append(Apply(wanted, creates=False, first=first))


def standing(desired: Desired, observed: Observed) -> frozenset[Identity]:
    """Return which of the desired objects are ours, stay, and say what we want of them."""
    return frozenset(identity(each) for each in desired.objects() if _stands(each, observed))


def _stands(desired: Object, observed: Observed) -> bool:
    live = observed.live(desired)
    return live is not None and observed.owns(live) and not is_ending(live) and not differs(desired, live)


def stranger(live: Object) -> str:
    """Return what to say of an object that stands under a name of ours and is not ours."""
    kind, name = identity(live)
    owner = _owner(live)
    whose = f"belongs to {owner['kind']} {owner['name']}" if owner else "is not this SeldonDeployment's"
    return f"{kind} {name} exists and {whose}; delete or rename it"


def _owner(live: Object) -> Mapping[str, Any] | None:
    return next((each for each in live["metadata"].get("ownerReferences") or () if each.get("controller")), None)


def _is_left_over(live: Object, desired: Mapping[str, Any]) -> bool:
    """Return whether an object was that of a deleted SeldonDeployment of the same name: it will be collected."""
    owner, ours = _owner(live), _owner(desired)
    return owner is not None and ours is not None and (owner["kind"], owner["name"]) == (ours["kind"], ours["name"])


def _must_be_recreated(desired: Mapping[str, Any], live: Object) -> bool:
    """A Service cannot become headless, or stop being so."""
    if desired["kind"] != "Service":
        return False
    return bool((desired["spec"].get("clusterIP") == "None") != (live["spec"].get("clusterIP") == "None"))


def _careful(desired: Mapping[str, Any], live: Object) -> dict[str, Any]:
    """Return what is applied to a live object.

    Where nobody asks for a number of pods, or an autoscaler sets it, we have none to give. But the number may be ours
    from before, and leaving it out would reset it to 1: so it is given as it stands, for this very version.
    """
    done = dict(desired)
    replicas = live.get("spec", {}).get("replicas")
    if desired["kind"] == "Deployment" and "replicas" not in desired["spec"] and replicas is not None:
        version = live["metadata"]["resourceVersion"]
        done["spec"] = {**desired["spec"], "replicas": replicas}
        done["metadata"] = {**done["metadata"], "resourceVersion": version}
    return done
