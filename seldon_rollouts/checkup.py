"""Checkup: what an installation needs, what was found of it, and how to get what is missing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from controller.kube import resources
from controller.kube.resources import Resource

State = Literal["ok", "warning", "missing"]

NEEDED: Mapping[Resource, str] = {
    resources.SELDON_ROLLOUT: "seldon-rollouts install | kubectl apply --server-side -f -",
    resources.SELDON_DEPLOYMENT: "seldon-rollouts install | kubectl apply --server-side -f -",
    resources.VIRTUAL_SERVICE: "install Istio: without it no traffic can be split",
    resources.DESTINATION_RULE: "install Istio: without it no traffic can be split",
}
"""Kinds that have to be served, and how to get them."""
SERVED = "seldon_api_executor_server_requests_seconds_count"
GATEWAY = "istio_requests_total"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was found."""

    version: str
    """Of Kubernetes."""
    served: Mapping[str, str]
    """Kinds that are served, by name (`seldonrollouts.rollouts.seldon.io`), and in which version."""
    gateways: tuple[str, ...] = ()
    """Istio Gateways, as namespace/name."""
    controllers: tuple[Mapping[str, Any], ...] = ()
    """Deployments of our controller."""
    may: Mapping[str, bool] = field(default_factory=dict)
    """What I may do to SeldonRollouts, by verb."""
    prometheus: "Series | None" = None
    """What Prometheus has; None when it was not asked."""
    prometheus_problem: str = ""


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
    else:
        yield Check(
            about="Gateway",
            state="warning",
            found="there is none",
            remedy="requests from outside need an Istio Gateway; name it by `install --gateway namespace/name`",
        )


def _controllers(facts: Facts) -> Iterator[Check]:
    if not facts.controllers:
        yield Check(
            about="controller",
            state="missing",
            found="no Deployment has the label app.kubernetes.io/name=seldon-rollouts-controller",
            remedy="seldon-rollouts install | kubectl apply --server-side -f -",
        )
    for each in facts.controllers:
        meta, status = each["metadata"], each.get("status") or {}
        wanted, ready = int((each.get("spec") or {}).get("replicas", 1)), int(status.get("readyReplicas") or 0)
        where = f"{meta['namespace']}/{meta['name']}"
        yield Check(
            about="controller",
            state="ok" if ready >= wanted > 0 else "missing",
            found=f"{where}: {ready} of {wanted} ready",
            remedy="" if ready >= wanted > 0 else f"kubectl -n {meta['namespace']} logs deployment/{meta['name']}",
        )
        arguments = [arg for box in each["spec"]["template"]["spec"]["containers"] for arg in box.get("args") or ()]
        if not any(str(arg).startswith("--prometheus-url") for arg in arguments):
            yield Check(
                about="controller",
                state="warning",
                found=f"{where} has no --prometheus-url: nothing can be judged, each rollout waits for a person",
                remedy="install it again with --prometheus-url",
            )


def _rights(facts: Facts) -> Iterator[Check]:
    for verb, allowed in facts.may.items():
        yield Check(
            about="your rights",
            state="ok" if allowed else "warning",
            found=f"you may {'' if allowed else 'not '}{verb} SeldonRollouts",
            remedy="" if allowed else "ask for the ClusterRoles seldon-rollouts-view and seldon-rollouts-edit",
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
