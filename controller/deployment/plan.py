"""What to write, in which order: make before break. Pure.

1. Who may ask, Services, Deployments, autoscalers and budgets, as soon as they differ.
2. A DestinationRule when its predictor's pods are ready and its Service leads to them.
3. The VirtualService when every predictor that it sends requests to is ready, and the DestinationRules stand. An
   explainer has its own, which waits for the explainer alone.
4. When all of that is in effect, what is no longer wanted is retired.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from controller.deployment import ports
from controller.deployment.actions import Action, Apply, Delete, Mark
from controller.deployment.drift import differs, signed
from controller.deployment.observed import (
    Object,
    Observed,
    identity,
    is_ending,
    is_reachable,
    is_rolled_out,
    is_serving,
    retired_at,
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
        requeue_after: when to look again, when time alone can change the answer.
    """

    actions: tuple[Action, ...] = ()
    waits: tuple[str, ...] = ()
    obstacles: tuple[str, ...] = ()
    routed: bool = False
    settled: bool = False
    requeue_after: timedelta | None = None


@dataclass(slots=True)
class _Draft:
    """A plan while it is made."""

    observed: Observed
    actions: list[Action] = field(default_factory=list)
    waits: list[str] = field(default_factory=list)
    obstacles: list[str] = field(default_factory=list)

    def want(self, desired: Mapping[str, Any]) -> bool:
        """Ask for an object; return whether it already is as desired."""
        live = self.observed.live(desired)
        kind, name = identity(desired)
        if live is None:
            self.actions.append(Apply(desired, creates=True))
            return False
        if not self.observed.owns(live):
            (self.waits if _is_left_over(live, desired) else self.obstacles).append(stranger(live))
            return False
        if is_ending(live):
            self.waits.append(f"{kind} {name} is being deleted")
            return False
        if retired_at(live):
            self.actions.append(Mark(kind, name, live["metadata"]["resourceVersion"], None))
        if _must_be_recreated(desired, live):
            self.actions.append(Delete(kind, name, live["metadata"]["uid"]))
            self.actions.append(Apply(desired, creates=True))
            return False
        if differs(desired, live):
            self.actions.append(Apply(_careful(desired, live), creates=False))
            return False
        return True


def make(desired: Desired, observed: Observed, *, now: datetime, drain: timedelta) -> Plan:
    """Return what to write now, so that the cluster comes to what is desired without a request that fails."""
    draft = _Draft(observed)
    for policy in desired.policies if observed.security else ():
        draft.want(policy)
    parts = [_Part(each, _live_route(each, observed)) for each in desired.parts()]
    for part in parts:
        _services(draft, part)
    for part in parts:
        for predictor in part.desired.predictors:
            _workloads(draft, predictor, part.route)
    routed = True
    for part in parts:
        part.ready = {each.name: _is_ready(draft, each, part.desired) for each in part.desired.predictors}
        routed &= not observed.mesh or _route(draft, part.desired, part.ready)
    settled = (
        routed
        and all(all(part.ready.values()) for part in parts)
        and not draft.actions
        and not draft.obstacles
        and not draft.waits
    )
    draft.actions += dismiss(desired, observed, routed=settled)
    requeue = None
    if settled and not draft.actions:
        retiring, requeue = retire(desired, observed, now=now, drain=drain)
        draft.actions += retiring
    elif draft.obstacles:
        requeue = OBSTACLES_POLL
    elif any(part.waits_for_endpoints(observed) for part in parts):
        requeue = ENDPOINTS_POLL
    if requeue is None and _lacks(desired, observed):
        requeue = ABSENT_POLL
    return Plan(
        actions=tuple(draft.actions),
        waits=tuple(draft.waits),
        obstacles=tuple(draft.obstacles),
        routed=routed,
        settled=settled,
        requeue_after=requeue,
    )


@dataclass(slots=True)
class _Part:
    """What has a route of its own, that route as it stands, and which of its predictors are ready."""

    desired: Desired
    route: Object | None
    ready: dict[str, bool] = field(default_factory=dict)

    def waits_for_endpoints(self, observed: Observed) -> bool:
        """Pods are ready, and their Service does not lead to them yet."""
        return any(_is_rolled_out(observed, each) and not self.ready[each.name] for each in self.desired.predictors)


def _live_route(desired: Desired, observed: Observed) -> Object | None:
    return observed.objects.get(identity(desired.route)) if desired.route and observed.mesh else None


def _lacks(desired: Desired, observed: Observed) -> bool:
    """Return whether something is desired of a kind that the cluster does not serve."""
    kinds = {each["kind"] for each in desired.objects()}
    absent = set() if observed.mesh else {"DestinationRule", "VirtualService"}
    absent |= set() if observed.security else SECURITY_KINDS
    return bool(kinds & (absent | (set() if observed.keda else {SCALED_OBJECT})))


def _services(draft: _Draft, part: _Part) -> None:
    observed = draft.observed
    waits_for_mesh = part.route is not None and bool(mesh_objection(part.route))
    for predictor in part.desired.predictors:
        done = is_ready_as_desired(observed, predictor)
        asked = not done or _old_pods(observed, predictor, predictor.service)
        for service in predictor.services:
            live, behind = observed.live(service), _behind(observed, predictor, service)
            moving = asked or _old_pods(observed, predictor, service)
            draft.want(ports.bridged(service, live, behind) if moving else service)
        host = predictor.destination["spec"]["host"] if predictor.destination else ""
        used, live = ports.in_use(part.route, host), observed.live(predictor.service)
        fronts = _fronts(observed, predictor, predictor.service)
        draft.want(ports.widened(predictor.service, live, used, fronts=fronts, hold=waits_for_mesh or not done))


def _fronts(observed: Observed, predictor: PredictorObjects, service: Object) -> list[tuple[Object, Object]]:
    """The Deployments behind a Service, as they should be and as they are."""
    pairs = [(each, observed.live(each)) for each in predictor.deployments if _faces(each, service)]
    return [(desired, live) for desired, live in pairs if live is not None]


def _old_pods(observed: Observed, predictor: PredictorObjects, service: Object) -> bool:
    """Return whether pods stand or end behind a Service that are of before.

    Behind a predictor's own, their orchestrator may ask nodes where they were.
    """
    front = service["spec"]["selector"].items()
    ours = [each["spec"]["template"]["metadata"]["labels"].items() for each in predictor.deployments]
    for pod in observed.pods:
        own = (pod["metadata"].get("labels") or {}).items()
        if front <= own and (is_ending(pod) or not any(each <= own for each in ours)):
            return True
    return False


def _behind(observed: Observed, predictor: PredictorObjects, service: Object) -> list[Object]:
    """The Deployments that a Service selects, those that should be and those that are, old ones included."""
    live = [each for (kind, _), each in observed.objects.items() if kind == "Deployment"]
    return [each for each in (*predictor.deployments, *live) if _faces(each, service)]


def _workloads(draft: _Draft, predictor: PredictorObjects, route: Object | None) -> None:
    host = predictor.destination["spec"]["host"] if predictor.destination else ""
    services = (predictor.service, draft.observed.live(predictor.service))
    _loosen(draft, predictor)
    for deployment in predictor.deployments:
        if ports.closes(deployment, draft.observed.live(deployment), route, host, services):
            draft.waits.append(f"the route to predictor {predictor.name} must first lead to another port")
        else:
            draft.want(deployment)
    for beside in (*predictor.autoscalers, *predictor.budgets):
        if beside["kind"] != SCALED_OBJECT or draft.observed.keda:
            draft.want(beside)


def stranger(live: Object) -> str:
    """Return what to say of an object that stands under a name of ours and is not ours."""
    kind, name = identity(live)
    owner = _owner(live)
    whose = f"belongs to {owner['kind']} {owner['name']}" if owner else "is not this SeldonDeployment's"
    return f"{kind} {name} exists and {whose}; delete or rename it"


def _owner(live: Object) -> Mapping[str, Any] | None:
    return next((each for each in live["metadata"].get("ownerReferences") or () if each.get("controller")), None)


def _is_left_over(live: Object, desired: Mapping[str, Any]) -> bool:
    """Return whether an object was that of a deleted SeldonDeployment of the same name: it will be collected."""
    owner, ours = _owner(live), _owner(desired)
    return owner is not None and ours is not None and (owner["kind"], owner["name"]) == (ours["kind"], ours["name"])


def _must_be_recreated(desired: Mapping[str, Any], live: Object) -> bool:
    """A Service cannot become headless, or stop being so."""
    if desired["kind"] != "Service":
        return False
    return bool((desired["spec"].get("clusterIP") == "None") != (live["spec"].get("clusterIP") == "None"))


def _careful(desired: Mapping[str, Any], live: Object) -> dict[str, Any]:
    """Return what is applied to a live object.

    Where nobody asks for a number of pods, or an autoscaler sets it, we have none to give. But the number may be ours
    from before, and leaving it out would reset it to 1: so it is given as it stands, for this very version.
    """
    done = dict(desired)
    replicas = live.get("spec", {}).get("replicas")
    if desired["kind"] == "Deployment" and "replicas" not in desired["spec"] and replicas is not None:
        version = live["metadata"]["resourceVersion"]
        done["spec"] = {**desired["spec"], "replicas": replicas}
        done["metadata"] = {**done["metadata"], "resourceVersion": version}
    return done


def _loosen(draft: _Draft, predictor: PredictorObjects) -> None:
    """While a predictor's version label changes pod by pod, let its subset be all pods of its Service."""
    rule = predictor.destination
    live = draft.observed.live(rule) if rule else None
    if rule is None or live is None or not draft.observed.mesh or not draft.observed.owns(live) or is_ending(live):
        return
    if _subset_labels(live) == _subset_labels(rule) or is_ready_as_desired(draft.observed, predictor):
        return
    loose = _without_labels(rule)
    if differs(loose, live):
        draft.actions.append(Apply(loose, creates=False))


def _subset_labels(rule: Mapping[str, Any]) -> dict[str, str]:
    subsets = rule["spec"].get("subsets") or [{}]
    return dict(subsets[0].get("labels") or {})


def _without_labels(rule: Mapping[str, Any]) -> dict[str, Any]:
    subsets = [{"name": each["name"]} for each in rule["spec"]["subsets"]]
    return signed({**rule, "spec": {**rule["spec"], "subsets": subsets}})


def _is_rolled_out(observed: Observed, predictor: PredictorObjects) -> bool:
    found = [observed.live(each) for each in predictor.deployments]
    return all(live is not None and is_rolled_out(live) for live in found)


def is_ready_as_desired(observed: Observed, predictor: PredictorObjects) -> bool:
    """Return whether a predictor's pods are all of the desired template, ready, and reached by its Service."""
    for desired in predictor.deployments:
        live = observed.live(desired)
        if live is None or not observed.owns(live) or is_ending(live) or differs(desired, live):
            return False
        if not (is_rolled_out(live) and is_reachable(observed, live)):
            return False
    return True


def _is_ready(draft: _Draft, predictor: PredictorObjects, part: Desired) -> bool:
    done = is_ready_as_desired(draft.observed, predictor)
    if not done:
        what = "the explainer of predictor" if part.explains else "predictor"
        draft.waits.append(f"the pods of {what} {predictor.name} are not all ready")
    return done


def _is_serving(observed: Observed, predictor: PredictorObjects) -> bool:
    found = [observed.live(each) for each in predictor.deployments]
    return all(live is not None and is_serving(live) for live in found)


def _route(draft: _Draft, desired: Desired, ready: Mapping[str, bool]) -> bool:
    """Ask for DestinationRules, then for the VirtualService; return whether all of them are in effect."""
    in_effect = True
    weighted = {host for host, _ in ports.weights(desired.route)}
    standing: set[str] = set()
    for predictor in desired.predictors:
        rule = predictor.destination
        if rule is None:
            continue
        live = draft.observed.live(rule)
        unchanged = live is not None and _subset_labels(live) == _subset_labels(rule)
        idle = desired.route is not None and rule["spec"]["host"] not in weighted
        if ready[predictor.name] or unchanged or idle:
            in_effect &= draft.want(rule)
            standing.add(predictor.name)
        else:
            in_effect = False
            standing |= {predictor.name} if live is not None else set()
    if desired.route is None:
        return in_effect
    missing = [each.name for each in desired.predictors if each.destination and each.name not in standing]
    return _virtual_service(draft, desired, desired.route, ready, missing) and in_effect


def _virtual_service(
    draft: _Draft, desired: Desired, route: Mapping[str, Any], ready: Mapping[str, bool], missing: list[str]
) -> bool:
    live = draft.observed.live(route)
    before, after = ports.weights(live), ports.weights(route)
    for predictor in desired.predictors:
        host = predictor.destination["spec"]["host"] if predictor.destination else ""
        addresses = {address for address in after if address[0] == host}
        if addresses and not ready[predictor.name] and not _may_go_on(draft.observed, predictor, addresses, before):
            missing.append(predictor.name)
    if missing:
        what = "the explainer of predictor" if desired.explains else "predictor"
        draft.waits.append(f"no route yet to {what} {', '.join(sorted(set(missing)))}")
        return False
    if not draft.want(route) or live is None:
        return False
    objection = mesh_objection(live)
    draft.waits += [objection] if objection else []
    return not objection


def mesh_objection(route: Object) -> str:
    """Return why the mesh does not have this generation of a route; a mesh that writes no status is believed."""
    status = route.get("status") or {}
    generation = status.get("observedGeneration")
    if generation is not None and int(generation) < int(route["metadata"].get("generation") or 0):
        return "the mesh has not taken over the VirtualService yet"
    for condition in status.get("conditions") or ():
        if condition.get("type") == "Reconciled" and condition.get("status") == "False":
            return f"the mesh refused the VirtualService: {condition.get('message') or condition.get('reason')}"
    return ""


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
    fronts = [live for _, live in _fronts(observed, predictor, predictor.service)]
    return all(ports.is_led_to(service, port, known) for port in new) and all(
        is_rolled_out(live) and ports.listens(live, port) for port in new for live in fronts
    )


def _faces(deployment: Mapping[str, Any], service: Object) -> bool:
    selector = service["spec"]["selector"]
    return bool(selector.items() <= deployment["spec"]["template"]["metadata"]["labels"].items())
