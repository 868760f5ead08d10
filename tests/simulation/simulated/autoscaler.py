"""The autoscaler: it sets how many pods a Deployment has, and nobody takes that back."""

from typing import TYPE_CHECKING

from controller.kube.resources import DEPLOYMENT, HORIZONTAL_POD_AUTOSCALER
from localcluster.apiserver.history import Event
from simulated.api import Object
from simulated.part import Part
from simulated.promises import BrokenPromiseError

if TYPE_CHECKING:
    from simulated.world import World

ACTOR, SOMEBODY = "autoscaler", "somebody"
EVERY = 15.0
LEAST, MOST = 1, 4


def scaled(template: Object) -> Object:
    """Return a template whose predictor has an autoscaler."""
    metric = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}},
    }
    part = {
        "spec": {"containers": [{"name": "classifier"}]},
        "hpaSpec": {"minReplicas": LEAST, "maxReplicas": MOST, "metricsv2": [metric]},
    }
    (predictor,) = template["spec"]["predictors"]
    return {**template, "spec": {**template["spec"], "predictors": [{**predictor, "componentSpecs": [part]}]}}


class Autoscaler(Part):
    """What a HorizontalPodAutoscaler does, as far as Deployments feel it."""

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._chance = world.timeline.chance("autoscaler")
        self._load: int | None = None
        self._quiet = False
        world.people.dress = scaled
        world.api.watchers.append(self._happened)
        world.timeline.after(EVERY, self._go, counts=False)

    def do_busy(self, pods: int, seconds: float) -> None:
        """For a while so many pods are needed of everybody."""
        self._load = pods
        self._world.timeline.after(seconds, lambda: setattr(self, "_load", None))

    def do_unscaled(self) -> None:
        """Somebody deletes an autoscaler; its operator gives it back."""
        name = min((each["metadata"]["name"] for each in self._all()), default="")
        if name:
            self._world.api.delete(HORIZONTAL_POD_AUTOSCALER, name, actor=SOMEBODY)
            self._world.vigil.wounded(HORIZONTAL_POD_AUTOSCALER, name)

    def _all(self) -> list[Object]:
        return self._world.api.all(HORIZONTAL_POD_AUTOSCALER)

    def _go(self) -> None:
        for each in () if self._quiet else self._all():
            self._scale(each)
        self._world.timeline.after(EVERY, self._go, counts=False)

    def _scale(self, scaler: Object) -> None:
        name = scaler["spec"]["scaleTargetRef"]["name"]
        live = self._world.api.find(DEPLOYMENT, name)
        if live is None or not (now := live["spec"].get("replicas", 1)):
            return  # none is asked for by name: it is off
        drawn = self._load or max(LEAST, now + self._chance.choice((-1, 0, 0, 1)))
        wanted = min(max(drawn, scaler["spec"].get("minReplicas", 1)), scaler["spec"]["maxReplicas"])
        if wanted != now:
            self._world.reached["autoscaler", "more" if wanted > now else "fewer", ""] += 1
            self._world.api.merge(DEPLOYMENT, name, {"spec": {"replicas": wanted}}, actor=ACTOR)

    def heal(self) -> None:
        self._quiet = True

    def _happened(self, actor: str, event: Event) -> None:
        if event.collection != DEPLOYMENT.name or event.type != "MODIFIED" or not actor.startswith("controller"):
            return
        before, after = (event.previous or {}).get("spec") or {}, event.entry.object["spec"]
        owned = any(each["spec"]["scaleTargetRef"]["name"] == event.key[1] for each in self._all())
        if owned and before.get("replicas") and before["replicas"] != after.get("replicas"):
            said = f"{actor} made {after.get('replicas')} pods of {event.key[1]} of {before['replicas']}"
            self._world.promises.broken("an autoscaler's number of pods is its own", said)

    def ended(self) -> None:
        for each in self._all():
            target = each["spec"]["scaleTargetRef"]["name"]
            if self._world.api.find(DEPLOYMENT, target) is None:
                raise BrokenPromiseError("no object is left over", f"the autoscaler of {target}, which is gone")
