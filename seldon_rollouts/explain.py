"""A rollout in words and rows: pure, for the terminal; the dashboard has views of its own."""

from collections.abc import Iterator
from typing import Any

from rich.text import Text
from rich.tree import Tree

from controller.api.arms import RevisionStatus
from controller.api.rollout import RolloutStatus
from controller.rollout.phases import INTENTS, Phase, legal

_URGENCY = {"Degraded": 0, "Invalid": 0, "Paused": 1, "RollingBack": 2, "Promoting": 3, "Progressing": 3, "Pending": 4}
_STYLES = {"Healthy": "green", "Degraded": "red", "Invalid": "red", "Paused": "yellow", "RollingBack": "red"}


def _status(rollout: dict[str, Any]) -> RolloutStatus:
    return RolloutStatus.model_validate(rollout.get("status") or {})


def urgency(rollout: dict[str, Any]) -> tuple[int, str, str]:
    """Return a key that sorts what needs a person first."""
    meta = rollout["metadata"]
    return _URGENCY.get(_status(rollout).phase, 5), meta["namespace"], meta["name"]


def row(rollout: dict[str, Any]) -> tuple[str | Text, ...]:
    """Return a rollout as a row of the list."""
    status, meta = _status(rollout), rollout["metadata"]
    moving = status.canary_revision is not None
    return (
        meta["namespace"],
        meta["name"],
        Text(status.phase, style=_STYLES.get(status.phase, "")),
        step(status) if moving else "",
        weight(status),
        status.analysis.verdict if moving else "",
        Text(status.message),
    )


def step(status: RolloutStatus) -> str:
    """Return how far the steps are, such as `2/5`."""
    return f"{min(status.current_step_index + 1, status.step_count)}/{status.step_count}"


def weight(status: RolloutStatus) -> str:
    """Return the canary's weight, with the observed share where it was seen."""
    if status.canary_revision is None:
        return ""
    seen = status.weights.observed.canary_percent
    mirror = f" mirror {status.weights.mirror:g}%" if status.weights.mirror else ""
    digits = ".1f" if status.weights.canary >= 1 else ".2f"
    return f"{status.weights.canary:g}%{mirror}" + (f" (observed {seen:{digits}}%)" if seen is not None else "")


def tree(rollout: dict[str, Any]) -> Tree:
    """Return a rollout as a tree: revisions with their weights and pods, what the judge says, what is waited for."""
    status, meta = _status(rollout), rollout["metadata"]
    root = Tree(Text(f"{meta['namespace']}/{meta['name']}  {status.phase}  {status.message}"))
    for revision, share in (
        (status.stable_revision, status.weights.stable),
        (status.canary_revision, status.weights.canary),
    ):
        if revision is not None:
            root.add(_revision(revision, f"{share:g}%"))
    for revision in status.retired_revisions:
        root.add(_revision(revision, "0%"))
    if status.canary_revision is not None:
        judged = root.add(Text(f"judge: {status.analysis.verdict}  {status.analysis.message}"))
        for metric in status.analysis.metrics:
            judged.add(Text(f"{metric.name}: {metric.verdict}  {metric.message}"))
    for rejected in status.rejected:
        root.add(Text(f"rejected revision {rejected.number} ({rejected.hash}): {rejected.message}", style="red"))
    return root


def _revision(revision: RevisionStatus, share: str) -> Text:
    pods = f"{revision.ready_replicas}/{revision.replicas} ready"
    why = f"  {revision.message}" if revision.message else ""
    return Text(f"revision {revision.number}  {revision.role}  {share}  {revision.name}  {pods}{why}")


def sentences(status: RolloutStatus) -> Iterator[str]:
    """Say why a rollout is where it is, and what a person may do."""
    yield f"{status.phase}: {status.message}"
    if status.blocked_on is not None:
        yield f"It waits for {status.blocked_on.kind}: {status.blocked_on.message}"
    if status.canary_revision is not None:
        agreed = "as observed" if status.weights.verified else "not yet seen at the gateway"
        yield f"The canary has {weight(status)} of requests, {agreed}."
        yield f"The judge says {status.analysis.verdict}: {status.analysis.message}"
        for metric in status.analysis.metrics:
            yield f"  {metric.name}: {metric.message}"
    if status.last_intent is not None and status.last_intent.outcome == "refused":
        yield f"The last intent ({status.last_intent.verb}) was refused: {status.last_intent.message}"
    verbs = sorted(verb.value for verb in INTENTS if legal(Phase(status.phase), verb))
    yield f"A person may now: {', '.join(verbs) if verbs else 'nothing; change the spec to begin'}"
