"""`seldon-rollouts doctor`: look at an installation, and say what is missing and how to get it."""

import asyncio
import json
from dataclasses import asdict
from typing import Any

import typer
from rich.table import Table
from rich.text import Text

from analysis.measure import Measurer
from analysis.providers.prometheus import PrometheusProvider
from analysis.providers.provider import ProviderError
from controller import clock
from controller.kube import resources
from controller.kube.client import Client
from controller.kube.errors import ApiError
from controller.kube.requests import Request
from seldon_rollouts.checkup import GATEWAY, NEEDED, SERVED, Check, Facts, Lease, Series, checkup, lease_of
from seldon_rollouts.cli.connect import Context, Kubeconfig, Namespace, run
from seldon_rollouts.cli.console import CONSOLE
from seldon_rollouts.cli.output import Format, Output, data
from seldon_rollouts.cli.prometheus import PrometheusAccess, PrometheusToken, PrometheusUrl, provider_at
from seldon_rollouts.judged import judged, looked_at

_STYLES = {"ok": "green", "warning": "yellow", "missing": "red"}
VERBS = ("list", "create", "patch")
LEASE = "seldon-rollouts-controller"
"""The name of the Lease of a controller that was given no other."""
RENEWAL_SECONDS = 3.0
"""A leader renews its Lease within this: clocks of two machines need not agree, so a second look decides."""


def add_to(app: typer.Typer) -> None:
    """Put the command into the program."""
    app.command("doctor")(doctor)


def doctor(
    prometheus_url: PrometheusUrl = "",
    prometheus_access: PrometheusAccess = "",
    prometheus_token: PrometheusToken = "",
    output: Output = Format.TEXT,
    namespace: Namespace = "",
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Say what an installation has and lacks, and how to get it. Ends with 1 when something is missing."""
    asked = provider_at(prometheus_url, prometheus_access, prometheus_token) if prometheus_url else None
    facts = run(kubeconfig, context, lambda client: _facts(client, asked, namespace))
    checks = checkup(facts)
    if not data(output, [asdict(each) for each in checks]):
        _show(checks)
    raise typer.Exit(1 if any(each.state == "missing" for each in checks) else 0)


def _show(checks: list[Check]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    for _ in range(3):
        table.add_column(overflow="fold")  # on a narrow terminal a name goes on in the next line
    for each in checks:
        remedy = f"\n-> {each.remedy}" if each.remedy else ""
        table.add_row(Text(each.state, style=_STYLES[each.state]), each.about, Text(each.found + remedy))
    CONSOLE.print(table)


async def _facts(client: Client, prometheus: PrometheusProvider | None, namespace: str) -> Facts:
    version = await client.send(Request(verb="get", method="GET", path="/version", idempotent=True, about="/version"))
    kinds = (*NEEDED, resources.GATEWAY)
    found = await asyncio.gather(*(client.served(resource) for resource in kinds))
    served = {resource.name: at.version for resource, at in zip(kinds, found, strict=True) if at is not None}
    gateways, leases, controllers = await asyncio.gather(
        _gateways(client, found[-1]), _leases(client), _controllers(client)
    )
    series, problem = await _series(prometheus)
    measurer = Measurer(prometheus) if prometheus is not None and not problem else None
    return Facts(
        version=str(version.get("gitVersion", "unknown")),
        served=served,
        gateways=gateways,
        leases=leases,
        controllers=controllers,
        may={verb: await _where(client, verb, namespace) for verb in VERBS},
        prometheus=series,
        prometheus_problem=problem,
        judged=await judged(await looked_at(client), measurer, clock.now()),
    )


async def _gateways(client: Client, served: resources.Resource | None) -> tuple[str, ...] | None:
    """Return all Gateways; None where they may not be seen."""
    if served is None:
        return ()
    try:
        found, _ = await client.list(served)
    except ApiError:
        return None
    return tuple(f"{each['metadata']['namespace']}/{each['metadata']['name']}" for each in found)


async def _controllers(client: Client) -> tuple[dict[str, Any], ...]:
    try:
        found, _ = await client.list(resources.DEPLOYMENT, labels="app.kubernetes.io/name=seldon-rollouts-controller")
    except ApiError:
        return ()
    return tuple(found)


async def _leases(client: Client) -> tuple[Lease, ...] | None:
    """Return the Leases of controllers in any namespace; None where they may not be seen."""
    try:
        first = await _held(client)
        found = [lease_of(each, clock.now()) for each in first]
        if all(each.alive or not each.holder for each in found):
            return tuple(found)
        await asyncio.sleep(RENEWAL_SECONDS)
        renewed = {each["metadata"]["uid"]: each["spec"].get("renewTime") for each in first}
        again = await _held(client)
    except ApiError:
        return None
    moved = [renewed.get(each["metadata"]["uid"]) != each["spec"].get("renewTime") for each in again]
    return tuple(lease_of(each, clock.now(), moved=new) for each, new in zip(again, moved, strict=True))


async def _held(client: Client) -> list[dict[str, Any]]:
    found, _ = await client.list(resources.LEASE, fields=f"metadata.name={LEASE}")
    return found


async def _where(client: Client, verb: str, namespace: str) -> str:
    if await _may(client, verb):
        return "all namespaces"
    return f"namespace {namespace}" if await _may(client, verb, namespace) else ""


async def _may(client: Client, verb: str, namespace: str = "") -> bool:
    kind = resources.SELDON_ROLLOUT
    attributes = {"group": kind.group, "resource": kind.plural, "verb": verb, "namespace": namespace}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    answer = await client.create(resources.SELF_SUBJECT_ACCESS_REVIEW, review)
    return bool((answer.get("status") or {}).get("allowed"))


async def _series(prometheus: PrometheusProvider | None) -> tuple[Series | None, str]:
    if prometheus is None:
        return None, ""
    try:
        served, gateway = await asyncio.gather(
            _labels(prometheus, SERVED), _labels(prometheus, f'{GATEWAY}{{reporter="source"}}')
        )
    except ProviderError as error:
        return None, str(error)
    return Series(served=served, gateway=gateway), ""


async def _labels(prometheus: PrometheusProvider, metric: str) -> frozenset[str]:
    labels, _ = await prometheus.instant(f"topk(1, {metric})", clock.now())
    return frozenset(json.loads(labels[0])) if labels else frozenset()
