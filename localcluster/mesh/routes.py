"""Routes: one VirtualService as Envoy routes, with the clusters that it needs and the weights that it asks for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from localcluster.mesh import policies
from localcluster.mesh.destinations import Target, target
from localcluster.mesh.errors import RouteError
from localcluster.mesh.matches import EVERYTHING, catches_all, route_match
from localcluster.mesh.names import ClusterKey, full_host
from localcluster.mesh.objects import Key, Object, Snapshot, key_of

MESH = "mesh"
_IGNORED = ("corsPolicy", "delegate")
_KNOWN = frozenset({
    "name", "match", "route", "redirect", "directResponse", "rewrite", "timeout", "retries", "fault", "mirror",
    "mirrors", "mirrorPercent", "mirror_percent", "mirrorPercentage", "headers",
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One Envoy route, and where it applies: at which gateways (`ns/name`, or `mesh`), at which port (0: all)."""

    gateways: frozenset[str]
    port: int
    catches_all: bool
    envoy: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Share:
    """One destination of one HTTP route and the share of requests, in percent, that Envoy gives it."""

    route: str
    host: str
    subset: str
    port: int
    percent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed:
    """What one VirtualService becomes."""

    key: Key
    hosts: tuple[str, ...]
    routes: tuple[Route, ...]
    clusters: frozenset[ClusterKey]
    shares: tuple[Share, ...]
    missing: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(slots=True)
class _Found:
    """What one pass over a VirtualService collects."""

    routes: list[Route] = field(default_factory=list)
    clusters: set[ClusterKey] = field(default_factory=set)
    shares: list[Share] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def use(self, found: Target) -> str:
        self.clusters.add(found.key)
        if found.problem and found.problem not in self.missing:
            self.missing.append(found.problem)
        return found.key.name


def routed(virtual_service: Object, snapshot: Snapshot) -> Routed:
    """Translate a VirtualService. Raises RouteError, naming the field, if it cannot be obeyed as a whole."""
    namespace = key_of(virtual_service)[0]
    spec = virtual_service.get("spec") or {}
    hosts = tuple(full_host(str(host), namespace) for host in spec.get("hosts") or ())
    if not hosts:
        raise RouteError("spec.hosts", "needs at least one host")
    gateways = gateway_names(spec.get("gateways"), namespace)
    found = _Found(
        warnings=[f"spec.{kind}: is not supported by the local mesh" for kind in ("tcp", "tls") if spec.get(kind)]
    )
    for index, http in enumerate(spec.get("http") or ()):
        _http_route(http, f"spec.http[{index}]", gateways=gateways, namespace=namespace, snapshot=snapshot, found=found)
    return Routed(
        key=key_of(virtual_service),
        hosts=hosts,
        routes=tuple(found.routes),
        clusters=frozenset(found.clusters),
        shares=tuple(found.shares),
        missing=tuple(found.missing),
        warnings=tuple(found.warnings),
    )


def gateway_names(names: Any, namespace: str) -> frozenset[str]:
    """Gateways by full name `ns/name`; none named means `mesh`: inside the cluster only, as in Istio."""
    return frozenset(name if name == MESH or "/" in name else f"{namespace}/{name}" for name in names or (MESH,))


def _http_route(
    http: Object, at: str, *, gateways: frozenset[str], namespace: str, snapshot: Snapshot, found: _Found
) -> None:
    unknown = sorted(set(http) - _KNOWN - set(_IGNORED))
    if unknown:
        raise RouteError(f"{at}.{unknown[0]}", f"is not known; known are {', '.join(sorted(_KNOWN))}")
    found.warnings += [f"{at}.{field}: is not supported by the local mesh" for field in _IGNORED if http.get(field)]
    action = _action(http, at, namespace=namespace, snapshot=snapshot, found=found)
    for index, match in enumerate(http.get("match") or ({},)):
        where = f"{at}.match[{index}]"
        envoy = {"match": route_match(match, where) if match else dict(EVERYTHING), **action}
        if http.get("name"):
            envoy["name"] = http["name"]
        narrowed = gateway_names(match["gateways"], namespace) & gateways if match.get("gateways") else gateways
        found.routes.append(
            Route(gateways=narrowed, port=int(match.get("port") or 0), catches_all=catches_all(match), envoy=envoy)
        )


def _action(http: Object, at: str, *, namespace: str, snapshot: Snapshot, found: _Found) -> dict[str, Any]:
    chosen = [kind for kind in ("route", "redirect", "directResponse") if http.get(kind)]
    if len(chosen) != 1:
        raise RouteError(at, f"must have exactly one of route, redirect, directResponse; it has {chosen or 'none'}")
    envoy = policies.header_changes(http.get("headers"), f"{at}.headers")
    if http.get("fault"):
        envoy["typed_per_filter_config"] = {
            "envoy.filters.http.fault": policies.fault_filter(http["fault"], f"{at}.fault")
        }
    if http.get("redirect"):
        return {**envoy, "redirect": _redirect(http["redirect"])}
    if http.get("directResponse"):
        return {**envoy, "direct_response": _direct(http["directResponse"], at)}
    route = _weighted(http["route"], at, namespace=namespace, snapshot=snapshot, found=found)
    route["timeout"] = policies.seconds(http["timeout"], f"{at}.timeout") if http.get("timeout") else "0s"
    retries = policies.retry_policy(http.get("retries"), f"{at}.retries")
    if retries:
        route["retry_policy"] = retries
    mirrors = [
        policies.mirror_policy(found.use(target(where, namespace, field, snapshot)), percent, field)
        for where, percent, field in _mirrors(http, at)
    ]
    if mirrors:
        route["request_mirror_policies"] = mirrors
    return {**envoy, "route": {**route, **_rewrite(http.get("rewrite") or {}, f"{at}.rewrite")}}


def _weighted(entries: Any, at: str, *, namespace: str, snapshot: Snapshot, found: _Found) -> dict[str, Any]:
    targets, weights, clusters = [], [], []
    for index, entry in enumerate(entries):
        where = f"{at}.route[{index}]"
        weight = int(entry.get("weight") or 0)
        if weight < 0:
            raise RouteError(f"{where}.weight", f"must not be negative; it is {weight}")
        targets.append(target(entry.get("destination") or {}, namespace, f"{where}.destination", snapshot))
        weights.append(weight)
        clusters.append(policies.header_changes(entry.get("headers"), f"{where}.headers"))
    if len(entries) == 1:
        weights = [100]  # Istio: the only destination takes everything, whatever its weight says
    total = sum(weights)
    if total == 0:
        raise RouteError(f"{at}.route", "needs a weight above 0 for at least one destination")
    for each, weight in zip(targets, weights, strict=True):
        key = each.key
        found.shares.append(
            Share(at, f"{key.service}.{key.namespace}", key.subset, key.port, round(100 * weight / total, 4))
        )
    named = [
        {"name": found.use(each), "weight": weight, **changes}
        for each, weight, changes in zip(targets, weights, clusters, strict=True)
    ]
    if len(named) == 1 and not clusters[0]:
        return {"cluster": named[0]["name"]}
    return {"weighted_clusters": {"clusters": named}}


def _mirrors(http: Object, at: str) -> list[tuple[Object, float, str]]:
    if http.get("mirror") and http.get("mirrors"):
        raise RouteError(f"{at}.mirrors", "cannot stand beside mirror")
    if http.get("mirror"):
        plain = http.get("mirrorPercent", http.get("mirror_percent", 100))
        percent: Any = (http.get("mirrorPercentage") or {}).get("value", plain)
        return [(http["mirror"], float(percent), f"{at}.mirror")]
    return [
        (
            each.get("destination") or {},
            float((each.get("percentage") or {}).get("value", 100)),
            f"{at}.mirrors[{index}]",
        )
        for index, each in enumerate(http.get("mirrors") or ())
    ]


def _rewrite(rewrite: Object, at: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if rewrite.get("uri"):
        found["prefix_rewrite"] = rewrite["uri"]
    if rewrite.get("uriRegexRewrite"):
        if rewrite.get("uri"):
            raise RouteError(f"{at}.uriRegexRewrite", "cannot stand beside uri")
        pattern = rewrite["uriRegexRewrite"]
        found["regex_rewrite"] = {
            "pattern": {"regex": pattern.get("match", "")},
            "substitution": pattern.get("rewrite", ""),
        }
    if rewrite.get("authority"):
        found["host_rewrite_literal"] = rewrite["authority"]
    return found


def _redirect(redirect: Object) -> dict[str, Any]:
    codes = {
        301: "MOVED_PERMANENTLY",
        302: "FOUND",
        303: "SEE_OTHER",
        307: "TEMPORARY_REDIRECT",
        308: "PERMANENT_REDIRECT",
    }
    found: dict[str, Any] = {"response_code": codes.get(int(redirect.get("redirectCode") or 301), "MOVED_PERMANENTLY")}
    for ours, theirs in (("uri", "path_redirect"), ("authority", "host_redirect"), ("port", "port_redirect")):
        if redirect.get(ours):
            found[theirs] = redirect[ours]
    return found


def _direct(response: Object, at: str) -> dict[str, Any]:
    status = int(response.get("status") or 0)
    if not 200 <= status <= 599:
        raise RouteError(f"{at}.directResponse.status", f"must be between 200 and 599; it is {status}")
    body = (response.get("body") or {}).get("string")
    return {"status": status, **({"body": {"inline_string": body}} if body else {})}
