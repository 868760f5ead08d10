"""Ground: how the wanted split meets the world. What may be routed now, what blocks the rest, what is in effect."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from controller.api.percent import rounded
from controller.api.rollout import BlockedOn, Blocker, RolloutStatus
from controller.api.strategy import CanaryStrategy, ProgressThreshold
from controller.rollout import capacity, route, runs, scaling, traffic
from controller.rollout.capacity import waiting
from controller.rollout.course import Bake, course
from controller.rollout.observed import Observed
from controller.rollout.phases import IN_PROGRESS, Phase
from controller.rollout.revisions import Revision
from controller.rollout.split import Split, passed

# Istio answers no acceptance by default: its proxies have taken a change well within this.
MESH_GRACE = timedelta(seconds=5)
VERIFY_PATIENCE = timedelta(seconds=30)
_PATIENCE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """The split that may be routed now, and how far the world agrees."""

    split: Split | None
    rendered: Mapping[str, Any] = field(default_factory=dict)
    """The split as the rollout's own VirtualService; empty where nothing may be written."""
    blocked: BlockedOn | None = None
    """Why the split is not the one that is wanted."""
    applied: bool = False
    """The live VirtualService says so."""
    in_effect: bool = False
    """And the mesh took it."""
    verified: bool = False
    """And the observed share of requests agrees, or there is too little traffic to tell."""
    contradicted_at: datetime | None = None
    """Until when requests were counted whose share does not agree, though it is in effect."""
    settles_at: datetime | None = None
    """When time alone may change `in_effect` or `verified`."""
    obstructed: bool = False
    """Nothing may be written: the route is not there, or not ours to write."""
    trouble: str = ""
    """What the mesh says against it."""
    relief_at: datetime | None = None
    """When stable takes all that it should, however few of its pods are ready."""


def survey(obs: Observed, status: RolloutStatus, *, now: datetime) -> Ground:
    """Hold the split that the status wants against the pods and the mesh."""
    split, blocked, relief_at = _allowed(obs, status, now)
    ground = _surveyed(obs, status, split, blocked, now)
    return replace(ground, relief_at=relief_at)


def _surveyed(
    obs: Observed, status: RolloutStatus, split: Split | None, blocked: BlockedOn | None, now: datetime
) -> Ground:
    if obstacle := route.obstacle(obs, split):
        return Ground(split=split, blocked=BlockedOn(kind="mesh", message=obstacle), obstructed=True)
    if split is not None and (lost := _lost(obs, status, split)):
        return Ground(split=None, blocked=BlockedOn(kind="error", message=lost))
    if split is None:
        return Ground(split=None, blocked=blocked)
    found = Ground(split=split, rendered=traffic.virtual_service(obs, split), blocked=blocked)
    if not route.applied(obs, split, found.rendered) or obs.route is None:
        return found
    since = _written_at(status, found) or now
    if obs.route.accepted is False:
        return replace(found, applied=True, trouble=obs.route.message or "the mesh refused the route")
    if obs.route.accepted is None and now < since + MESH_GRACE:
        return replace(found, applied=True, settles_at=since + MESH_GRACE)
    return _verified(replace(found, applied=True, in_effect=True), obs, split, since, now)


def _lost(obs: Observed, status: RolloutStatus, split: Split) -> str:
    """Say which revision nobody can have back: its SeldonDeployment and its ControllerRevision were both deleted."""
    known = [each for each in (status.stable_revision, status.canary_revision) if each is not None]
    gone = [each for each in known if each.hash in (split.stable, split.canary) and each.hash not in obs.revisions]
    if not gone:
        return ""
    what = f"SeldonDeployment and ControllerRevision {gone[0].name} were deleted"
    return f"revision {gone[0].number} ({gone[0].role}) is lost, since {what}: apply its template again"


def _written_at(status: RolloutStatus, found: Ground) -> datetime | None:
    """Return when the live route was written; None where a pass that was cut off wrote it, so that nobody knows."""
    of_canary = found.split is not None and found.split.canary is not None
    forgotten = of_canary and route.fingerprint(found.rendered) != status.weights.route_hash
    return None if forgotten else status.weights.changed_at


def _verified(found: Ground, obs: Observed, split: Split, since: datetime, now: datetime) -> Ground:
    if split.canary is None or split.stable is None:
        return replace(found, verified=True)
    window = obs.traffic
    opinion = traffic.agrees(window, split) if window is not None and window.since >= since else None
    if opinion is not None:
        against = window.until if window is not None and not opinion else None
        return replace(found, verified=opinion, contradicted_at=against)
    patient_until = since + VERIFY_PATIENCE
    return replace(found, verified=True) if now >= patient_until else replace(found, settles_at=patient_until)


_STAYS = frozenset({Phase.PROGRESSING, Phase.PAUSED})
"""Where a canary whose weight goes down, also to nothing, goes on: it starts again by another strategy."""
_Allowed = tuple[Split | None, BlockedOn | None, datetime | None]


def _allowed(obs: Observed, status: RolloutStatus, now: datetime) -> _Allowed:
    """Return the split that the pods allow, what stands against more, and when time alone allows it.

    Nothing is routed to a revision that has no ready pod. Traffic that leaves the canary goes to stable in proportion
    to what stable can carry, and the rest as its pods come.
    """
    stable, canary = status.stable_revision, status.canary_revision
    if stable is None:
        return (*_first(obs, status), None)
    child = obs.children.get(canary.hash) if canary else None
    base = obs.children.get(stable.hash)
    left = _still_carrying(obs, status)
    if left is not None and (kept := _kept(obs, status, left, 0, now)):
        return Split(stable=stable.hash, canary=left, weight=kept), *_stable_short(obs, status)
    if canary is None:
        return Split(stable=stable.hash), None, None
    weight, mirror, routes = status.weights.canary, status.weights.mirror, status.header_routes
    live, copied = live_weight(obs, canary.hash), live_mirror(obs, canary.hash)
    first_route = bool(routes) and not _routed_to(obs, canary.hash)
    blocked = None
    if (weight or mirror or routes) and (child is None or not child.serving):
        blocked = lacking(obs, status)
        weight, mirror, routes = 0, 0, ()
    elif not live and status.analysis.started_at is None and (held := runs.problem(obs, status)):
        blocked = BlockedOn(kind="error", message=held)
        weight, mirror, routes = 0, 0, ()
    elif (weight > live or mirror > copied or first_route) and not enough(obs, status):
        blocked = lacking(obs, status)
        weight, mirror, routes = min(weight, live), min(mirror, copied), () if first_route else routes
    if weight < live and child is not None and child.serving:
        kept = _kept(obs, status, child.hash, weight, now)
        if kept > weight:
            split = Split(stable=stable.hash, canary=child.hash, weight=kept)
            if weight or Phase(status.phase) in _STAYS:  # who is routed to it by a header, or stays with it, goes on
                sticky = obs.routing.sticky is not None
                split = replace(split, routes=routes, earlier=_earlier(status, live), sticky=sticky)
            return split, *_stable_short(obs, status)
    if not (weight or mirror or routes):
        return Split(stable=stable.hash), blocked, None
    control = status.weights.control if weight == 100 and base is not None and base.serving else 0
    split = Split(
        stable=stable.hash,
        canary=canary.hash,
        weight=weight,
        mirror=mirror,
        mirrored=status.weights.mirror_match,
        control=control,
        routes=routes,
        earlier=_earlier(status, live),
        sticky=obs.routing.sticky is not None,
    )
    return split, blocked, None


def _earlier(status: RolloutStatus, live: float) -> tuple[float, ...]:
    """Return the weights at which users may have been drawn: the live one, too, which a pass cut off may have left."""
    return passed(status.weights.earlier, live)


def _kept(obs: Observed, status: RolloutStatus, digest: str, wanted: float, now: datetime) -> float:
    """Return the percent that a revision keeps because stable cannot take it all yet; never more than it has now.

    It loses as large a part of what it had as stable has of its pods. A stable that was made small on purpose gets no
    more than its pods can carry.
    """
    stable = status.stable_revision
    base = obs.children.get(stable.hash) if stable else None
    due = _relief_at(obs, status)
    late = due is not None and now >= due and base is not None and base.serving
    missing = 0 if late else 100 - capacity.carries(base, _whole(obs, status))
    live = live_weight(obs, digest)
    had = 100 if _dynamic(obs) else status.weights.before or live
    return max(wanted, min(live, rounded(had * missing / 100)))


def _stable_short(obs: Observed, status: RolloutStatus) -> tuple[BlockedOn, datetime | None]:
    base = obs.children.get(status.stable_revision.hash) if status.stable_revision else None
    want = capacity.needed(base, _whole(obs, status)) if base else None
    return waiting("stable", base, want), _relief_at(obs, status) if base and base.serving else None


def _relief_at(obs: Observed, status: RolloutStatus) -> datetime | None:
    """A stable that stays short takes all in the end: few ready pods are better than a revision that is rejected."""
    if status.step_progress_at is None:
        return None
    return status.step_progress_at + (obs.spec.progress_deadline if obs.spec else _PATIENCE)


def _whole(obs: Observed, status: RolloutStatus) -> dict[str, Any]:
    """Return stable's spec with all the pods that the template says."""
    revision = obs.revisions.get(status.stable_revision.hash) if status.stable_revision else None
    own = (revision.template.get("spec") if revision else None) or {}
    return scaling.with_replicas(own, obs.target.template.get("spec") or own if obs.target is not None else own)


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


def wanted_spec(
    obs: Observed, status: RolloutStatus, revision: Revision, role: str, *, settled: bool = False
) -> dict[str, Any]:
    """Return a revision's spec with the pods that it should have now; stable shrinks only once the route is settled."""
    child = obs.children.get(revision.hash)
    live = (child.live.get("spec") if child else None) or {}
    own = scaling.restarted(revision.template.get("spec") or {}, _restarted_at(status, revision.hash), live)
    if role == "retired":
        # What waits for its end is not scaled any more.
        return scaling.with_replicas(own, live or own)
    if obs.target is None and Phase(status.phase) is Phase.INVALID:
        return scaling.with_replicas(own, live or own)
    usual = obs.target.template.get("spec") or own if obs.target is not None else own
    spec = scaling.with_replicas(own, usual)
    if role == "stable" and status.canary_revision is not None and _shrinks(obs, status):
        away = min(status.weights.canary, live_weight(obs, status.canary_revision.hash))
        # What is promoted in a moment needs no smaller stable, and one that stands can be gone back to. A canary that
        # is short of pods takes none of stable's.
        still = settled and Phase(status.phase) is not Phase.PROMOTING and full(obs, status)
        return capacity.beside(spec, live, away=away, settled=still)
    if role != "canary" or status.stable_revision is None:
        return spec
    # Pods go only after the traffic that they carry has gone.
    return scaling.scaled(spec, status.scale, weight=max(status.weights.canary, live_weight(obs, revision.hash)))


def _shrinks(obs: Observed, status: RolloutStatus) -> bool:
    return _dynamic(obs) and Phase(status.phase) in IN_PROGRESS


def _dynamic(obs: Observed) -> bool:
    canary = _canary(obs)
    return canary is not None and canary.dynamic_stable_scale


def _canary(obs: Observed) -> CanaryStrategy | None:
    """Return the canary's strategy: also the one that follows a shadow."""
    if obs.spec is None:
        return None
    shadow = obs.spec.strategy.shadow
    return shadow.then if shadow is not None else obs.spec.strategy.canary


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


def enough(obs: Observed, status: RolloutStatus) -> bool:
    """Say whether the canary has the pods for what comes next: all of them, or as many as the strategy says."""
    canary, threshold = status.canary_revision, _threshold(obs)
    child = obs.children.get(canary.hash) if canary else None
    if canary is None or child is None or threshold is None or not _holds(obs, status):
        return full(obs, status)
    if canary.hash not in obs.revisions:
        return False
    wanted = wanted_spec(obs, status, obs.revisions[canary.hash], "canary")
    sized = scaling.same_size(wanted, child.live.get("spec") or {})
    return full(obs, status) or (sized and child.reached and capacity.suffices(child, wanted, threshold))


def lacking(obs: Observed, status: RolloutStatus) -> BlockedOn:
    """Say which of the canary's pods are waited for."""
    child = obs.children.get(status.canary_revision.hash) if status.canary_revision else None
    return waiting("canary", child, enough=capacity.enough(child, _threshold(obs), holds=_holds(obs, status)))


def _threshold(obs: Observed) -> ProgressThreshold | None:
    canary = _canary(obs)
    return canary.replica_progress_threshold if canary is not None else None


def _holds(obs: Observed, status: RolloutStatus) -> bool:
    """Say whether the threshold is in force: at a step, and below all traffic. What comes after has no way back."""
    if obs.spec is None or Phase(status.phase) not in (Phase.PROGRESSING, Phase.PAUSED) or status.weights.canary == 100:
        return False
    stages, index = course(obs.spec).stages, status.current_step_index
    return index < len(stages) and not isinstance(stages[index], Bake)


def live_weight(obs: Observed, digest: str) -> float:
    """Return the percent of requests that the live route sends to a revision."""
    return route.live_weight(obs, _hosts(obs, digest))


def live_mirror(obs: Observed, digest: str) -> float:
    """Return the percent of requests that the live route copies to a revision."""
    return route.live_mirror(obs, _hosts(obs, digest))


def _hosts(obs: Observed, digest: str) -> list[str]:
    """The hosts of a revision that answer; none of one that nobody knows."""
    revision = obs.revisions.get(digest)
    return [part.host for part in traffic.routed(obs, revision) if not part.shadow] if revision is not None else []


def _routed_to(obs: Observed, digest: str) -> bool:
    """Say whether any live route names a revision."""
    revision = obs.revisions.get(digest)
    return revision is not None and route.mentions(obs, (part.host for part in traffic.routed(obs, revision)))


def without_traffic(obs: Observed, digest: str, ground: Ground) -> bool:
    """Say whether no request reaches a revision: the route in effect does not name it."""
    if obs.route is None:
        return True
    return digest in obs.revisions and ground.in_effect and not _routed_to(obs, digest)


def deadline(obs: Observed, status: RolloutStatus, kind: Blocker | None, *, now: datetime) -> datetime | None:
    """Return when the present step must have made progress; with a kind, counted from when it began to wait for it."""
    if obs.spec is None or status.step_progress_at is None:
        return None
    if runs.held(obs.status):
        return now + obs.spec.progress_deadline
    if kind is None:
        return status.step_progress_at + obs.spec.progress_deadline
    before = obs.status.blocked_on
    same = before is not None and (before.kind == kind or {before.kind, kind} <= capacity.LACKING)
    since = (before.since or now) if before is not None and same else now
    return max(status.step_progress_at, since) + obs.spec.progress_deadline
