"""People: who apply and edit rollouts, and ask for verbs. Each `do_` is a kind of happening."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from controller.api.meta import INTENT_ANNOTATION
from controller.kube.resources import CONTROLLER_REVISION, SELDON_DEPLOYMENT, SELDON_ROLLOUT
from localcluster.apiserver.history import Event
from simulated.api import NAMESPACE_NAME, Object
from simulated.story import Happening
from simulated.ways import BESIDE, WAYS

if TYPE_CHECKING:
    from simulated.world import World

PERSON = "kubectl"


class People:
    """They write the spec and the intent annotation, nothing else."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._ids = 0
        self.asked: str | None = None
        """The id of the last intent."""
        self.dress: Callable[[Object], Object] = lambda made: made
        """What a story's templates have beside."""

    def template(self, model: str, replicas: int) -> Object:
        """A template of one model, as the story has it."""
        return self.dress(template(model, replicas))

    def create(self, model: str = "good-0", replicas: int = 2, **spec: Any) -> None:
        """Apply a first rollout."""
        self._world.api.create(
            SELDON_ROLLOUT,
            {
                "metadata": {"name": self._world.rollout, "namespace": NAMESPACE_NAME},
                "spec": {
                    "template": self.template(model, replicas),
                    **self._world.way,
                    **self._world.more,
                    **spec,
                },
            },
            actor=PERSON,
        )

    def do_deployment(self, model: str, replicas: int = 3) -> None:
        """Apply a SeldonDeployment of the rollout's name, which no rollout knows of yet."""
        meta = {"name": self._world.rollout, "namespace": NAMESPACE_NAME}
        self._world.api.create(SELDON_DEPLOYMENT, {"metadata": meta, **self.template(model, replicas)}, actor=PERSON)

    def do_adopt(self, model: str, policy: str = "Delete", replicas: int = 3) -> None:
        """Apply a rollout that takes over what serves under its name."""
        self.create(model, replicas, adopt=True, deletionPolicy=policy)

    def do_leave(self) -> None:
        """Have a plain SeldonDeployment take the rollout's place."""
        self.patch({"spec": {"deletionPolicy": "Leave"}})
        self._world.timeline.after(2.0, self.do_delete)

    def do_delete(self) -> None:
        """Delete the rollout."""
        self._world.api.delete(SELDON_ROLLOUT, self._world.rollout, actor=PERSON)

    def patch(self, patch: Object) -> None:
        """Change the rollout."""
        self._world.api.merge(SELDON_ROLLOUT, self._world.rollout, patch, actor=PERSON)

    def do_edit(self, model: str) -> None:
        spec = (self._world.live() or {})["spec"]["template"]["spec"]
        replicas = spec["predictors"][0].get("replicas", 2)
        self.patch({"spec": {"template": {"metadata": None, **self.template(model, replicas)}}})

    def do_back(self) -> None:
        """Apply the template of the stable revision again."""
        self._apply_revision((self._world.status().get("stableRevision") or {}).get("hash", ""))

    def do_again(self) -> None:
        """Apply the template of the revision that was rejected last."""
        rejected = self._world.status().get("rejected") or [{}]
        self._apply_revision(rejected[-1].get("hash", ""))

    def _apply_revision(self, digest: str) -> None:
        name = f"{self._world.rollout}-{digest}"
        found = self._world.api.find(CONTROLLER_REVISION, name)
        if found is not None:
            self.patch({"spec": {"template": {"metadata": None, **found["data"]["template"]}}})

    def do_strategy(self, index: int) -> None:
        self.do_release(**WAYS[index])

    def do_release(self, strategy: Object, **more: Any) -> None:
        """Change the strategy and what goes with it; another one takes the place of the one before."""
        others: Object = dict.fromkeys(("canary", "blueGreen", "shadow"))
        beside: Object = dict.fromkeys(BESIDE)
        self.patch({"spec": {"strategy": {**others, **strategy}, **beside, **more}})

    def do_scale(self, replicas: int) -> None:
        predictors = json.loads(json.dumps((self._world.live() or {})["spec"]["template"]["spec"]["predictors"]))
        predictors[0]["replicas"] = replicas
        self.patch({"spec": {"template": {"spec": {"predictors": predictors}}}})

    def do_invalid(self) -> None:
        predictors = json.loads(json.dumps((self._world.live() or {})["spec"]["template"]["spec"]["predictors"]))
        predictors[0]["annotations"] = {"seldon.io/svc-name": "mine"}
        self.patch({"spec": {"template": {"spec": {"predictors": predictors}}}})

    def do_verb(self, verb: str, by: str = "ada", reason: str = "", revision: int = 1) -> None:
        self._ids += 1
        self.asked = str(self._ids)
        which = {"revision": revision} if verb == "rollback" else {}
        intent = json.dumps({"id": self.asked, "verb": verb, "by": by, "reason": reason, **which})
        self.patch({"metadata": {"annotations": {INTENT_ANNOTATION: intent}}})

    def do_ambush(self, phase: str, after: float, kind: str, *values: Any) -> None:
        """Wait until the rollout comes to a phase, and then do something at once: some phases are short."""
        waiting = [True]

        def look(_actor: str, event: Event) -> None:
            now = (
                (event.entry.object.get("status") or {}).get("phase") if event.collection == SELDON_ROLLOUT.name else ""
            )
            if waiting and now == phase:
                waiting.clear()
                self._world.timeline.after(after, lambda: self._world.happen(Happening(0.0, kind, values)))

        self._world.api.watchers.append(look)
        self._world.ending.before.append(waiting.clear)

    def do_answer(self, verb: str) -> None:
        """Do what is waited for: approve, or say how it goes on."""
        status = self._world.status()
        waits = (status.get("blockedOn") or {}).get("kind")
        if waits == "person" and status.get("phase") != "Paused":
            self.do_verb("approve")
        elif waits in ("gate", "person", "metric"):
            self.do_verb({"gate": "approve", "metric": "pass"}.get(waits, verb))


def template(model: str, replicas: int) -> Object:
    """A template of one model; its URI says how good it is."""
    graph = {"name": "classifier", "implementation": "SKLEARN_SERVER", "modelUri": f"gs://m/{model}"}
    return {"spec": {"predictors": [{"name": "default", "replicas": replicas, "graph": graph}]}}
