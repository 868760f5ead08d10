"""Checkup: what an installation needs, what was found of it, and how to get what is missing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from analysis.preflight import SERVED as FAMILY
from controller.api.meta import format_duration
from controller.kube import resources
from controller.kube.resources import Resource

State = Literal["ok", "warning", "missing"]

INSTALL = "seldon-rollouts install | kubectl apply --server-side -f -"
NEEDED: Mapping[Resource, str] = {
    resources.SELDON_ROLLOUT: INSTALL,
    resources.SELDON_DEPLOYMENT: INSTALL,
    resources.VIRTUAL_SERVICE: "install Istio: without it no traffic can be split",
    resources.DESTINATION_RULE: "install Istio: without it no traffic can be split",
}
"""Kinds that have to be served, and how to get them."""
SERVED = f"{FAMILY}_count"
SHOWN = 3
"""Rollouts that are named with a reason, at most."""
GATEWAY = "istio_requests_total"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was found."""

    version: str
    """Of Kubernetes."""
    served: Mapping[str, str]
    """Kinds that are served, by name (`seldonrollouts.rollouts.seldon.io`), and in which version."""
    gateways: tuple[str, ...] | None = ()
    """Istio Gateways, as namespace/name; None when they may not be seen."""
    leases: "tuple[Lease, ...] | None" = ()
    """Those that controllers lead by; None when they may not be seen."""
    controllers: tuple[Mapping[str, Any], ...] = ()
    """Deployments of our controller."""
    may: Mapping[str, str] = field(default_factory=dict)
    """Where I may do what to SeldonRollouts, by verb: `all namespaces`, one, or empty."""
    prometheus: "Series | None" = None
    """What Prometheus has; None when it was not asked."""
    prometheus_problem: str = ""
    judged: "tuple[Judged, ...]" = ()
    """Of rollouts, whether the judge can judge them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """By what a running controller is known, wherever it runs."""

    where: str
    """Namespace/name."""
    holder: str
    """Who has it; empty when nobody has."""
    age: timedelta | None
    """How long ago it was renewed, by our own clock."""
    alive: bool
    """It was renewed lately, or while we looked."""


def lease_of(found: Mapping[str, Any], now: datetime, *, moved: bool = False) -> Lease:
    """Read a Lease object.

    Args:
        found: as the API gives it.
        now: by our own clock, which may differ from the holder's.
        moved: it was renewed while we looked.
    """
    spec = found.get("spec") or {}
    holder, renewed = str(spec.get("holderIdentity") or ""), spec.get("renewTime")
    age = now - datetime.fromisoformat(renewed) if renewed else None
    term = timedelta(seconds=int(spec.get("leaseDurationSeconds") or 0))
    recent = moved or (age is not None and age <= term)
    where = f"{found['metadata']['namespace']}/{found['metadata']['name']}"
    return Lease(where=where, holder=holder, age=age, alive=bool(holder) and recent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What the judge's preflight says of a rollout."""

    where: str
    """Namespace/name."""
    ready: bool | None
    """None while it measures."""
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Metrics, each with the names of its labels; one that is absent has none."""

    served: frozenset[str] = frozenset()
    """The orchestrators'."""
    gateway: frozenset[str] = frozenset()
    """The gateway's, as the source reports them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that an installation needs."""

    about: str
    state: State
    found: str
    remedy: str = ""


def checkup(facts: Facts) -> list[Check]:
    """Return every check, in the order in which they depend on each other."""
    return [
        Check(about="Kubernetes", state="ok", found=facts.version),
        *_kinds(facts),
        *_gateways(facts),
        *_controllers(facts),
        *_rights(facts),
        *_prometheus(facts),
        *_judged(facts),
    ]


def _kinds(facts: Facts) -> Iterator[Check]:
    for resource, remedy in NEEDED.items():
        version = facts.served.get(resource.name)
        if version:
            yield Check(about=resource.kind, state="ok", found=f"{resource.group}/{version}")
        else:
            yield Check(about=resource.kind, state="missing", found="is not served", remedy=remedy)


def _gateways(facts: Facts) -> Iterator[Check]:
    if resources.VIRTUAL_SERVICE.name not in facts.served:
        return
    if facts.gateways:
        yield Check(about="Gateway", state="ok", found=", ".join(facts.gateways))
    elif facts.gateways is None:
        yield Check(
            about="Gateway",
            state="warning",
            found="Gateways may not be seen: whether there is one is not known",
            remedy="ask somebody who may list Gateways of all namespaces",
        )
    else:
        yield Check(
            about="Gateway",
            state="warning",
            found="there is none",
            remedy="requests from outside need an Istio Gateway; name it by `install --gateway namespace/name`",
        )


def _controllers(facts: Facts) -> Iterator[Check]:
    """A Lease tells of any controller; Deployments only say more of those that run in the cluster."""
    alive = [each for each in facts.leases or () if each.alive]
    for each in facts.leases or ():
        yield _lease(each, other=bool(alive) and not each.alive)
    for one in facts.controllers:
        yield from _deployment(one)
    if facts.leases is None and not facts.controllers:
        yield Check(
            about="controller",
            state="warning",
            found="Leases may not be seen, nor a Deployment of it: whether one runs is not known",
            remedy="ask somebody who may list Leases and Deployments of all namespaces",
        )
    elif not facts.leases and not facts.controllers:
        looked = "no Deployment has the label app.kubernetes.io/name=seldon-rollouts-controller"
        found = f"there is no Lease of one, and {looked}"
        yield Check(about="controller", state="missing", found=found, remedy=INSTALL)


def _lease(lease: Lease, *, other: bool) -> Check:
    whole = timedelta(seconds=0 if lease.age is None else max(0, int(lease.age.total_seconds())))
    ago = "" if lease.age is None else f", renewed {format_duration(whole)} ago"
    if lease.alive:
        return Check(about="controller", state="ok", found=f"{lease.holder} leads by Lease {lease.where}{ago}")
    who = f"its last holder is {lease.holder}" if lease.holder else "nobody holds it"
    return Check(
        about="controller",
        state="warning" if other else "missing",
        found=f"Lease {lease.where}: {who}{ago}",
        remedy=f"kubectl -n {lease.where.partition('/')[0]} get pods: is one running, and what does its log say?",
    )


def _deployment(found: Mapping[str, Any]) -> Iterator[Check]:
    meta, status = found["metadata"], found.get("status") or {}
    wanted, ready = int((found.get("spec") or {}).get("replicas", 1)), int(status.get("readyReplicas") or 0)
    where = f"{meta['namespace']}/{meta['name']}"
    yield Check(
        about="controller",
        state="ok" if ready >= wanted > 0 else "missing",
        found=f"{where}: {ready} of {wanted} ready",
        remedy="" if ready >= wanted > 0 else f"kubectl -n {meta['namespace']} logs deployment/{meta['name']}",
    )
    arguments = [arg for box in found["spec"]["template"]["spec"]["containers"] for arg in box.get("args") or ()]
    if not any(str(arg).startswith("--prometheus-url") for arg in arguments):
        yield Check(
            about="controller",
            state="warning",
            found=f"{where} has no --prometheus-url: nothing can be judged, each rollout waits for a person",
            remedy="install it again with --prometheus-url",
        )


def _rights(facts: Facts) -> Iterator[Check]:
    for verb, where in facts.may.items():
        yield Check(
            about="your rights",
            state="ok" if where else "warning",
            found=f"you may {verb} SeldonRollouts in {where}" if where else f"you may not {verb} SeldonRollouts",
            remedy="" if where else "ask for the ClusterRoles seldon-rollouts-view and seldon-rollouts-edit",
        )


def _prometheus(facts: Facts) -> Iterator[Check]:
    if facts.prometheus_problem:
        yield Check(
            about="Prometheus", state="missing", found=facts.prometheus_problem, remedy="give its --prometheus-url"
        )
        return
    if facts.prometheus is None:
        yield Check(
            about="Prometheus",
            state="warning",
            found="was not asked",
            remedy="give --prometheus-url (kubectl port-forward makes it reachable)",
        )
        return
    yield _metric("orchestrators' metrics", SERVED, facts.prometheus.served, ("namespace", "pod", "deployment_name"))
    yield _metric("gateway's metrics", GATEWAY, facts.prometheus.gateway, ("destination_service_name", "response_code"))


def _judged(facts: Facts) -> Iterator[Check]:
    """Each reason once, with the rollouts that have it."""
    by_reason: dict[str, list[str]] = {}
    for each in facts.judged:
        if each.ready is False:
            by_reason.setdefault(each.message, []).append(each.where)
    for message, places in by_reason.items():
        more = f" and {len(places) - SHOWN} more" if len(places) > SHOWN else ""
        named = ", ".join(places[:SHOWN]) + more
        remedy = "docs/metrics.md has the series and labels that are needed"
        yield Check(about="judge", state="warning", found=f"{named} cannot be judged: {message}", remedy=remedy)
    if able := [each for each in facts.judged if each.ready]:
        yield Check(about="judge", state="ok", found=f"{len(able)} of {len(facts.judged)} rollouts can be judged")


def _metric(about: str, name: str, labels: frozenset[str], needed: tuple[str, ...]) -> Check:
    if not labels:
        return Check(
            about=about,
            state="warning",
            found=f"{name} has no series yet",
            remedy="send a request to a model; if it stays so, Prometheus does not scrape the pods",
        )
    absent = [label for label in needed if label not in labels]
    if absent:
        return Check(
            about=about,
            state="missing",
            found=f"{name} has no label {', '.join(absent)}",
            remedy="the scrape configuration must keep these labels: the judge reads counters by pod",
        )
    return Check(about=about, state="ok", found=f"{name} with {', '.join(needed)}")
