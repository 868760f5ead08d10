"""A rollout in words, for the terminal: pure; what is shown is a view's."""

from collections.abc import Iterator, Mapping
from typing import Any

from controller.api.rollout import RolloutSpec, RolloutStatus
from controller.rollout.course import course, title
from seldon_rollouts.view.acts import acts
from seldon_rollouts.view.base import observed, said, status_of
from seldon_rollouts.view.chances import chances


def weight(status: RolloutStatus) -> str:
    """Return the canary's weight, with the observed share where it was seen."""
    canary, seen = status.canary_revision, observed(status)
    if canary is None:
        return ""
    mirror = f" mirror {canary.mirror:g}%" if canary.mirror else ""
    digits = ".1f" if canary.weight >= 1 else ".2f"
    return f"{canary.weight:g}%{mirror}" + (f" (observed {seen:{digits}}%)" if seen is not None else "")


def sentences(rollout: Mapping[str, Any]) -> Iterator[str]:
    """Say why a rollout is where it is, what comes next, and what a person may do."""
    status = status_of(rollout)
    yield f"{status.phase}: {said(status)}".rstrip(": ")
    if status.blocked_on is not None:
        since = f" (since {status.blocked_on.since:%H:%M:%S} UTC)" if status.blocked_on.since else ""
        yield f"It waits for {status.blocked_on.kind}: {status.blocked_on.message}{since}"
    if status.canary_revision is not None:
        yield f"The canary has {weight(status)} of requests{_to_come(status)}."
        if able := chances(status):
            yield able
        yield f"The judge says {status.analysis.verdict}: {status.analysis.message}".rstrip(": ")
        for metric in status.analysis.metrics:
            yield f"  {metric.name}: {metric.message}"
        if ahead := _ahead(rollout, status):
            yield f"Then: {', '.join(ahead)}"
    if status.last_intent is not None and status.last_intent.outcome == "refused":
        yield f"The last intent ({status.last_intent.verb}) was refused: {status.last_intent.message}"
    verbs = sorted(act.verb for act in acts(rollout) if act.legal)
    yield f"A person may now: {', '.join(verbs) if verbs else 'nothing; change the spec to begin'}"


def _to_come(status: RolloutStatus) -> str:
    """Say what is asked for beyond what the canary has; else whether that was seen yet."""
    canary, asked = status.canary_revision, status.weights
    if canary is None or status.stable_revision is None:
        return ""
    if canary.weight != asked.canary:
        return f", and is to have {asked.canary:g}%"
    if canary.mirror != asked.mirror:
        return f", and is to have {asked.mirror:g}% copied"
    return "" if asked.verified else ", not yet seen at the gateway"


def _ahead(rollout: Mapping[str, Any], status: RolloutStatus) -> list[str]:
    try:
        stages = course(RolloutSpec.model_validate(rollout.get("spec") or {})).stages
    except ValueError:
        return []
    return [*(title(stage) for stage in stages[status.current_step_index + 1 :]), "promotion"]
