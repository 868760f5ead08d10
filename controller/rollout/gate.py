"""Gates: whether the one that a rollout waits at is open, and what its webhook is to be asked."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from controller.api.rollout import Blocker, RolloutSpec, RolloutStatus
from controller.api.strategy import Approval, Gate, Step, TimeWindow
from controller.rollout.course import Stage, course
from controller.rollout.observed import Observed, Question
from controller.rollout.phases import Phase

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A gate as it stands now."""

    open: bool
    message: str = ""
    """What it waits for."""
    wake: datetime | None = None
    """When time alone may open it, or it is to be asked again."""


def view(obs: Observed, status: RolloutStatus, gate: Gate, *, now: datetime) -> View:
    """Say whether a gate is open, and what opens it."""
    if gate.approval is not None:
        return _approval(status, gate.approval)
    if gate.windows is not None:
        opening = next_opening(gate.windows, now)
        if opening is None or opening <= now:
            return View(open=opening is not None, message="no time window opens")
        return View(open=False, message=f"the next time window opens at {opening:%Y-%m-%d %H:%M} UTC", wake=opening)
    return _webhook(obs, status, gate, now)


def opener(gate: Gate) -> Blocker:
    """Return what kind of thing a closed gate waits for: a person's approval, the clock, or somebody's webhook."""
    return "person" if gate.approval is not None else "time" if gate.windows is not None else "gate"


def _approval(status: RolloutStatus, approval: Approval) -> View:
    done = any(approved.name == approval.name for approved in status.approvals)
    return View(open=done, message=f"waiting for somebody to approve {approval.name}")


def _webhook(obs: Observed, status: RolloutStatus, gate: Gate, now: datetime) -> View:
    answer = obs.answer
    if gate.webhook is None or answer is None or answer.question != question(obs, status):
        return View(open=False, message="asking the webhook")
    again = answer.at + gate.webhook.interval
    # Once that is over the shell asks again, and wakes us with the answer.
    return View(
        open=answer.open,
        message=f"the webhook keeps the gate closed: {answer.message}",
        wake=again if again > now else None,
    )


def question(obs: Observed, status: RolloutStatus) -> Question | None:
    """Return what is to be asked for the gate that a rollout stands at; None at any other place."""
    gate, canary = current(obs, status), status.canary_revision
    if gate is None or gate.webhook is None or canary is None or status.step_started_at is None:
        return None
    return Question(
        url=gate.webhook.url,
        namespace=obs.namespace,
        name=obs.name,
        revision=canary.number,
        hash=canary.hash,
        step=status.current_step_index,
        weight=status.weights.canary,
        since=status.step_started_at,
    )


def current(obs: Observed, status: RolloutStatus) -> Gate | None:
    """Return the gate that a rollout stands at, if its stage is one."""
    if obs.spec is None or Phase(status.phase) not in (Phase.PROGRESSING, Phase.PAUSED):
        return None
    stages = course(obs.spec).stages
    return _gate(stages[status.current_step_index]) if status.current_step_index < len(stages) else None


def _gate(stage: Stage) -> Gate | None:
    return stage.gate if isinstance(stage, Step) else None


def approvable(obs: Observed) -> tuple[str, ...]:
    """Return the names of the approvals that the strategy asks for, in order."""
    return approvals(obs.spec) if obs.spec else ()


def approvals(spec: RolloutSpec) -> tuple[str, ...]:
    """Return the names of the approvals that a strategy asks for, in order."""
    gates = map(_gate, course(spec).stages)
    return tuple(gate.approval.name for gate in gates if gate is not None and gate.approval is not None)


def to_approve(obs: Observed, status: RolloutStatus, name: str) -> str:
    """Return the approval that a person means: the one named, or the one that is waited for; empty without one."""
    found = current(obs, status)
    waiting = found.approval.name if found is not None and found.approval is not None else ""
    return name if name in approvable(obs) else "" if name else waiting


def next_opening(windows: Iterable[TimeWindow], now: datetime) -> datetime | None:
    """Return when a window is open next, which is at most `now` while one is open. In UTC."""
    times = [opening for window in windows if (opening := _opening(window, now)) is not None]
    return min(times, default=None)


def _opening(window: TimeWindow, now: datetime) -> datetime | None:
    zone = ZoneInfo(window.time_zone)
    start, end = _clock(window.start), _clock(window.end)
    today = now.astimezone(zone).date()
    for ahead in range(-1, 9):
        day = today + timedelta(days=ahead)
        if window.days and _DAYS[day.weekday()] not in window.days:
            continue
        last = day if end > start else day + timedelta(days=1)
        opens = datetime.combine(day, start, zone).astimezone(UTC)
        if now < datetime.combine(last, end, zone).astimezone(UTC):
            return opens
    return None


def _clock(text: str) -> time:
    hours, minutes = text.split(":")
    return time(int(hours), int(minutes))
