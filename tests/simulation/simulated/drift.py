"""Drift: somebody changes or deletes what the controllers own."""

import json
from contextlib import suppress
from typing import TYPE_CHECKING

from controller.api.meta import ROLE_LABEL
from controller.kube.resources import (
    CONTROLLER_REVISION,
    DEPLOYMENT,
    DESTINATION_RULE,
    SELDON_DEPLOYMENT,
    SELDON_ROLLOUT,
    SERVICE,
    VIRTUAL_SERVICE,
    Resource,
)
from simulated import shop
from simulated.api import ApiError, Object

if TYPE_CHECKING:
    from simulated.world import World

WHAT = (
    "weights", "mirror", "header", "route", "child", "history", "deployment", "service", "rule", "labels", "replicas",
    "size", "status",
)  # fmt: skip
SOMEBODY = "somebody"


class Drift:
    """Each method is one thing that somebody does with kubectl. What has to be put right is told to the vigil."""

    def __init__(self, world: "World") -> None:
        self._world = world

    def do_drift(self, what: str) -> None:
        """Somebody changes or deletes what the controllers own."""
        with suppress(ApiError):
            getattr(self, f"_{what}")()

    def _weights(self) -> None:
        """All requests to whoever is first."""
        http = self._http()
        for each in filter(self._split, http):
            each["route"] = [{**each["route"][0], "weight": 100}]
        self._write_route(http)

    def _mirror(self) -> None:
        """Copies end, or stable gets all of them a second time."""
        http = self._http()
        for each in filter(self._split, http):
            copies = [{"destination": each["route"][0]["destination"], "percentage": {"value": 100.0}}]
            each["mirrors"] = [] if each.get("mirrors") else copies
        self._write_route(http)

    def _header(self) -> None:
        """Header routes go, or one comes that nobody asked for."""
        http = self._http()
        if self._world.door() == shop.NAME:
            self._write_route([each for each in http if not shop.ours(each, self._world.rollout)])
            return
        kept = [each for each in http if each.get("name") in ("rest", "grpc")]
        if http and len(kept) == len(http):
            match = [{"headers": {"x-team": {"exact": "red"}}, **http[0]["match"][0]}]
            kept = [{**http[0], "name": "rest-red-0", "match": match}, *http]
        self._write_route(kept)

    def _http(self) -> list[Object]:
        live = self._world.api.find(VIRTUAL_SERVICE, self._world.door())
        return json.loads(json.dumps(live["spec"]["http"])) if live is not None else []

    def _split(self, http: Object) -> bool:
        """Whether a route is the rollout's to split: in a person's VirtualService, some are not."""
        named = http.get("name") == shop.ROUTE or shop.ours(http, self._world.rollout)
        return named or self._world.door() != shop.NAME

    def _write_route(self, http: list[Object]) -> None:
        self._patch(VIRTUAL_SERVICE, self._world.door(), {"spec": {"http": http}})

    def _route(self) -> None:
        self._delete(VIRTUAL_SERVICE, self._world.rollout)

    def _child(self) -> None:
        self._delete(SELDON_DEPLOYMENT)

    def _history(self) -> None:
        """Not of a revision that stands no more: nobody could have it back."""
        if self._world.api.find(SELDON_DEPLOYMENT, self._first(CONTROLLER_REVISION)) is not None:
            self._delete(CONTROLLER_REVISION)

    def _deployment(self) -> None:
        self._delete(DEPLOYMENT)

    def _service(self) -> None:
        self._delete(SERVICE)

    def _rule(self) -> None:
        self._delete(DESTINATION_RULE)

    def _labels(self) -> None:
        self._patch(SELDON_DEPLOYMENT, self._first(SELDON_DEPLOYMENT), {"metadata": {"labels": {ROLE_LABEL: "mine"}}})

    def _replicas(self) -> None:
        if "autoscaler" in self._world.story.also:
            return  # no pods, asked for by name, turn an autoscaler off: that is for whoever did so
        self._patch(DEPLOYMENT, self._first(DEPLOYMENT), {"spec": {"replicas": 0}})

    def _size(self) -> None:
        name = self._first(SELDON_DEPLOYMENT)
        live = self._world.api.find(SELDON_DEPLOYMENT, name) or {"spec": {"predictors": []}}
        predictors = [{**each, "replicas": 5} for each in live["spec"]["predictors"]]
        self._patch(SELDON_DEPLOYMENT, name, {"spec": {"predictors": predictors}})

    def _status(self) -> None:
        self._world.api.put_status(SELDON_ROLLOUT, self._world.rollout, {}, actor=SOMEBODY)

    # doing it

    def _first(self, resource: Resource) -> str:
        return min((obj["metadata"]["name"] for obj in self._world.api.all(resource)), default="")

    def _patch(self, resource: Resource, name: str, patch: Object) -> None:
        before = self._world.api.revision
        self._trouble(resource, name)
        self._world.api.merge(resource, name, patch, actor=SOMEBODY)
        if self._world.api.revision != before:
            self._world.vigil.wounded(resource, name)

    def _delete(self, resource: Resource, name: str = "") -> None:
        name = name or self._first(resource)
        self._trouble(resource, name)
        self._world.api.delete(resource, name, actor=SOMEBODY)
        self._world.vigil.wounded(resource, name)

    def _trouble(self, resource: Resource, name: str) -> None:
        """Note from which SeldonDeployment something is taken; a route takes nothing from any."""
        live = self._world.api.find(resource, name) or {"metadata": {}}
        of = (live["metadata"].get("labels") or {}).get("seldon-deployment-id", "")
        if child := name if resource is SELDON_DEPLOYMENT else of:
            self._world.troubled[child] = self._world.timeline.now
