"""Rejection: a canary is taken out, and why is kept; or it is left, since the template went elsewhere. Pure."""

from collections.abc import Callable
from datetime import datetime, timedelta

from controller.api.rollout import Reason, Rejected, RolloutStatus
from controller.rollout import capacity, group, pins, runs
from controller.rollout.course import Report
from controller.rollout.happening import Happening
from controller.rollout.observed import Observed
from controller.rollout.phases import Event, Phase
from controller.rollout.stages import changed, course_of, record, running, shadow_report, unrouted

REJECTED_LIMIT = 10
BUSIER = 2.0
"""Times stable's requests to a pod, from which on a rejection for latency says that the load may be the cause."""


def bad(at: Happening, status: RolloutStatus) -> RolloutStatus:
    """Roll back by what the judge says, or else by the AnalysisRun that failed."""
    found = runs.failed(at.obs, status) if status.analysis.verdict != "Bad" else None
    by, reason = ("judge", _busier(at.obs, status, _worst(status, at.now))) if found is None else ("analysis", found)
    return _reject(at, status, by, reason)


def _busier(obs: Observed, status: RolloutStatus, reason: Reason) -> Reason:
    """Add to a slow canary's reason that its pods have more to do than stable's, which makes the same code slower."""
    canary, stable = status.canary_revision, status.stable_revision
    if reason.metric != "latency" or canary is None or stable is None:
        return reason
    times = capacity.times(obs.children.get(canary.hash), obs.children.get(stable.hash), status.weights)
    if times < BUSIER:
        return reason
    said = f"each of its pods gets {times:.1f} times the requests of one of stable's, which may be why"
    return reason.model_copy(update={"message": f"{reason.message}; {said}"})


def failed(at: Happening, status: RolloutStatus) -> RolloutStatus:
    """Roll back with the figures as they stood when a person failed the analysis."""
    message = f"the analysis was failed by {at.said}"
    return _reject(at, status, at.by, _worst(status, at.now).model_copy(update={"message": message}))


def group_rolled_back(at: Happening, status: RolloutStatus) -> RolloutStatus:
    """Roll back because another member of the group was."""
    return _reject(at, status, "group", group.why_rolled_back(at.obs, status))


def because(
    by: str, metric: str, say: Callable[[Happening], str]
) -> Callable[[Happening, RolloutStatus], RolloutStatus]:
    """Return the effect of rolling back for a reason that is only a sentence; without a name, by whom asked for it."""

    def effect(at: Happening, status: RolloutStatus) -> RolloutStatus:
        return _reject(at, status, by or at.by, Reason(metric=metric, message=say(at)))

    return effect


def left(at: Happening, status: RolloutStatus) -> RolloutStatus:
    """The template went elsewhere: no fault of the canary's."""
    canary = status.canary_revision
    if canary is None or at.phase is not Phase.ROLLING_BACK:
        return changed(status, phase=at.phase.value)
    status = changed(unrouted(running(status)), phase=at.phase.value, step_progress_at=at.now)
    if at.event is Event.STABLE_AGAIN:
        why = "the template is stable's again"
    else:
        target = pins.goal(at.obs, status)
        why = f"revision {target.number if target else 0} was rejected before"
    return record(status, at.now, "Superseded", f"revision {canary.number} is left: {why}", canary.number)


def _reject(at: Happening, status: RolloutStatus, by: str, reason: Reason) -> RolloutStatus:
    obs, now, canary = at.obs, at.now, status.canary_revision
    if canary is None:
        return changed(status, phase=Phase.HEALTHY.value)
    wave = obs.spec.group.wave if obs.spec is not None and obs.spec.group is not None else None
    said = {"by": by, "message": reason.message, "reason": reason, "wave": wave}
    entry = Rejected(hash=canary.hash, number=canary.number, at=now, **said)
    rejected = (*(r for r in status.rejected if r.hash != canary.hash), entry)[-REJECTED_LIMIT:]
    status = changed(_shadow_failed(obs, status, now), rejected=rejected)
    if status.stable_revision is not None and obs.target is not None and obs.target.hash == status.stable_revision.hash:
        # What was gone back to is rejected, and the template is what serves: nothing is left to be held.
        status = changed(status, pinned=None)
    status = changed(unrouted(running(status)), phase=at.phase.value, step_progress_at=now)
    return record(status, now, "RolledBack", f"revision {canary.number}: {reason.message}", canary.number)


def _shadow_failed(obs: Observed, status: RolloutStatus, now: datetime) -> RolloutStatus:
    """A shadow that is rolled back has its report, too."""
    stages = course_of(obs).stages
    ahead = any(isinstance(stage, Report) for stage in stages[status.current_step_index :])
    return changed(status, shadow=shadow_report(status, now)) if ahead else status


def _worst(status: RolloutStatus, now: datetime) -> Reason:
    """Return the figures of the metric that speaks most against the canary."""
    abort = [metric for metric in status.analysis.metrics if metric.action == "abort"]
    metrics = [metric for metric in abort if metric.verdict == "Bad"] or abort
    if not metrics:
        return Reason(metric="analysis", message=status.analysis.message)
    worst = max(metrics, key=lambda metric: metric.evidence)
    started = status.analysis.started_at or now
    return Reason(
        metric=worst.name,
        canary=worst.canary,
        stable=worst.stable,
        evidence=worst.evidence,
        needed=worst.needed,
        samples=worst.canary_requests,
        window=timedelta(seconds=max(round((now - started).total_seconds()), 0)),
        message=worst.message or status.analysis.message,
    )
