"""What `kubectl get` prints in a cell of a built-in kind: functions of the object, and what makes such functions."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from localcluster.apiserver.jsonpath import age

JsonObject = dict[str, Any]
Cell = Callable[[JsonObject], Any]

NONE = "<none>"


def text(*path: str, missing: str = NONE) -> Cell:
    """The value at a path; `missing` when there is none."""

    def cell(obj: JsonObject) -> Any:
        value: Any = obj
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return missing if value is None or value == "" else value

    return cell


def number(*path: str) -> Cell:
    """The number at a path; 0 when there is none."""
    return text(*path, missing="0")


def count(field: str) -> Cell:
    """How many entries a field has."""
    return lambda obj: len(obj.get(field) or ())


def spec_of(obj: JsonObject) -> JsonObject:
    """The spec, empty when there is none."""
    found: JsonObject = obj.get("spec") or {}
    return found


def status_of(obj: JsonObject) -> JsonObject:
    """The status, empty when there is none."""
    found: JsonObject = obj.get("status") or {}
    return found


def labelled(labels: JsonObject | None) -> str:
    """Labels as `key=value`, sorted."""
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or NONE


def selector_of(obj: JsonObject) -> str:
    """The labels that a workload or a Service selects by."""
    selector = spec_of(obj).get("selector") or {}
    return labelled(selector.get("matchLabels") if "matchLabels" in selector else selector)


def pod_of(workload: JsonObject) -> JsonObject:
    """The spec of the pods that a workload makes."""
    found: JsonObject = (spec_of(workload).get("template") or {}).get("spec") or {}
    return found


def each_container(field: str) -> Cell:
    """One field of all containers of a workload's pods."""

    def cell(obj: JsonObject) -> str:
        return ",".join(container.get(field, "") for container in pod_of(obj).get("containers") or ())

    return cell


# ── pods ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def pod_ready(pod: JsonObject) -> str:
    """Containers that are ready, of all."""
    states = status_of(pod).get("containerStatuses") or ()
    return f"{sum(bool(state.get('ready')) for state in states)}/{len(spec_of(pod).get('containers') or ())}"


def pod_status(pod: JsonObject) -> str:
    """The word that says most about a pod: why a container waits or ended, or the phase."""
    status = status_of(pod)
    if "deletionTimestamp" in pod["metadata"]:
        return "Terminating"
    initial = status.get("initContainerStatuses") or []
    for at, state in enumerate(initial):
        told = _init_state(state)
        if told is not None:
            return f"Init:{told}" if told else f"Init:{at}/{len(initial)}"
    for state in reversed(status.get("containerStatuses") or ()):
        reason = _container_reason(state.get("state") or {})
        if reason:
            return reason
    return str(status.get("reason") or status.get("phase", "Unknown"))


def _init_state(state: JsonObject) -> str | None:
    """None: it is done. "": it runs or is about to. Else what is wrong with it."""
    ended = (state.get("state") or {}).get("terminated")
    if ended is not None:
        return None if ended.get("exitCode") == 0 else _end(ended)
    waiting = (state.get("state") or {}).get("waiting") or {}
    return str(waiting["reason"]) if waiting.get("reason") not in (None, "PodInitializing") else ""


def _container_reason(state: JsonObject) -> str:
    if state.get("waiting"):
        return str(state["waiting"].get("reason", ""))
    if state.get("terminated"):
        return _end(state["terminated"])
    return ""


def _end(ended: JsonObject) -> str:
    return str(ended.get("reason") or f"ExitCode:{ended.get('exitCode')}")


def restarts(pod: JsonObject) -> str:
    """How often all containers were started again."""
    return str(sum(state.get("restartCount", 0) for state in status_of(pod).get("containerStatuses") or ()))


# ── services ─────────────────────────────────────────────────────────────────────────────────────────────────────


def ports(service: JsonObject) -> str:
    """Ports as `80:30080/TCP`."""
    shown = []
    for port in spec_of(service).get("ports") or ():
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        shown.append(f"{port.get('port')}{node}/{port.get('protocol', 'TCP')}")
    return ",".join(shown) or NONE


def external(service: JsonObject) -> str:
    """Where a Service is reached from outside."""
    spec = spec_of(service)
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName", ""))
    found = [*(spec.get("externalIPs") or ())]
    balancer = status_of(service).get("loadBalancer") or {}
    found.extend(ingress.get("ip") or ingress.get("hostname", "") for ingress in balancer.get("ingress") or ())
    return ",".join(found) or ("<pending>" if spec.get("type") == "LoadBalancer" else NONE)


def endpoints(endpoints: JsonObject) -> str:
    """The first addresses of Endpoints."""
    found = [
        f"{address['ip']}:{port['port']}"
        for subset in endpoints.get("subsets") or ()
        for port in subset.get("ports") or ()
        for address in subset.get("addresses") or ()
    ]
    return _first_three(found) or NONE


def slice_ports(found: JsonObject) -> str:
    """The ports of an EndpointSlice."""
    return ",".join(str(port.get("port", "*")) for port in found.get("ports") or ()) or "<unset>"


def slice_endpoints(found: JsonObject) -> str:
    """The first addresses of an EndpointSlice."""
    addresses = [address for endpoint in found.get("endpoints") or () for address in endpoint.get("addresses") or ()]
    return _first_three(addresses) or "<unset>"


def _first_three(found: list[str]) -> str:
    return ",".join(found[:3]) + (f" + {len(found) - 3} more..." if len(found) > 3 else "")


# ── others ───────────────────────────────────────────────────────────────────────────────────────────────────────


def involved(obj: JsonObject) -> str:
    """The object that an event is about."""
    involved = obj.get("involvedObject") or obj.get("regarding") or {}
    return f"{involved.get('kind', '').lower()}/{involved.get('name', '')}"


def message(event: JsonObject) -> str:
    """What an event says."""
    return str(event.get("message", event.get("note", ""))).strip()


def event_source(event: JsonObject) -> str:
    """Who wrote an event."""
    source = event.get("source") or event.get("deprecatedSource") or {}
    component = source.get("component") or event.get("reportingComponent") or event.get("reportingController") or ""
    return ", ".join(filter(None, (component, source.get("host", ""))))


def access_modes(claim: JsonObject) -> str:
    """The access modes of a claim, in their short forms."""
    short = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
    return ",".join(short.get(mode, mode) for mode in spec_of(claim).get("accessModes") or ())


def subjects(kind: str) -> Cell:
    """The names of one kind of subject of a role binding."""

    def cell(binding: JsonObject) -> str:
        found = [subject for subject in binding.get("subjects") or () if subject.get("kind") == kind]
        where = [f"{subject.get('namespace')}/" if kind == "ServiceAccount" else "" for subject in found]
        return ", ".join(place + subject["name"] for place, subject in zip(where, found, strict=True))

    return cell


def job_state(job: JsonObject) -> str:
    """How a Job ended, or what it does meanwhile."""
    told = {each.get("type"): each.get("status") for each in status_of(job).get("conditions") or ()}
    ends = [name for name in ("Complete", "Failed", "Suspended") if told.get(name) == "True"]
    return ends[0] if ends else "Running"


def job_duration(job: JsonObject) -> str:
    """How long a Job ran, once it has ended."""
    started, ended = status_of(job).get("startTime"), status_of(job).get("completionTime")
    if not started or not ended:
        return ""
    return age(started, datetime.fromisoformat(ended))


def node_status(node: JsonObject) -> str:
    """Whether a node is ready."""
    ready = next((c for c in status_of(node).get("conditions") or () if c.get("type") == "Ready"), None)
    word = "Unknown" if ready is None else "Ready" if ready.get("status") == "True" else "NotReady"
    return word + (",SchedulingDisabled" if spec_of(node).get("unschedulable") else "")


def node_roles(node: JsonObject) -> str:
    """The roles of a node, by its labels."""
    prefix = "node-role.kubernetes.io/"
    found = sorted(key.removeprefix(prefix) for key in node["metadata"].get("labels") or {} if key.startswith(prefix))
    return ",".join(found) or NONE


def scale_target(autoscaler: JsonObject) -> str:
    """What an autoscaler scales."""
    target = spec_of(autoscaler).get("scaleTargetRef") or {}
    return f"{target.get('kind', '')}/{target.get('name', '')}"


def targets(autoscaler: JsonObject) -> str:
    """What an autoscaler measures and wants."""
    shown = []
    for metric in spec_of(autoscaler).get("metrics") or ():
        source = metric.get(metric.get("type", "")[:1].lower() + metric.get("type", "")[1:]) or {}
        target = source.get("target") or {}
        wanted = target.get("averageUtilization")
        name = source.get("name") or (source.get("metric") or {}).get("name", "")
        shown.append(
            f"{name}: <unknown>/{wanted}%"
            if wanted
            else f"{name}: <unknown>/{target.get('averageValue') or target.get('value', '')}"
        )
    return ", ".join(shown) or NONE


def role_of(binding: JsonObject) -> str:
    """The role of a role binding."""
    ref = binding.get("roleRef") or {}
    return f"{ref.get('kind', '')}/{ref.get('name', '')}"


def owner_of(obj: JsonObject) -> str:
    """The controller of an object."""
    for owner in obj["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return f"{owner['kind'].lower()}.{owner['apiVersion'].partition('/')[0]}/{owner['name']}"
    return NONE
