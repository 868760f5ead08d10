"""decide: the one entrance. A frozen snapshot and an instant in; actions, status and the next look out."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from controller.api import names
from controller.api.arms import RevisionStatus
from controller.api.rollout import BlockedOn, HistoryEntry, Intent, RolloutStatus
from controller.api.routing import Routing
from controller.rollout import (
    acceptance,
    actions,
    adoption,
    answers,
    comparing,
    effects,
    ejection,
    findings,
    group,
    instants,
    intents,
    leaving,
    own_route,
    peers,
    pins,
    revisions,
    runs,
    stages,
    traffic,
)
from controller.rollout import route as routing
from controller.rollout import status as words
from controller.rollout.actions import Action, Announcement, Decision
from controller.rollout.course import course
from controller.rollout.ground import Ground, survey, wanted_spec, without_traffic
from controller.rollout.observed import Child, Observed
from controller.rollout.outlook import Outlook, outlook
from controller.rollout.phases import IN_PROGRESS, TRANSITIONS, Event, Phase
from controller.rollout.split import passed

_JUDGED = frozenset({Phase.PROGRESSING, Phase.PAUSED, Phase.PROMOTING, Phase.INVALID})
_WARNINGS = frozenset({"RolledBack", "Refused", "MetricWarning", "RouteHidesFaults"})
RESTARTS_LIMIT = 40


def decide(obs: Observed, *, now: datetime) -> Decision:
    """Say what to do for a rollout.

    Total and deterministic. On a world where its actions took effect and nothing else changed it asks for nothing more.
    """
    if obs.deleting is not None:
        return leaving.leave(obs, now=now)
    if (held := leaving.hold(obs)) is not None:
        # Before anything else: what begins after it is looked after to its end.
        return Decision(actions=(held,), status=obs.status, requeue_after=timedelta())
    obs = replace(obs, status=instants.settled(obs.status, now=now))
    before = obs.status.history[-1:] if obs.status.history else ()
    status = pins.refreshed(obs, words.refresh(obs, now=now), now=now)
    status = _adopt_orphans(obs, status, now)
    # Every round leaves a phase or a step behind; the bound only guards against a table that goes round in circles.
    ahead = len(course(obs.spec).stages) if obs.spec else 0
    for _ in range(3 * (status.step_count + ahead + len(Phase)) + 2):
        ground = survey(obs, status, now=now)
        intent = intents.pending(obs.intent, status)
        if intent is not None:
            status = _answer(obs, status, intent, now)
            continue
        status = acceptance.noted(_start_judging(obs, status, ground, now), ground, now)
        status = group.voted(obs, status, ground, now)
        view = _next(obs, status, ground, now)
        if view.event is None:
            break
        status = effects.apply_event(view.event, obs, status, now=now, reason=view.reason, lacks=view.lacks)
    else:
        raise RuntimeError(f"{obs.namespace}/{obs.name} did not settle in phase {status.phase}")
    return _decision(obs, status, ground, view, now=now, before=before)


def _next(obs: Observed, status: RolloutStatus, ground: Ground, now: datetime) -> Outlook:
    """Return the next event that has an effect, or what is waited for."""
    phase, held = Phase(status.phase), ""
    for event in _world(obs, status, phase):
        if event is Event.NEW_REVISION and phase in peers.RESTING and (held := peers.waits(obs)):
            continue
        if isinstance(TRANSITIONS[phase][event], Phase):
            return Outlook(event=event)
    view = outlook(obs, status, ground, now=now)
    if held and (view.blocked is None or status.canary_revision is None):
        return Outlook(blocked=BlockedOn(kind="gate", message=held), wake=view.wake)
    if view.event is not None and not isinstance(TRANSITIONS[phase][view.event], Phase):
        return Outlook(blocked=view.blocked, wake=view.wake)
    return view


def _world(obs: Observed, status: RolloutStatus, phase: Phase) -> list[Event]:
    """Return what the spec and the judge say, most urgent first."""
    events: list[Event] = []
    bad = status.analysis.verdict == "Bad" or runs.failed(obs, status) is not None
    compared = status.canary_revision is not None and status.stable_revision is not None
    judged = compared and not status.forced_by and phase in _JUDGED
    if bad and judged and not group.final(obs, status):
        events.append(Event.VERDICT_BAD)
    if phase in IN_PROGRESS and group.rolled_back(obs, status) is not None:
        events.append(Event.GROUP_ROLLED_BACK)
    if obs.spec is None or obs.target is None:
        return [*events, *([Event.SPEC_INVALID] if phase is not Phase.INVALID else [])]
    if phase is Phase.INVALID:
        return [*events, Event.SPEC_VALID]
    target = pins.goal(obs, status)
    return [*(_template(obs, status, phase, target.hash) if target else ()), *events]


def _template(obs: Observed, status: RolloutStatus, phase: Phase, target: str) -> list[Event]:
    stable, canary = status.stable_revision, status.canary_revision
    if stable is None:
        return [Event.NEW_REVISION] if canary is None or canary.hash != target else []
    if target == stable.hash:
        leaving = canary is not None and phase is not Phase.ROLLING_BACK
        return [Event.STABLE_AGAIN] if leaving or phase in (Phase.DEGRADED, Phase.SHADOWED) else []
    if any(each.hash == target for each in status.rejected) and not group.another_wave(obs, status, target):
        return [Event.REJECTED_AGAIN] if phase is not Phase.DEGRADED else []
    if canary is None or canary.hash != target:
        return [] if phase is Phase.SHADOWED and _only_shadowed(obs, status, target) else [Event.NEW_REVISION]
    kind = obs.spec.strategy.kind if obs.spec else status.strategy
    return [Event.STRATEGY_CHANGED] if status.strategy is not None and status.strategy != kind else []


def _only_shadowed(obs: Observed, status: RolloutStatus, target: str) -> bool:
    """Say whether the template's revision has had its shadow, and the strategy wants no more of it."""
    done = status.shadow is not None and status.shadow.hash == target
    return done and obs.spec is not None and course(obs.spec).stands_down


def _answer(obs: Observed, status: RolloutStatus, intent: Intent, now: datetime) -> RolloutStatus:
    """Do what a person asks for, or say why not; either way it is answered once."""
    refused = answers.refused(obs, status, intent)
    if refused:
        answered = intent.model_copy(update={"outcome": "refused", "message": refused, "at": now})
        status = status.model_copy(update={"last_intent": answered})
        said = f"{intent.verb or 'an intent'} by {intent.by or 'a person'}: {refused}"
        return stages.record(status, now, "Refused", said)
    answered = intent.model_copy(update={"outcome": "done", "message": "", "at": now})
    status = status.model_copy(update={"last_intent": answered})
    return effects.apply_event(Event(intent.verb), obs, status, now=now, intent=intent)


def _start_judging(obs: Observed, status: RolloutStatus, ground: Ground, now: datetime) -> RolloutStatus:
    """The comparison starts with the canary's first request."""
    split = ground.split
    exposed = ground.in_effect and split is not None and bool(split.weight or split.mirror or split.routes)
    canary = status.canary_revision
    if canary is None or split is None or split.canary != canary.hash or not exposed:
        return status
    unjudged = course(obs.spec).unjudged if obs.spec else range(0)
    if status.analysis.started_at is not None or status.current_step_index in unjudged:
        return status
    begun = findings.shifted(status.analysis.model_copy(update={"started_at": now, "verdict": "NoData"}), split, now)
    return status.model_copy(update={"analysis": begun})


def _adopt_orphans(obs: Observed, status: RolloutStatus, now: datetime) -> RolloutStatus:
    """A child that the status does not know, left by a crash or a lost status, goes the way of a retired one.

    The template's, too: where it begins it is taken up again, and where it does not nobody else would take it down.
    """
    for digest in sorted(obs.children):
        if digest not in _live_hashes(status) and all(r.hash != digest for r in status.retired_revisions):
            number = obs.revisions[digest].number if digest in obs.revisions else 0
            orphan = RevisionStatus(hash=digest, number=number, name=obs.children[digest].name, role="retired")
            status = stages.retire(status, orphan, now)
    return status


def _live_hashes(status: RolloutStatus) -> frozenset[str]:
    return frozenset(r.hash for r in (status.stable_revision, status.canary_revision) if r is not None)


def _decision(
    obs: Observed,
    status: RolloutStatus,
    ground: Ground,
    view: Outlook,
    *,
    now: datetime,
    before: tuple[HistoryEntry, ...],
) -> Decision:
    route, unmoved = _route(obs, ground), status
    if ground.split is not None and (route or ground.applied):
        routes = routing.fingerprint(ground.rendered)
        # A route that we do not remember was written by a pass that was cut off before its status.
        if route or routes != status.weights.route_hash:
            status = _moved(status, ground, routes, now)
    hiding = {findings.ROUTE: own_route.hides(obs), findings.RULE: ejection.hides(obs, status)}
    status = findings.hidden(findings.warned(status, now), hiding, now)
    children: list[Action] = [*_keep(obs, status), *_deploy(obs, status, ground)]
    # Traffic before pods: what refuses a child must not hold traffic on a bad revision.
    first = obs.route is not None and (obs.route.ours or obs.routing.virtual_service is not None)
    todo = [*route, *children] if first else [*children, *route]
    if obs.spec is not None:
        stable = status.stable_revision.hash if status.stable_revision else None
        todo += routing.leave(obs, stable, in_effect=ground.in_effect)
        status = status.model_copy(update={"routing": obs.spec.routing if obs.spec.routing != Routing() else None})
    status, removals, due = _remove(obs, status, ground, now)
    goodbye, later = adoption.farewell(obs, status, ground, _delay(obs), now=now)
    blocked = words.since(view.blocked, obs, now) if view.blocked is not None else None
    status = words.told(obs, status, ground, blocked, now=now, moved=bool(route))
    wakes = [instant for instant in (view.wake, due, later, ground.relief_at) if instant is not None]
    return Decision(
        actions=(
            *todo,
            *removals,
            *goodbye,
            *_forget(obs, status),
            *runs.plan(obs, status, blocked=ground.blocked is not None),
        ),
        status=status,
        before_moving=unmoved,
        announcements=_announce(status, before),
        requeue_after=max(min(wakes) - now, timedelta()) if wakes else None,
    )


def _moved(status: RolloutStatus, ground: Ground, routes: str, now: datetime) -> RolloutStatus:
    """Note that the weights change now; the judge looks for late regressions from here."""
    weights = status.weights.model_copy(update={"changed_at": now, "accepted_at": None, "route_hash": routes})
    if ground.split is not None and ground.split.sticky:
        # What stable cannot carry yet makes weights of no step: users are drawn at them all the same.
        drawn = passed(ground.split.earlier, ground.split.weight)
        weights = weights.model_copy(update={"earlier": tuple(each for each in drawn if each != weights.canary)})
    analysis = status.analysis
    if analysis.started_at is not None and status.canary_revision is not None:
        analysis = analysis.model_copy(update={"restarts": (*analysis.restarts, now)[-RESTARTS_LIMIT:]})
        analysis = findings.shifted(analysis, ground.split, now)
    return status.model_copy(update={"weights": weights, "analysis": analysis, "step_progress_at": now})


def _keep(obs: Observed, status: RolloutStatus) -> list[Action]:
    owner = _owner(obs)
    return [
        actions.KeepRevision(revisions.history_object(owner, obs.revisions[digest]))
        for digest in sorted(_live_hashes(status))
        if digest not in obs.stored and digest in obs.revisions
    ]


def _owner(obs: Observed) -> dict[str, str]:
    return {
        "apiVersion": "rollouts.seldon.io/v1alpha1",
        "kind": "SeldonRollout",
        "name": obs.name,
        "namespace": obs.namespace,
        "uid": obs.uid,
    }


def _deploy(obs: Observed, status: RolloutStatus, ground: Ground) -> list[Action]:
    """Write the children that differ: stable first, then the canary, then what is retired (its role only)."""
    if obs.in_the_way and status.stable_revision is None:
        return []
    wanted = [(r.hash, r.role) for r in (status.stable_revision, status.canary_revision) if r is not None]
    wanted += [(r.hash, "retired") for r in status.retired_revisions if r.hash in obs.children]
    todo: list[Action] = []
    for digest, role in wanted:
        revision = obs.revisions.get(digest)
        if revision is None:
            continue
        spec = wanted_spec(obs, status, revision, role, settled=ground.in_effect)
        spec = comparing.told(obs, status, revision, role, spec)
        desired = revisions.child_object(_owner(obs), revision, role=role, spec=spec)
        child = obs.children.get(digest)
        if child is None or _differs(desired, child):
            reach = actions.Reach.NOBODY if child is None else actions.Reach.PODS
            todo.append(actions.ApplyDeployment(desired, reach))
    return todo


def _differs(desired: dict[str, Any], child: Child) -> bool:
    """Say whether a child is not as it should be; what the server filled in when it was written is no difference."""
    compared = {key: value for key, value in desired.items() if key != "apiVersion"}
    if traffic.covers(compared, child.live):
        return False
    del compared["spec"]
    return child.asked != names.stable_hash(desired["spec"]) or not traffic.covers(compared, child.live)


def _route(obs: Observed, ground: Ground) -> list[Action]:
    if ground.split is None or ground.applied or ground.obstructed:
        return []
    if obs.routing.virtual_service is None and (obs.route is None or not obs.route.ours):
        return adoption.take(obs, ground.rendered)
    return [routing.write(obs, ground.split, ground.rendered)]


def _delay(obs: Observed) -> timedelta:
    return obs.spec.scale_down_delay if obs.spec else timedelta(seconds=30)


def _remove(
    obs: Observed, status: RolloutStatus, ground: Ground, now: datetime
) -> tuple[RolloutStatus, list[Action], datetime | None]:
    """Take down retired children that had no traffic for the scale-down delay; say when the next is due."""
    kept, removals, due = [], [], None
    for retired, delay in _delays(obs, status):
        child = obs.children.get(retired.hash)
        if child is None:
            continue
        if not without_traffic(obs, retired.hash, ground):
            kept.append(retired.model_copy(update={"retired_at": None}))
            due = min(filter(None, (due, ground.settles_at)), default=None)
            continue
        # From when it has none: a mesh may have taken the route long after that was written.
        since = retired.retired_at or now
        drained_at = max(since, status.weights.changed_at or since) + delay
        kept.append(retired.model_copy(update={"retired_at": since}))
        if now >= drained_at:
            uid = (child.live.get("metadata") or {}).get("uid", "")
            removals.append(actions.DeleteDeployment(child.name, uid))
        else:
            due = min(filter(None, (due, drained_at)))
    return status.model_copy(update={"retired_revisions": tuple(kept)}), list(removals), due


def _delays(obs: Observed, status: RolloutStatus) -> list[tuple[RevisionStatus, timedelta]]:
    """Return what is retired, each with how long it is kept without traffic."""
    spec = obs.spec
    if spec is None:
        return [(retired, _delay(obs)) for retired in status.retired_revisions]
    rejected = {each.hash for each in status.rejected}
    longer = spec.abort_scale_down_delay
    limit = spec.scale_down_delay_revision_limit
    beyond = len(status.retired_revisions) - limit if limit is not None else 0
    return [
        (
            retired,
            timedelta()
            if index < beyond
            else longer
            if longer is not None and retired.hash in rejected
            else spec.scale_down_delay,
        )
        for index, retired in enumerate(status.retired_revisions)
    ]


def _forget(obs: Observed, status: RolloutStatus) -> list[Action]:
    if obs.spec is None:
        return []
    wanted = {revision.hash for revision in (obs.target, pins.goal(obs, status)) if revision is not None}
    used = _live_hashes(status) | {r.hash for r in status.retired_revisions} | wanted
    kept = {digest: revision for digest, revision in obs.revisions.items() if digest in obs.stored}
    gone = revisions.surplus(kept, frozenset(used), obs.spec.revision_history_limit)
    return [actions.ForgetRevision(names.revision_name(obs.name, digest)) for digest in gone]


def _announce(status: RolloutStatus, before: tuple[HistoryEntry, ...]) -> tuple[Announcement, ...]:
    """Say what was added to the history in this decision."""
    fresh = list(status.history)
    if before and before[0] in fresh:
        fresh = fresh[fresh.index(before[0]) + 1 :]
    return tuple(
        Announcement("Warning" if entry.type in _WARNINGS else "Normal", entry.type, entry.message) for entry in fresh
    )
