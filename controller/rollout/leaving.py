"""Leaving: what becomes of the traffic when a rollout is deleted. Pure.

Without our finalizer nothing is to be done: what the rollout owns goes with it. With it, either stable is kept: the
half-way canary loses its traffic and drains, then route and stable are released and go on serving; or a plain
SeldonDeployment takes over; or an adoption that was under way is undone; or everything goes, and a person's own
VirtualService names nothing of it any more. All end, whatever stands in their way: after the progress deadline what
serves is left alone.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from controller.api.meta import FINALIZER
from controller.api.rollout import BlockedOn, Blocker, RolloutStatus
from controller.rollout import actions, adoption, carried, plain, route
from controller.rollout import status as words
from controller.rollout.actions import Action, Decision
from controller.rollout.ground import Ground, survey
from controller.rollout.observed import Observed
from controller.rollout.split import Split
from controller.rollout.stages import changed, unrouted

_DEADLINE = timedelta(minutes=10)


def hold(obs: Observed) -> actions.HoldRollout | None:
    """Return the write of the finalizer, where it is needed and missing, or there and not needed."""
    if obs.spec is None:
        return None
    theirs = obs.spec.routing.virtual_service is not None
    needed = obs.adoptee is not None or obs.spec.deletion_policy != "Delete" or theirs
    if needed == (FINALIZER in obs.finalizers):
        return None
    others = tuple(each for each in obs.finalizers if each != FINALIZER)
    return actions.HoldRollout((*others, FINALIZER) if needed else others, obs.resource_version)


def leave(obs: Observed, *, now: datetime) -> Decision:
    """Say what to do for a rollout that is being deleted."""
    if FINALIZER not in obs.finalizers:
        return Decision(actions=(), status=obs.status)
    if obs.adoptee is not None and obs.adoptee.marked:
        return _undo(obs, now)
    match _policy(obs):
        case "Delete":
            # A write that is refused holds the deletion up to its deadline.
            back = route.give_back(obs) if now < _times(obs)[1] else []
            return Decision(actions=(*back, _end(obs)), status=obs.status)
        case "Leave" if obs.spec is not None:
            return _become_plain(obs, now)
        case _:
            return _keep_stable(obs, now)


def _policy(obs: Observed) -> str:
    """Return what becomes of the traffic; also where the spec is not valid otherwise."""
    if obs.spec is not None:
        return obs.spec.deletion_policy
    return str((obs.live.get("spec") or {}).get("deletionPolicy") or "Delete")


def _end(obs: Observed) -> actions.HoldRollout:
    return actions.HoldRollout(tuple(each for each in obs.finalizers if each != FINALIZER), obs.resource_version)


def _wait(
    obs: Observed,
    status: RolloutStatus,
    todo: list[Action],
    why: str,
    due: datetime,
    now: datetime,
    *,
    kind: Blocker = "mesh",
) -> Decision:
    blocked = BlockedOn(kind=kind, message=why, since=obs.deleting)
    status = changed(status, blocked_on=blocked, message=f"being deleted: {why}")
    return Decision(actions=tuple(todo), status=status, requeue_after=max(due - now, timedelta()))


def _times(obs: Observed) -> tuple[timedelta, datetime]:
    """Return the scale-down delay, and when what serves is left alone at the latest."""
    if obs.deleting is None:
        raise ValueError(f"{obs.namespace}/{obs.name} is not being deleted")
    delay = obs.spec.scale_down_delay if obs.spec else timedelta(seconds=30)
    patience = obs.spec.progress_deadline if obs.spec else _DEADLINE
    return delay, obs.deleting + max(patience, delay)


def _undo(obs: Observed, now: datetime) -> Decision:
    """Give the VirtualService back, and let our pods drain before they go with the rollout."""
    delay, latest = _times(obs)
    status, back = obs.status, adoption.give_back(obs)
    given = adoption.given_back(obs)
    # A route that was given back by a pass that was cut off before its status: the drain is counted from now.
    if back or (given and given != status.weights.route_hash):
        weights = {"changed_at": now, "route_hash": adoption.fingerprint(obs)}
        status = carried.nothing(changed(status, weights=status.weights.model_copy(update=weights)))
        return _wait(obs, status, back, "traffic goes back to the SeldonDeployment", now + delay, now)
    waits = obs.route is not None and obs.route.accepted is False
    status = status if waits else _taken(status, now)
    due = (status.weights.accepted_at or now) + delay
    if status.weights.changed_at is not None and now < latest and (waits or now < due):
        return _wait(obs, status, [], "connections drain", min(max(due, now + timedelta(seconds=1)), latest), now)
    return Decision(actions=(*adoption.unmark(obs), _end(obs)), status=status)


def _become_plain(obs: Observed, now: datetime) -> Decision:
    """Have a SeldonDeployment of the rollout's name take over; where that does not come about, keep stable."""
    delay, latest = _times(obs)
    status = unrouted(words.refresh(obs, now=now))
    stable = status.stable_revision
    if stable is None or stable.hash not in obs.revisions:
        return _keep_stable(obs, now)
    ours = obs.route is not None and obs.route.ours
    ground = survey(obs, status, now=now)
    if ours and not _settled(ground, stable.hash) and obs.plain is None:
        everybody = frozenset(obs.children)
        return _move(obs, status, ground, latest, now) if now < latest else _release(obs, status, everybody)
    status = carried.told(obs, status, None)
    if obs.route is not None and obs.route.accepted is not False:
        status = _taken(status, now)
    step = plain.stage(obs, status, now=now, delay=delay)
    if now >= latest and step in plain.UNCERTAIN:
        # Whoever serves now is left alone: no revision goes before its replacement serves.
        kept = _release(obs, status, frozenset({stable.hash}))
        return replace(kept, actions=(*plain.unmark(obs), *kept.actions))
    if step is plain.Stage.OVER:
        return Decision(actions=(*plain.unmark(obs), _end(obs)), status=status)
    if step in plain.MOVES:
        weights = {"changed_at": now, "route_hash": plain.fingerprint(obs)}
        status = carried.nothing(changed(status, weights=status.weights.model_copy(update=weights)))
    due = plain.due(status, delay) if step is plain.Stage.DRAIN else latest
    todo, why = plain.actions_of(step, obs, status), plain.told(step, obs)
    return _wait(obs, status, todo, why, due, now, kind=plain.waits_for(step))


def _keep_stable(obs: Observed, now: datetime) -> Decision:
    delay, latest = _times(obs)
    status = unrouted(words.refresh(obs, now=now))
    stable = status.stable_revision
    writable = obs.route is not None and (obs.route.ours or obs.routing.virtual_service is not None)
    if stable is None or stable.hash not in obs.children or not writable:
        return _release(obs, status, frozenset({stable.hash}) if stable else frozenset())
    ground = survey(obs, status, now=now)
    if not _settled(ground, stable.hash):
        # Too late to wait on: whoever the mesh still leads requests to is kept.
        everybody = frozenset(obs.children)
        return _move(obs, status, ground, latest, now) if now < latest else _release(obs, status, everybody)
    status, kept = carried.told(obs, status, None), frozenset({stable.hash})
    if (routes := route.fingerprint(ground.rendered)) != status.weights.route_hash:
        # Written by a pass that was cut off before its status: the drain is counted from now.
        weights = status.weights.model_copy(update={"changed_at": now, "route_hash": routes})
        status = changed(status, weights=weights)
    status = _taken(status, now)
    due = (status.weights.accepted_at or now) + delay
    if len(obs.children) > len(kept) and now < min(due, latest):
        return _wait(obs, status, [], "the canary's connections drain", due, now)
    return _release(obs, status, kept)


def _taken(status: RolloutStatus, now: datetime) -> RolloutStatus:
    """Return the status with from when connections drain: the mesh has taken the route that was written last."""
    written, taken = status.weights.changed_at, status.weights.accepted_at
    if taken is not None and written is not None and taken >= written:
        return status
    return changed(status, weights=status.weights.model_copy(update={"accepted_at": now}))


def _settled(ground: Ground, stable: str) -> bool:
    return ground.split == Split(stable=stable) and ground.in_effect


def _move(obs: Observed, status: RolloutStatus, ground: Ground, latest: datetime, now: datetime) -> Decision:
    todo: list[Action] = []
    says = ground.split if ground.applied else None
    if ground.split is not None and not ground.applied and not ground.obstructed and obs.route is not None:
        says = ground.split
        todo.append(route.write(obs, ground.split, ground.rendered))
        routes = route.fingerprint(ground.rendered)
        weights = status.weights.model_copy(update={"changed_at": now, "route_hash": routes})
        status = changed(status, weights=weights)
    blocked = ground.blocked or BlockedOn(kind="mesh", message=ground.trouble or "all traffic goes to stable")
    due = min(ground.settles_at or latest, latest)
    return _wait(obs, carried.told(obs, status, says), todo, blocked.message, due, now, kind=blocked.kind)


def _release(obs: Observed, status: RolloutStatus, kept: frozenset[str]) -> Decision:
    """Delete what does not serve, take our name off what does, and let the rollout go."""
    todo: list[Action] = [
        actions.DeleteDeployment(child.name, child.live["metadata"].get("uid", ""))
        for digest, child in sorted(obs.children.items())
        if digest not in kept
    ]
    if obs.route is not None and obs.route.ours and kept:
        version = obs.route.live["metadata"].get("resourceVersion", "")
        todo.append(actions.TakeRoute({"metadata": {"ownerReferences": None}}, version))
    todo += [
        actions.ReleaseDeployment(child.name, child.live["metadata"].get("resourceVersion", ""))
        for digest, child in sorted(obs.children.items())
        if digest in kept
    ]
    return Decision(actions=(*todo, _end(obs)), status=status)
