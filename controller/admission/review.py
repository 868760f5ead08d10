"""AdmissionReviews: from what the API server asks to what it is answered. Pure."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controller.admission.defaulting import patch
from controller.api.meta import MACHINELEARNING_GROUP, ROLLOUTS_GROUP
from controller.api.names import stable_hash
from controller.deployment.advice import advise
from controller.deployment.configuration import Configuration
from controller.deployment.subject import Subject
from controller.deployment.validation import Problem, check, parse
from controller.rollout.validity import read

LONGEST_WARNING = 250
"""What kubectl shows of a warning, about: the API server cuts those that are too long in all."""


class ReviewError(ValueError):
    """What was sent is no AdmissionReview that we can answer."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """What is thought of an object.

    Args:
        problems: what is wrong; it is refused when there is anything.
        warnings: what the writer should know, though it is taken.
    """

    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def answer(review: Any, configuration: Configuration, *, mutating: bool, operator: bool = True) -> dict[str, Any]:
    """Return the AdmissionReview that answers one.

    Args:
        review: as the API server sends it.
        configuration: the operator's.
        mutating: whether to complete the object, or to judge it.
        operator: whether SeldonDeployments are this installation's business, and with them a rollout's template.

    Raises:
        ReviewError: it is no review of an object.
    """
    request = review.get("request") if isinstance(review, dict) else None
    if not isinstance(request, dict) or not request.get("uid"):
        raise ReviewError("expected an AdmissionReview with request.uid")
    response: dict[str, Any] = {"uid": request["uid"], "allowed": True}
    obj, old = request.get("object"), request.get("oldObject")
    if isinstance(obj, dict) and "deletionTimestamp" not in (obj.get("metadata") or {}):
        kind = request.get("kind") or {}
        if mutating:
            response |= _completed(kind, obj) if operator else {}
        elif not _unchanged(obj, old):
            response |= _judged(opinion(kind, obj, configuration, operator=operator))
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}


def _completed(kind: Mapping[str, Any], obj: Mapping[str, Any]) -> dict[str, Any]:
    operations = patch(obj) if kind.get("group") == MACHINELEARNING_GROUP else []
    if not operations:
        return {}
    return {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(operations).encode()).decode()}


def _judged(found: Opinion) -> dict[str, Any]:
    done: dict[str, Any] = {"allowed": not found.problems}
    if found.problems:
        message = "; ".join(found.problems)
        done["status"] = {"status": "Failure", "reason": "Invalid", "code": 422, "message": message}
    if found.warnings:
        done["warnings"] = [each[:LONGEST_WARNING] for each in found.warnings]
    return done


def _unchanged(obj: Mapping[str, Any], old: Any) -> bool:
    """A change of status, finalizers or an intent alone is let through: what stands there is stored already."""
    return isinstance(old, dict) and all(_said(obj)[name] == _said(old)[name] for name in ("spec", "annotations"))


def _said(obj: Mapping[str, Any]) -> dict[str, Any]:
    notes = (obj.get("metadata") or {}).get("annotations") or {}
    kept = {name: value for name, value in notes.items() if name.startswith("seldon.io/")}
    return {"spec": obj.get("spec"), "annotations": kept}


def opinion(
    kind: Mapping[str, Any], obj: Mapping[str, Any], configuration: Configuration, *, operator: bool = True
) -> Opinion:
    """Return what is thought of a SeldonDeployment or SeldonRollout; nothing of any other kind."""
    match kind.get("group"), kind.get("kind"):
        case group, "SeldonDeployment" if group == MACHINELEARNING_GROUP:
            return _of_deployment(obj, configuration) if operator else Opinion()
        case group, "SeldonRollout" if group == ROLLOUTS_GROUP:
            return _of_rollout(obj, configuration, operator=operator)
    return Opinion()


def _named(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Give an object without a name (generateName) one that the server could give it."""
    metadata = obj.get("metadata") or {}
    name = metadata.get("name") or f"{metadata.get('generateName') or 'x'}00000"
    return {**obj, "metadata": {**metadata, "name": name}}


def _of_deployment(obj: Mapping[str, Any], configuration: Configuration) -> Opinion:
    subject = parse(_named(obj))
    if not isinstance(subject, Subject):
        return Opinion(tuple(map(str, subject)))
    return Opinion(tuple(map(str, check(subject, configuration))), advise(subject))


def _of_rollout(obj: Mapping[str, Any], configuration: Configuration, *, operator: bool) -> Opinion:
    rollout = _named(obj)
    spec, problem = read(rollout)
    if spec is None:
        return Opinion((problem,))
    if not operator:
        return Opinion()
    template = rollout["spec"]["template"]
    name = f"{rollout['metadata']['name']}-{stable_hash('', 10)}"
    child = parse({**template, "metadata": {**(template.get("metadata") or {}), "name": name}})
    if not isinstance(child, Subject):
        return Opinion(tuple(_of_template(each) for each in child))
    found = check(child, configuration)
    warned = [f"spec.template.{each}" for each in advise(child, copied=_copies(rollout["spec"].get("strategy") or {}))]
    return Opinion(tuple(_of_template(each) for each in found), tuple(warned))


def _of_template(problem: Problem) -> str:
    if problem.field == "metadata.name":
        return f"metadata.name: {problem.expected}; its revisions' names add 11 characters"
    return f"spec.template.{problem}" if problem.field.startswith("spec.") else f"spec.template: {problem}"


def _copies(strategy: Mapping[str, Any]) -> bool:
    """Return whether a strategy sends copies of live requests to the new revision."""
    steps = (strategy.get("canary") or {}).get("steps") or ()
    return "shadow" in strategy or any("setMirror" in step for step in steps if isinstance(step, Mapping))
