"""The columns of `kubectl get` for the built-in kinds. `priority` 1 columns stand in wide output only."""

from localcluster.apiserver import cells
from localcluster.apiserver.kinds import Column

_AGE = Column("Age", ".metadata.creationTimestamp", type="date")


def _wide(name: str, cell: cells.Cell) -> Column:
    return Column(name, cell, priority=1)


_TEMPLATE = (
    _wide("Containers", cells.each_container("name")),
    _wide("Images", cells.each_container("image")),
    _wide("Selector", cells.selector_of),
)


def _event_columns(last: str, first: str, count: str) -> tuple[Column, ...]:
    return (
        Column("Last Seen", last, type="date"),
        Column("Type", cells.text("type")),
        Column("Reason", cells.text("reason")),
        Column("Object", cells.involved),
        _wide("Subobject", cells.text("involvedObject", "fieldPath", missing="")),
        _wide("Source", cells.event_source),
        Column("Message", cells.message),
        Column("First Seen", first, type="date", priority=1),
        _wide("Count", cells.number(count)),
        Column("Name", ".metadata.name", priority=1, format="name"),
    )


_BINDING = (
    Column("Role", cells.role_of),
    _AGE,
    _wide("Users", cells.subjects("User")),
    _wide("Groups", cells.subjects("Group")),
    _wide("ServiceAccounts", cells.subjects("ServiceAccount")),
)

BUILTIN_COLUMNS: dict[tuple[str, str], tuple[Column, ...]] = {
    ("", "Namespace"): (Column("Status", cells.text("status", "phase")), _AGE),
    ("", "Pod"): (
        Column("Ready", cells.pod_ready),
        Column("Status", cells.pod_status),
        Column("Restarts", cells.restarts),
        _AGE,
        _wide("IP", cells.text("status", "podIP")),
        _wide("Node", cells.text("spec", "nodeName")),
        _wide("Nominated Node", cells.text("status", "nominatedNodeName")),
        _wide("Readiness Gates", lambda pod: cells.NONE),
    ),
    ("", "Service"): (
        Column("Type", cells.text("spec", "type")),
        Column("Cluster-IP", cells.text("spec", "clusterIP")),
        Column("External-IP", cells.external),
        Column("Port(s)", cells.ports),
        _AGE,
        _wide("Selector", cells.selector_of),
    ),
    ("", "Endpoints"): (Column("Endpoints", cells.endpoints), _AGE),
    ("", "ConfigMap"): (Column("Data", cells.count("data")), _AGE),
    ("", "Secret"): (Column("Type", cells.text("type")), Column("Data", cells.count("data")), _AGE),
    ("", "ServiceAccount"): (Column("Secrets", cells.count("secrets")), _AGE),
    ("", "Node"): (
        Column("Status", cells.node_status),
        Column("Roles", cells.node_roles),
        _AGE,
        Column("Version", cells.text("status", "nodeInfo", "kubeletVersion", missing="")),
    ),
    ("", "PersistentVolumeClaim"): (
        Column("Status", cells.text("status", "phase")),
        Column("Volume", cells.text("spec", "volumeName", missing="")),
        Column("Capacity", cells.text("status", "capacity", "storage", missing="")),
        Column("Access Modes", cells.access_modes),
        Column("StorageClass", cells.text("spec", "storageClassName", missing="")),
        Column("VolumeAttributesClass", cells.text("status", "currentVolumeAttributesClassName", missing="<unset>")),
        _AGE,
        _wide("VolumeMode", cells.text("spec", "volumeMode", missing="<unset>")),
    ),
    ("", "Event"): (*_event_columns(".lastTimestamp", ".firstTimestamp", "count"),),
    ("events.k8s.io", "Event"): (
        *_event_columns(".deprecatedLastTimestamp", ".deprecatedFirstTimestamp", "deprecatedCount"),
    ),
    ("apps", "Deployment"): (
        Column(
            "Ready", lambda d: f"{cells.status_of(d).get('readyReplicas', 0)}/{cells.spec_of(d).get('replicas', 0)}"
        ),
        Column("Up-to-date", cells.number("status", "updatedReplicas")),
        Column("Available", cells.number("status", "availableReplicas")),
        _AGE,
        *_TEMPLATE,
    ),
    ("apps", "ReplicaSet"): (
        Column("Desired", cells.number("spec", "replicas"), type="integer"),
        Column("Current", cells.number("status", "replicas"), type="integer"),
        Column("Ready", cells.number("status", "readyReplicas"), type="integer"),
        _AGE,
        *_TEMPLATE,
    ),
    ("apps", "StatefulSet"): (
        Column(
            "Ready", lambda s: f"{cells.status_of(s).get('readyReplicas', 0)}/{cells.spec_of(s).get('replicas', 0)}"
        ),
        _AGE,
        *_TEMPLATE[:2],
    ),
    ("apps", "DaemonSet"): (
        Column("Desired", cells.number("status", "desiredNumberScheduled"), type="integer"),
        Column("Current", cells.number("status", "currentNumberScheduled"), type="integer"),
        Column("Ready", cells.number("status", "numberReady"), type="integer"),
        Column("Up-to-date", cells.number("status", "updatedNumberScheduled"), type="integer"),
        Column("Available", cells.number("status", "numberAvailable"), type="integer"),
        Column("Node Selector", lambda d: cells.labelled(cells.pod_of(d).get("nodeSelector"))),
        _AGE,
        *_TEMPLATE,
    ),
    ("apps", "ControllerRevision"): (
        Column("Controller", cells.owner_of),
        Column("Revision", cells.number("revision")),
        _AGE,
    ),
    ("batch", "Job"): (
        Column("Status", cells.job_state),
        Column(
            "Completions",
            lambda job: f"{cells.status_of(job).get('succeeded', 0)}/{cells.spec_of(job).get('completions', 1)}",
        ),
        Column("Duration", cells.job_duration),
        _AGE,
        *_TEMPLATE,
    ),
    ("batch", "CronJob"): (
        Column("Schedule", cells.text("spec", "schedule")),
        Column("Suspend", cells.text("spec", "suspend")),
        _AGE,
    ),
    ("autoscaling", "HorizontalPodAutoscaler"): (
        Column("Reference", cells.scale_target),
        Column("Targets", cells.targets),
        Column("MinPods", cells.text("spec", "minReplicas")),
        Column("MaxPods", cells.text("spec", "maxReplicas")),
        Column("Replicas", cells.number("status", "currentReplicas")),
        _AGE,
    ),
    ("policy", "PodDisruptionBudget"): (
        Column("Min Available", cells.text("spec", "minAvailable", missing="N/A")),
        Column("Max Unavailable", cells.text("spec", "maxUnavailable", missing="N/A")),
        Column("Allowed Disruptions", cells.number("status", "disruptionsAllowed")),
        _AGE,
    ),
    ("discovery.k8s.io", "EndpointSlice"): (
        Column("AddressType", cells.text("addressType")),
        Column("Ports", cells.slice_ports),
        Column("Endpoints", cells.slice_endpoints),
        _AGE,
    ),
    ("coordination.k8s.io", "Lease"): (Column("Holder", cells.text("spec", "holderIdentity", missing="")), _AGE),
    ("rbac.authorization.k8s.io", "RoleBinding"): _BINDING,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): _BINDING,
}
