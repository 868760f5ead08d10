"""Revisions: what each one is, what it has, and how it differs from stable."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import yaml

from controller.api.meta import REVISION_LABEL
from controller.api.rollout import RolloutStatus
from seldon_rollouts.view.base import View, status_of
from seldon_rollouts.view.graphs import Predictor, predictors

DEPLOYMENT_LABEL = "seldon-deployment-id"
"""On every pod of a SeldonDeployment: its name."""


class Line(View):
    """One line of a diff."""

    kind: Literal["same", "added", "removed", "skipped"]
    text: str


class Pod(View):
    """One pod, in its own words."""

    name: str
    phase: str
    ready: bool
    restarts: int
    message: str
    """Why it is not ready: the first container's that says something."""


class RevisionDetail(View):
    """One revision, whole."""

    number: int
    hash: str
    role: str
    """stable, canary, retired, rejected, or earlier."""
    deployment: str
    """Its SeldonDeployment, while it stands."""
    template: str
    """YAML; kept in the history as long as it can be gone back to."""
    predictors: tuple[Predictor, ...]
    diff: tuple[Line, ...]
    """Against stable; empty for stable itself."""
    pods: tuple[Pod, ...]


def revisions(
    rollout: Mapping[str, Any], history: Iterable[Mapping[str, Any]], pods: Iterable[Mapping[str, Any]]
) -> tuple[RevisionDetail, ...]:
    """Return a rollout's revisions, newest first.

    Args:
        rollout: the SeldonRollout.
        history: its ControllerRevisions.
        pods: the pods of its SeldonDeployments.
    """
    status = status_of(rollout)
    stable = status.stable_revision.hash if status.stable_revision else ""
    kept = {_digest(each): each for each in history}
    base = _template(kept.get(stable))
    by_deployment: dict[str, list[Mapping[str, Any]]] = {}
    for each in pods:
        by_deployment.setdefault(_label(each, DEPLOYMENT_LABEL), []).append(each)
    found = [
        _detail(digest, each, status, base if digest != stable else None, by_deployment)
        for digest, each in kept.items()
    ]
    return tuple(sorted(found, key=lambda each: -each.number))


def _detail(
    digest: str,
    kept: Mapping[str, Any],
    status: RolloutStatus,
    base: Mapping[str, Any] | None,
    by_deployment: Mapping[str, list[Mapping[str, Any]]],
) -> RevisionDetail:
    template = _template(kept) or {}
    name = str(kept["metadata"]["name"])
    return RevisionDetail(
        number=int(kept.get("revision") or 0),
        hash=digest,
        role=_role(digest, status),
        deployment=name,
        template=_yaml(template),
        predictors=predictors(template.get("spec") or {}),
        diff=diff(base, template) if base is not None else (),
        pods=tuple(pod(each) for each in sorted(by_deployment.get(name, ()), key=lambda each: str(_name(each)))),
    )


def diff(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Line, ...]:
    """Return how one template differs from another, as lines of YAML with three lines around each difference."""
    lines = difflib.unified_diff(_yaml(before).splitlines(), _yaml(after).splitlines(), lineterm="", n=3)
    return tuple(
        Line(kind="skipped" if line.startswith("@@") else _KINDS[line[:1]], text=line if line[:1] == "@" else line[1:])
        for line in lines
        if not line.startswith(("---", "+++"))
    )


_KINDS: Mapping[str, Literal["same", "added", "removed"]] = {" ": "same", "+": "added", "-": "removed"}


def pod(obj: Mapping[str, Any]) -> Pod:
    """Return a pod, with the first thing that one of its containers complains of."""
    status = obj.get("status") or {}
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    ready = any(each.get("type") == "Ready" and each.get("status") == "True" for each in status.get("conditions") or ())
    complaints = filter(None, map(_complaint, containers))
    return Pod(
        name=str(_name(obj)),
        phase="Terminating" if "deletionTimestamp" in obj["metadata"] else str(status.get("phase") or "Pending"),
        ready=ready,
        restarts=sum(int(each.get("restartCount") or 0) for each in containers),
        message="" if ready else next(complaints, str(status.get("message") or _unschedulable(status))),
    )


def _complaint(container: Mapping[str, Any]) -> str:
    state = container.get("state") or {}
    last = (container.get("lastState") or {}).get("terminated") or {}
    told = state.get("waiting") or state.get("terminated") or {}
    reason = str(told.get("reason") or "")
    if reason in ("", "Completed", "PodInitializing", "ContainerCreating"):
        return ""
    words = str(told.get("message") or last.get("message") or "").strip()
    ended = f", last exit code {last['exitCode']}" if "exitCode" in last else ""
    return f"{container.get('name')}: {reason}{ended}{f': {words}' if words else ''}"[:500]


def _unschedulable(status: Mapping[str, Any]) -> str:
    for each in status.get("conditions") or ():
        if each.get("type") == "PodScheduled" and each.get("status") == "False":
            return f"{each.get('reason')}: {each.get('message')}"
    return ""


def _role(digest: str, status: RolloutStatus) -> str:
    for revision in (status.stable_revision, status.canary_revision, *status.retired_revisions):
        if revision is not None and revision.hash == digest:
            return revision.role
    return "rejected" if any(each.hash == digest for each in status.rejected) else "earlier"


def _template(kept: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    return ((kept or {}).get("data") or {}).get("template")


def _digest(kept: Mapping[str, Any]) -> str:
    return _label(kept, REVISION_LABEL)


def _label(obj: Mapping[str, Any], key: str) -> str:
    return str((obj["metadata"].get("labels") or {}).get(key, ""))


def _name(obj: Mapping[str, Any]) -> Any:
    return obj["metadata"]["name"]


def _yaml(value: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(value), sort_keys=True, default_flow_style=False, width=120)
