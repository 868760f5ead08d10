"""Tree: a rollout, its revisions, and what each of them has: SeldonDeployment, Deployments, pods."""

from collections.abc import Iterable, Mapping
from typing import Any

from controller.api.arms import RevisionStatus
from controller.api.meta import REVISION_LABEL
from controller.api.rollout import RolloutStatus
from seldon_rollouts.view.base import View, status_of
from seldon_rollouts.view.revisions import DEPLOYMENT_LABEL, pod
from seldon_rollouts.view.waiting import headline

Object = Mapping[str, Any]
_ALIKE = 200
"""Characters after which two messages that began alike are the same."""


class Part(View):
    """One object, what it says, and what belongs to it."""

    kind: str
    name: str
    state: str
    good: bool | None = None
    """None where it is neither good nor bad yet."""
    message: str = ""
    parts: tuple["Part", ...] = ()


def tree(
    rollout: Object, children: Iterable[Object] = (), deployments: Iterable[Object] = (), pods: Iterable[Object] = ()
) -> Part:
    """Return a rollout as a tree.

    Args:
        rollout: the SeldonRollout.
        children: its SeldonDeployments.
        deployments: their Deployments.
        pods: their pods.
    """
    status, meta = status_of(rollout), rollout["metadata"]
    below = _by_owner(deployments), _by_owner(pods)
    told_below = bool(status.analysis.metrics) and status.blocked_on is not None and status.blocked_on.kind == "metric"
    standing = {_label(child, REVISION_LABEL): child for child in children}
    whole = Part(
        kind="SeldonRollout",
        name=f"{meta['namespace']}/{meta['name']}",
        state=status.phase,
        good={"Healthy": True, "Degraded": False, "Invalid": False}.get(status.phase),
        message=headline(status) if told_below else status.message,
        parts=tuple(_revision(revision, status, standing.get(revision.hash), below) for revision in _revisions(status)),
    )
    return _told_once(whole, "")


def _told_once(part: Part, above: str) -> Part:
    """Leave out what a part only repeats of what is said above it. A long message is cut there, and whole at a pod."""
    begins = part.message[:_ALIKE] if part.parts else part.message
    message = "" if begins in above else part.message
    told = f"{above}\n{message}"
    return part.model_copy(update={"message": message, "parts": tuple(_told_once(each, told) for each in part.parts)})


def _revisions(status: RolloutStatus) -> Iterable[RevisionStatus]:
    known = (status.stable_revision, status.canary_revision, *status.retired_revisions)
    return (revision for revision in known if revision is not None)


def _revision(
    revision: RevisionStatus,
    status: RolloutStatus,
    child: Object | None,
    below: tuple[Mapping[str, list[Object]], Mapping[str, list[Object]]],
) -> Part:
    judged = revision.role == "canary" and status.stable_revision is not None
    more = "" if status.analysis.metrics else status.analysis.message
    verdict = ": ".join(filter(None, (status.analysis.verdict, more)))
    return Part(
        kind="revision",
        name=f"{revision.number} {revision.name}",
        state=f"{revision.role} {revision.weight:g} %, {revision.ready_replicas}/{revision.replicas} pods ready",
        good=revision.replicas > 0 and revision.ready_replicas >= revision.replicas,
        message=verdict if judged else revision.message,
        parts=(_child(child, *below),) if child is not None else (),
    )


def _child(child: Object, deployments: Mapping[str, list[Object]], pods: Mapping[str, list[Object]]) -> Part:
    name, status = child["metadata"]["name"], child.get("status") or {}
    state = str(status.get("state") or "unknown")
    theirs = pods.get(name, [])
    return Part(
        kind="SeldonDeployment",
        name=name,
        state=state,
        good={"Available": True, "Failed": False}.get(state),
        message=str(status.get("description") or ""),
        parts=tuple(_deployment(each, theirs) for each in deployments.get(name, [])),
    )


def _deployment(deployment: Object, pods: Iterable[Object]) -> Part:
    status, spec = deployment.get("status") or {}, deployment.get("spec") or {}
    wanted, ready = int(spec.get("replicas", 1)), int(status.get("readyReplicas") or 0)
    labels = (spec.get("selector") or {}).get("matchLabels") or {}
    return Part(
        kind="Deployment",
        name=deployment["metadata"]["name"],
        state=f"{ready}/{wanted} ready",
        good=ready >= wanted,
        parts=tuple(_pod(each) for each in pods if _has(each, labels)),
    )


def _pod(obj: Object) -> Part:
    shown = pod(obj)
    restarts = f", {shown.restarts} restarts" if shown.restarts else ""
    return Part(
        kind="Pod",
        name=shown.name,
        state=("Ready" if shown.ready else shown.phase) + restarts,
        good=True if shown.ready else False if shown.message else None,
        message=shown.message,
    )


def _has(obj: Object, labels: Mapping[str, str]) -> bool:
    return bool(labels) and labels.items() <= (obj["metadata"].get("labels") or {}).items()


def _by_owner(objects: Iterable[Object]) -> Mapping[str, list[Object]]:
    found: dict[str, list[Object]] = {}
    for each in sorted(objects, key=lambda obj: str(obj["metadata"]["name"])):
        found.setdefault(_label(each, DEPLOYMENT_LABEL), []).append(each)
    return found


def _label(obj: Object, key: str) -> str:
    return str((obj["metadata"].get("labels") or {}).get(key, ""))
