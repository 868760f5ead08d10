"""The mesh: takes VirtualServices and DestinationRules after a while, and says so or keeps silent."""

from datetime import datetime

from controller.kube.resources import VIRTUAL_SERVICE
from localcluster.apiserver.history import Event
from simulated.api import Api, ApiError, Object
from simulated.timeline import Timeline

ACTOR = "mesh"
MAIN = ("rest", "predict")
"""The route of REST requests: in a rollout's VirtualService, and in a person's."""
OPERATORS = ("controller", "upstream", ACTOR)
"""Who writes routes, beside people."""
ROUTES, RULES = "virtualservices.networking.istio.io", "destinationrules.networking.istio.io"


class Mesh:
    """What is in effect at the gateway, which trails behind the API."""

    def __init__(self, timeline: Timeline, api: Api, *, silent: bool) -> None:
        self._timeline, self._api = timeline, api
        self._chance = timeline.chance("mesh")
        self.silent = silent
        """Writes no status, as Istio by default."""
        self.delay = 0.3
        self.refuses = False
        self.effective: dict[str, Object] = {}
        self.rules: dict[str, Object] = {}
        """By host."""
        self.changed_at: dict[str, float] = {}
        self.ahead = 0.0
        """Seconds by which it says that it has a route before it has."""
        self.boasted = 0.0
        """The most by which it ever did."""
        self.taken: dict[str, list[datetime]] = {}
        """When it said of each route that it has it, newest last."""
        self._had: dict[str, list[tuple[datetime, dict[str, float], dict[str, float]]]] = {}
        """By route: since when it gave which shares and copies, newest last."""
        self._foreign: set[tuple[str, int]] = set()
        """Generations, by the uid of the route, that lead where somebody wanted who is no controller."""
        api.watchers.append(self._happened)

    def _happened(self, actor: str, event: Event) -> None:
        if event.collection not in (ROUTES, RULES):
            return
        obj = event.entry.object
        before = event.previous
        if event.collection == ROUTES and event.type != "DELETED" and not actor.startswith(OPERATORS):
            self._written_by_somebody(obj, before)
        if (
            event.type == "MODIFIED"
            and before is not None
            and before["metadata"].get("generation") == obj["metadata"].get("generation")
        ):
            return
        delay = self.delay * (0.3 + self._chance.random())
        gone = event.type == "DELETED"
        if event.collection == RULES:
            self._rule(obj, gone)  # proxies get clusters before the routes that name them
        else:
            self._timeline.after(delay, lambda: self._take(event.key[1], obj, gone))

    def _written_by_somebody(self, obj: Object, before: Object | None) -> None:
        """A route goes astray with a write that changes where it leads, and stays so until a controller's."""
        if before is None or _leads(before) != _leads(obj) or _version(before) in self._foreign:
            self._foreign.add(_version(obj))

    def _rule(self, obj: Object, gone: bool) -> None:
        host = obj["spec"]["host"]
        if gone:
            self.rules.pop(host, None)
        else:
            self.rules[host] = obj

    def _take(self, name: str, obj: Object, gone: bool) -> None:
        live = self._api.find(VIRTUAL_SERVICE, name)
        if gone:
            if live is None:
                self.effective.pop(name, None)
            return
        if live is None or live["metadata"]["generation"] != obj["metadata"]["generation"]:
            return  # a newer one is on its way
        if not self.refuses:
            self.taken.setdefault(name, []).append(self._timeline.true_time())
            if self.ahead and not self.silent:
                self._timeline.after(self.ahead, lambda: self._in_force(name, obj))
            else:
                self._in_force(name, obj)
        if not self.silent:
            self._tell(name, obj)

    def _in_force(self, name: str, obj: Object) -> None:
        live = self._api.find(VIRTUAL_SERVICE, name)
        if live is None or _version(live) != _version(obj):
            return  # gone, or a newer one is on its way
        self.effective[name] = obj
        self.changed_at[name] = self._timeline.now
        self._had.setdefault(name, []).append((self._timeline.true_time(), *self.shares(name)))

    def _tell(self, name: str, obj: Object) -> None:
        generation = obj["metadata"]["generation"]
        condition = {
            "type": "Reconciled",
            "status": "False" if self.refuses else "True",
            "reason": "Rejected" if self.refuses else "Accepted",
            "message": "the proxy refused the route (simulated)" if self.refuses else "",
            "observedGeneration": generation,
        }
        status = {"observedGeneration": generation, "conditions": [condition]}
        try:
            self._api.put_status(VIRTUAL_SERVICE, name, status, actor=ACTOR)
        except ApiError:
            return

    def set_refusing(self, on: bool) -> None:
        """Refuse routes, or take them again, also those refused before."""
        self.refuses = on
        if not on:
            for live in self._api.all(VIRTUAL_SERVICE):
                name, obj = live["metadata"]["name"], live
                self._timeline.after(self.delay, lambda name=name, obj=obj: self._take(name, obj, False))

    def shares(self, name: str) -> tuple[dict[str, float], dict[str, float]]:
        """Return what the route in effect gives to each host, and what it copies to each: percent."""
        route = self.effective.get(name)
        weights: dict[str, float] = {}
        copies: dict[str, float] = {}
        for http in _rest(route) if route else ():
            parts = http["route"]
            given = [part.get("weight", 0) for part in parts] if len(parts) > 1 else [100]
            for part, weight in zip(parts, given, strict=True):
                host = part["destination"]["host"]
                weights[host] = weights.get(host, 0) + 100 * weight / sum(given)
            copies |= _copied(http)
        for http in chosen(route)[:1] if route else ():  # each of them copies the same share of what it takes
            copies = {**copies, **_copied(http)}
        return weights, copies

    def copies(self, name: str, matching: float) -> dict[str, float]:
        """Return what of all requests is copied to each host, where so large a part has what a mirror asks for."""
        route, found = self.effective.get(name), dict[str, float]()
        for http in _rest(route) if route else ():
            found |= _copied(http)
        for http in chosen(route)[:1] if route else ():
            found |= {host: max(found.get(host, 0.0), matching * share) for host, share in _copied(http).items()}
        return found

    def gave(self, name: str, host: str, since: datetime) -> list[tuple[float, float]]:
        """Return the percent of requests and of copies that a host got from an instant on, oldest first."""
        known = self._had.get(name, [])
        first = sum(at <= since for at, _, _ in known) - 1
        return [(weights.get(host, 0.0), copies.get(host, 0.0)) for _, weights, copies in known[max(first, 0) :]]

    def up_to_date(self, name: str) -> bool:
        """Say whether the route in effect is the newest."""
        route, live = self.effective.get(name), self._api.find(VIRTUAL_SERVICE, name)
        return route is not None and live is not None and _version(route) == _version(live)

    def astray(self, name: str) -> bool:
        """Say whether the route in effect leads where somebody wanted who is no controller."""
        route = self.effective.get(name)
        return route is not None and _version(route) in self._foreign

    def names(self, name: str, host: str) -> bool:
        """Say whether the route in effect sends or copies anything to a host."""
        weights, copies = self.shares(name)
        return bool(weights.get(host)) or bool(copies.get(host))


def hosts(route: Object) -> set[str]:
    """All hosts that a VirtualService sends or copies anything to."""
    return {
        part["destination"]["host"]
        for http in route["spec"]["http"]
        for part in (*http["route"], *(http.get("mirrors") or ()))
    }


def chosen(route: Object) -> list[Object]:
    """The REST routes of a VirtualService whose requests alone are copied."""
    names = ("rest-mirror.", "/predict/mirror.")
    return [each for each in route["spec"]["http"] if any(name in str(each.get("name")) for name in names)]


def _copied(http: Object) -> dict[str, float]:
    found: dict[str, float] = {}
    for mirror in http.get("mirrors") or ():
        host = mirror["destination"]["host"]
        found[host] = found.get(host, 0.0) + mirror["percentage"]["value"]
    return found


def _version(route: Object) -> tuple[str, int]:
    return route["metadata"]["uid"], route["metadata"]["generation"]


def _leads(route: Object) -> list[Object]:
    """Which requests go where, but for those to pages of a person's own."""
    http = [each for each in route["spec"]["http"] if not str(each.get("name") or "").startswith("page-")]
    return [{key: each.get(key) for key in ("name", "match", "route", "mirrors")} for each in http]


def _rest(route: Object) -> list[Object]:
    """The route of REST requests: by its name, or the first of a SeldonDeployment's own, which have none."""
    http = route["spec"]["http"]
    return [each for each in http if each.get("name") in MAIN] or [each for each in http[:1] if "name" not in each]
