"""Traffic: the VirtualService that says the split that is wanted, and what the live one says."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from math import sqrt
from typing import Any

from controller.api import names
from controller.api.meta import MANAGED_BY, ROLLOUT_LABEL
from controller.api.percent import rounded
from controller.api.routing import REVISION_HEADER
from controller.rollout import matching
from controller.rollout.observed import Observed, Route, TrafficWindow
from controller.rollout.revisions import Destination, owner_reference
from controller.rollout.specials import MIRRORED, Special, Tokens, exposed, specials, tokens
from controller.rollout.split import Mirror, Split, Weighted, copied, routed, services, taken

__all__ = ["Split", "agrees", "covers", "mentions", "routed", "services", "virtual_service"]

# Only what was never processed is retried: a retry that hides a canary's fault would falsify its error rate.
RETRIES = {"attempts": 2, "retryOn": "connect-failure,refused-stream,reset-before-request"}
MIN_REQUESTS_TO_VERIFY = 30
_TOLERANCE = 0.02
_EXPECTED_TO_TELL = 10
"""Requests that a revision must be expected to have had before having none of them speaks against its weight."""


def virtual_service(obs: Observed, split: Split) -> dict[str, Any]:
    """Render the VirtualService that serves the rollout's path with this split, as Seldon Core v1 lays it out."""
    routing = obs.routing
    owner = {
        "apiVersion": "rollouts.seldon.io/v1alpha1",
        "kind": "SeldonRollout",
        "name": obs.name,
        "uid": obs.uid,
    }
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {
            "name": obs.name,
            "namespace": obs.namespace,
            "labels": {ROLLOUT_LABEL: obs.name, MANAGED_BY: "seldon-rollouts"},
            "ownerReferences": [owner_reference(owner)],
        },
        "spec": {
            "hosts": list(routing.hosts or obs.defaults.hosts),
            "gateways": list(routing.gateways or obs.defaults.gateways),
            "http": [_ended(each, obs.route) for each in _http(obs, split)],
        },
    }


def _http(obs: Observed, split: Split) -> Iterator[dict[str, Any]]:
    """The routes: to explainers, those for special requests, and the two that take all others."""
    yield from _explainers(obs, split)
    prefix, told = names.prediction_prefix(obs.namespace, obs.name), tokens(obs, split)
    for special in specials(obs, split):
        yield from _special(obs, special, prefix, told)
    everybody, copies = taken(obs, split), copied(obs, split)
    rest = targets(everybody, copies, told, grpc=False)
    grpc = targets(everybody, copies, told, grpc=True)
    yield {"name": "rest", **matching.rest(prefix), **rest, "retries": dict(RETRIES)}
    yield {"name": "grpc", **matching.grpc(obs.namespace, obs.name), **grpc, "retries": dict(RETRIES)}


def _special(obs: Observed, special: Special, prefix: str, told: Tokens) -> Iterator[dict[str, Any]]:
    if special.rest:
        to = targets(special.to, special.copies, told, grpc=False, drawn=special.draws)
        where = matching.rest(prefix, *special.matches)
        yield {"name": f"rest-{special.name}", **where, **to, "retries": dict(RETRIES)}
    where = matching.grpc(obs.namespace, obs.name, *special.matches, method=special.grpc_method)
    if special.grpc and where:
        to = targets(special.to, special.copies, told, grpc=True, drawn=special.draws)
        yield {"name": f"grpc-{special.name}", **where, **to, "retries": dict(RETRIES)}


def _explainers(obs: Observed, split: Split) -> Iterator[dict[str, Any]]:
    """Requests to an explainer go to stable's, or to that of the canary that they name while it answers anybody."""
    chosen = split.canary if split.weight == 100 else split.stable
    named = [("-canary", split.canary)] if exposed(split) else []
    for suffix, digest in (*named, ("", chosen)):
        if digest is None:
            continue
        child = obs.children.get(digest)
        said = ((child.live.get("status") or {}).get("serviceStatus") or {}) if child is not None else {}
        for part in routed(obs, obs.revisions[digest]):
            service = names.shorten(f"{child.name if child else ''}-{part.subset}-explainer")
            found = said.get(service) or {}
            port = str(found.get("httpEndpoint") or "").rpartition(":")[2]
            if not found.get("explainerFor") or not port.isdigit():
                continue
            prefix = names.prediction_prefix(obs.namespace, f"{obs.name}-explainer") + f"{part.subset}/"
            match: dict[str, Any] = {"uri": {"prefix": prefix}}
            if suffix:
                match["headers"] = {REVISION_HEADER: {"exact": digest}}
            host = {"host": names.service_host(service, obs.namespace), "port": {"number": int(port)}}
            answers = {"response": {"set": {REVISION_HEADER: digest}}}
            yield {
                "name": f"explainer-{part.subset}{suffix}",
                "match": [match],
                "rewrite": {"uri": "/"},
                "route": [{"destination": host, "weight": 100, "headers": answers}],
                "retries": dict(RETRIES),
            }


def _ended(http: dict[str, Any], route: Route | None) -> dict[str, Any]:
    """Say of a live mirror that is not wanted that it ends: one left out would pass for what the server added."""
    live = (route.live.get("spec") or {}).get("http") or [] if route is not None else []
    left = any(each.get("name") == http["name"] and each.get("mirrors") for each in live)
    return {**http, "mirrors": []} if left and "mirrors" not in http else http


def targets(
    weighted: Iterable[Weighted], mirrors: Iterable[Mirror], told: Tokens, *, grpc: bool, drawn: bool = True
) -> dict[str, Any]:
    """Return `route`, and `mirrors` where there are some."""

    def target(part: Destination) -> dict[str, Any]:
        port = part.grpc_port if grpc else part.http_port
        return {"host": part.host, "subset": part.subset, "port": {"number": port}}

    copies = [{"destination": target(part), "percentage": {"value": share}} for part, share in mirrors]
    staying = drawn and not (grpc and told.sticky is not None and told.sticky.cookie is not None)
    return {
        "route": [
            {
                "destination": target(part),
                "weight": weight,
                "headers": {"response": told.changes(digest, drawn=staying)},
            }
            for part, weight, digest in weighted
        ],
        **({"mirrors": copies} if copies else {}),
    }


Http = Mapping[str, Any]
"""One route of a live VirtualService."""


def weighed(live: Mapping[str, Any]) -> list[Http]:
    """Return the route of the rollout's own VirtualService whose weights count: that of all REST requests."""
    return [http for http in (live.get("spec") or {}).get("http") or [] if http.get("name") == "rest"]


def copying(live: Mapping[str, Any]) -> list[Http]:
    """Return the routes of the rollout's own VirtualService that may copy REST requests: all, or those of a match."""
    routes = (live.get("spec") or {}).get("http") or []
    return [*weighed(live), *(http for http in routes if str(http.get("name")).startswith(f"rest-{MIRRORED}"))]


def most(share: Callable[[Http, frozenset[str]], float], routes: Iterable[Http], hosts: Iterable[str]) -> float:
    """Return the largest share of its requests that any of some routes gives these hosts."""
    wanted = frozenset(hosts)
    return max((share(http, wanted) for http in routes), default=0)


def weight_of(http: Http, hosts: frozenset[str]) -> float:
    """Return the percent of its requests that one live route sends to these hosts."""
    parts = http.get("route") or []
    weights = [part.get("weight", 100 if len(parts) == 1 else 0) for part in parts]
    chosen = [(part.get("destination") or {}).get("host") in hosts for part in parts]
    found = sum(weight for weight, ours in zip(weights, chosen, strict=True) if ours)
    return rounded(100 * found / sum(weights)) if found else 0


def copied_by(http: Http, hosts: frozenset[str]) -> float:
    """Return the percent of its requests that one live route copies to these hosts."""
    found = [each for each in http.get("mirrors") or [] if (each.get("destination") or {}).get("host") in hosts]
    return rounded(sum((each.get("percentage") or {}).get("value", 100) for each in found))


def mentions(route: Mapping[str, Any], hosts: Iterable[str]) -> bool:
    """Say whether a live VirtualService sends or copies any request to one of these hosts."""
    wanted = frozenset(hosts)
    for http in (route.get("spec") or {}).get("http") or []:
        parts = [*(http.get("route") or []), *(http.get("mirrors") or [])]
        if any((part.get("destination") or {}).get("host") in wanted for part in parts):
            return True
    return False


def covers(desired: Any, live: Any) -> bool:
    """Say whether a live value has everything desired; fields that the server added do not matter, list items do."""
    if desired == live:
        return True
    if isinstance(desired, dict | Mapping):
        return isinstance(live, dict | Mapping) and all(
            key in live and covers(value, live[key]) for key, value in desired.items()
        )
    if isinstance(desired, list):
        return isinstance(live, list) and len(live) == len(desired) and all(map(covers, desired, live))
    return False


def agrees(window: TrafficWindow, split: Split) -> bool | None:
    """Say whether the observed share of requests agrees with a split; None with too few requests to tell.

    The split is random for each request, so the share is binomial: four standard errors are allowed, or two percentage
    points, or half of a smaller share. At 0 and at 100 percent almost nothing may go the other way. Copies are counted
    as requests where they arrive, so both must have some; requests of header routes come to the canary on top of its
    weight. Of copies of some requests it is not known how many there should be: none tells nothing. With sticky users
    the weight is a share of users, who do not all send as much: the canary must have some.
    """
    total = window.stable + window.canary
    if total < MIN_REQUESTS_TO_VERIFY:
        return None
    if split.mirror and split.mirrored and not window.canary:
        return None
    if split.mirror or split.control or (split.sticky and 0 < split.weight < 100):
        return window.stable > 0 and window.canary > 0
    share, wanted = window.canary / total, split.weight / 100
    smaller, few = min(wanted, 1 - wanted), min(window.canary, window.stable)
    if not smaller:
        return abs(share - wanted) <= _TOLERANCE or (bool(split.routes) and share > wanted)
    if not few:
        return None if smaller * total < _EXPECTED_TO_TELL else False
    # The second term is the variance of a share of which hardly any request is expected yet.
    error = sqrt((wanted * (1 - wanted) + 1 / total) / total)
    allowed = max(4 * error, min(_TOLERANCE, smaller / 2))
    return share >= wanted - allowed and (bool(split.routes) or share <= wanted + allowed)
