"""Status: what was observed, in the words that people read: sentence, blockedOn, conditions."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Literal

from controller.api.arms import ObservedTraffic, RevisionStatus
from controller.api.meta import Condition, format_duration
from controller.api.rollout import AnalysisStatus, BlockedOn, RolloutStatus
from controller.api.seen import ANALYSIS_READY, STALLED
from controller.rollout import carried, findings, preflight, runs
from controller.rollout.course import course
from controller.rollout.curve import grown
from controller.rollout.ground import Ground, deadline, live_weight
from controller.rollout.observed import Child, Observed
from controller.rollout.phases import IN_PROGRESS, Phase

WARNING = "AnalysisWarning"
"""The condition that says what a metric found that only warns; it is there while one did."""

_KEPT = ("started_at", "restarts", "baking", "weights", "told")
"""What of a comparison is not the judge's."""


def refresh(obs: Observed, *, now: datetime) -> RolloutStatus:
    """Return the last status with what is observed now: pods, traffic, and the judge's opinion."""
    status = obs.status
    if status.stable_revision is None and status.canary_revision is None:
        status = _recovered(obs, status)
    stable, canary = _seen(obs, status.stable_revision), _seen(obs, status.canary_revision)
    changes: dict[str, object] = {
        "stable_revision": stable,
        "canary_revision": canary,
        "retired_revisions": tuple(_known(obs, revision) for revision in status.retired_revisions),
        "observed_generation": obs.generation,
    }
    before = status.canary_revision
    leaving = Phase(status.phase) is Phase.ROLLING_BACK
    if canary is not None and before is not None and canary.ready_replicas > before.ready_replicas and not leaving:
        changes["step_progress_at"] = now
    if canary is not None and status.canary_ready_at is None and _available(obs, canary):
        changes["canary_ready_at"] = now
    if obs.spec is not None:
        count = len(course(obs.spec).stages)
        changes["step_count"] = count
        # Edited steps never move the rollout on; where there are fewer now, it is at their end.
        if status.strategy in (None, obs.spec.strategy.kind):
            changes["current_step_index"] = min(status.current_step_index, count)
    changes["weights"] = status.weights.model_copy(update={"observed": _traffic(obs, status)})
    if _current(obs, status):
        changes["analysis"] = _opinion(obs, status)
    return status.model_copy(update=changes)


def _recovered(obs: Observed, status: RolloutStatus) -> RolloutStatus:
    """Without a status, the children's roles tell who was stable: it goes on serving."""
    for child in obs.children.values():
        if child.role == "stable" and child.hash in obs.revisions:
            revision = RevisionStatus(
                hash=child.hash, number=obs.revisions[child.hash].number, name=child.name, role="stable"
            )
            return status.model_copy(update={"stable_revision": revision, "phase": Phase.HEALTHY.value})
    return status


def _seen(obs: Observed, revision: RevisionStatus | None) -> RevisionStatus | None:
    return _known(obs, revision) if revision is not None else None


def _known(obs: Observed, revision: RevisionStatus) -> RevisionStatus:
    child = obs.children.get(revision.hash)
    if child is None:
        return revision.model_copy(update={"replicas": 0, "ready_replicas": 0, "message": ""})
    return revision.model_copy(
        update={"replicas": child.replicas, "ready_replicas": child.ready_replicas, "message": child.message}
    )


def _available(obs: Observed, revision: RevisionStatus) -> bool:
    child = obs.children.get(revision.hash)
    return child is not None and child.available


def _traffic(obs: Observed, status: RolloutStatus) -> ObservedTraffic:
    window = obs.traffic
    if window is None:
        return status.weights.observed if status.canary_revision is not None else ObservedTraffic()
    total = window.stable + window.canary
    return ObservedTraffic(
        canary_percent=round(100 * window.canary / total, 2) if total else None,
        stable_requests=window.stable,
        canary_requests=window.canary,
        at=window.until,
    )


def _current(obs: Observed, status: RolloutStatus) -> bool:
    """Say whether the judge speaks of the comparison that is under way."""
    started = status.analysis.started_at
    return obs.analysis is not None and started is not None and obs.analysis.started_at == started


def _opinion(obs: Observed, status: RolloutStatus) -> AnalysisStatus:
    seen, last = obs.analysis, status.analysis
    if seen is None:
        return last
    weight = status.canary_revision.weight if status.canary_revision is not None else 0
    kept: dict[str, object] = {name: getattr(last, name) for name in _KEPT}
    told = {
        "preflight": preflight.refreshed(obs.spec, seen, last),
        "curve": grown(last.curve, seen, weight, status.weights.observed),
    }
    return seen.model_copy(update={**kept, **told})


def describe(status: RolloutStatus, obs: Observed, blocked: BlockedOn | None, *, late: bool = False) -> str:
    """Say in one sentence where the rollout is, and what it waits for."""
    waits = f"; {blocked.message}" if blocked else ""
    canary, stable = status.canary_revision, status.stable_revision
    match Phase(status.phase):
        case Phase.INVALID:
            return obs.invalid or "the spec is not valid"
        case Phase.PENDING:
            over = f", to take over SeldonDeployment {obs.namespace}/{obs.name}" if obs.adoptee else ""
            if late and obs.spec is not None:
                given = format_duration(obs.spec.progress_deadline)
                return f"the first revision is stuck: it did not start within {given}{over}{waits}"
            return f"the first revision is starting{over}{waits}"
        case Phase.HEALTHY:
            also = f"{_pinned(status)}{_drains(obs)}"
            return f"revision {stable.number if stable else '?'} serves all traffic{also}{waits}"
        case Phase.PROGRESSING | Phase.PAUSED:
            index, count = status.current_step_index, status.step_count
            step = f"step {index + 1} of {count}" if index < count else f"all {count} steps are done"
            verb = "paused" if Phase(status.phase) is Phase.PAUSED else "progressing"
            return f"revision {canary.number if canary else '?'} is {verb}: {step}{waits}"
        case Phase.PROMOTING:
            return f"revision {canary.number if canary else '?'} takes over all traffic{waits}"
        case Phase.ROLLING_BACK:
            return f"going back to revision {stable.number if stable else '?'}{waits}"
        case Phase.SHADOWED:
            report = status.shadow
            said = f"{report.verdict}: {report.message}" if report else "its report is lost"
            return f"the shadow of revision {report.number if report else '?'} is over: {said}{waits}"
        case Phase.DEGRADED:
            last = status.rejected[-1].message if status.rejected else "the revision was rejected"
            return f"rolled back to revision {stable.number if stable else '?'}: {last}{waits}"


def _late(obs: Observed, status: RolloutStatus, now: datetime) -> bool:
    """Say whether a first revision has not begun to serve within its deadline: there is nothing to go back to."""
    begun = Phase(status.phase) is Phase.PENDING and status.canary_revision is not None
    due = deadline(obs, status, None, now=now)
    return begun and due is not None and now >= due


def _step(status: RolloutStatus) -> str | None:
    if status.canary_revision is None or status.stable_revision is None:
        return None
    return f"{min(status.current_step_index + 1, status.step_count)}/{status.step_count}"


def _drains(obs: Observed) -> str:
    return f"; SeldonDeployment {obs.namespace}/{obs.name}, which it took over, drains" if obs.adoptee else ""


def _pinned(status: RolloutStatus) -> str:
    pinned = status.pinned
    if pinned is None:
        return ""
    why = f": {pinned.reason}" if pinned.reason else ""
    return f", pinned by {pinned.by or 'a person'} in the place of the template{why}"


def told(
    obs: Observed,
    status: RolloutStatus,
    ground: Ground,
    blocked: BlockedOn | None,
    *,
    now: datetime,
    moved: bool,
) -> RolloutStatus:
    """Return the status with all that it tells: who gets how much, what it waits for, the sentence, the conditions.

    Args:
        obs: what was observed.
        status: what was decided.
        ground: how the wanted split meets the world.
        blocked: what is waited for.
        now: the instant of the decision.
        moved: whether the route is being written, so that nobody has seen it yet.
    """
    status = carried.told(obs, status, ground.split if moved or ground.applied else None)
    status = status.model_copy(
        update={
            "weights": status.weights.model_copy(update={"verified": ground.verified and not moved}),
            "analysis": status.analysis.model_copy(update={"runs": runs.told(obs)}),
            "blocked_on": blocked,
            "step": _step(status),
            "replicas": sum(pods(child)[0] for child in obs.children.values()),
            "selector": f"rollouts.seldon.io/rollout={obs.name}",
        }
    )
    late = _late(obs, status, now)
    status = status.model_copy(update={"message": describe(status, obs, blocked, late=late)})
    return conditions(status, obs, now=now, late=late)


def since(blocked: BlockedOn, obs: Observed, now: datetime) -> BlockedOn:
    """Return what is waited for, and since when it is something of this kind."""
    before = obs.status.blocked_on
    same = before is not None and before.kind == blocked.kind
    return blocked.model_copy(update={"since": before.since if same and before is not None else now})


def conditions(status: RolloutStatus, obs: Observed, *, now: datetime, late: bool = False) -> RolloutStatus:
    """Return the status with its conditions; a transition time moves only with its condition."""
    phase = Phase(status.phase)
    stable = obs.children.get(status.stable_revision.hash) if status.stable_revision else None
    truths = {
        "Available": (status.stable_revision is not None and _answered(obs, status), "StableServing"),
        "Completed": (phase is Phase.HEALTHY, "StableServesAll"),
        "Healthy": (phase is Phase.HEALTHY and stable is not None and stable.available, "AllPodsReady"),
        "Progressing": (phase in IN_PROGRESS or phase in (Phase.PENDING, Phase.ROLLING_BACK), phase.value),
        "Paused": (phase is Phase.PAUSED, phase.value),
        "Degraded": (phase in (Phase.DEGRADED, Phase.INVALID), phase.value),
    }
    old = {condition.type: condition for condition in status.conditions}
    fresh = (
        *_readiness(status, old, healthy=truths["Healthy"][0], late=late, generation=obs.generation, now=now),
        *(
            _condition(old.get(kind), kind, truth, reason if truth else f"Not{kind}", status, obs.generation, now)
            for kind, (truth, reason) in truths.items()
        ),
    )
    if text := findings.warning(status):
        condition = _condition(old.get(WARNING), WARNING, True, "BadFinding", status, obs.generation, now)
        fresh += (condition.model_copy(update={"message": text}),)
    if (seen := preflight.standing(obs, status)) is not None:
        condition = _condition(
            old.get(ANALYSIS_READY), ANALYSIS_READY, seen.ready, seen.reason, status, obs.generation, now
        )
        fresh += (condition.model_copy(update={"message": seen.message}),)
    return status.model_copy(update={"conditions": fresh})


def _answered(obs: Observed, status: RolloutStatus) -> bool:
    """Say whether the route that stands leads to a revision with ready pods."""
    known = (status.stable_revision, status.canary_revision, *status.retired_revisions)
    children = [(each.hash, obs.children.get(each.hash)) for each in known if each is not None]
    return any(child is not None and child.serving and live_weight(obs, digest) > 0 for digest, child in children)


def _readiness(
    status: RolloutStatus, old: Mapping[str, Condition], *, healthy: bool, late: bool, generation: int, now: datetime
) -> Iterator[Condition]:
    """Yield Ready, and Reconciling or Stalled while it is not: what `kubectl wait`, Flux and kstatus read.

    Ready: the spec is done, and serves with all of its pods. Stalled: it is not, and will not be by itself. By
    convention the two others are there only while they are true.
    """
    phase = Phase(status.phase)
    done = healthy if phase is Phase.HEALTHY else phase is Phase.SHADOWED
    ready = done and status.blocked_on is None
    reason = phase.value if ready or not done else "Blocked"
    yield _condition(old.get("Ready"), "Ready", ready, reason, status, generation, now).model_copy(
        update={"message": status.message}
    )
    if not ready:
        kind = STALLED if late or phase in (Phase.DEGRADED, Phase.INVALID) else "Reconciling"
        why = "ProgressDeadlineExceeded" if late else reason
        yield _condition(old.get(kind), kind, True, why, status, generation, now)


def _condition(
    old: Condition | None,
    kind: str,
    truth: bool | Literal["True", "False", "Unknown"],
    reason: str,
    status: RolloutStatus,
    generation: int,
    now: datetime,
) -> Condition:
    text: Literal["True", "False", "Unknown"] = truth if isinstance(truth, str) else "True" if truth else "False"
    message = status.message if text == "True" else ""
    moved = old.last_transition_time if old is not None and old.status == text else now
    return Condition(
        type=kind,
        status=text,
        reason=reason,
        message=message,
        last_transition_time=moved,
        observed_generation=generation,
    )


def pods(child: Child | None) -> tuple[int, int]:
    """Return (replicas, ready) of a child that may not be there."""
    return (child.replicas, child.ready_replicas) if child else (0, 0)
