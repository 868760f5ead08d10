"""Beginnings: a revision starts at its first stage, anew, again or by another strategy. Pure."""

from controller.api import names
from controller.api.arms import RevisionStatus
from controller.api.rollout import AnalysisStatus, RolloutStatus
from controller.rollout import group, pins
from controller.rollout.happening import Happening
from controller.rollout.observed import Observed
from controller.rollout.split import passed
from controller.rollout.stages import changed, course_of, enter, no_traffic, record, retire, running, unrouted


def new_revision(at: Happening, status: RolloutStatus) -> RolloutStatus:
    """Start with what the template says."""
    return _begin(at, status, "RevisionCreated", "begins")


def rollback(at: Happening, status: RolloutStatus) -> RolloutStatus:
    """Start with an earlier revision, and hold it whatever the template says."""
    pinned = pins.pin(at.obs, status, at.intent, now=at.now)
    return _begin(at, pinned, "RollbackBegun", f"is gone back to by {at.said}")


def retry(at: Happening, status: RolloutStatus) -> RolloutStatus:
    """Try the template's revision again, also where another was pinned in its place."""
    status, stable, target = changed(status, pinned=None), status.stable_revision, at.obs.target
    if stable is not None and target is not None and target.hash == stable.hash:
        return record(status, at.now, "Retried", f"the template's revision {stable.number} is stable already")
    return _begin(at, status, "Retried", f"is retried by {at.said}")


def change_strategy(at: Happening, status: RolloutStatus) -> RolloutStatus:
    """Start the running revision again, by the first stage of the other strategy."""
    chosen = at.obs.spec.strategy.kind if at.obs.spec else None
    text = f"the strategy is {chosen} now, no longer {status.strategy}: it starts again"
    drawn = passed(status.weights.earlier, status.weights.canary)
    status = record(unrouted(running(status)), at.now, "StrategyChanged", text)
    # The canary is the same, so that stable's users are known by the weights at which they were drawn.
    weights = status.weights.model_copy(update={"earlier": drawn})
    status = changed(status, phase=at.phase.value, strategy=chosen, weights=weights, scale=None)
    status = changed(status, analysis=AnalysisStatus())
    status = changed(status, attempt=_next_attempt(at.obs, status), group=group.fresh(status))
    return enter(at.obs, status, 0, at.now)


def _begin(at: Happening, status: RolloutStatus, kind: str, text: str) -> RolloutStatus:
    """Start a revision at the first step."""
    obs, now = at.obs, at.now
    target = pins.goal(obs, status)
    if target is None:
        raise ValueError("a revision cannot begin without a valid template")
    if status.canary_revision is not None and status.canary_revision.hash != target.hash:
        status = retire(status, status.canary_revision, now)
    name = names.revision_name(obs.name, target.hash)
    path = names.prediction_prefix(obs.namespace, name)
    fresh = RevisionStatus(hash=target.hash, number=target.number, name=name, role="canary", path=path)
    skips = _skips(obs, status, target.hash)
    status = changed(
        running(status),
        phase=at.phase.value,
        canary_revision=fresh,
        retired_revisions=tuple(r for r in status.retired_revisions if r.hash != target.hash),
        rejected=tuple(r for r in status.rejected if r.hash != target.hash),
        weights=no_traffic(status.weights),
        header_routes=(),
        scale=None,
        analysis=AnalysisStatus(),
        attempt=_next_attempt(obs, status),
        group=group.fresh(status),
        approvals=(),
        skip_reason=skips,
        strategy=obs.spec.strategy.kind if obs.spec else None,
    )
    status = record(status, now, kind, f"revision {target.number} {text}", target.number)
    if status.stable_revision is None:
        return changed(status, step_progress_at=now)
    return enter(obs, status, len(course_of(obs).stages) if skips else 0, now)


def _next_attempt(obs: Observed, status: RolloutStatus) -> int:
    """Count on; where the status was lost, from the AnalysisRuns that are there."""
    return 1 + (status.attempt or max((run.attempt for run in obs.runs.values()), default=0))


def _skips(obs: Observed, status: RolloutStatus, digest: str) -> str:
    """Say why a revision needs neither stages nor judge: it was stable not long ago, and was not rejected since."""
    number = obs.revisions[digest].number if digest in obs.revisions else 0
    failed = any(rejected.hash == digest for rejected in status.rejected)
    served = any(entry.type == "Promoted" and entry.revision == number for entry in status.history)
    asked = status.pinned is not None and status.pinned.hash == digest
    if failed or not served or obs.spec is None or (course_of(obs).stands_down and not asked):
        return ""
    child = obs.children.get(digest)
    left = any(retired.hash == digest for retired in obs.status.retired_revisions)
    if course_of(obs).fast_return and left and child is not None and child.available:
        return "it was stable before, and still stands"
    window = obs.spec.rollback_window
    if window is not None and pins.within_window(obs, status, number):
        return f"it was stable before, within the rollback window of {window.revisions}"
    return ""
