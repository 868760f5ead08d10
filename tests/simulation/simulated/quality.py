"""How good each model truly is: what the judge has to find out, and what the invariants know."""

from dataclasses import dataclass
from typing import Any

from controller.kube.resources import SELDON_DEPLOYMENT
from simulated.api import Api


@dataclass(frozen=True, slots=True)
class Quality:
    """One model.

    Args:
        fails: share of its requests that fail.
        starts: whether its pods ever become ready.
    """

    fails: float = 0.001
    starts: bool = True


MODELS = {
    "good": Quality(),
    "bad": Quality(fails=0.3),
    "poor": Quality(fails=0.12),
    "stuck": Quality(starts=False),
}


class Qualities:
    """Knows each model by the first word of its URI's last part: `gs://m/bad-3` is bad."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def of_uri(self, uri: str) -> Quality:
        return MODELS[uri.rsplit("/", 1)[-1].split("-", maxsplit=1)[0]]

    def of_child(self, child: str) -> Quality:
        """The quality of a revision's SeldonDeployment; of one that is gone, as if it were good."""
        live = self._api.find(SELDON_DEPLOYMENT, child)
        return self.of_spec(live["spec"]) if live is not None else Quality()

    def of_deployment(self, deployment: dict[str, Any]) -> Quality:
        labels = deployment["metadata"].get("labels") or {}
        return self.of_child(labels.get("seldon-deployment-id", ""))

    def of_spec(self, spec: dict[str, Any]) -> Quality:
        return self.of_uri(spec["predictors"][0]["graph"]["modelUri"])
