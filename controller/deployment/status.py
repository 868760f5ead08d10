"""The status of a SeldonDeployment, from what is desired and what stands. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from controller.api.deployment import Address, SeldonDeploymentStatus, ServiceStatus, State, WorkloadStatus
from controller.api.meta import Condition
from controller.api.names import service_host
from controller.deployment.names import service_of
from controller.deployment.observed import (
    Object,
    Observed,
    available_replicas,
    failure,
    identity,
    is_ending,
    is_rolled_out,
    retired_at,
    wanted_replicas,
)
from controller.deployment.plan import SCALED_OBJECT, Plan
from controller.deployment.render import Desired
from controller.deployment.render.authorizationpolicies import allowed
from controller.deployment.render.peerauthentications import mode
from controller.deployment.subject import Subject, protocol_of
from controller.deployment.troubles import trouble

_PATHS = {"seldon": "/api/v1.0/predictions", "tensorflow": "/v1/models/{}:predict", "v2": "/v2/models/{}/infer"}


def summarize(
    subject: Subject,
    desired: Desired,
    observed: Observed,
    plan: Plan,
    *,
    previous: SeldonDeploymentStatus,
    now: datetime,
) -> SeldonDeploymentStatus:
    """Return the status of a SeldonDeployment whose spec can be done."""
    workloads = _workloads(desired, observed, plan)
    ready = sum(plan.ready[: len(desired.predictors)])
    conditions = _conditions(subject, desired, observed, plan)
    state, description = _state(desired, observed, plan, workloads)
    first = desired.deployments[0] if desired.deployments else None
    live = observed.live(first) if first else None
    return SeldonDeploymentStatus(
        state=state,
        description=description,
        observed_generation=subject.generation,
        replicas=int(((live or {}).get("status") or {}).get("replicas") or 0),
        selector=_selector(live),
        ready_predictors=f"{ready}/{len(desired.predictors)}",
        traffic=_traffic(desired, observed),
        deployment_status=workloads,
        service_status=_services(subject, desired),
        address=Address(url=address(subject, desired)),
        conditions=_moved(conditions, previous.conditions, now),
        annotations=previous.annotations,
    )


def rejected(
    problems: Iterable[object], *, generation: int, previous: SeldonDeploymentStatus, now: datetime
) -> SeldonDeploymentStatus:
    """Return the status of a SeldonDeployment whose spec cannot be done: what runs is left as it is, and said so."""
    found = "; ".join(str(each) for each in problems)
    serving = any(each.available_replicas for each in previous.deployment_status.values())
    description = f"{found}; what runs is left as it is" if serving else found
    others = [each for each in previous.conditions if each.type != "Ready"]
    refusal = Condition(type="Ready", status="False", reason="InvalidSpec", message=found)
    return previous.model_copy(
        update={
            "state": "Failed",
            "description": description,
            "observed_generation": generation,
            "conditions": _moved([*others, refusal], previous.conditions, now),
        }
    )


def address(subject: Subject, desired: Desired) -> str:
    """Return the prediction URL of the first predictor inside the cluster."""
    ports = {each["name"]: each["port"] for each in desired.predictors[0].service["spec"]["ports"]}
    predictor = subject.spec.predictors[0]
    host = service_host(service_of(subject.name, predictor), subject.namespace)
    path = _PATHS[protocol_of(subject.spec)].format(predictor.graph.name)
    return f"http://{host}:{ports['http']}{path}"


def _state(
    desired: Desired, observed: Observed, plan: Plan, workloads: Mapping[str, WorkloadStatus]
) -> tuple[State, str]:
    if plan.obstacles:
        return "Failed", "; ".join(plan.obstacles)
    names = [each["metadata"]["name"] for each in desired.deployments]
    failed = [name for name in names if name in workloads and workloads[name].status == "Failed"]
    if failed:
        text = "; ".join(f"Deployment {name}: {workloads[name].description}" for name in failed)
        live = [each for each in observed.owned() if each["kind"] == "Deployment"]
        serving = any(available_replicas(each) for each in live)
        return "Failed", f"{text}; the previous version still serves" if serving else text
    if plan.settled:
        return "Available", ""
    told = [f"Deployment {name}: {workloads[name].description}" for name in names if _tells(workloads.get(name))]
    return "Creating", "; ".join(told or dict.fromkeys(plan.waits))


def _tells(workload: WorkloadStatus | None) -> bool:
    return workload is not None and bool(workload.description)


def _workloads(desired: Desired, observed: Observed, plan: Plan) -> dict[str, WorkloadStatus]:
    """Describe every Deployment that is owned, also those that only drain."""
    predictors = {
        deployment["metadata"]["name"]: (predictor.name, part.explains)
        for part in desired.parts()
        for predictor in part.predictors
        for deployment in predictor.deployments
    }
    done = {}
    for live in sorted(observed.owned(), key=lambda each: str(each["metadata"]["name"])):
        name = live["metadata"]["name"]
        if live["kind"] != "Deployment" or is_ending(live):
            continue
        predictor, explains = predictors.get(name, ("", ""))
        status, description = _workload(observed, live, plan) if predictor else _replaced(live)
        done[name] = WorkloadStatus(
            name=predictor,
            status=status,
            description=description,
            replicas=wanted_replicas(live),
            available_replicas=available_replicas(live),
            explainer_for=explains,
        )
    return done


def _replaced(live: Object) -> tuple[str, str]:
    return "Retiring", f"replaced; drains since {retired_at(live)}" if retired_at(live) else "to be replaced"


def _workload(observed: Observed, live: Object, plan: Plan) -> tuple[str, str]:
    if is_rolled_out(live) and identity(live) in plan.standing:
        return "Available", ""
    words = trouble(observed, live["metadata"]["name"])
    reason = failure(live)
    if reason:
        return "Failed", f"{reason.rstrip('.')}: {words}" if words else reason
    counted = f"{available_replicas(live)} of {wanted_replicas(live)} pods available"
    return "Creating", f"{counted}: {words}" if words else counted


def _services(subject: Subject, desired: Desired) -> dict[str, ServiceStatus]:
    done = {}
    for part in desired.parts():
        for service in (each for one in part.predictors for each in (one.service, *one.services)):
            name = service["metadata"]["name"]
            ports = {each["name"]: each["port"] for each in service["spec"]["ports"]}
            points = {kind: f"{name}.{subject.namespace}:{port}" for kind, port in ports.items()}
            done[name] = ServiceStatus(
                svc_name=name,
                http_endpoint=points.get("http", ""),
                grpc_endpoint=points.get("grpc", ""),
                explainer_for=part.explains,
            )
    return done


def _traffic(desired: Desired, observed: Observed) -> str:
    """Say what the VirtualService that stands sends to each predictor; nothing when it has none of its own."""
    live = observed.live(desired.route) if desired.route else None
    if live is None or not observed.owns(live):
        return ""
    rest = (live["spec"].get("http") or [{}])[0]
    told = [f"{each['destination'].get('subset')} {each.get('weight', 100)}" for each in rest.get("route") or ()]
    if rest.get("mirror"):
        told.append(f"{rest['mirror'].get('subset')} +{_percent(rest.get('mirrorPercentage'))}")
    copies = rest.get("mirrors") or ()
    told += [f"{each['destination'].get('subset')} +{_percent(each.get('percentage'))}" for each in copies]
    return ", ".join(told)


def _percent(share: Mapping[str, Any] | None) -> str:
    return f"{float((share or {}).get('value', 100)):g}"


def _selector(live: Object | None) -> str:
    labels = live["spec"]["selector"].get("matchLabels") or {} if live else {}
    return ",".join(f"{name}={value}" for name, value in sorted(labels.items()))


def _conditions(subject: Subject, desired: Desired, observed: Observed, plan: Plan) -> list[Condition]:
    every = [predictor for part in desired.parts() for predictor in part.predictors]
    services = [each for one in every for each in (*one.services, one.service)]
    scalers = [each for one in every for each in one.autoscalers]
    done = [
        _condition("DeploymentsReady", all(plan.ready), "PodsNotReady", "; ".join(plan.waits)),
        _applied("ServicesReady", plan, services, "a Service"),
        _applied("HpasReady", plan, [each for each in scalers if each["kind"] != SCALED_OBJECT], "an autoscaler"),
        _applied("PdbsReady", plan, [each for one in every for each in one.budgets], "a disruption budget"),
        _keda_condition([each for each in scalers if each["kind"] == SCALED_OBJECT], observed, plan),
        _mesh_condition(subject, observed, plan),
        *_security_condition(subject, desired, observed, plan),
    ]
    good = plan.settled and all(each.status != "False" for each in done)
    lacking = ", ".join(each.type for each in done if each.status == "False") or "; ".join(plan.waits or plan.obstacles)
    return [*done, _condition("Ready", good, "NotReady", lacking)]


def _keda_condition(wanted: list[Object], observed: Observed, plan: Plan) -> Condition:
    if wanted and not observed.keda:
        message = "KEDA's kind ScaledObject is not served: install KEDA, or take kedaSpec out; nothing is scaled"
        return _condition("KedaReady", False, "NoKeda", message)
    return _applied("KedaReady", plan, wanted, "a ScaledObject")


def _security_condition(subject: Subject, desired: Desired, observed: Observed, plan: Plan) -> Iterator[Condition]:
    """Said only where somebody asks for it: what is asked for and not in effect must not look safe."""
    if not (mode(subject) or allowed(subject)):
        return
    kind = "istioSecurityReady"
    if observed.security and desired.policies:
        yield _applied(kind, plan, desired.policies, "a policy")
    else:
        message = "Istio's kinds AuthorizationPolicy and PeerAuthentication are not served, or its use is switched off"
        yield _condition(kind, False, "NoSecurity", f"{message}: nobody is kept out")


def _mesh_condition(subject: Subject, observed: Observed, plan: Plan) -> Condition:
    kind = "istioVirtualServicesReady"
    if not observed.mesh:
        message = "no mesh: Istio's kinds are not served, or its use is switched off; reached by Services alone"
        return Condition(type=kind, status="Unknown", reason="NoMesh", message=message)
    if subject.routed_by_rollout and plan.routed:
        return Condition(type=kind, status="True", reason="RoutedByRollout", message="the rollout's route serves it")
    return _condition(kind, plan.routed, "RoutesNotReady", "; ".join(plan.waits))


def _condition(kind: str, good: bool, reason: str, message: str) -> Condition:
    if good:
        return Condition(type=kind, status="True", reason="Ready")
    return Condition(type=kind, status="False", reason=reason, message=message)


def _applied(kind: str, plan: Plan, wanted: Iterable[Object], what: str) -> Condition:
    stand = all(identity(each) in plan.standing for each in wanted)
    return _condition(kind, stand, "NotApplied", f"{what} is not as it should be")


def _moved(conditions: Iterable[Condition], before: Iterable[Condition], now: datetime) -> tuple[Condition, ...]:
    """Give each condition the time of its last change; a new message is no change."""
    known = {each.type: each for each in before}
    done = []
    for condition in conditions:
        old = known.get(condition.type)
        same = old is not None and old.status == condition.status and old.last_transition_time is not None
        at = old.last_transition_time if same and old is not None else now.replace(microsecond=0)
        done.append(condition.model_copy(update={"last_transition_time": at}))
    return tuple(done)


def as_json(status: SeldonDeploymentStatus) -> dict[str, Any]:
    """Return a status as it is written: counts always, empty parts not."""
    full = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    always = {"state", "replicas", "observedGeneration"}
    kept = {name: value for name, value in full.items() if name in always or value not in ("", {}, [])}
    return {name: value if name == "annotations" else _pruned(value) for name, value in kept.items()}


def _pruned(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _pruned(each) for name, each in value.items() if each != ""}
    return [_pruned(each) for each in value] if isinstance(value, list) else value
