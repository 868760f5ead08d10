"""Admission webhooks, decided purely: which ones a write concerns, what they are asked, what their answers mean."""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from localcluster.apiserver import errors, patches, selectors
from localcluster.apiserver.auth import User
from localcluster.apiserver.history import History
from localcluster.apiserver.kinds import Kind
from localcluster.apiserver.target import Target

JsonObject = dict[str, Any]
Operation = Literal["CREATE", "UPDATE", "DELETE"]

_GROUP = "admissionregistration.k8s.io"
_MUTATING = f"mutatingwebhookconfigurations.{_GROUP}"
_VALIDATING = f"validatingwebhookconfigurations.{_GROUP}"
_OPERATIONS: dict[str, Operation] = {"create": "CREATE", "update": "UPDATE", "patch": "UPDATE", "delete": "DELETE"}
_QUIET = ("None", "NoneOnDryRun")


@dataclass(frozen=True, slots=True)
class Hook:
    """One webhook of a configuration."""

    configuration: str
    mutating: bool
    spec: JsonObject

    @property
    def name(self) -> str:
        return str(self.spec["name"])

    @property
    def seconds(self) -> float:
        return float(self.spec.get("timeoutSeconds", 10))


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """A write that webhooks may have a say in. `new` is None for a deletion, `old` for a creation."""

    kind: Kind
    target: Target
    operation: Operation
    user: User
    new: JsonObject | None
    old: JsonObject | None
    dry_run: bool = False


def operation(target: Target) -> Operation | None:
    """What a request does, as webhooks call it."""
    return _OPERATIONS.get(target.verb)


def concerned(history: History, kind: Kind, target: Target) -> list[Hook]:
    """The webhooks whose rules name this kind and operation, the mutating ones first."""
    wanted = operation(target)
    if wanted is None or kind.group == _GROUP:
        return []
    return [
        hook
        for hook in _all(history)
        if any(_rule_matches(rule, kind, target, wanted) for rule in hook.spec.get("rules") or ())
    ]


def _all(history: History) -> Iterator[Hook]:
    for collection, mutating in ((_MUTATING, True), (_VALIDATING, False)):
        entries = history.entries(collection)
        for key in history.keys(collection):
            for spec in entries[key].object.get("webhooks") or ():
                yield Hook(key[1], mutating, spec)


def _rule_matches(rule: JsonObject, kind: Kind, target: Target, wanted: Operation) -> bool:
    def has(field: str, value: str) -> bool:
        return "*" in rule.get(field, ()) or value in rule.get(field, ())

    scope = rule.get("scope", "*")
    if scope != "*" and (scope == "Namespaced") != kind.namespaced:
        return False
    return (
        has("operations", wanted)
        and has("apiGroups", kind.group)
        and has("apiVersions", kind.version)
        and _resource(rule, target)
    )


def _resource(rule: JsonObject, target: Target) -> bool:
    sub = target.subresource
    wanted = {"*/*", f"{target.plural}/{sub}", f"*/{sub}", f"{target.plural}/*"} if sub else {"*", "*/*", target.plural}
    return bool(wanted & set(rule.get("resources") or ()))


def selects(hook: Hook, write: Write, namespace_labels: JsonObject | None) -> bool:
    """Whether a webhook's selectors take in this object and its namespace."""
    if write.kind.namespaced and not selectors.from_object(hook.spec.get("namespaceSelector")).matches(
        namespace_labels
    ):
        return False
    chosen = selectors.from_object(hook.spec.get("objectSelector"))
    found = [obj["metadata"].get("labels") for obj in (write.new, write.old) if obj is not None]
    return any(chosen.matches(labels) for labels in found)


def url(hook: Hook) -> str:
    """Where a webhook listens. Raises ValueError for one behind a Service: there is no network to reach it by."""
    client = hook.spec.get("clientConfig") or {}
    if not client.get("url"):
        raise ValueError("clientConfig.service cannot be reached from this server; give clientConfig.url")
    return str(client["url"])


def review(write: Write, uid: str) -> JsonObject:
    """The AdmissionReview that a webhook is sent."""
    kind, target = write.kind, write.target
    named = {"group": kind.group, "version": kind.version, "kind": kind.kind}
    resource = {"group": kind.group, "version": kind.version, "resource": kind.plural}
    shown = write.new or write.old or {}
    request: JsonObject = {
        "uid": uid,
        "kind": named,
        "resource": resource,
        "requestKind": named,
        "requestResource": resource,
        "name": shown["metadata"].get("name", ""),
        "operation": write.operation,
        "userInfo": write.user.as_json(),
        "object": write.new,
        "oldObject": write.old,
        "dryRun": write.dry_run,
        "options": None,
    }
    if target.namespace:
        request["namespace"] = target.namespace
    if target.subresource:
        request["subResource"] = target.subresource
        request["requestSubResource"] = target.subresource
    return {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request}


def check_dry_run(hook: Hook) -> None:
    """Raises ApiError 400: a dry run must not call a webhook that does things."""
    if hook.spec.get("sideEffects") not in _QUIET:
        raise errors.bad_request(f"admission webhook {hook.name!r} does not support dry run")


def answered(hook: Hook, uid: str, answer: Any, obj: JsonObject | None, warnings: list[str]) -> JsonObject | None:
    """The object as a webhook leaves it. Raises ApiError when it refuses, ValueError when its answer is none."""
    response = answer.get("response") if isinstance(answer, dict) else None
    if not isinstance(response, dict) or response.get("uid") != uid:
        raise ValueError("expected response.uid to be that of the request")
    warnings.extend(response.get("warnings") or ())
    if not response.get("allowed"):
        raise _refused(hook, response.get("status") or {})
    patch = response.get("patch")
    if not patch or obj is None or not hook.mutating:
        return obj
    if response.get("patchType") != "JSONPatch":
        raise ValueError(f"patchType {response.get('patchType')!r} is not JSONPatch")
    try:
        operations = orjson.loads(base64.b64decode(patch, validate=True))
    except (binascii.Error, orjson.JSONDecodeError) as error:
        raise ValueError(f"the patch cannot be read: {error}") from error
    changed: JsonObject = patches.json_patch(obj, operations)
    return changed


def _refused(hook: Hook, status: JsonObject) -> errors.ApiError:
    told = status.get("message") or status.get("reason")
    why = f": {told}" if told else " without explanation"
    code = status.get("code")
    refusal = code if isinstance(code, int) and code >= 400 else 400
    return errors.ApiError(
        refusal, status.get("reason", ""), f'admission webhook "{hook.name}" denied the request{why}'
    )


def failed(hook: Hook, why: str) -> errors.ApiError | None:
    """What a webhook that cannot be asked means: an error, or None when its policy is to ignore that."""
    if hook.spec.get("failurePolicy") == "Ignore":
        return None
    return errors.internal(f'failed calling webhook "{hook.name}": {why}')
