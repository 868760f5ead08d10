"""What to write, in which order: make before break. Pure.

1. Who may ask, Services, Deployments, autoscalers and budgets, as soon as they differ.
2. A DestinationRule when its predictor's pods are ready and its Service leads to them; a new one with the first pods.
3. The VirtualService when every predictor that it sends requests to is ready, and the DestinationRules stand. An
   explainer has its own, which waits for the explainer alone.
4. When all of that is in effect, what is no longer wanted is retired.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from controller.deployment import ports
from controller.deployment.acceptance import Objection, objection
from controller.deployment.actions import Action
from controller.deployment.draft import Draft, standing
from controller.deployment.drift import differs, signed
from controller.deployment.observed import (
    Identity,
    Object,
    Observed,
    identity,
    is_begun,
    is_ending,
    is_reachable,
    is_rolled_out,
    is_serving,
)
from controller.deployment.render import Desired, PredictorObjects
from controller.deployment.retirement import SECURITY_KINDS, dismiss, retire

SCALED_OBJECT = "ScaledObject"
ENDPOINTS_POLL = timedelta(seconds=1)
"""How soon to look again when pods are ready and their Service does not lead to them yet."""
ABSENT_POLL = timedelta(seconds=30)
"""How soon to look again whether a kind that is wanted (Istio's, KEDA's) is served by now."""
OBSTACLES_POLL = timedelta(seconds=10)
"""How soon to look again whether somebody took an obstacle out of the way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do now.

    Args:
        actions: writes, in order.
        waits: what stands in the way of going on, in words; empty when all is in effect.
        obstacles: what only a person can take out of the way: objects of others under our names.
        routed: the routes are in effect.
        settled: everything desired is in effect.
        standing: what of the desired stands as it is desired.
        ready: of each predictor, those of explainers last, whether its pods are as desired, ready and reached.
        requeue_after: when to look again, when time alone can change the answer.
    """

    actions: tuple[Action, ...] = ()
    waits: tuple[str, ...] = ()
    obstacles: tuple[str, ...] = ()
    routed: bool = False
    settled: bool = False
    standing: frozenset[Identity] = frozenset()
    ready: tuple[bool, ...] = ()
    requeue_after: timedelta | None = None


def make(desired: Desired, observed: Observed, *, now: datetime, drain: timedelta) -> Plan:
    """Return what to write now, so that the cluster comes to what is desired without a request that fails."""
    draft = Draft(observed, standing(desired, observed))
    parts = [_part(each, draft, now) for each in desired.parts()]
    for policy in desired.policies if observed.security else ():
        draft.want(policy)
    for part in parts:
        _services(draft, part)
    for part in parts:
        _workloads(draft, part)
    routed = True
    for part in parts:
        routed &= _routes(draft, part)
    ready = tuple(done for part in parts for done in part.ready.values())
    settled = routed and all(ready) and not (draft.actions or draft.obstacles or draft.waits)
    draft.actions += dismiss(desired, observed, routed=settled)
    requeue = _poll(draft, parts)
    if settled and not draft.actions:
        retiring, requeue = retire(desired, observed, now=now, drain=drain)
        draft.actions += retiring
    if requeue is None and _lacks(desired, observed):
        requeue = ABSENT_POLL
    return Plan(
        actions=tuple(draft.actions),
        waits=tuple(draft.waits),
        obstacles=tuple(draft.obstacles),
        routed=routed,
        settled=settled,
        standing=draft.standing,
        ready=ready,
        requeue_after=requeue,
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """What has a route of its own, that route as it stands, what the mesh has against it, and who is ready."""

    desired: Desired
    route: Object | None
    objection: Objection | None
    ready: Mapping[str, bool]


def _part(desired: Desired, draft: Draft, now: datetime) -> _Part:
    ready = {each.name: _is_ready(draft, each) for each in desired.predictors}
    route = _live_route(desired, draft.observed)
    against = objection(route, patience=draft.observed.patience, now=now) if route else None
    return _Part(desired, route, against, ready)


def _is_ready(draft: Draft, predictor: PredictorObjects) -> bool:
    """Return whether a predictor's pods are all of the desired template, ready, and reached by its Service."""
    found = [draft.observed.live(each) for each in predictor.deployments if identity(each) in draft.standing]
    return len(found) == len(predictor.deployments) and all(
        live is not None and is_rolled_out(live) and is_reachable(draft.observed, live) for live in found
    )


def _poll(draft: Draft, parts: list[_Part]) -> timedelta | None:
    """Return how soon to look again for what no watch tells, or tells late."""
    if draft.obstacles:
        return OBSTACLES_POLL
    due = [part.objection.rest for part in parts if part.objection and part.objection.rest]
    waiting = (each for part in parts for each in part.desired.predictors if not part.ready[each.name])
    due += [ENDPOINTS_POLL] if any(_is_rolled_out(draft.observed, each) for each in waiting) else []
    return min(due, default=None)


def _live_route(desired: Desired, observed: Observed) -> Object | None:
    return observed.objects.get(identity(desired.route)) if desired.route and observed.mesh else None


def _lacks(desired: Desired, observed: Observed) -> bool:
    """Return whether something is desired of a kind that the cluster does not serve."""
    kinds = {each["kind"] for each in desired.objects()}
    absent = set() if observed.mesh else {"DestinationRule", "VirtualService"}
    absent |= set() if observed.security else SECURITY_KINDS
    return bool(kinds & (absent | (set() if observed.keda else {SCALED_OBJECT})))


def _services(draft: Draft, part: _Part) -> None:
    observed = draft.observed
    for predictor in part.desired.predictors:
        done, old = part.ready[predictor.name], _old_pods(observed, predictor)
        asked = not done or _leads_to(predictor.service, old)
        for service in predictor.services:
            live = observed.live(service)
            if asked or _leads_to(service, old):
                draft.want(service, ports.bridged(service, live, _behind(observed, predictor, service)))
            else:
                draft.want(service, ports.steady(service, live))
        used, live = ports.in_use(part.route, predictor.host), observed.live(predictor.service)
        fronts, hold = _fronts(observed, predictor), part.objection is not None or not done
        draft.want(predictor.service, ports.widened(predictor.service, live, used, fronts=fronts, hold=hold))


def _fronts(observed: Observed, predictor: PredictorObjects) -> list[tuple[Object, Object]]:
    """The Deployments behind a predictor's own Service, as they should be and as they are."""
    pairs = [(each, observed.live(each)) for each in predictor.deployments if _faces(each, predictor.service)]
    return [(desired, live) for desired, live in pairs if live is not None]


def _old_pods(observed: Observed, predictor: PredictorObjects) -> list[Mapping[str, str]]:
    """Return the labels of pods that end, or are none of the predictor's as it should be.

    Behind its own Service, their orchestrator may ask nodes where they were.
    """
    ours = [each["spec"]["template"]["metadata"]["labels"].items() for each in predictor.deployments]
    labels = ((pod, pod["metadata"].get("labels") or {}) for pod in observed.pods)
    return [own for pod, own in labels if is_ending(pod) or not any(each <= own.items() for each in ours)]


def _leads_to(service: Object, pods: Iterable[Mapping[str, str]]) -> bool:
    """Return whether a Service selects one of these pods, by their labels."""
    selector = service["spec"]["selector"].items()
    return any(selector <= each.items() for each in pods)


def _behind(observed: Observed, predictor: PredictorObjects, service: Object) -> list[Object]:
    """The Deployments that a Service selects, those that should be and those that are, old ones included."""
    live = [each for (kind, _), each in observed.objects.items() if kind == "Deployment"]
    return [each for each in (*predictor.deployments, *live) if _faces(each, service)]


def _workloads(draft: Draft, part: _Part) -> None:
    for predictor in part.desired.predictors:
        services = (predictor.service, draft.observed.live(predictor.service))
        if not part.ready[predictor.name]:
            _loosen(draft, predictor)
        for deployment in predictor.deployments:
            if ports.closes(deployment, draft.observed.live(deployment), part.route, predictor.host, services):
                draft.waits.append(f"the route to predictor {predictor.name} must first lead to another port")
            else:
                draft.want(deployment)
        for beside in (*predictor.autoscalers, *predictor.budgets):
            if beside["kind"] != SCALED_OBJECT or draft.observed.keda:
                draft.want(beside)


def _loosen(draft: Draft, predictor: PredictorObjects) -> None:
    """While a predictor's version label changes pod by pod, let its subset be all pods of its Service."""
    rule = predictor.destination
    live = draft.observed.live(rule) if rule else None
    if rule is None or live is None or not draft.observed.mesh or not draft.observed.owns(live) or is_ending(live):
        return
    loose = _without_labels(rule)
    if _subset_labels(live) != _subset_labels(rule) and differs(loose, live):
        draft.change(live, loose)


def _subset_labels(rule: Mapping[str, Any]) -> dict[str, str]:
    subsets = rule["spec"].get("subsets") or [{}]
    return dict(subsets[0].get("labels") or {})


def _without_labels(rule: Mapping[str, Any]) -> dict[str, Any]:
    subsets = [{"name": each["name"]} for each in rule["spec"]["subsets"]]
    return signed({**rule, "spec": {**rule["spec"], "subsets": subsets}})


def _is_rolled_out(observed: Observed, predictor: PredictorObjects) -> bool:
    found = [observed.live(each) for each in predictor.deployments]
    return all(live is not None and is_rolled_out(live) for live in found)


def _is_begun(draft: Draft, predictor: PredictorObjects) -> bool:
    """Return whether a predictor's pods are all of the desired template, and some in each Deployment are reached."""
    found = [draft.observed.live(each) for each in predictor.deployments if identity(each) in draft.standing]
    return len(found) == len(predictor.deployments) and all(
        live is not None and is_begun(live) and is_reachable(draft.observed, live) for live in found
    )


def _is_serving(observed: Observed, predictor: PredictorObjects) -> bool:
    found = [observed.live(each) for each in predictor.deployments]
    return all(live is not None and is_serving(live) for live in found)


def _routes(draft: Draft, part: _Part) -> bool:
    """Say which pods are waited for, then ask for what leads to them; return whether it is in effect."""
    what = "the explainer of predictor" if part.desired.explains else "predictor"
    for name, done in part.ready.items():
        if not done:
            draft.waits.append(f"the pods of {what} {name} are not all ready")
    return not draft.observed.mesh or _route(draft, part)


def _route(draft: Draft, part: _Part) -> bool:
    """Ask for DestinationRules, then for the VirtualService; return whether all of them are in effect."""
    desired, ready, in_effect = part.desired, part.ready, True
    weighted = {host for host, _ in ports.weights(desired.route)}
    standing: set[str] = set()
    for predictor in desired.predictors:
        rule = predictor.destination
        if rule is None:
            continue
        live = draft.observed.live(rule)
        unchanged = live is not None and _subset_labels(live) == _subset_labels(rule)
        idle = desired.route is not None and rule["spec"]["host"] not in weighted
        # Who routes to it by weights of their own may do so from its first pods on.
        begun = live is None and _is_begun(draft, predictor)
        if ready[predictor.name] or unchanged or idle or begun:
            in_effect &= draft.want(rule)
            standing.add(predictor.name)
        else:
            in_effect = False
            standing |= {predictor.name} if live is not None else set()
    if desired.route is None:
        return in_effect
    missing = [each.name for each in desired.predictors if each.destination and each.name not in standing]
    return _virtual_service(draft, part, desired.route, missing) and in_effect


def _virtual_service(draft: Draft, part: _Part, route: Mapping[str, Any], missing: list[str]) -> bool:
    desired, ready = part.desired, part.ready
    before, after = ports.weights(part.route), ports.weights(route)
    for predictor in desired.predictors:
        addresses = {address for address in after if address[0] == predictor.host}
        if addresses and not ready[predictor.name] and not _may_go_on(draft.observed, predictor, addresses, before):
            missing.append(predictor.name)
    if missing:
        what = "the explainer of predictor" if desired.explains else "predictor"
        draft.waits.append(f"no route yet to {what} {', '.join(sorted(set(missing)))}")
        return False
    if not draft.want(route):
        return False
    draft.waits += [part.objection.words] if part.objection else []
    return part.objection is None


def _may_go_on(
    observed: Observed, predictor: PredictorObjects, addresses: set[ports.Address], before: Mapping[ports.Address, int]
) -> bool:
    """Return whether a predictor that is served already may be routed to, though it is not ready as desired.

    It must have an available pod; at a port that is new, all its pods must listen there by now.
    """
    if {host for host, _ in addresses} - {host for host, _ in before} or not _is_serving(observed, predictor):
        return False
    new = {port for host, port in addresses if (host, port) not in before}
    service = observed.live(predictor.service)
    known = observed.reached.get(predictor.service["metadata"]["name"], frozenset())
    fronts = [live for _, live in _fronts(observed, predictor)]
    return all(ports.is_led_to(service, port, known) for port in new) and all(
        is_rolled_out(live) and ports.listens(live, port) for port in new for live in fronts
    )


def _faces(deployment: Mapping[str, Any], service: Object) -> bool:
    selector = service["spec"]["selector"]
    return bool(selector.items() <= deployment["spec"]["template"]["metadata"]["labels"].items())
