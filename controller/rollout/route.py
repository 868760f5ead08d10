"""The route in force: the rollout's own VirtualService, or the named routes of a person's."""

from collections.abc import Iterable, Mapping
from typing import Any

from controller.api import names
from controller.api.routing import OwnVirtualService
from controller.rollout import actions, own_route, traffic
from controller.rollout.observed import Observed, Route
from controller.rollout.split import Split


def obstacle(obs: Observed, split: Split | None) -> str:
    """Say what stands in the way of writing the route; empty when nothing does."""
    if obs.in_the_way or not obs.mesh:
        return obs.in_the_way or "the cluster has no VirtualService: install Istio"
    own = obs.routing.virtual_service
    return own_route.problem(obs, own, obs.route.live if obs.route else None, split) if own is not None else ""


def applied(obs: Observed, split: Split, rendered: Mapping[str, Any]) -> bool:
    """Say whether the live route says a split, which is rendered as the rollout's own VirtualService."""
    if obs.route is None:
        return False
    live = obs.route.live.get("spec") or {}
    own = obs.routing.virtual_service
    if own is not None:
        return own_route.merged(obs, own, obs.route.live, split) == (live.get("http") or [])
    # A route that is another's has this split only when it has become ours.
    return obs.route.ours and traffic.covers(rendered["spec"], live)


def fingerprint(rendered: Mapping[str, Any]) -> str:
    """Hash what a rendered split means for requests; what a person writes beside it does not matter."""
    return names.stable_hash(rendered["spec"])


def write(obs: Observed, split: Split, rendered: Mapping[str, Any]) -> actions.Action:
    """Return the one write that makes the route say a split, as it is rendered. It holds what it was decided on."""
    own = obs.routing.virtual_service
    if own is not None and obs.route is not None:
        return _patch(obs.route, own_route.merged(obs, own, obs.route.live, split))
    if obs.route is None:
        return actions.ApplyRoute(rendered)
    version = {"resourceVersion": (obs.route.live.get("metadata") or {}).get("resourceVersion")}
    return actions.ApplyRoute({**rendered, "metadata": {**rendered["metadata"], **version}})


def leave(obs: Observed, stable: str | None, *, in_effect: bool) -> list[actions.Action]:
    """Return what becomes of the VirtualServices that were written before and are not in force any more.

    A person's leads to stable from now on. The rollout's own goes, once the route that is in force is in effect.
    """
    todo: list[actions.Action] = []
    for route in obs.left:
        meta = route.live.get("metadata") or {}
        if route.ours:
            todo += [actions.DeleteRoute(meta["name"], meta.get("uid", ""))] if in_effect else []
            continue
        own = _before(obs)
        if own is None or stable is None or own_route.problem(obs, own, route.live, Split(stable=stable)):
            continue
        wanted = own_route.merged(obs, own, route.live, Split(stable=stable))
        if wanted != (route.live.get("spec") or {}).get("http"):
            todo.append(_patch(route, wanted))
    return todo


def give_back(obs: Observed) -> list[actions.Action]:
    """Return the write that takes all that is ours out of a person's VirtualService; none where there is none."""
    own = obs.routing.virtual_service
    if own is None or obs.route is None or own_route.problem(obs, own, obs.route.live, None):
        return []
    wanted = own_route.given_back(obs, own, obs.route.live)
    return [_patch(obs.route, wanted)] if wanted != (obs.route.live.get("spec") or {}).get("http") else []


def _before(obs: Observed) -> OwnVirtualService | None:
    """The person's routes that were written before and are not named any more."""
    before, now = obs.status.routing, obs.routing.virtual_service
    last = before.virtual_service if before is not None else None
    if last is None or now is None or last.name != now.name:
        return last
    kept = {*now.routes, *now.grpc_routes}
    routes = tuple(name for name in last.routes if name not in kept)
    grpc = tuple(name for name in last.grpc_routes if name not in kept)
    return OwnVirtualService(name=last.name, routes=routes, grpc_routes=grpc) if routes or grpc else None


def _patch(route: Route, http: list[dict[str, Any]]) -> actions.PatchRoute:
    meta = route.live.get("metadata") or {}
    return actions.PatchRoute(meta["name"], tuple(http), meta.get("resourceVersion", ""))


def live_weight(obs: Observed, hosts: Iterable[str]) -> float:
    """Return the percent of requests that the live route sends to these hosts; of several named routes, the most."""
    if obs.route is None:
        return 0
    own, live = obs.routing.virtual_service, obs.route.live
    routes = traffic.weighed(live) if own is None else own_route.named(own, live)
    return traffic.most(traffic.weight_of, routes, hosts)


def live_mirror(obs: Observed, hosts: Iterable[str]) -> float:
    """Return the percent of requests that the live route copies to these hosts; of several named routes, the most."""
    if obs.route is None:
        return 0
    own, live = obs.routing.virtual_service, obs.route.live
    routes = traffic.copying(live) if own is None else own_route.copying(obs, own, live)
    return traffic.most(traffic.copied_by, routes, hosts)


def mentions(obs: Observed, hosts: Iterable[str]) -> bool:
    """Say whether any VirtualService that we write sends or copies a request to one of these hosts."""
    wanted = frozenset(hosts)
    return any(traffic.mentions(route.live, wanted) for route in (*([obs.route] if obs.route else []), *obs.left))
