"""What `kubectl get` prints of the built-in kinds. `priority` 1 columns stand in wide output only."""

from datetime import datetime
from typing import Any

from localcluster.apiserver.jsonpath import age
from localcluster.apiserver.kinds import Column

JsonObject = dict[str, Any]

_AGE = Column("Age", ".metadata.creationTimestamp", type="date")
_NONE = "<none>"


def _wide(name: str, cell: Any) -> Column:
    return Column(name, cell, priority=1)


def _text(*path: str, missing: str = _NONE) -> Any:
    def cell(obj: JsonObject) -> Any:
        value: Any = obj
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return missing if value is None or value == "" else value

    return cell


def _number(*path: str) -> Any:
    return _text(*path, missing="0")


def _count(field: str) -> Any:
    return lambda obj: len(obj.get(field) or ())


def _spec(obj: JsonObject) -> JsonObject:
    found: JsonObject = obj.get("spec") or {}
    return found


def _status(obj: JsonObject) -> JsonObject:
    found: JsonObject = obj.get("status") or {}
    return found


def _labels(labels: JsonObject | None) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or _NONE


def _selector(obj: JsonObject) -> str:
    selector = _spec(obj).get("selector") or {}
    return _labels(selector.get("matchLabels") if "matchLabels" in selector else selector)


def _pod(workload: JsonObject) -> JsonObject:
    found: JsonObject = (_spec(workload).get("template") or {}).get("spec") or {}
    return found


def _containers(field: str) -> Any:
    def cell(obj: JsonObject) -> str:
        return ",".join(container.get(field, "") for container in _pod(obj).get("containers") or ())

    return cell


_TEMPLATE = (
    _wide("Containers", _containers("name")),
    _wide("Images", _containers("image")),
    _wide("Selector", _selector),
)


# ── pods ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _pod_ready(pod: JsonObject) -> str:
    states = _status(pod).get("containerStatuses") or ()
    return f"{sum(bool(state.get('ready')) for state in states)}/{len(_spec(pod).get('containers') or ())}"


def _pod_status(pod: JsonObject) -> str:
    """The word that says most about a pod: why a container waits or ended, or the phase."""
    status = _status(pod)
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
        if ended.get("exitCode") == 0:
            return None
        return str(ended.get("reason") or f"ExitCode:{ended.get('exitCode')}")
    waiting = (state.get("state") or {}).get("waiting") or {}
    return str(waiting["reason"]) if waiting.get("reason") not in (None, "PodInitializing") else ""


def _container_reason(state: JsonObject) -> str:
    if state.get("waiting"):
        return str(state["waiting"].get("reason", ""))
    if state.get("terminated"):
        ended = state["terminated"]
        return str(ended.get("reason") or f"ExitCode:{ended.get('exitCode')}")
    return ""


def _restarts(pod: JsonObject) -> str:
    return str(sum(state.get("restartCount", 0) for state in _status(pod).get("containerStatuses") or ()))


# ── services ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _ports(service: JsonObject) -> str:
    shown = []
    for port in _spec(service).get("ports") or ():
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        shown.append(f"{port.get('port')}{node}/{port.get('protocol', 'TCP')}")
    return ",".join(shown) or _NONE


def _external(service: JsonObject) -> str:
    spec = _spec(service)
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName", ""))
    found = [*(spec.get("externalIPs") or ())]
    balancer = _status(service).get("loadBalancer") or {}
    found.extend(ingress.get("ip") or ingress.get("hostname", "") for ingress in balancer.get("ingress") or ())
    return ",".join(found) or ("<pending>" if spec.get("type") == "LoadBalancer" else _NONE)


def _endpoints(endpoints: JsonObject) -> str:
    found = [
        f"{address['ip']}:{port['port']}"
        for subset in endpoints.get("subsets") or ()
        for port in subset.get("ports") or ()
        for address in subset.get("addresses") or ()
    ]
    return ",".join(found[:3]) + (f" + {len(found) - 3} more..." if len(found) > 3 else "") or _NONE


def _slice_ports(found: JsonObject) -> str:
    return ",".join(str(port.get("port", "*")) for port in found.get("ports") or ()) or "<unset>"


def _slice_endpoints(found: JsonObject) -> str:
    addresses = [address for endpoint in found.get("endpoints") or () for address in endpoint.get("addresses") or ()]
    return ",".join(addresses[:3]) + (f" + {len(addresses) - 3} more..." if len(addresses) > 3 else "") or "<unset>"


# ── others ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _object(obj: JsonObject) -> str:
    involved = obj.get("involvedObject") or obj.get("regarding") or {}
    return f"{involved.get('kind', '').lower()}/{involved.get('name', '')}"


def _message(event: JsonObject) -> str:
    return str(event.get("message", event.get("note", ""))).strip()


def _event_source(event: JsonObject) -> str:
    source = event.get("source") or event.get("deprecatedSource") or {}
    component = source.get("component") or event.get("reportingComponent") or event.get("reportingController") or ""
    return ", ".join(filter(None, (component, source.get("host", ""))))


def _event_columns(last: str, first: str, count: str) -> tuple[Column, ...]:
    return (
        Column("Last Seen", last, type="date"),
        Column("Type", _text("type")),
        Column("Reason", _text("reason")),
        Column("Object", _object),
        _wide("Subobject", _text("involvedObject", "fieldPath", missing="")),
        _wide("Source", _event_source),
        Column("Message", _message),
        Column("First Seen", first, type="date", priority=1),
        _wide("Count", _number(count)),
        Column("Name", ".metadata.name", priority=1, format="name"),
    )


def _access_modes(claim: JsonObject) -> str:
    short = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
    return ",".join(short.get(mode, mode) for mode in _spec(claim).get("accessModes") or ())


def _subjects(kind: str) -> Any:
    def cell(binding: JsonObject) -> str:
        found = [subject for subject in binding.get("subjects") or () if subject.get("kind") == kind]
        where = [f"{subject.get('namespace')}/" if kind == "ServiceAccount" else "" for subject in found]
        return ", ".join(place + subject["name"] for place, subject in zip(where, found, strict=True))

    return cell


def _job_duration(job: JsonObject) -> str:
    started, ended = _status(job).get("startTime"), _status(job).get("completionTime")
    if not started or not ended:
        return ""
    return age(started, datetime.fromisoformat(ended))


def _node_status(node: JsonObject) -> str:
    ready = next((c for c in _status(node).get("conditions") or () if c.get("type") == "Ready"), None)
    word = "Unknown" if ready is None else "Ready" if ready.get("status") == "True" else "NotReady"
    return word + (",SchedulingDisabled" if _spec(node).get("unschedulable") else "")


def _node_roles(node: JsonObject) -> str:
    prefix = "node-role.kubernetes.io/"
    found = sorted(key.removeprefix(prefix) for key in node["metadata"].get("labels") or {} if key.startswith(prefix))
    return ",".join(found) or _NONE


def _scaled(autoscaler: JsonObject) -> str:
    target = _spec(autoscaler).get("scaleTargetRef") or {}
    return f"{target.get('kind', '')}/{target.get('name', '')}"


def _targets(autoscaler: JsonObject) -> str:
    shown = []
    for metric in _spec(autoscaler).get("metrics") or ():
        source = metric.get(metric.get("type", "")[:1].lower() + metric.get("type", "")[1:]) or {}
        target = source.get("target") or {}
        wanted = target.get("averageUtilization")
        name = source.get("name") or (source.get("metric") or {}).get("name", "")
        shown.append(
            f"{name}: <unknown>/{wanted}%"
            if wanted
            else f"{name}: <unknown>/{target.get('averageValue') or target.get('value', '')}"
        )
    return ", ".join(shown) or _NONE


def _role(binding: JsonObject) -> str:
    ref = binding.get("roleRef") or {}
    return f"{ref.get('kind', '')}/{ref.get('name', '')}"


def _owner(obj: JsonObject) -> str:
    for owner in obj["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return f"{owner['kind'].lower()}.{owner['apiVersion'].partition('/')[0]}/{owner['name']}"
    return _NONE


_BINDING = (
    Column("Role", _role),
    _AGE,
    _wide("Users", _subjects("User")),
    _wide("Groups", _subjects("Group")),
    _wide("ServiceAccounts", _subjects("ServiceAccount")),
)

BUILTIN_COLUMNS: dict[tuple[str, str], tuple[Column, ...]] = {
    ("", "Namespace"): (Column("Status", _text("status", "phase")), _AGE),
    ("", "Pod"): (
        Column("Ready", _pod_ready),
        Column("Status", _pod_status),
        Column("Restarts", _restarts),
        _AGE,
        _wide("IP", _text("status", "podIP")),
        _wide("Node", _text("spec", "nodeName")),
        _wide("Nominated Node", _text("status", "nominatedNodeName")),
        _wide("Readiness Gates", lambda pod: _NONE),
    ),
    ("", "Service"): (
        Column("Type", _text("spec", "type")),
        Column("Cluster-IP", _text("spec", "clusterIP")),
        Column("External-IP", _external),
        Column("Port(s)", _ports),
        _AGE,
        _wide("Selector", _selector),
    ),
    ("", "Endpoints"): (Column("Endpoints", _endpoints), _AGE),
    ("", "ConfigMap"): (Column("Data", _count("data")), _AGE),
    ("", "Secret"): (Column("Type", _text("type")), Column("Data", _count("data")), _AGE),
    ("", "ServiceAccount"): (Column("Secrets", _count("secrets")), _AGE),
    ("", "Node"): (
        Column("Status", _node_status),
        Column("Roles", _node_roles),
        _AGE,
        Column("Version", _text("status", "nodeInfo", "kubeletVersion", missing="")),
    ),
    ("", "PersistentVolumeClaim"): (
        Column("Status", _text("status", "phase")),
        Column("Volume", _text("spec", "volumeName", missing="")),
        Column("Capacity", _text("status", "capacity", "storage", missing="")),
        Column("Access Modes", _access_modes),
        Column("StorageClass", _text("spec", "storageClassName", missing="")),
        Column("VolumeAttributesClass", _text("status", "currentVolumeAttributesClassName", missing="<unset>")),
        _AGE,
        _wide("VolumeMode", _text("spec", "volumeMode", missing="<unset>")),
    ),
    ("", "Event"): (*_event_columns(".lastTimestamp", ".firstTimestamp", "count"),),
    ("events.k8s.io", "Event"): (
        *_event_columns(".deprecatedLastTimestamp", ".deprecatedFirstTimestamp", "deprecatedCount"),
    ),
    ("apps", "Deployment"): (
        Column("Ready", lambda d: f"{_status(d).get('readyReplicas', 0)}/{_spec(d).get('replicas', 0)}"),
        Column("Up-to-date", _number("status", "updatedReplicas")),
        Column("Available", _number("status", "availableReplicas")),
        _AGE,
        *_TEMPLATE,
    ),
    ("apps", "ReplicaSet"): (
        Column("Desired", _number("spec", "replicas"), type="integer"),
        Column("Current", _number("status", "replicas"), type="integer"),
        Column("Ready", _number("status", "readyReplicas"), type="integer"),
        _AGE,
        *_TEMPLATE,
    ),
    ("apps", "StatefulSet"): (
        Column("Ready", lambda s: f"{_status(s).get('readyReplicas', 0)}/{_spec(s).get('replicas', 0)}"),
        _AGE,
        *_TEMPLATE[:2],
    ),
    ("apps", "DaemonSet"): (
        Column("Desired", _number("status", "desiredNumberScheduled"), type="integer"),
        Column("Current", _number("status", "currentNumberScheduled"), type="integer"),
        Column("Ready", _number("status", "numberReady"), type="integer"),
        Column("Up-to-date", _number("status", "updatedNumberScheduled"), type="integer"),
        Column("Available", _number("status", "numberAvailable"), type="integer"),
        Column("Node Selector", lambda d: _labels(_pod(d).get("nodeSelector"))),
        _AGE,
        *_TEMPLATE,
    ),
    ("apps", "ControllerRevision"): (
        Column("Controller", _owner),
        Column("Revision", _number("revision")),
        _AGE,
    ),
    ("batch", "Job"): (
        Column("Status", lambda job: "Complete" if _status(job).get("succeeded") else "Running"),
        Column("Completions", lambda job: f"{_status(job).get('succeeded', 0)}/{_spec(job).get('completions', 1)}"),
        Column("Duration", _job_duration),
        _AGE,
        *_TEMPLATE,
    ),
    ("batch", "CronJob"): (
        Column("Schedule", _text("spec", "schedule")),
        Column("Suspend", _text("spec", "suspend")),
        _AGE,
    ),
    ("autoscaling", "HorizontalPodAutoscaler"): (
        Column("Reference", _scaled),
        Column("Targets", _targets),
        Column("MinPods", _text("spec", "minReplicas")),
        Column("MaxPods", _text("spec", "maxReplicas")),
        Column("Replicas", _number("status", "currentReplicas")),
        _AGE,
    ),
    ("policy", "PodDisruptionBudget"): (
        Column("Min Available", _text("spec", "minAvailable", missing="N/A")),
        Column("Max Unavailable", _text("spec", "maxUnavailable", missing="N/A")),
        Column("Allowed Disruptions", _number("status", "disruptionsAllowed")),
        _AGE,
    ),
    ("discovery.k8s.io", "EndpointSlice"): (
        Column("AddressType", _text("addressType")),
        Column("Ports", _slice_ports),
        Column("Endpoints", _slice_endpoints),
        _AGE,
    ),
    ("coordination.k8s.io", "Lease"): (Column("Holder", _text("spec", "holderIdentity", missing="")), _AGE),
    ("rbac.authorization.k8s.io", "RoleBinding"): _BINDING,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): _BINDING,
}
