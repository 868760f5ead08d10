"""A rollout in words, for the terminal: pure; what is shown is a view's."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from controller.api.rollout import RolloutStatus
from seldon_rollouts.view.acts import acts
from seldon_rollouts.view.base import observed, status_of
from seldon_rollouts.view.chances import chances
from seldon_rollouts.view.steps import ahead
from seldon_rollouts.view.waiting import headline, waiting


def weight(status: RolloutStatus) -> str:
    """Return the canary's weight, with the observed share where it was seen."""
    canary, seen = status.canary_revision, observed(status)
    if canary is None:
        return ""
    mirror = f" mirror {canary.mirror:g}%" if canary.mirror else ""
    digits = ".1f" if canary.weight >= 1 else ".2f"
    return f"{canary.weight:g}%{mirror}" + (f" (observed {seen:{digits}}%)" if seen is not None else "")


def sentences(rollout: Mapping[str, Any], lacking: Mapping[str, str] = MappingProxyType({})) -> Iterator[str]:
    """Say why a rollout is where it is, what comes next, and what a person may do.

    Args:
        rollout: as it is in the cluster.
        lacking: templates that it names and that are not there, as they are called in a sentence, and what to do.
    """
    status = status_of(rollout)
    yield f"{status.phase}: {headline(status)}".rstrip(": ")
    if (blocker := waiting(status)) is not None:
        since = f" (since {blocker.since:%H:%M:%S} UTC)" if blocker.since else ""
        yield f"It waits for {blocker.what}: {blocker.message}".rstrip(": ") + since
    for name, advice in lacking.items():
        if blocker is None or name not in blocker.message:
            yield f"No new revision gets a request before this is mended: {advice}"
    if status.canary_revision is not None and status.stable_revision is None:
        yield "It is the first revision, and nothing serves beside it: it gets all requests once its pods are ready."
    elif status.canary_revision is not None:
        yield f"The canary has {weight(status)} of requests{_to_come(status)}."
        if able := chances(status):
            yield able
        message = "" if status.analysis.metrics else status.analysis.message
        if status.analysis.verdict is not None:
            yield f"The judge says {status.analysis.verdict}: {message}".rstrip(": ")
        for metric in status.analysis.metrics:
            yield f"  {metric.name}: {metric.message}"
        if following := ahead(rollout, status):
            yield f"Then: {', '.join(following)}"
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
