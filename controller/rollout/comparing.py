"""Comparing: a canary that gets copies is told whom to compare its answers with, by its predictors' annotations. Pure.

Annotations of a predictor are those of its pods, so that a change of them replaces the pods. They are written while no
request reaches the canary; from then on they stay as they are, also when it is stable: no copy comes to it any more.
"""

from collections.abc import Mapping
from typing import Any

from controller.api.checks import ShadowAgreementCheck
from controller.api.names import (
    COMPARE_ANNOTATIONS,
    COMPARE_PER_SECOND_ANNOTATION,
    COMPARE_SHARE_ANNOTATION,
    COMPARE_TOLERANCE_ANNOTATION,
    COMPARE_WITH_ANNOTATION,
    COMPARE_WITH_GRPC_ANNOTATION,
)
from controller.api.rollout import RolloutSpec, RolloutStatus
from controller.errors import InvalidSpecError
from controller.rollout import route
from controller.rollout.course import course
from controller.rollout.observed import Observed
from controller.rollout.revisions import Destination, Revision
from controller.rollout.scaling import predictors
from controller.rollout.split import routed

Notes = Mapping[str, str]


def asked(spec: RolloutSpec | None) -> ShadowAgreementCheck | None:
    """Return the check that needs answers to be compared, if there is one."""
    metrics = spec.analysis.metrics if spec is not None else ()
    return next((metric.shadow_agreement for metric in metrics if metric.shadow_agreement is not None), None)


def check(spec: RolloutSpec) -> None:
    """Refuse a comparison of answers to copies where the strategy copies nothing.

    Raises:
        InvalidSpecError: it does.
    """
    if asked(spec) is None or course(spec).mirrors:
        return
    expected = "a strategy that copies requests: shadow, setMirror in a canary's steps, or blueGreen's analysis"
    raise InvalidSpecError(_field(spec), spec.strategy.kind, expected)


def _field(spec: RolloutSpec) -> str:
    index = next(at for at, metric in enumerate(spec.analysis.metrics) if metric.shadow_agreement is not None)
    return f"spec.analysis.metrics[{index}].shadowAgreement"


def told(
    obs: Observed, status: RolloutStatus, revision: Revision, role: str, spec: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a revision's spec with whom its predictors compare their answers with."""
    child = obs.children.get(revision.hash)
    live = predictors((child.live.get("spec") or {}) if child else {})
    if role == "canary" and (child is None or not _reached(obs, status, revision)):
        notes = _wanted(obs, status, revision)
    else:
        notes = {str(each.get("name")): _kept(each) for each in live}
    if not any(notes.values()):
        return dict(spec)
    found = [
        {**each, "annotations": {**notes[name], **(each.get("annotations") or {})}}
        if notes.get(name := str(each.get("name")))
        else each
        for each in predictors(spec)
    ]
    return {**spec, "predictors": found}


def _reached(obs: Observed, status: RolloutStatus, revision: Revision) -> bool:
    """Say whether a request may reach the canary."""
    return bool(status.header_routes) or route.mentions(obs, (part.host for part in routed(obs, revision)))


def _kept(predictor: Mapping[str, Any]) -> Notes:
    notes = predictor.get("annotations") or {}
    return {key: notes[key] for key in COMPARE_ANNOTATIONS if key in notes}


def _wanted(obs: Observed, status: RolloutStatus, revision: Revision) -> dict[str, Notes]:
    """Return the annotations of each predictor that takes live requests or copies of them."""
    found, stable = asked(obs.spec), status.stable_revision
    if found is None or obs.spec is None or stable is None or stable.hash not in obs.revisions:
        return {}
    if not course(obs.spec).mirrors:
        return {}
    other = obs.revisions[stable.hash]
    how = {
        COMPARE_TOLERANCE_ANNOTATION: f"{found.tolerance:g}",
        COMPARE_PER_SECOND_ANNOTATION: f"{found.per_second:g}",
        COMPARE_SHARE_ANNOTATION: f"{found.share:g}",
    }
    return {
        part.subset: {**_addresses(other, _counterpart(obs, other, part.subset)), **how}
        for part in routed(obs, revision)
        if not part.shadow
    }


def _counterpart(obs: Observed, stable: Revision, name: str) -> Destination:
    """Return stable's predictor of the same name, or else the one that takes most requests."""
    parts = [part for part in routed(obs, stable) if not part.shadow]
    return next((part for part in parts if part.subset == name), max(parts, key=lambda part: part.share))


def _addresses(revision: Revision, part: Destination) -> Notes:
    spec = revision.template.get("spec") or {}
    own: Mapping[str, Any] = next((each for each in predictors(spec) if each.get("name") == part.subset), {})
    scheme = "https" if (own.get("ssl") or {}).get("certSecretName") else "http"
    ports = {COMPARE_WITH_ANNOTATION: part.http_port, COMPARE_WITH_GRPC_ANNOTATION: part.grpc_port}
    return {name: f"{scheme}://{part.host}:{port}" for name, port in ports.items()}
