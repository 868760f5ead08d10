"""The outlook: what a rollout's phase and stage wait for, and whether they are done."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from controller.api.group import Level
from controller.api.meta import format_duration
from controller.api.rollout import BlockedOn, Blocker, Missing, RolloutStatus
from controller.api.strategy import AnalysisStep, Gate, Step
from controller.rollout import findings, gate, group, runs
from controller.rollout.capacity import LACKING
from controller.rollout.course import Bake, Course, Judge, Ready, Report, Stage, Switch, Together, course, raises
from controller.rollout.ground import Ground, deadline, enough, lacking
from controller.rollout.observed import Observed
from controller.rollout.phases import Event, Phase
from controller.rollout.stages import course_of

# Without enough evidence by then, a person decides: a canary is never promoted silently.
PATIENCE = timedelta(minutes=10)
FEW = 10.0
"""Requests of the canary in a second below which a step's time for a verdict is extended once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What the rollout does next by itself: an event now, or what it waits for and when time may change that."""

    event: Event | None = None
    blocked: BlockedOn | None = None
    wake: datetime | None = None
    reason: str = ""
    lacks: Missing | None = None
    """What a person is asked in place of."""


def _wait(kind: Blocker, message: str, wake: datetime | None = None) -> Outlook:
    return Outlook(blocked=BlockedOn(kind=kind, message=message), wake=wake)


def outlook(obs: Observed, status: RolloutStatus, ground: Ground, *, now: datetime) -> Outlook:
    """Say what a rollout's phase waits for."""
    match Phase(status.phase):
        case Phase.PENDING:
            return _pending(obs, status, ground, now)
        case Phase.PROGRESSING:
            return _progressing(obs, status, ground, now)
        case Phase.PAUSED:
            return _paused(obs, status, now)
        case Phase.PROMOTING:
            return _promoting(obs, status, ground, now)
        case Phase.ROLLING_BACK:
            return _rolling_back(ground)
        case Phase.HEALTHY | Phase.DEGRADED | Phase.SHADOWED | Phase.INVALID:
            return _at_rest(ground)


def _at_rest(ground: Ground) -> Outlook:
    if ground.blocked is not None:
        return Outlook(blocked=ground.blocked)
    if ground.trouble:
        return _wait("mesh", ground.trouble)
    return Outlook(wake=None if ground.in_effect else ground.settles_at)


def _pending(obs: Observed, status: RolloutStatus, ground: Ground, now: datetime) -> Outlook:
    if ground.blocked is None and ground.in_effect:
        return Outlook(event=Event.FIRST_SERVING)
    view = Outlook(blocked=ground.blocked) if ground.blocked is not None else _mesh(ground)
    due = deadline(obs, status, None, now=now)
    return view if due is None or now >= due else replace(view, wake=_first(view.wake, due))


def _mesh(ground: Ground) -> Outlook:
    return _wait("mesh", ground.trouble or "waiting for the mesh to take the route", ground.settles_at)


def _rolling_back(ground: Ground) -> Outlook:
    if ground.blocked is not None:
        return Outlook(blocked=ground.blocked)
    return Outlook(event=Event.STABLE_SERVES_ALL) if ground.in_effect else _mesh(ground)


def _switching(obs: Observed, status: RolloutStatus, ground: Ground, now: datetime, done: Event) -> Outlook:
    """Wait until a weight or a mirror is in effect and verified."""
    due = deadline(obs, status, None, now=now)
    late = due is not None and now >= due
    if ground.blocked is not None:
        if late and ground.blocked.kind in LACKING:
            return Outlook(event=Event.DEADLINE, reason=ground.blocked.message)
        return Outlook(blocked=ground.blocked, wake=due)
    if not ground.in_effect:
        if late:
            return _person(ground.trouble or "the mesh did not take the weight in time", ground.settles_at)
        return _wait(
            "mesh", ground.trouble or "waiting for the mesh to take the weight", _first(ground.settles_at, due)
        )
    if not ground.verified:
        reason = _share(status)
        if late:
            return _person(reason, ground.settles_at)
        return _wait("weight", reason, _first(ground.settles_at, due))
    return Outlook(event=done)


def _person(reason: str, wake: datetime | None) -> Outlook:
    """Ask a person. A phase that knows no pause goes on waiting, and says so."""
    blocked = BlockedOn(kind="person", message=f"{reason}: see to it, or abort")
    return Outlook(event=Event.PERSON_NEEDED, reason=reason, blocked=blocked, wake=wake)


def _share(status: RolloutStatus) -> str:
    if status.weights.mirror or status.weights.control:
        return "waiting to see the copies arrive"
    observed = status.weights.observed.canary_percent
    if observed is None:
        return f"waiting to see the canary take {status.weights.canary:g} % of requests"
    digits = ".1f" if status.weights.canary >= 1 else ".2f"
    return f"the canary takes {observed:{digits}} % of requests, not yet {status.weights.canary:g} %"


def _progressing(obs: Observed, status: RolloutStatus, ground: Ground, now: datetime) -> Outlook:
    if obs.spec is None:
        return Outlook()
    if asks := findings.question(status) or runs.question(obs, status):
        return Outlook(event=Event.PERSON_NEEDED, reason=asks)
    if wrong := runs.problem(obs, status):
        return _wait("error", wrong)
    way = course(obs.spec)
    if status.skip_reason or status.current_step_index >= len(way.stages):
        return _final(obs, status, ground, way, now)
    return _stage(obs, status, ground, way.stages[status.current_step_index], now)


def _stage(obs: Observed, status: RolloutStatus, ground: Ground, stage: Stage, now: datetime) -> Outlook:
    match stage:
        case Ready():
            return _ready(obs, status, now)
        case Switch():
            return _switching(obs, status, ground, now, Event.STEP_DONE)
        case Report():
            stands_down = obs.spec is not None and course(obs.spec).stands_down
            done = Event.SHADOW_DONE if stands_down else Event.STEP_DONE
            return Outlook(event=done) if stands_down or ground.in_effect else _mesh(ground)
        case Judge(step=step, lenient=lenient):
            return _analysis(obs, status, ground, step, now, lenient=lenient)
        case Bake():
            return _bake(obs, status, ground, stage, now)
        case Together(consent=consent):
            return _together(obs, status, ground, now, consent=consent)
        case Step(gate=Gate() as found):
            return _gate(obs, status, ground, found, now)
        case Step(pause=None, analysis=None, set_scale=None):
            return _switching(obs, status, ground, now, Event.STEP_DONE)
        case Step(pause=None, analysis=None):
            return _ready(obs, status, now)
        case Step(pause=None, analysis=AnalysisStep() as step):
            more = raises(course_of(obs).stages, status.current_step_index)
            return _analysis(obs, status, ground, step, now, only_raises=more)
        case Step():
            return _pause(obs, status, ground, stage, now)


def _late(obs: Observed, status: RolloutStatus, ground: Ground, now: datetime) -> tuple[bool, datetime | None]:
    """Say whether the canary's pods have been missing for too long in the midst of a wait."""
    if ground.blocked is None or ground.blocked.kind not in LACKING:
        return False, None
    due = deadline(obs, status, "pods", now=now)
    return due is not None and now >= due, due


def _ready(obs: Observed, status: RolloutStatus, now: datetime) -> Outlook:
    """Wait for the pods that the canary should have now."""
    if enough(obs, status):
        return Outlook(event=Event.STEP_DONE)
    blocked = lacking(obs, status)
    due = deadline(obs, status, None, now=now)
    if due is not None and now >= due:
        return Outlook(event=Event.DEADLINE, reason=blocked.message)
    return Outlook(blocked=blocked, wake=due)


def _pause(obs: Observed, status: RolloutStatus, ground: Ground, step: Step, now: datetime) -> Outlook:
    late, due = _late(obs, status, ground, now)
    if late and ground.blocked is not None:
        return Outlook(event=Event.DEADLINE, reason=ground.blocked.message)
    if step.pause is None or step.pause.duration is None:
        return Outlook(event=Event.PERSON_NEEDED, reason="this step waits for a person")
    ends = _begun(status, now) + step.pause.duration
    if now >= ends:
        return Outlook(event=Event.STEP_DONE)
    if ground.blocked is not None:
        return Outlook(blocked=ground.blocked, wake=_first(due, ends))
    return _wait("time", f"pausing for {format_duration(step.pause.duration)}", ends)


def _begun(status: RolloutStatus, now: datetime) -> datetime:
    """Return from when on a step's time counts: from when the weight that it waits at was in effect."""
    return (status.step_started_at or now) - (status.step_ahead or timedelta())


def _paused(obs: Observed, status: RolloutStatus, now: datetime) -> Outlook:
    """Wait for a person; where the step itself asked for one, no longer than it says."""
    if group.asks(status) and group.reached(status, "Ready") and not group.lacks(obs, status):
        return Outlook(event=Event.STEP_DONE)
    reason = status.pause_reason or f"paused by {status.paused_by or 'a person'}"
    stages = course(obs.spec).stages if obs.spec else ()
    stage = stages[status.current_step_index] if status.current_step_index < len(stages) else None
    pause = stage.pause if isinstance(stage, Step) else None
    if status.paused_by or status.paused_at is None or pause is None or pause.max_duration is None:
        return _wait("person", reason)
    ends = status.paused_at + pause.max_duration
    if now < ends:
        return _wait("person", reason, ends)
    waited = f"nobody answered for {format_duration(pause.max_duration)}"
    return Outlook(event=Event.PAUSE_OVER if pause.on_timeout == "promote" else Event.PAUSE_EXPIRED, reason=waited)


def _gate(obs: Observed, status: RolloutStatus, ground: Ground, found: Gate, now: datetime) -> Outlook:
    late, due = _late(obs, status, ground, now)
    if late and ground.blocked is not None:
        return Outlook(event=Event.DEADLINE, reason=ground.blocked.message)
    seen = gate.view(obs, status, found, now=now)
    if ground.blocked is not None:
        return Outlook(blocked=ground.blocked, wake=_first(due, seen.wake))
    return Outlook(event=Event.STEP_DONE) if seen.open else _wait(gate.opener(found), seen.message, seen.wake)


def _analysis(
    obs: Observed,
    status: RolloutStatus,
    ground: Ground,
    step: AnalysisStep,
    now: datetime,
    *,
    lenient: bool = False,
    only_raises: bool = False,
) -> Outlook:
    started = status.step_started_at or now
    earliest = _begun(status, now) + (step.min_duration or timedelta())
    patience = max(step.max_duration or PATIENCE, step.min_duration or timedelta())
    latest = started + (2 * patience if status.step_extended else patience)
    late, due = _late(obs, status, ground, now)
    if late and ground.blocked is not None:
        return Outlook(event=Event.DEADLINE, reason=ground.blocked.message)
    view = runs.standing(obs, status, step, raises=only_raises)
    good = (view.good or status.passed is not None) and ground.blocked is None
    if good and now >= earliest:
        return Outlook(event=Event.STEP_DONE)
    endless = view.open and step.max_duration is None
    if now >= latest and not endless:
        if lenient:
            return Outlook(event=Event.STEP_DONE)
        if view.message:
            return _no_verdict(view.message)
        return _overdue(obs, status, patience)
    if ground.blocked is not None:
        return Outlook(blocked=ground.blocked, wake=due if endless else _first(due, latest))
    if good:
        enough = "good" if status.analysis.verdict == "Good" else "good enough for the next step"
        least = format_duration(step.min_duration or timedelta())
        return _wait("time", f"the canary is {enough}; staying for {least}", earliest)
    return _wait("metric", view.message or _opinion(status), None if endless else latest)


def _no_verdict(text: str) -> Outlook:
    return Outlook(event=Event.PERSON_NEEDED, reason=f"no verdict in time: {text}", lacks="verdict")


def _overdue(obs: Observed, status: RolloutStatus, patience: timedelta) -> Outlook:
    """Without a verdict in time: where requests are few the time is extended once; then a person is asked."""
    seen = obs.traffic
    seconds = (seen.until - seen.since).total_seconds() if seen is not None else 0.0
    if status.analysis.verdict != "Inconclusive" or seen is None or seconds <= 0:
        return _no_verdict(_opinion(status))
    rate = seen.canary / seconds
    few = f"the canary gets {rate:.1f} requests a second" if rate < FEW else ""
    if few and not status.step_extended:
        longer = f"{few}, so the step has {format_duration(patience)} more"
        return replace(_no_verdict(f"{_opinion(status)}; {longer}"), event=Event.TIME_EXTENDED)
    advice = f"; {few}: give it more weight, copy requests to it first, or promote" if few else ""
    return _no_verdict(f"{_opinion(status)}{advice}")


def _bake(obs: Observed, status: RolloutStatus, ground: Ground, stage: Bake, now: datetime) -> Outlook:
    """Wait for the end of the bake. A detector that saw nothing crowns nobody: then a person is asked."""
    if not status.analysis.baking or status.analysis.started_at is None:
        return _switching(obs, status, ground, now, Event.STEP_DONE)
    until = AnalysisStep(min_duration=stage.duration, max_duration=stage.duration + PATIENCE)
    view = _analysis(obs, status, ground, until, now)
    if view.event is Event.STEP_DONE and not ground.verified:
        due = deadline(obs, status, "weight", now=now)
        if due is not None and now >= due:
            return Outlook(event=Event.PERSON_NEEDED, reason=_share(status))
        return _wait("weight", _share(status), _first(ground.settles_at, due))
    if view.blocked is not None and view.blocked.kind in ("time", "metric"):
        left = format_duration(stage.duration)
        message = f"baking for {left} with {stage.holdback} % on stable: {_opinion(status)}"
        return Outlook(blocked=BlockedOn(kind=view.blocked.kind, message=message), wake=view.wake)
    return view


def _final(obs: Observed, status: RolloutStatus, ground: Ground, way: Course, now: datetime) -> Outlook:
    """After the last stage: promotion needs the judge's consent, or a person's, where the course had no judge's yet."""
    if way.stands_down and not status.skip_reason:
        return Outlook(event=Event.SHADOW_DONE)
    if status.forced_by or status.skip_reason:
        return Outlook(event=Event.STEPS_DONE)
    if way.consent:
        view = _analysis(obs, status, ground, AnalysisStep(), now)
        if view.event is not Event.STEP_DONE:
            return _unseen(status) or view
    return _unfinished(obs, status) or Outlook(event=Event.STEPS_DONE)


def _unseen(status: RolloutStatus) -> Outlook | None:
    """Ask a person where no step is left and the revision gets no request: no verdict can come, whatever the time."""
    weights = status.weights
    if weights.canary or weights.mirror or status.header_routes or status.analysis.started_at is not None:
        return None
    why = "no step is left, and the new revision has had no requests to be judged by: promote it, or abort"
    return Outlook(event=Event.PERSON_NEEDED, reason=why)


def _unfinished(obs: Observed, status: RolloutStatus) -> Outlook | None:
    """Wait for the run in the background, where it is to end before the promotion."""
    left = runs.unfinished(obs, status)
    if left.good or status.passed is not None:
        return None
    return _wait("metric", left.message) if left.open else Outlook(event=Event.PERSON_NEEDED, reason=left.message)


def _together(obs: Observed, status: RolloutStatus, ground: Ground, now: datetime, *, consent: bool) -> Outlook:
    """Wait, at the last weight, until all of the group are ready. Who waits for those who stand still asks a person."""
    late, due = _late(obs, status, ground, now)
    if late and ground.blocked is not None:
        return Outlook(event=Event.DEADLINE, reason=ground.blocked.message)
    if consent and (judged := _analysis(obs, status, ground, AnalysisStep(), now)).event is not Event.STEP_DONE:
        return _unseen(status) or judged
    if left := _unfinished(obs, status):
        return left
    if ground.blocked is not None:
        return Outlook(blocked=ground.blocked, wake=due)
    view, ends, text = _others(obs, status, "Ready", "ready to promote")
    if view is None:
        return Outlook(event=Event.STEP_DONE)
    if ends is not None and now >= ends:
        return Outlook(event=Event.PERSON_NEEDED, reason=f"not all of the group get ready: {text}", lacks="group")
    return view


def _others(
    obs: Observed, status: RolloutStatus, level: Level, about: str
) -> tuple[Outlook | None, datetime | None, str]:
    """Return the wait for members that are not so far, when it ends at the latest, and whom it is for."""
    names = group.lacks(obs, status) if level == "Ready" else group.behind(obs, status, level)
    if not names or obs.spec is None:
        return None, None, ""
    text = ", ".join(each.text for each in names)
    since = _first(*(each.stands_since for each in names))
    ends = since + obs.spec.progress_deadline if since is not None else None
    return _wait("group", f"{about}; waits for {text}", ends), ends, text


def _promoting(obs: Observed, status: RolloutStatus, ground: Ground, now: datetime) -> Outlook:
    """Wait until all traffic is where it should be; with a group, until it is so for all, and all have agreed."""
    if not group.final(obs, status):
        view = _switching(obs, status, ground, now, Event.CANARY_SERVES_ALL)
        if view.event is not Event.CANARY_SERVES_ALL or not group.bound(obs, status):
            return view
    settled = group.final(obs, status)
    level: Level = "Agreed" if settled else "Serving"
    waits, ends, text = _others(obs, status, level, "all traffic has moved")
    if waits is None:
        return Outlook(event=Event.CANARY_SERVES_ALL)
    if ends is not None and now >= ends and not settled:
        return Outlook(event=Event.DEADLINE, reason=f"the group does not come together: {text}")
    return waits


def _opinion(status: RolloutStatus) -> str:
    return status.analysis.message or "waiting for the judge's first measurement"


def _first(*instants: datetime | None) -> datetime | None:
    return min((instant for instant in instants if instant is not None), default=None)
