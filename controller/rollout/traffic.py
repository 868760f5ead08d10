"""Traffic: the split that is wanted, the VirtualService that says so, and what the live one says."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any

from controller.api import names
from controller.api.meta import MANAGED_BY, ROLLOUT_LABEL
from controller.rollout.observed import Observed, Route, TrafficWindow
from controller.rollout.revisions import Destination, Revision, apportion, destinations, owner_reference

GRPC_PATHS = ".*tensorflow.*|.*seldon.protos.*|.*inference.*"
# Only what was never processed is retried: a retry that hides a canary's fault would falsify its error rate.
RETRIES = {"attempts": 2, "retryOn": "connect-failure,refused-stream,reset-before-request"}
REVISION_HEADER = "seldon-revision"
"""On every answer: the hash of the revision that gave it."""
MIN_REQUESTS_TO_VERIFY = 30
_TOLERANCE = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Who gets which share of live requests, and who gets copies. Weights sum to 100."""

    stable: str | None
    canary: str | None = None
    weight: int = 0
    """Percent for the canary."""
    mirror: int = 0
    """Percent of live requests that the canary gets copied."""

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 100 or not 0 <= self.mirror <= 100:
            raise ValueError(f"weight {self.weight} and mirror {self.mirror} must lie within 0 and 100")
        if self.canary is None and (self.weight or self.mirror):
            raise ValueError("a weight or a mirror needs a canary")
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
        "match": [{"uri": {"prefix": names.prediction_prefix(obs.namespace, obs.name)}}],
        "rewrite": {"uri": "/"},
        **_routes(weighted, mirrors, "http_port"),
    }
    headers = {"seldon": {"exact": obs.name}, "namespace": {"exact": obs.namespace}}
    grpc = {
        "name": "grpc",
        "match": [{"uri": {"regex": GRPC_PATHS}, "headers": headers}],
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
            "http": [_ended(each, obs.route) for each in (rest, grpc)],
        },
    }


def _ended(http: dict[str, Any], route: Route | None) -> dict[str, Any]:
    """Say of a live mirror that is not wanted that it ends: one left out would pass for what the server added."""
    live = (route.live.get("spec") or {}).get("http") or [] if route is not None else []
    left = any(each.get("name") == http["name"] and each.get("mirrors") for each in live)
    return {**http, "mirrors": []} if left and "mirrors" not in http else http


def _parts(obs: Observed, split: Split) -> tuple[list[tuple[Destination, int, str]], list[tuple[Destination, float]]]:
    shares = [(split.stable, 100 - split.weight), (split.canary, split.weight)]
    weighted: list[tuple[Destination, int, str]] = []
    mirrors: list[tuple[Destination, float]] = []
    for digest, share in shares:
        if digest is None:
            continue
        parts = routed(obs, obs.revisions[digest])
        live = [part for part in parts if not part.shadow]
        if share:
            weights = apportion(share, [part.share for part in live])
            weighted += [(part, weight, digest) for part, weight in zip(live, weights, strict=True) if weight]
            mirrors += [(part, float(part.share)) for part in parts if part.shadow]
        if digest == split.canary and split.mirror:
            mirrors += [(part, split.mirror * part.share / 100) for part in live]
    return weighted, mirrors


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


def live_weight(route: Mapping[str, Any], hosts: Iterable[str]) -> int:
    """Return the percent of REST requests that a live VirtualService sends to these hosts."""
    wanted = frozenset(hosts)
    for http in (route.get("spec") or {}).get("http") or []:
        if http.get("name") == "rest":
            parts = http.get("route") or []
            weights = [part.get("weight", 100 if len(parts) == 1 else 0) for part in parts]
            chosen = [(part.get("destination") or {}).get("host") in wanted for part in parts]
            return sum(weight for weight, ours in zip(weights, chosen, strict=True) if ours)
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
    if isinstance(desired, Mapping):
        return isinstance(live, Mapping) and all(
            key in live and covers(value, live[key]) for key, value in desired.items()
        )
    if isinstance(desired, list):
        return isinstance(live, list) and len(live) == len(desired) and all(map(covers, desired, live))
    return bool(desired == live)


def agrees(window: TrafficWindow, weight: int) -> bool | None:
    """Say whether the observed share of requests agrees with a weight; None with too few requests to tell.

    The split is random for each request, so the share is binomial: four standard errors, or two percentage points, are
    allowed. At 0 and at 100 percent almost nothing may go the other way.
    """
    total = window.stable + window.canary
    if total < MIN_REQUESTS_TO_VERIFY:
        return None
    share, wanted = window.canary / total, weight / 100
    error = sqrt(wanted * (1 - wanted) / total)
    return abs(share - wanted) <= max(4 * error, _TOLERANCE)
