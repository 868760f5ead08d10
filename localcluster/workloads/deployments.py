"""Deployments: from one template to the next, within the limits of surge and availability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from localcluster.objects import Object
from localcluster.selectors import labels_of, matches
from localcluster.times import moment
from localcluster.workloads.actions import Create, Delete, Draft, Patch, Plan, Tell
from localcluster.workloads.amounts import Limits, limits_of, replicas_of
from localcluster.workloads.pods import (
    condition,
    controller_of,
    is_active,
    is_available,
    is_ending,
    is_finished,
    is_ready,
    owned_by,
    owner_reference,
)
from localcluster.workloads.progress import COUNTS, Counts, Happening, deadline_in, status_of
from localcluster.workloads.replicasets import min_ready_of
from localcluster.workloads.rolling import Arm, Scales, rescale, roll
from localcluster.workloads.templates import (
    DESIRED,
    HASH,
    HISTORY,
    MOST,
    REVISION,
    copied_annotations,
    replicaset_for,
    revision_of,
    same_template,
    scale_annotations,
    template_hash,
)

APPS = "apps/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A Deployment with what belongs to it: old ReplicaSets oldest first, pods by ReplicaSet uid."""

    deployment: Object
    new: Object | None
    old: tuple[Object, ...]
    pods: Mapping[str, tuple[Object, ...]]
    limits: Limits
    now: datetime

    @property
    def all(self) -> tuple[Object, ...]:
        """Every ReplicaSet, the new one last."""
        return (*self.old, self.new) if self.new else self.old

    def active(self, replicaset: Object) -> list[Object]:
        """Its pods that count as replicas."""
        return [pod for pod in self.pods.get(replicaset["metadata"]["uid"], ()) if is_active(pod)]

    def arm(self, replicaset: Object) -> Arm:
        """A ReplicaSet in numbers."""
        active, annotations = self.active(replicaset), replicaset["metadata"].get("annotations") or {}
        min_ready = min_ready_of(self.deployment)
        most = annotations.get(MOST, "")
        return Arm(
            name=replicaset["metadata"]["name"],
            replicas=replicas_of(replicaset),
            pods=len(active),
            available=sum(is_available(pod, min_ready, self.now) for pod in active),
            most=int(most) if most.isdigit() else 0,
        )


def plan(deployment: Object, replicasets: Sequence[Object], pods: Sequence[Object], now: datetime) -> Plan:
    """What to do for one Deployment. `replicasets` and `pods` are those of its namespace; others' are skipped here."""
    draft = Draft()
    selector = deployment["spec"].get("selector")
    if not is_ending(deployment):
        for replicaset in replicasets:
            orphan = controller_of(replicaset) is None and not is_ending(replicaset)
            if orphan and matches(selector, labels_of(replicaset)):
                draft.actions.append(_adopt(deployment, replicaset))
        if draft.actions:
            return draft.done()
    world = _observe(deployment, replicasets, pods, now)
    created = False
    if not is_ending(deployment):
        created = _advance(draft, world)
        _forget_history(draft, world)
    _report(draft, world, created=created)
    return draft.done()


def _observe(deployment: Object, replicasets: Sequence[Object], pods: Sequence[Object], now: datetime) -> World:
    uid = deployment["metadata"]["uid"]
    owned = sorted((rs for rs in replicasets if owned_by(rs, uid)), key=_age)
    collisions = int((deployment.get("status") or {}).get("collisionCount") or 0)
    wanted = template_hash(deployment["spec"]["template"], collisions)
    new = next((rs for rs in owned if same_template(rs, deployment) or labels_of(rs).get(HASH) == wanted), None)
    of: dict[str, list[Object]] = {}
    for pod in pods:
        owner = controller_of(pod)
        if owner is not None:
            of.setdefault(owner["uid"], []).append(pod)
    return World(
        deployment=deployment,
        new=new,
        old=tuple(rs for rs in owned if rs is not new),
        pods={owner: tuple(group) for owner, group in of.items()},
        limits=limits_of(deployment),
        now=now,
    )


def _age(obj: Object) -> tuple[datetime, str]:
    created = moment(obj["metadata"].get("creationTimestamp"))
    assert created is not None, "the API server dates every object"
    return created, obj["metadata"]["name"]


def _advance(draft: Draft, world: World) -> bool:
    """Scale, and create the new ReplicaSet where it is time; True when this decision creates it."""
    spec = world.deployment["spec"]
    new = world.arm(world.new) if world.new else None
    old = [world.arm(rs) for rs in world.old]
    if spec.get("paused") or _resized(world):
        _scale(draft, world, rescale(new, old, world.limits))
        return False
    recreate = (spec.get("strategy") or {}).get("type") == "Recreate"
    if recreate and _still_ending(draft, world, old):
        return False
    if world.new is None:
        return _create_new(draft, world, old, recreate=recreate)
    _keep_in_step(draft, world)
    assert new is not None
    _scale(draft, world, roll(new, old, world.limits))
    return False


def _resized(world: World) -> bool:
    """Whether the Deployment's replicas changed since its ReplicaSets were last scaled."""
    for replicaset in world.all:
        annotated = (replicaset["metadata"].get("annotations") or {}).get(DESIRED)
        if replicas_of(replicaset) > 0 and annotated is not None and annotated != str(world.limits.desired):
            return True
    return False


def _still_ending(draft: Draft, world: World, old: list[Arm]) -> bool:
    """Recreate: all old pods go first, to the last process."""
    _scale(draft, world, {arm.name: 0 for arm in old if arm.replicas})
    remaining = (pod for rs in world.old for pod in world.pods.get(rs["metadata"]["uid"], ()))
    return bool(draft.actions) or any(not is_finished(pod) for pod in remaining)


def _create_new(draft: Draft, world: World, old: list[Arm], *, recreate: bool) -> bool:
    blank = Arm(name="", replicas=0)
    replicas = world.limits.desired if recreate else roll(blank, old, world.limits).get("", 0)
    revision = max((revision_of(rs) for rs in world.old), default=0) + 1
    made = replicaset_for(world.deployment, revision=revision, replicas=replicas, limits=world.limits)
    draft.actions.append(Create(group_version=APPS, plural="replicasets", obj=made))
    _annotate_revision(draft, world.deployment, revision)
    if replicas:
        said = f"Scaled up replica set {made['metadata']['name']} from 0 to {replicas}"
        draft.actions.append(Tell(about=world.deployment, reason="ScalingReplicaSet", message=said))
    return True


def _keep_in_step(draft: Draft, world: World) -> None:
    """The new ReplicaSet carries the newest revision, the Deployment's annotations and its minReadySeconds."""
    new = world.new
    assert new is not None
    annotations = new["metadata"].get("annotations") or {}
    newest = max((revision_of(rs) for rs in world.old), default=0)
    wanted = {
        name: value for name, value in copied_annotations(world.deployment).items() if annotations.get(name) != value
    }
    revision = revision_of(new)
    if revision <= newest:
        if revision:
            wanted[HISTORY] = ",".join(filter(None, (annotations.get(HISTORY, ""), str(revision))))
        revision = newest + 1
        wanted[REVISION] = str(revision)
    patch: dict[str, Any] = {"metadata": {"annotations": wanted}} if wanted else {}
    if min_ready_of(new) != min_ready_of(world.deployment):
        patch["spec"] = {"minReadySeconds": min_ready_of(world.deployment)}
    if patch:
        draft.actions.append(Patch(group_version=APPS, plural="replicasets", target=new, patch=patch, guarded=False))
    _annotate_revision(draft, world.deployment, revision)


def _annotate_revision(draft: Draft, deployment: Object, revision: int) -> None:
    if revision_of(deployment) != revision:
        patch = {"metadata": {"annotations": {REVISION: str(revision)}}}
        draft.actions.append(
            Patch(group_version=APPS, plural="deployments", target=deployment, patch=patch, guarded=False)
        )


def _scale(draft: Draft, world: World, scales: Scales) -> None:
    wanted = scale_annotations(world.limits)
    for replicaset in world.all:
        name, present = replicaset["metadata"]["name"], replicas_of(replicaset)
        annotations = replicaset["metadata"].get("annotations") or {}
        target = scales.get(name, present)
        stale = present > 0 and any(annotations.get(key) != value for key, value in wanted.items())
        if target == present and not stale:
            continue
        patch = {"metadata": {"annotations": wanted}, "spec": {"replicas": target}}
        draft.actions.append(
            Patch(group_version=APPS, plural="replicasets", target=replicaset, patch=patch, guarded=False)
        )
        if target != present:
            said = f"Scaled {'up' if target > present else 'down'} replica set {name} from {present} to {target}"
            draft.actions.append(Tell(about=world.deployment, reason="ScalingReplicaSet", message=said))


def _forget_history(draft: Draft, world: World) -> None:
    """Beyond revisionHistoryLimit the oldest empty ReplicaSets go, once the update is over."""
    if world.new is None or world.deployment["spec"].get("paused"):
        return
    new = world.arm(world.new)
    if not new.sure == new.replicas == world.limits.desired:
        return
    limit = world.deployment["spec"].get("revisionHistoryLimit")
    empty = [
        rs
        for rs in world.old
        if replicas_of(rs) == 0 and not world.pods.get(rs["metadata"]["uid"]) and not is_ending(rs)
    ]
    excess = len(empty) - (10 if limit is None else int(limit))
    for replicaset in sorted(empty, key=revision_of)[: max(0, excess)]:
        draft.actions.append(Delete(group_version=APPS, plural="replicasets", target=replicaset))


def _report(draft: Draft, world: World, *, created: bool) -> None:
    active = [pod for rs in world.all for pod in world.active(rs)]
    min_ready = min_ready_of(world.deployment)
    counts = Counts(
        replicas=len(active),
        updated=len(world.active(world.new)) if world.new else 0,
        ready=sum(is_ready(pod) for pod in active),
        available=sum(is_available(pod, min_ready, world.now) for pod in active),
        wanted=sum(replicas_of(rs) for rs in world.all),
    )
    made = next((action.obj for action in draft.actions if isinstance(action, Create)), None) if created else None
    subject = made or world.new
    seen = Happening(
        counts=counts,
        least_available=world.limits.least_available,
        new_name=subject["metadata"]["name"] if subject else "",
        created=created,
        failure=next((found for rs in world.all if (found := condition(rs, "ReplicaFailure"))), None),
    )
    status = status_of(world.deployment, seen, world.now)
    if _differs(world.deployment.get("status") or {}, status):
        patch = {"status": {name: status.get(name) or None for name in ("observedGeneration", *COUNTS, "conditions")}}
        draft.actions.append(
            Patch(
                group_version=APPS,
                plural="deployments",
                target=world.deployment,
                patch=patch,
                sub="status",
                guarded=False,
            )
        )
    if (seconds := deadline_in(world.deployment, status, world.now)) is not None:
        draft.wake(seconds)
    for pod in active:
        if is_ready(pod) and not is_available(pod, min_ready, world.now):
            draft.wake(1.0)


def _differs(present: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return any((present.get(name) or None) != (value or None) for name, value in wanted.items())


def _adopt(deployment: Object, replicaset: Object) -> Patch:
    references = [*(replicaset["metadata"].get("ownerReferences") or ()), owner_reference(deployment)]
    patch = {"metadata": {"ownerReferences": references}}
    return Patch(group_version=APPS, plural="replicasets", target=replicaset, patch=patch)
