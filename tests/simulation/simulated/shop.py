"""The shop: a person's own VirtualService, of which one route is the rollout's to split, and what people do to it."""

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from controller.kube.resources import VIRTUAL_SERVICE
from localcluster.apiserver.history import Event
from simulated.api import NAMESPACE_NAME, ApiError, Object

if TYPE_CHECKING:
    from simulated.world import World

NAME, ROUTE, PATH = "shop", "predict", "/shop/predict"
PERSON = "kubectl"
CHANGES = ("timeout", "route", "label", "retries", "cors", "gone", "again")
SESSION = "seldon-session"
ROUTINGS: dict[str, Object] = {
    "": {},
    "own": {"virtualService": {"name": NAME, "routes": [ROUTE]}},
    "cookie": {"sticky": {"cookie": {}}},
    "header": {"sticky": {"header": SESSION}},
    "own cookie": {"virtualService": {"name": NAME, "routes": [ROUTE]}, "sticky": {"cookie": {}}},
    "own header": {"virtualService": {"name": NAME, "routes": [ROUTE]}, "sticky": {"header": SESSION}},
}
BACK = 45.0
"""Seconds after which a shop that was deleted is applied again."""


def manifest(rollout: str) -> Object:
    """What a person applies: the named route leads to the rollout's name, which stands for whatever is stable."""
    web = [{"destination": {"host": "web.ml.svc.cluster.local", "port": {"number": 80}}}]
    dress = {"request": {"set": {"x-shop": "yes"}}, "response": {"set": {"x-served-by": "shop"}}}
    return {
        "metadata": {"name": NAME, "namespace": NAMESPACE_NAME, "labels": {"team": "shop"}},
        "spec": {
            "hosts": ["shop.example.com"],
            "gateways": ["istio-system/seldon-gateway"],
            "http": [
                {"name": "pictures", "match": [{"uri": {"prefix": "/pictures"}}], "route": web, "timeout": "1s"},
                {
                    "name": ROUTE,
                    "match": [{"uri": {"prefix": PATH}}],
                    "rewrite": {"uri": "/api/v1.0/predictions"},
                    "route": [{"destination": {"host": rollout}, "headers": dress}],
                    "timeout": "3s",
                },
                {"name": "all", "route": web},
            ],
        },
    }


class Shop:
    """The person's VirtualService, and the promise that all of it but the split is given back as it came."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._numbers = 0
        self._gone = False
        world.api.watchers.append(self._happened)

    # what people do

    def do_routing(self, which: str) -> None:
        """Change whose VirtualService splits the traffic, and whether users stay."""
        if "own" in which and self._world.story.adopts:
            which = which.removeprefix("own").strip()
        if "own" in which:
            self.open()
        wanted = {"virtualService": None, "sticky": None, **ROUTINGS[which]}
        sticky = wanted["sticky"]
        if sticky is not None:
            wanted["sticky"] = {"cookie": None, "header": None, **sticky}
        self._world.people.patch({"spec": {"routing": wanted}})

    def do_shop(self, what: str) -> None:
        """A person changes their own VirtualService."""
        live = self._world.api.find(VIRTUAL_SERVICE, NAME)
        if live is None:
            return
        self._numbers += 1
        if what == "gone":
            self._close()
        elif what == "again":
            self._patch({"spec": {"http": manifest(self._world.rollout)["spec"]["http"]}})
        elif what == "label":
            self._patch({"metadata": {"labels": {"edited": str(self._numbers)}}})
        else:
            self._patch({"spec": {"http": list(self._edited(what, json.loads(json.dumps(live["spec"]["http"]))))}})

    def _edited(self, what: str, http: list[Object]) -> list[Object]:
        more: dict[str, Object] = {
            "timeout": {"timeout": f"{self._numbers}s"},
            "retries": {"retries": {"attempts": self._numbers, "retryOn": "connect-failure"}},
            "cors": {"corsPolicy": {"allowMethods": ["GET", "POST"], "maxAge": f"{self._numbers}s"}},
        }
        if what == "route":
            extra = {"name": f"page-{self._numbers}", "match": [{"uri": {"prefix": f"/page/{self._numbers}"}}]}
            return [{**extra, "route": http[-1]["route"]}, *http]
        return [{**each, **more[what]} if each.get("name") == ROUTE else each for each in http]

    def _patch(self, patch: Object) -> None:
        self._world.api.merge(VIRTUAL_SERVICE, NAME, patch, actor=PERSON)

    def _close(self) -> None:
        self._gone = True
        self._world.api.delete(VIRTUAL_SERVICE, NAME, actor=PERSON)
        self._world.timeline.after(BACK, self.open)

    def open(self) -> None:
        """Apply the VirtualService, where there is none."""
        self._gone = False
        with suppress(ApiError):
            if self._world.api.find(VIRTUAL_SERVICE, NAME) is None:
                self._world.api.create(VIRTUAL_SERVICE, manifest(self._world.rollout), actor=PERSON)

    def heal(self) -> None:
        """A person sees that theirs is gone, and applies it again."""
        if self._gone:
            self.open()

    # what is promised

    def _happened(self, actor: str, event: Event) -> None:
        if event.collection != VIRTUAL_SERVICE.name or event.key[1] != NAME or not actor.startswith("controller"):
            return
        before, after = event.previous, event.entry.object
        if event.type != "MODIFIED" or before is None:
            self._world.promises.broken("a person's route stays theirs", f"{actor} {event.type.lower()} it")
        if (was := theirs(before, self._world.rollout)) != (now := theirs(after, self._world.rollout)):
            self._world.promises.broken("a person's route stays theirs", f"{actor} made {now} of {was}")
        self._world.reached["own", "written", ""] += 1


def ours(http: Object, rollout: str) -> bool:
    """Say whether a route of the shop is the rollout's own: one in front of the named."""
    return str(http.get("name") or "").startswith(f"{rollout}.seldon-rollouts/")


def theirs(route: Object, rollout: str) -> str:
    """Return all of a person's VirtualService that is not a split, as text."""
    meta = {key: route["metadata"].get(key) for key in ("labels", "annotations", "ownerReferences", "finalizers")}
    http = [each for each in route["spec"]["http"] if not ours(each, rollout)]
    kept = [_bare(each, rollout) if each.get("name") == ROUTE else each for each in http]
    return json.dumps([meta, {**route["spec"], "http": kept}], sort_keys=True)


def _bare(http: Object, rollout: str) -> Object:
    """The named route without its split: what its destinations carry beside, once each."""
    worn = sorted({json.dumps(_undressed(part), sort_keys=True) for part in http["route"]})
    copies = [each for each in http.get("mirrors") or () if not each["destination"]["host"].startswith(f"{rollout}-")]
    rest = {key: value for key, value in http.items() if key not in ("route", "mirrors")}
    return {**rest, "worn": worn, "copies": copies}


def _undressed(part: Object) -> Object:
    rest = {key: value for key, value in part.items() if key not in ("destination", "weight", "headers")}
    headers = part.get("headers") or {}
    response = headers.get("response") or {}
    kept = {key: value for key, value in response.items() if key not in ("set", "add")}
    told = {key: value for key, value in (response.get("set") or {}).items() if key not in ("seldon-revision", SESSION)}
    added = {key: value for key, value in (response.get("add") or {}).items() if not _cookie(key, value)}
    clean = {**kept, **({"set": told} if told else {}), **({"add": added} if added else {})}
    others = {key: value for key, value in headers.items() if key != "response"}
    return {**rest, "headers": {**others, **({"response": clean} if clean else {})}}


def _cookie(key: str, value: Any) -> bool:
    return key.lower() == "set-cookie" and str(value).startswith(f"{SESSION}=")
