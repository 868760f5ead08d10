"""The canary strategy: what the present step waits for, and whether it is done."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from controller.api.meta import format_duration
from controller.api.rollout import AnalysisStep, BlockedOn, Blocker, RolloutStatus, Step
from controller.rollout.ground import Ground, deadline
from controller.rollout.observed import Observed
from controller.rollout.phases import Event, Phase

# Without enough evidence by then, a person decides: a canary is never promoted silently.
PATIENCE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What the rollout does next by itself: an event now, or what it waits for and when time may change that."""

    event: Event | None = None
    blocked: BlockedOn | None = None
    wake: datetime | None = None
    reason: str = ""


def _wait(kind: Blocker, message: str, wake: datetime | None = None) -> Outlook:
    return Outlook(blocked=BlockedOn(kind=kind, message=message), wake=wake)


def outlook(obs: Observed, status: RolloutStatus, ground: Ground, *, now: datetime) -> Outlook:
    """Say what a rollout's phase waits for."""
    match Phase(status.phase):
        case Phase.PENDING:
            return _pending(ground)
        case Phase.PROGRESSING:
            return _progressing(obs, status, ground, now)
        case Phase.PAUSED:
            return _wait("person", status.pause_reason or f"paused by {status.paused_by or 'a person'}")
        case Phase.PROMOTING:
            return _switching(obs, status, ground, now, Event.CANARY_SERVES_ALL)
        case Phase.ROLLING_BACK:
            return _rolling_back(ground)
        case Phase.HEALTHY | Phase.DEGRADED | Phase.INVALID:
            return _at_rest(ground)


def _at_rest(ground: Ground) -> Outlook:
    if ground.blocked is not None:
        return Outlook(blocked=ground.blocked)
    if ground.trouble:
        return _wait("mesh", ground.trouble)
    return Outlook(wake=None if ground.in_effect else ground.settles_at)


def _pending(ground: Ground) -> Outlook:
    if ground.blocked is not None:
        return Outlook(blocked=ground.blocked)
    if ground.in_effect:
        return Outlook(event=Event.FIRST_SERVING)
    return _mesh(ground)


def _mesh(ground: Ground) -> Outlook:
    return _wait("mesh", ground.trouble or "waiting for the mesh to take the route", ground.settles_at)


def _rolling_back(ground: Ground) -> Outlook:
    if ground.blocked is not None:
        return Outlook(blocked=ground.blocked)
    return Outlook(event=Event.STABLE_SERVES_ALL) if ground.in_effect else _mesh(ground)


def _switching(obs: Observed, status: RolloutStatus, ground: Ground, now: datetime, done: Event) -> Outlook:
    """Wait until a weight or a mirror is in effect and verified."""
    due = deadline(obs, status)
    late = due is not None and now >= due
    if ground.blocked is not None:
        if late and ground.blocked.kind == "pods":
            return Outlook(event=Event.DEADLINE, reason=ground.blocked.message)
        return Outlook(blocked=ground.blocked, wake=due)
    if not ground.in_effect:
        if late:
            return Outlook(
                event=Event.PERSON_NEEDED, reason=ground.trouble or "the mesh did not take the weight in time"
            )
        return _wait(
            "mesh", ground.trouble or "waiting for the mesh to take the weight", _first(ground.settles_at, due)
        )
    if not ground.verified:
        reason = _share(status)
        if late:
            return Outlook(event=Event.PERSON_NEEDED, reason=reason)
        return _wait("weight", reason, _first(ground.settles_at, due))
    return Outlook(event=done)


def _share(status: RolloutStatus) -> str:
    observed = status.weights.observed.canary_percent
    if observed is None:
        return f"waiting to see the canary take {status.weights.canary} % of requests"
    return f"the canary takes {observed:.1f} % of requests, not yet {status.weights.canary} %"


def _progressing(obs: Observed, status: RolloutStatus, ground: Ground, now: datetime) -> Outlook:
    if obs.spec is None:
        return Outlook()
    steps = obs.spec.strategy.canary.steps
    due = deadline(obs, status)
    if ground.blocked is not None and ground.blocked.kind == "pods" and due is not None and now >= due:
        return Outlook(event=Event.DEADLINE, reason=ground.blocked.message)
    if status.current_step_index >= len(steps):
        return _final(obs, status, ground, now)
    return _step(obs, status, ground, steps[status.current_step_index], now)


def _step(obs: Observed, status: RolloutStatus, ground: Ground, step: Step, now: datetime) -> Outlook:
    started = status.step_started_at or now
    if step.set_weight is not None or step.set_mirror is not None:
        return _switching(obs, status, ground, now, Event.STEP_DONE)
    if step.pause is not None:
        if step.pause.duration is None:
            return Outlook(event=Event.PERSON_NEEDED, reason="this step waits for a person")
        ends = started + step.pause.duration
        if now >= ends:
            return Outlook(event=Event.STEP_DONE)
        return _wait("time", f"pausing for {format_duration(step.pause.duration)}", ends)
    return _analysis(obs, status, ground, step.analysis or AnalysisStep(), now)


def _analysis(obs: Observed, status: RolloutStatus, ground: Ground, step: AnalysisStep, now: datetime) -> Outlook:
    started = status.step_started_at or now
    earliest = started + (step.min_duration or timedelta())
    latest = started + max(step.max_duration or PATIENCE, step.min_duration or timedelta())
    good = status.analysis.verdict == "Good" and ground.blocked is None
    if good and now >= earliest:
        return Outlook(event=Event.STEP_DONE)
    if now >= latest:
        return Outlook(event=Event.PERSON_NEEDED, reason=f"no verdict in time: {_opinion(status)}")
    if ground.blocked is not None:
        return Outlook(blocked=ground.blocked, wake=_first(deadline(obs, status), latest))
    if good:
        return _wait("time", f"the canary is good; staying for {format_duration(earliest - started)}", earliest)
    return _wait("metric", _opinion(status), latest)


def _final(obs: Observed, status: RolloutStatus, ground: Ground, now: datetime) -> Outlook:
    """After the last step: promotion needs the judge's consent, or a person's."""
    if status.forced_by:
        return Outlook(event=Event.STEPS_DONE)
    view = _analysis(obs, status, ground, AnalysisStep(), now)
    return Outlook(event=Event.STEPS_DONE) if view.event is Event.STEP_DONE else view


def _opinion(status: RolloutStatus) -> str:
    return status.analysis.message or "waiting for the judge's first measurement"


def _first(*instants: datetime | None) -> datetime | None:
    return min((instant for instant in instants if instant is not None), default=None)
