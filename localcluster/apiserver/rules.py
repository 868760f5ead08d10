"""What is special about each built-in kind, as a table; the larger ones have a module of their own."""

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from localcluster.apiserver import pods, services, workloads
from localcluster.apiserver.errors import Cause
from localcluster.apiserver.kinds import Rules
from localcluster.apiserver.metadata import immutable, required, unsupported, wrong_value

JsonObject = dict[str, Any]

_RBAC = "rbac.authorization.k8s.io"
_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_KEY_RULE = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  "
    "or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
_MOST_DATA_BYTES = 1024 * 1024


class NamespaceRules:
    """A namespace is held by its content, through a finalizer in its spec."""

    def default(self, new: JsonObject) -> None:
        metadata = new["metadata"]
        metadata.setdefault("labels", {})["kubernetes.io/metadata.name"] = metadata.get("name", "")
        if "deletionTimestamp" not in metadata:
            new.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
        new.setdefault("status", {}).setdefault("phase", "Active")

    def validate(self, new: JsonObject, old: JsonObject | None) -> Iterable[Cause]:
        return ()


@dataclass(frozen=True, slots=True)
class DataRules:
    """ConfigMaps and Secrets: keys, size, and the promise of `immutable`."""

    secret: bool = False

    def default(self, new: JsonObject) -> None:
        if not self.secret:
            return
        new.setdefault("type", "Opaque")
        for key, text in (new.pop("stringData", None) or {}).items():
            new.setdefault("data", {})[key] = base64.b64encode(text.encode()).decode()

    def validate(self, new: JsonObject, old: JsonObject | None) -> Iterable[Cause]:
        size = 0
        for field in ("data", "binaryData"):
            for key, value in (new.get(field) or {}).items():
                size += len(value)
                if not _KEY.fullmatch(key):
                    yield wrong_value(f"{field}[{key}]", key, _KEY_RULE)
                if (self.secret or field == "binaryData") and not _is_base64(value):
                    yield wrong_value(f"{field}[{key}]", "<secret contents redacted>", "illegal base64 data")
        if size > _MOST_DATA_BYTES:
            yield Cause("FieldValueTooLong", f"Too long: may not be more than {_MOST_DATA_BYTES} bytes", "")
        if old is not None:
            yield from self._check_change(new, old)

    def _check_change(self, new: JsonObject, old: JsonObject) -> Iterator[Cause]:
        if self.secret and new.get("type") != old.get("type"):
            yield immutable("type", new.get("type"))
        if old.get("immutable"):
            why = "Forbidden: field is immutable when `immutable` is set"
            for field in ("immutable", "data", "binaryData"):
                if new.get(field) != old.get(field):
                    yield Cause("FieldValueForbidden", why, field)


def _is_base64(value: str) -> bool:
    try:
        base64.b64decode(value, validate=True)
    except binascii.Error:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Simple:
    """Rules that are two functions."""

    complete: Callable[[JsonObject], None] = lambda new: None
    check: Callable[[JsonObject, JsonObject | None], Iterable[Cause]] = lambda new, old: ()

    def default(self, new: JsonObject) -> None:
        self.complete(new)

    def validate(self, new: JsonObject, old: JsonObject | None) -> Iterable[Cause]:
        return self.check(new, old)


def _empty_status(new: JsonObject) -> None:
    new.setdefault("status", {})


def _claim(new: JsonObject) -> None:
    new.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
    new.setdefault("status", {}).setdefault("phase", "Pending")


def _volume(new: JsonObject) -> None:
    spec = new.setdefault("spec", {})
    spec.setdefault("volumeMode", "Filesystem")
    spec.setdefault("persistentVolumeReclaimPolicy", "Retain")
    new.setdefault("status", {}).setdefault("phase", "Pending")


def _event(new: JsonObject) -> None:
    new.setdefault("source", {})
    new.setdefault("reportingComponent", (new["source"] or {}).get("component", ""))
    new.setdefault("reportingInstance", "")


def _check_event(new: JsonObject, old: JsonObject | None) -> Iterator[Cause]:
    involved = (new.get("involvedObject") or {}).get("namespace", "")
    namespace = new["metadata"].get("namespace", "")
    if (involved and involved != namespace) or (not involved and namespace != "default"):
        yield wrong_value("involvedObject.namespace", involved, "does not match event.namespace")


def _slice(new: JsonObject) -> None:
    for port in new.get("ports") or ():
        port.setdefault("name", "")
        port.setdefault("protocol", "TCP")
    new.setdefault("endpoints", None)
    new.setdefault("ports", None)


_LOCAL_MULTICAST = {"IPv4": ipaddress.ip_network("224.0.0.0/24"), "IPv6": ipaddress.ip_network("ff02::/16")}


def _check_slice(new: JsonObject, old: JsonObject | None) -> Iterator[Cause]:
    kinds = ("FQDN", "IPv4", "IPv6")
    if not new.get("addressType"):
        yield required("addressType")
    elif new["addressType"] not in kinds:
        yield unsupported("addressType", new["addressType"], kinds)
    if old is not None and new.get("addressType") != old.get("addressType"):
        yield immutable("addressType", new.get("addressType"))
    for at, endpoint in enumerate(new.get("endpoints") or ()):
        if not endpoint.get("addresses"):
            yield required(f"endpoints[{at}].addresses", "must contain at least 1 address")
        if new.get("addressType") in ("IPv4", "IPv6"):
            for index, address in enumerate(endpoint.get("addresses") or ()):
                yield from _check_address(f"endpoints[{at}].addresses[{index}]", address, new["addressType"])


def _check_address(path: str, text: str, kind: str) -> Iterator[Cause]:
    """An address that can be reached from elsewhere: none of the ranges that mean this host or this link."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        yield wrong_value(path, text, f"must be an {kind} address")
        return
    if f"IPv{address.version}" != kind:
        yield wrong_value(path, text, f"must be an {kind} address")
    elif address.is_unspecified:
        yield wrong_value(path, text, f"may not be unspecified ({address})")
    elif address.is_loopback:
        yield wrong_value(path, text, "may not be in the loopback range (127.0.0.0/8, ::1/128)")
    elif address.is_link_local:
        yield wrong_value(path, text, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    elif address in _LOCAL_MULTICAST[kind]:
        yield wrong_value(path, text, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")


def _check_lease(new: JsonObject, old: JsonObject | None) -> Iterator[Cause]:
    spec = new.get("spec") or {}
    if spec.get("leaseDurationSeconds", 1) <= 0:
        yield wrong_value("spec.leaseDurationSeconds", spec["leaseDurationSeconds"], "must be greater than 0")
    if spec.get("leaseTransitions", 0) < 0:
        yield wrong_value("spec.leaseTransitions", spec["leaseTransitions"], "must be greater than or equal to 0")


def _binding(new: JsonObject) -> None:
    new.setdefault("roleRef", {}).setdefault("apiGroup", _RBAC)
    for subject in new.get("subjects") or ():
        if subject.get("kind") in ("User", "Group"):
            subject.setdefault("apiGroup", _RBAC)


def _check_binding(new: JsonObject, old: JsonObject | None) -> Iterator[Cause]:
    ref = new.get("roleRef") or {}
    if ref.get("kind") not in ("Role", "ClusterRole"):
        yield unsupported("roleRef.kind", ref.get("kind", ""), ("Role", "ClusterRole"))
    if not ref.get("name"):
        yield required("roleRef.name")
    if old is not None and ref != old.get("roleRef"):
        yield wrong_value("roleRef", "object", "cannot change roleRef")


def _check_role(new: JsonObject, old: JsonObject | None) -> Iterator[Cause]:
    for at, rule in enumerate(new.get("rules") or ()):
        if not rule.get("verbs"):
            yield required(f"rules[{at}].verbs", "verbs must contain at least one value")
        if not rule.get("nonResourceURLs"):
            for name in ("apiGroups", "resources"):
                if not rule.get(name):
                    yield required(f"rules[{at}].{name}", f"resource rules must supply at least one {name}")


def _webhooks(new: JsonObject) -> None:
    mutating = new.get("kind") == "MutatingWebhookConfiguration"
    for hook in new.get("webhooks") or ():
        hook.setdefault("failurePolicy", "Fail")
        hook.setdefault("matchPolicy", "Equivalent")
        hook.setdefault("timeoutSeconds", 10)
        hook.setdefault("namespaceSelector", {})
        hook.setdefault("objectSelector", {})
        if mutating:
            hook.setdefault("reinvocationPolicy", "Never")
        for rule in hook.get("rules") or ():
            rule.setdefault("scope", "*")


def _check_webhooks(new: JsonObject, old: JsonObject | None) -> Iterator[Cause]:
    for at, hook in enumerate(new.get("webhooks") or ()):
        for name in ("name", "sideEffects", "admissionReviewVersions", "clientConfig"):
            if not hook.get(name):
                yield required(f"webhooks[{at}].{name}")
        if hook.get("matchConditions"):
            why = "Forbidden: this server does not judge match conditions"
            yield Cause("FieldValueForbidden", why, f"webhooks[{at}].matchConditions")


BUILTIN_RULES: dict[tuple[str, str], Rules] = {
    ("", "Namespace"): NamespaceRules(),
    ("", "Pod"): pods.PodRules(),
    ("", "Service"): services.ServiceRules(),
    ("", "ConfigMap"): DataRules(),
    ("", "Secret"): DataRules(secret=True),
    ("", "Event"): Simple(_event, _check_event),
    ("", "Node"): Simple(_empty_status),
    ("", "PersistentVolumeClaim"): Simple(_claim),
    ("", "PersistentVolume"): Simple(_volume),
    ("events.k8s.io", "Event"): Simple(_event, _check_event),
    ("apps", "Deployment"): workloads.DEPLOYMENT,
    ("apps", "ReplicaSet"): workloads.REPLICA_SET,
    ("apps", "StatefulSet"): workloads.STATEFUL_SET,
    ("apps", "DaemonSet"): workloads.DAEMON_SET,
    ("batch", "Job"): workloads.JobRules(),
    ("batch", "CronJob"): workloads.CronJobRules(),
    ("autoscaling", "HorizontalPodAutoscaler"): workloads.AutoscalerRules(),
    ("policy", "PodDisruptionBudget"): workloads.BudgetRules(),
    ("discovery.k8s.io", "EndpointSlice"): Simple(_slice, _check_slice),
    ("coordination.k8s.io", "Lease"): Simple(check=_check_lease),
    (_RBAC, "Role"): Simple(check=_check_role),
    (_RBAC, "ClusterRole"): Simple(check=_check_role),
    (_RBAC, "RoleBinding"): Simple(_binding, _check_binding),
    (_RBAC, "ClusterRoleBinding"): Simple(_binding, _check_binding),
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): Simple(_webhooks, _check_webhooks),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): Simple(_webhooks, _check_webhooks),
}
