"""Pods and pod templates: the defaults that the API writes into them, and what it refuses."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from localcluster.apiserver.errors import Cause
from localcluster.apiserver.metadata import check_labels, required, unsupported, wrong_value

JsonObject = dict[str, Any]

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_NAME_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_MODES = ("secret", "configMap", "downwardAPI", "projected")
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_RESTART_POLICIES = ("Always", "OnFailure", "Never")
_CHANGEABLE = ("activeDeadlineSeconds", "terminationGracePeriodSeconds", "tolerations", "schedulingGates")
_CHANGE_RULE = (
    "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def default_spec(spec: JsonObject) -> None:
    """Completes the spec of a pod or of a pod template, in place."""
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("securityContext", {})
    spec.setdefault("schedulerName", "default-scheduler")
    if "serviceAccountName" in spec:
        spec.setdefault("serviceAccount", spec["serviceAccountName"])
    for name in _CONTAINER_LISTS:
        for container in spec.get(name) or ():
            _default_container(container, host_network=bool(spec.get("hostNetwork")))
    for volume in spec.get("volumes") or ():
        _default_volume(volume)


def _default_container(container: JsonObject, *, host_network: bool) -> None:
    container.setdefault("resources", {})
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    container.setdefault("imagePullPolicy", _pull_policy(container.get("image", "")))
    for port in container.get("ports") or ():
        port.setdefault("protocol", "TCP")
        if host_network:
            port.setdefault("hostPort", port.get("containerPort", 0))
    for variable in container.get("env") or ():
        field = (variable.get("valueFrom") or {}).get("fieldRef")
        if field is not None:
            field.setdefault("apiVersion", "v1")
    for name in _PROBES:
        if container.get(name) is not None:
            _default_probe(container[name])
    for hook in (container.get("lifecycle") or {}).values():
        if isinstance(hook, dict):
            _default_http(hook.get("httpGet"))


def _pull_policy(image: str) -> str:
    name, at, _ = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    return "Always" if not at and tag in ("", "latest") else "IfNotPresent"


def _default_probe(probe: JsonObject) -> None:
    probe.setdefault("timeoutSeconds", 1)
    probe.setdefault("periodSeconds", 10)
    probe.setdefault("successThreshold", 1)
    probe.setdefault("failureThreshold", 3)
    _default_http(probe.get("httpGet"))
    if probe.get("grpc") is not None:
        probe["grpc"].setdefault("service", "")


def _default_http(action: JsonObject | None) -> None:
    if action is not None:
        action.setdefault("path", "/")
        action.setdefault("scheme", "HTTP")


def _default_volume(volume: JsonObject) -> None:
    if not volume.keys() - {"name"}:
        volume["emptyDir"] = {}
    for name in _MODES:
        if volume.get(name) is not None:
            volume[name].setdefault("defaultMode", 420)
    if volume.get("hostPath") is not None:
        volume["hostPath"].setdefault("type", "")
    items = [*((volume.get("downwardAPI") or {}).get("items") or ())]
    for source in (volume.get("projected") or {}).get("sources") or ():
        items.extend((source.get("downwardAPI") or {}).get("items") or ())
        if source.get("serviceAccountToken") is not None:
            source["serviceAccountToken"].setdefault("expirationSeconds", 3600)
    for item in items:
        if item.get("fieldRef") is not None:
            item["fieldRef"].setdefault("apiVersion", "v1")


class PodRules:
    def default(self, new: JsonObject) -> None:
        spec = new.setdefault("spec", {})
        spec.setdefault("enableServiceLinks", True)
        default_spec(spec)
        for name in _CONTAINER_LISTS:
            for container in spec.get(name) or ():
                _request_limits(container["resources"])
        status = new.setdefault("status", {})
        status.setdefault("phase", "Pending")
        status.setdefault("qosClass", quality(spec))

    def validate(self, new: JsonObject, old: JsonObject | None) -> Iterable[Cause]:
        yield from check_spec(new.get("spec") or {}, "spec")
        if old is not None and _frozen(new["spec"]) != _frozen(old["spec"]):
            yield Cause("FieldValueForbidden", _CHANGE_RULE, "spec")


def _request_limits(resources: JsonObject) -> None:
    """What is limited and not requested is requested up to its limit."""
    for name, value in (resources.get("limits") or {}).items():
        resources.setdefault("requests", {}).setdefault(name, value)


def quality(spec: JsonObject) -> str:
    """The pod's quality of service class, from the CPU and memory of its containers."""
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    guaranteed = bool(containers)
    asked = False
    for container in containers:
        resources = container.get("resources") or {}
        limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
        for name in ("cpu", "memory"):
            asked = asked or name in limits or name in requests
            guaranteed = guaranteed and name in limits and limits[name] == requests.get(name)
    return "Guaranteed" if guaranteed and asked else "Burstable" if asked else "BestEffort"


def _frozen(spec: JsonObject) -> JsonObject:
    """The part of a pod's spec that never changes."""
    kept = {name: value for name, value in spec.items() if name not in (*_CHANGEABLE, "ephemeralContainers")}
    for name in ("containers", "initContainers"):
        kept[name] = [{k: v for k, v in c.items() if k != "image"} for c in spec.get(name) or ()]
    return kept


def check_template(template: JsonObject | None, field: str) -> Iterator[Cause]:
    """What is wrong with the pod template of a workload."""
    if template is None:
        yield required(field)
        return
    yield from check_labels((template.get("metadata") or {}).get("labels"), f"{field}.labels")
    yield from check_spec(template.get("spec") or {}, f"{field}.spec")


def check_spec(spec: JsonObject, field: str) -> Iterator[Cause]:
    if not spec.get("containers"):
        yield required(f"{field}.containers")
    volumes: set[str] = set()
    for at, volume in enumerate(spec.get("volumes") or ()):
        yield from _check_name(volume.get("name", ""), f"{field}.volumes[{at}].name", volumes)
    names: set[str] = set()
    for key in ("initContainers", "containers"):
        for at, container in enumerate(spec.get(key) or ()):
            yield from _check_container(container, f"{field}.{key}[{at}]", names, volumes)
    if spec.get("restartPolicy") not in (None, *_RESTART_POLICIES):
        yield unsupported(f"{field}.restartPolicy", spec["restartPolicy"], _RESTART_POLICIES)
    if spec.get("terminationGracePeriodSeconds", 0) < 0:
        yield wrong_value(
            f"{field}.terminationGracePeriodSeconds",
            spec["terminationGracePeriodSeconds"],
            "must be greater than or equal to 0",
        )


def _check_name(name: str, field: str, seen: set[str]) -> Iterator[Cause]:
    if not name:
        yield required(field)
    elif len(name) > 63 or not _NAME.fullmatch(name):
        yield wrong_value(field, name, _NAME_RULE)
    elif name in seen:
        yield Cause("FieldValueDuplicate", f'Duplicate value: "{name}"', field)
    seen.add(name)


def _check_container(container: JsonObject, field: str, names: set[str], volumes: set[str]) -> Iterator[Cause]:
    yield from _check_name(container.get("name", ""), f"{field}.name", names)
    if not container.get("image"):
        yield required(f"{field}.image")
    if container.get("imagePullPolicy") not in (None, *_PULL_POLICIES):
        yield unsupported(f"{field}.imagePullPolicy", container["imagePullPolicy"], _PULL_POLICIES)
    for at, port in enumerate(container.get("ports") or ()):
        number = port.get("containerPort", 0)
        if not number:
            yield required(f"{field}.ports[{at}].containerPort")
        elif not 0 < number < 65536:
            yield wrong_value(f"{field}.ports[{at}].containerPort", number, "must be between 1 and 65535, inclusive")
    for at, variable in enumerate(container.get("env") or ()):
        if not variable.get("name"):
            yield required(f"{field}.env[{at}].name")
        if variable.get("value") and variable.get("valueFrom"):
            yield wrong_value(f"{field}.env[{at}].valueFrom", "", "may not be specified when `value` is not empty")
    for at, mount in enumerate(container.get("volumeMounts") or ()):
        if mount.get("name") not in volumes:
            yield Cause(
                "FieldValueNotFound", f'Not found: "{mount.get("name", "")}"', f"{field}.volumeMounts[{at}].name"
            )
        if not mount.get("mountPath"):
            yield required(f"{field}.volumeMounts[{at}].mountPath")
