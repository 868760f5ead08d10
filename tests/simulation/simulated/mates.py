"""Mates: other rollouts of the group of the one that is served; nobody sends requests to them."""

import json
from typing import TYPE_CHECKING, Any

from controller.api.meta import INTENT_ANNOTATION
from controller.kube.resources import SELDON_ROLLOUT
from simulated.api import NAMESPACE_NAME, Object
from simulated.people import PERSON, template

if TYPE_CHECKING:
    from simulated.world import World

LABELS = {"release": "winter"}
STEPS = {"canary": {"steps": [{"setWeight": 50}]}}


class Mates:
    """People who look after them. Each `do_` is a kind of happening."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._ids = 0

    def _change(self, name: str, patch: Object) -> None:
        self._world.api.merge(SELDON_ROLLOUT, name, patch, actor=PERSON)

    def do_label(self) -> None:
        """Have the rollout that is served carry the labels of the group."""
        self._change(self._world.rollout, {"metadata": {"labels": LABELS}})

    def do_wave(self, wave: str) -> None:
        """Name the wave that the rollout that is served goes with."""
        self._change(self._world.rollout, {"spec": {"group": {"wave": wave}}})

    def do_mate(self, name: str, model: str, wave: str) -> None:
        """Apply another rollout of the group."""
        meta = {"name": name, "namespace": NAMESPACE_NAME, "labels": LABELS}
        group = {"selector": {"matchLabels": LABELS}, "wave": wave}
        spec = {"template": template(model, 1), "strategy": STEPS, "group": group}
        self._world.api.create(SELDON_ROLLOUT, {"metadata": meta, "spec": spec}, actor=PERSON)

    def do_mate_edit(self, name: str, model: str, wave: str) -> None:
        """Change its template and its wave."""
        self._change(name, {"spec": {"template": template(model, 1), "group": {"wave": wave}}})

    def do_mate_verb(self, name: str, verb: str, by: str = "bob", **more: Any) -> None:
        """Ask it for something."""
        self._ids += 1
        intent = json.dumps({"id": f"mate-{self._ids}", "verb": verb, "by": by, **more})
        self._change(name, {"metadata": {"annotations": {INTENT_ANNOTATION: intent}}})
