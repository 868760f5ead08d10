"""Ground: how the wanted split meets the world. What may be routed now, what blocks the rest, what is in effect."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from controller.api.rollout import BlockedOn, Blocker, RolloutStatus
from controller.rollout import scaling, traffic
from controller.rollout.observed import Child, Observed
from controller.rollout.phases import Phase
from controller.rollout.revisions import Revision
from controller.rollout.traffic import Split

# Istio answers no acceptance by default: its proxies have taken a change well within this.
MESH_GRACE = timedelta(seconds=5)
VERIFY_PATIENCE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """The split that may be routed now, and how far the world agrees."""

    split: Split | None
    blocked: BlockedOn | None = None
    """Why the split is not the one that is wanted."""
    applied: bool = False
    """The live VirtualService says so."""
    in_effect: bool = False
    """And the mesh took it."""
    verified: bool = False
    """And the observed share of requests agrees, or there is too little traffic to tell."""
    settles_at: datetime | None = None
    """When time alone may change `in_effect` or `verified`."""
    trouble: str = ""
    """What the mesh says against it."""


def survey(obs: Observed, status: RolloutStatus, *, now: datetime) -> Ground:
    """Hold the split that the status wants against the pods and the mesh."""
    split, blocked = _allowed(obs, status)
    obstacle = obs.in_the_way or ("" if obs.mesh else "the cluster has no VirtualService: install Istio")
    if obstacle:
        return Ground(split=split, blocked=BlockedOn(kind="mesh", message=obstacle))
    if split is None:
        return Ground(split=None, blocked=blocked)
    # A route that is another's has this split only when it has become ours.
    applied = (
        obs.route is not None
        and obs.route.ours
        and traffic.covers(traffic.virtual_service(obs, split)["spec"], obs.route.live.get("spec"))
    )
    if not applied or obs.route is None:
        return Ground(split=split, blocked=blocked)
    since = status.weights.changed_at or now
    if obs.route.accepted is False:
        return Ground(
            split=split, blocked=blocked, applied=True, trouble=obs.route.message or "the mesh refused the route"
        )
    if obs.route.accepted is None and now < since + MESH_GRACE:
        return Ground(split=split, blocked=blocked, applied=True, settles_at=since + MESH_GRACE)
    verified, settles_at = _verified(obs, split, since, now)
    return Ground(split=split, blocked=blocked, applied=True, in_effect=True, verified=verified, settles_at=settles_at)


def _verified(obs: Observed, split: Split, since: datetime, now: datetime) -> tuple[bool, datetime | None]:
    if split.canary is None or split.stable is None:
        return True, None
    window = obs.traffic
    opinion = traffic.agrees(window, split) if window is not None and window.since >= since else None
    if opinion is not None:
        return opinion, None
    patient_until = since + VERIFY_PATIENCE
    return (True, None) if now >= patient_until else (False, patient_until)


def _allowed(obs: Observed, status: RolloutStatus) -> tuple[Split | None, BlockedOn | None]:
    """Return the split that the pods allow: nothing is routed to a revision that has no ready pod."""
    stable, canary = status.stable_revision, status.canary_revision
    if stable is None:
        return _first(obs, status)
    child = obs.children.get(canary.hash) if canary else None
    base = obs.children.get(stable.hash)
    left = _still_carrying(obs, status)
    if left is not None and not (base and base.serving):
        return Split(stable=stable.hash, canary=left, weight=live_weight(obs, left)), waiting("stable", base)
    if canary is None:
        return Split(stable=stable.hash), None
    weight, mirror, routes = status.weights.canary, status.weights.mirror, status.header_routes
    live = live_weight(obs, canary.hash)
    blocked = None
    if (weight or mirror or routes) and (child is None or not child.serving):
        blocked = waiting("canary", child)
        weight, mirror, routes = 0, 0, ()
    elif not full(obs, status) and (weight > live or mirror):
        blocked = waiting("canary", child)
        weight, mirror = min(weight, live), 0
    if weight < live and child is not None and child.serving and not (base and base.serving):
        return Split(stable=stable.hash, canary=child.hash, weight=live), waiting("stable", base)
    if not (weight or mirror or routes):
        return Split(stable=stable.hash), blocked
    control = status.weights.control if weight == 100 and base is not None and base.serving else 0
    return Split(
        stable=stable.hash, canary=canary.hash, weight=weight, mirror=mirror, control=control, routes=routes
    ), blocked


def _still_carrying(obs: Observed, status: RolloutStatus) -> str | None:
    """Return the retired revision that has traffic and the pods for it, if there is one."""
    for retired in status.retired_revisions:
        child = obs.children.get(retired.hash)
        if child is not None and child.serving and live_weight(obs, retired.hash):
            return retired.hash
    return None


def _first(obs: Observed, status: RolloutStatus) -> tuple[Split | None, BlockedOn | None]:
    first = status.canary_revision
    child = obs.children.get(first.hash) if first else None
    if first is None or child is None or not child.available or not child.serving:
        return None, waiting("first", child) if first else None
    return Split(stable=first.hash), None


def waiting(which: str, child: Child | None) -> BlockedOn:
    """Say which pods are waited for, and what they say."""
    if child is None:
        return BlockedOn(kind="pods", message=f"the {which} revision's SeldonDeployment is not there yet")
    why = f": {child.message}" if child.message else ""
    return BlockedOn(
        kind="pods", message=f"the {which} revision has {child.ready_replicas} of {child.replicas} pods ready{why}"
    )


def wanted_spec(obs: Observed, status: RolloutStatus, revision: Revision, role: str) -> dict[str, Any]:
    """Return a revision's spec with the pods that it should have now."""
    child = obs.children.get(revision.hash)
    live = (child.live.get("spec") if child else None) or {}
    own = scaling.restarted(revision.template.get("spec") or {}, _restarted_at(status, revision.hash), live)
    if role == "retired":
        # What waits for its end is not scaled any more.
        return scaling.with_replicas(own, live or own)
    usual = obs.target.template.get("spec") or own if obs.target is not None else own
    spec = scaling.with_replicas(own, usual)
    if role != "canary" or status.stable_revision is None:
        return spec
    # Pods go only after the traffic that they carry has gone.
    return scaling.scaled(spec, status.scale, weight=max(status.weights.canary, live_weight(obs, revision.hash)))


def _restarted_at(status: RolloutStatus, digest: str) -> str:
    known = (status.stable_revision, status.canary_revision, *status.retired_revisions)
    found = (each.restarted_at for each in known if each is not None and each.hash == digest and each.restarted_at)
    return max((f"{instant:%Y-%m-%dT%H:%M:%SZ}" for instant in found), default="")


def full(obs: Observed, status: RolloutStatus) -> bool:
    """Say whether the canary has all pods that it should have now, and all are ready."""
    canary = status.canary_revision
    child = obs.children.get(canary.hash) if canary else None
    if canary is None or child is None or not child.available or canary.hash not in obs.revisions:
        return False
    wanted = wanted_spec(obs, status, obs.revisions[canary.hash], "canary")
    return scaling.same_size(wanted, child.live.get("spec") or {})


def live_weight(obs: Observed, digest: str) -> float:
    revision = obs.revisions.get(digest)
    if obs.route is None or revision is None:
        return 0
    return traffic.live_weight(obs.route.live, (part.host for part in traffic.routed(obs, revision) if not part.shadow))


def without_traffic(obs: Observed, digest: str, ground: Ground) -> bool:
    """Say whether no request reaches a revision: the route in effect does not name it."""
    revision = obs.revisions.get(digest)
    if obs.route is None:
        return True
    if revision is None or not ground.in_effect:
        return False
    return not traffic.mentions(obs.route.live, (part.host for part in traffic.routed(obs, revision)))


def deadline(obs: Observed, status: RolloutStatus, kind: Blocker | None, *, now: datetime) -> datetime | None:
    """Return when the present step must have made progress; with a kind, counted from when it began to wait for it."""
    if obs.spec is None or status.step_progress_at is None:
        return None
    if kind is None:
        return status.step_progress_at + obs.spec.progress_deadline
    before = obs.status.blocked_on
    since = (before.since or now) if before is not None and before.kind == kind else now
    return max(status.step_progress_at, since) + obs.spec.progress_deadline


IN_PROGRESS = frozenset({Phase.PROGRESSING, Phase.PAUSED, Phase.PROMOTING})
