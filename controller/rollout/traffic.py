"""Traffic: the split that is wanted, the VirtualService that says so, and what the live one says."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any

from controller.api import names
from controller.api.meta import MANAGED_BY, ROLLOUT_LABEL
from controller.api.percent import rest as left
from controller.api.percent import rounded
from controller.api.strategy import HeaderRoute
from controller.rollout import matching
from controller.rollout.observed import Observed, Route, TrafficWindow
from controller.rollout.revisions import Destination, Revision, apportion, destinations, owner_reference

# Only what was never processed is retried: a retry that hides a canary's fault would falsify its error rate.
RETRIES = {"attempts": 2, "retryOn": "connect-failure,refused-stream,reset-before-request"}
REVISION_HEADER = "seldon-revision"
"""On every answer: the hash of the revision that gave it."""
MIN_REQUESTS_TO_VERIFY = 30
_TOLERANCE = 0.02
_EXPECTED_TO_TELL = 10
"""Requests that a revision must be expected to have had before having none of them speaks against its weight."""
_WHOLE, _FINE = 100, 10_000
"""What the weights of a route sum to: percent, and hundredths of a percent where whole ones cannot say it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Who gets which share of live requests, and who gets copies. Weights sum to 100."""

    stable: str | None
    canary: str | None = None
    weight: float = 0
    """Percent for the canary, with at most two decimals."""
    mirror: float = 0
    """Percent of live requests that the canary gets copied."""
    control: float = 0
    """Percent of live requests that stable gets copied, once the canary has them all."""
    routes: tuple[HeaderRoute, ...] = ()
    """Requests that go to the canary whatever its weight."""

    def __post_init__(self) -> None:
        if not all(0 <= share <= 100 for share in (self.weight, self.mirror, self.control)):
            raise ValueError(f"{self.weight}, {self.mirror} and {self.control} percent must lie within 0 and 100")
        if self.canary is None and (self.weight or self.mirror or self.control or self.routes):
            raise ValueError("a weight, a mirror or a route needs a canary")
        if self.control and (self.stable is None or self.weight != 100):
            raise ValueError("stable gets copies only while the canary has all requests")
        if self.stable is None and self.weight != 100:
            raise ValueError("without a stable revision the canary takes everything")


def routed(obs: Observed, revision: Revision) -> tuple[Destination, ...]:
    """Return the destinations of one of this rollout's revisions."""
    return destinations(obs.name, obs.namespace, revision)


def services(obs: Observed, revision: Revision) -> tuple[str, ...]:
    """Return the names of the Services that take a revision's live requests."""
    return tuple(destination.service for destination in routed(obs, revision) if not destination.shadow)


def virtual_service(obs: Observed, split: Split) -> dict[str, Any]:
    """Render the VirtualService that serves the rollout's path with this split, as Seldon Core v1 lays it out."""
    weighted, mirrors = _parts(obs, split)
    hosts = obs.spec.routing.hosts if obs.spec and obs.spec.routing.hosts else obs.defaults.hosts
    gateways = obs.spec.routing.gateways if obs.spec and obs.spec.routing.gateways else obs.defaults.gateways
    owner = {
        "apiVersion": "rollouts.seldon.io/v1alpha1",
        "kind": "SeldonRollout",
        "name": obs.name,
        "uid": obs.uid,
    }
    rest = {
        "name": "rest",
        **matching.rest(names.prediction_prefix(obs.namespace, obs.name)),
        **_routes(weighted, mirrors, "http_port"),
    }
    grpc = {
        "name": "grpc",
        **matching.grpc(obs.namespace, obs.name),
        **_routes(weighted, mirrors, "grpc_port"),
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
            "hosts": list(hosts),
            "gateways": list(gateways),
            "http": [_ended(each, obs.route) for each in [*_special(obs, split), rest, grpc]],
        },
    }


def _special(obs: Observed, split: Split) -> list[dict[str, Any]]:
    """The header routes, before the routes that they are parts of; the first that matches a request counts."""
    if not split.routes or split.canary is None:
        return []
    parts = [part for part in routed(obs, obs.revisions[split.canary]) if not part.shadow]
    weights = apportion(100, [part.share for part in parts])
    all_of_it = [(part, weight, split.canary) for part, weight in zip(parts, weights, strict=True) if weight]
    found: list[dict[str, Any]] = []
    for route in split.routes:
        for index, match in enumerate(route.match):
            rest = matching.rest(names.prediction_prefix(obs.namespace, obs.name), match)
            found.append({"name": f"rest-{route.name}-{index}", **rest, **_routes(all_of_it, (), "http_port")})
            if grpc := matching.grpc(obs.namespace, obs.name, match):
                found.append({"name": f"grpc-{route.name}-{index}", **grpc, **_routes(all_of_it, (), "grpc_port")})
    return found


def _ended(http: dict[str, Any], route: Route | None) -> dict[str, Any]:
    """Say of a live mirror that is not wanted that it ends: one left out would pass for what the server added."""
    live = (route.live.get("spec") or {}).get("http") or [] if route is not None else []
    left = any(each.get("name") == http["name"] and each.get("mirrors") for each in live)
    return {**http, "mirrors": []} if left and "mirrors" not in http else http


def _parts(obs: Observed, split: Split) -> tuple[list[tuple[Destination, int, str]], list[tuple[Destination, float]]]:
    shares = [(split.stable, left(split.weight)), (split.canary, split.weight)]
    total = _total(obs, shares)
    weighted: list[tuple[Destination, int, str]] = []
    mirrors: list[tuple[Destination, float]] = []
    for digest, share in shares:
        if digest is None:
            continue
        parts = routed(obs, obs.revisions[digest])
        live = [part for part in parts if not part.shadow]
        if share:
            weights = apportion(round(share * total / 100), [part.share for part in live])
            weighted += [(part, weight, digest) for part, weight in zip(live, weights, strict=True) if weight]
            mirrors += [(part, float(part.share)) for part in parts if part.shadow]
        copied = split.mirror if digest == split.canary else split.control
        if copied:
            mirrors += [(part, copied * part.share / 100) for part in live]
    return weighted, mirrors


def _total(obs: Observed, shares: Iterable[tuple[str | None, float]]) -> int:
    """Return what the weights sum to: Istio takes them as relative whole numbers."""
    exact = [
        share * part.share / 100
        for digest, share in shares
        if digest is not None
        for part in routed(obs, obs.revisions[digest])
        if not part.shadow
    ]
    return _WHOLE if all(value == int(value) for value in exact) else _FINE


def _routes(
    weighted: Iterable[tuple[Destination, int, str]], mirrors: Iterable[tuple[Destination, float]], port: str
) -> dict[str, Any]:
    def target(part: Destination) -> dict[str, Any]:
        return {"host": part.host, "subset": part.subset, "port": {"number": getattr(part, port)}}

    copies = [{"destination": target(part), "percentage": {"value": share}} for part, share in mirrors]
    return {
        "route": [
            {"destination": target(part), "weight": weight, "headers": {"response": {"set": {REVISION_HEADER: digest}}}}
            for part, weight, digest in weighted
        ],
        "retries": dict(RETRIES),
        **({"mirrors": copies} if copies else {}),
    }


def live_weight(route: Mapping[str, Any], hosts: Iterable[str]) -> float:
    """Return the percent of REST requests that a live VirtualService sends to these hosts."""
    wanted = frozenset(hosts)
    for http in (route.get("spec") or {}).get("http") or []:
        if http.get("name") == "rest":
            parts = http.get("route") or []
            weights = [part.get("weight", 100 if len(parts) == 1 else 0) for part in parts]
            chosen = [(part.get("destination") or {}).get("host") in wanted for part in parts]
            found = sum(weight for weight, ours in zip(weights, chosen, strict=True) if ours)
            return rounded(100 * found / sum(weights)) if found else 0
    return 0


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
    weight.
    """
    total = window.stable + window.canary
    if total < MIN_REQUESTS_TO_VERIFY:
        return None
    if split.mirror or split.control:
        return window.stable > 0 and window.canary > 0
    share, wanted = window.canary / total, split.weight / 100
    smaller, few = min(wanted, 1 - wanted), min(window.canary, window.stable)
    if not smaller:
        return abs(share - wanted) <= _TOLERANCE or (bool(split.routes) and share > wanted)
    if not few and smaller * total < _EXPECTED_TO_TELL:
        return None
    # The second term is the variance of a share of which hardly any request is expected yet.
    error = sqrt((wanted * (1 - wanted) + 1 / total) / total)
    allowed = max(4 * error, min(_TOLERANCE, smaller / 2))
    return share >= wanted - allowed and (bool(split.routes) or share <= wanted + allowed)
