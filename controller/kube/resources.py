"""The kinds of the Kubernetes API that we use, as constants, and their addresses."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind, as the API serves it.

    Args:
        group: the API group; empty for core.
        version: the version that we ask for first.
        plural: the name in paths.
        kind: the name in objects.
        namespaced: whether objects live in a namespace.
        older: versions that will do when `version` is not served, newest first.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    older: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        """What stands in an object's `apiVersion`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def name(self) -> str:
        """The unversioned name, such as `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def root(self) -> str:
        """The path of the group and version."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    def collection(self, namespace: str | None = None) -> str:
        """Return the path of all objects, or of those in one namespace."""
        if namespace is None or not self.namespaced:
            return f"{self.root}/{self.plural}"
        return f"{self.root}/namespaces/{quote(namespace, safe='')}/{self.plural}"

    def path(self, namespace: str | None, name: str, subresource: str = "") -> str:
        """Return the path of one object or of its subresource.

        Raises:
            ValueError: the kind is namespaced and no namespace was given, or the name is empty.
        """
        if self.namespaced and not namespace:
            raise ValueError(f"{self.name} {name!r} needs a namespace")
        if not name:
            raise ValueError(f"{self.name} needs a name")
        path = f"{self.collection(namespace)}/{quote(name, safe='')}"
        return f"{path}/{subresource}" if subresource else path

    def at(self, version: str) -> "Resource":
        """Return the same kind in another version."""
        return Resource(self.group, version, self.plural, self.kind, self.namespaced, ())


def owned_by(obj: dict[str, Any]) -> str | None:
    """Return the uid of an object's controller owner, if it has one."""
    for reference in obj.get("metadata", {}).get("ownerReferences") or ():
        if reference.get("controller"):
            uid: str | None = reference.get("uid")
            return uid
    return None


POD = Resource("", "v1", "pods", "Pod")
SERVICE = Resource("", "v1", "services", "Service")
CONFIG_MAP = Resource("", "v1", "configmaps", "ConfigMap")
SECRET = Resource("", "v1", "secrets", "Secret")
NAMESPACE = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
SERVICE_ACCOUNT = Resource("", "v1", "serviceaccounts", "ServiceAccount")
EVENT = Resource("", "v1", "events", "Event")

DEPLOYMENT = Resource("apps", "v1", "deployments", "Deployment")
REPLICA_SET = Resource("apps", "v1", "replicasets", "ReplicaSet")
CONTROLLER_REVISION = Resource("apps", "v1", "controllerrevisions", "ControllerRevision")

JOB = Resource("batch", "v1", "jobs", "Job")

HORIZONTAL_POD_AUTOSCALER = Resource("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
POD_DISRUPTION_BUDGET = Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
ENDPOINT_SLICE = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
LEASE = Resource("coordination.k8s.io", "v1", "leases", "Lease")

_HOOKS = "admissionregistration.k8s.io"
MUTATING_WEBHOOK = Resource(
    _HOOKS, "v1", "mutatingwebhookconfigurations", "MutatingWebhookConfiguration", namespaced=False
)
VALIDATING_WEBHOOK = Resource(
    _HOOKS, "v1", "validatingwebhookconfigurations", "ValidatingWebhookConfiguration", namespaced=False
)
TOKEN_REVIEW = Resource("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", namespaced=False)
SUBJECT_ACCESS_REVIEW = Resource(
    "authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", namespaced=False
)
SELF_SUBJECT_ACCESS_REVIEW = Resource(
    "authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", namespaced=False
)

_ISTIO_OLDER = ("v1beta1", "v1alpha3")
VIRTUAL_SERVICE = Resource("networking.istio.io", "v1", "virtualservices", "VirtualService", older=_ISTIO_OLDER)
DESTINATION_RULE = Resource("networking.istio.io", "v1", "destinationrules", "DestinationRule", older=_ISTIO_OLDER)
GATEWAY = Resource("networking.istio.io", "v1", "gateways", "Gateway", older=_ISTIO_OLDER)

_SECURITY = "security.istio.io"
PEER_AUTHENTICATION = Resource(_SECURITY, "v1", "peerauthentications", "PeerAuthentication", older=("v1beta1",))
AUTHORIZATION_POLICY = Resource(_SECURITY, "v1", "authorizationpolicies", "AuthorizationPolicy", older=("v1beta1",))

SCALED_OBJECT = Resource("keda.sh", "v1alpha1", "scaledobjects", "ScaledObject")

SELDON_DEPLOYMENT = Resource("machinelearning.seldon.io", "v1", "seldondeployments", "SeldonDeployment")
SELDON_ROLLOUT = Resource("rollouts.seldon.io", "v1alpha1", "seldonrollouts", "SeldonRollout")
ANALYSIS_TEMPLATE = Resource("rollouts.seldon.io", "v1alpha1", "analysistemplates", "AnalysisTemplate")
CLUSTER_ANALYSIS_TEMPLATE = Resource(
    "rollouts.seldon.io", "v1alpha1", "clusteranalysistemplates", "ClusterAnalysisTemplate", namespaced=False
)
ANALYSIS_RUN = Resource("rollouts.seldon.io", "v1alpha1", "analysisruns", "AnalysisRun")
