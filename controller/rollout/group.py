"""Group: rollouts that are promoted, or rolled back, as one. Pure; nobody coordinates, each looks at the others.

Every member tells in its status how far it is: Running, Ready, Serving, Agreed. It goes one further only when it has
seen all others that far:

1. Ready, when only the promotion is left. All Ready: all traffic goes to the new revisions.
2. Serving, when that is in effect; the old revisions still stand, and the judge is heard. All Serving: Agreed.
3. All Agreed: the new revisions become stable.

Until a member has agreed it may be rolled back, and then all others are; afterwards neither the judge nor a deadline
takes it back. So what a member has seen of another may be old: "has agreed" and "was rolled back before it agreed"
stay true, and no member can come to both.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from controller.api.group import Group, GroupStatus, Level
from controller.api.rollout import Reason, RolloutStatus
from controller.api.strategy import AnalysisStep
from controller.rollout import runs
from controller.rollout.course import Together
from controller.rollout.ground import Ground
from controller.rollout.observed import Member, Observed
from controller.rollout.phases import Phase
from controller.rollout.stages import changed, course_of

_LEVELS: tuple[Level, ...] = ("Running", "Ready", "Serving", "Agreed")
_MOVES = frozenset({Phase.PROGRESSING, Phase.PROMOTING})
"""Where a member has deadlines of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind:
    """A member that is not as far as it should be."""

    name: str
    text: str
    stands_since: datetime | None = None
    """Since when it does not move by itself; None while it does."""


def trouble(obs: Observed) -> str:
    """Say what is wrong with the group as it is written; empty when nothing is."""
    group = obs.spec.group if obs.spec is not None else None
    if group is None or obs.spec is None:
        return ""
    wanted = group.selector.match_labels
    own = (obs.live.get("metadata") or {}).get("labels") or {}
    for key, value in wanted.items():
        if own.get(key) != value:
            return f"spec.group.selector asks for the label {key}: {value}, which this rollout itself does not have"
    for name, member in sorted(obs.members.items()):
        if member.labels != wanted:
            return f"rollout {obs.namespace}/{name} has the labels of the group; give it the same spec.group.selector"
    for each in obs.spec.depends_on:
        if each.name in obs.members:
            return f"spec.dependsOn names {each.name}, which is of the same group: one of them would never begin"
    return ""


def bound(obs: Observed, status: RolloutStatus) -> bool:
    """Say whether the running revision waits for a group: nobody had it promoted alone or goes back with it."""
    alone = status.forced_by or status.skip_reason or (status.group is not None and status.group.alone_by)
    return obs.spec is not None and obs.spec.group is not None and status.canary_revision is not None and not alone


def reached(status: RolloutStatus, level: Level) -> bool:
    """Say whether a rollout is at least so far."""
    return status.group is not None and _LEVELS.index(status.group.level) >= _LEVELS.index(level)


def voted(obs: Observed, status: RolloutStatus, ground: Ground, now: datetime) -> RolloutStatus:
    """Return the status with how far the rollout is with its group."""
    if obs.spec is None:
        keeps = status.group is not None and status.group.level != "Agreed"
        return changed(status, group=_but(status.group, level="Running")) if keeps else status
    if obs.spec.group is None:
        return changed(status, group=None)
    before = status.group or GroupStatus()
    if status.canary_revision is None or status.stable_revision is None:
        return changed(status, group=GroupStatus(promoted_at=before.promoted_at))
    status = changed(status, group=_but(before, joined_at=before.joined_at or now))
    level = _level(obs, status, ground)
    if before.level == "Ready" and level == "Running":
        # A verdict that is lost, as after a restart, has the time of a step to come again.
        status = changed(status, step_started_at=now, step_ahead=None, step_extended=False)
    return changed(status, group=_but(status.group, level=level))


def _but(group: GroupStatus | None, **changes: object) -> GroupStatus:
    return (group or GroupStatus()).model_copy(update=changes)


def _level(obs: Observed, status: RolloutStatus, ground: Ground) -> Level:
    phase = Phase(status.phase)
    if not bound(obs, status) or phase not in _MOVES | {Phase.PAUSED}:
        return "Running"
    if phase is not Phase.PROMOTING:
        return "Ready" if _ready(obs, status, ground) else "Running"
    if reached(status, "Agreed"):
        return "Agreed"
    if ground.blocked is not None or not ground.in_effect or not ground.verified:
        return "Ready"
    return "Serving" if behind(obs, changed(status, group=_but(status.group, level="Serving")), "Serving") else "Agreed"


def _ready(obs: Observed, status: RolloutStatus, ground: Ground) -> bool:
    """Say whether only the promotion is left. Who was asked for lack of the others is as ready as before."""
    stages, index = course_of(obs).stages, status.current_step_index
    at = next((place for place, stage in enumerate(stages) if isinstance(stage, Together)), len(stages))
    if index > at:
        return True
    if Phase(status.phase) is Phase.PAUSED and not asks(status):
        return False
    if index < at or ground.blocked is not None:
        return False
    stage = stages[index]
    asked = isinstance(stage, Together) and stage.consent
    good = runs.unfinished(obs, status).good and (not asked or runs.standing(obs, status, AnalysisStep()).good)
    return good or status.passed is not None


def asks(status: RolloutStatus) -> bool:
    """Say whether a person was asked because the others did not get ready."""
    return status.paused_for == "group"


def behind(obs: Observed, status: RolloutStatus, level: Level) -> tuple[Behind, ...]:
    """Return the members that are not so far. Those at rest with their newest spec have nothing to be waited for."""
    found = ((name, obs.members[name]) for name in companions(obs, status) if name in obs.members)
    checked = (_behind(obs, status, name, member, level) for name, member in found)
    return tuple(each for each in checked if each is not None)


def lacks(obs: Observed, status: RolloutStatus) -> tuple[Behind, ...]:
    """Return what keeps the promotion waiting: members that are not ready, or a group that is written wrongly."""
    if wrong := trouble(obs):
        return (Behind(name="", text=wrong, stands_since=status.step_progress_at),)
    return behind(obs, status, "Ready")


def companions(obs: Observed, status: RolloutStatus) -> tuple[str, ...]:
    """Return with whom the rollout is promoted: who set out together stays together, whoever begins later."""
    if status.group is not None and status.group.members is not None:
        return status.group.members
    names = frozenset(obs.members)
    for name, member in obs.members.items():
        theirs = member.status.group.members if member.status.group is not None else None
        if theirs is not None and obs.name in theirs:
            names &= {*theirs, name}
    return tuple(sorted(names))


def _behind(obs: Observed, status: RolloutStatus, name: str, member: Member, level: Level) -> Behind | None:
    group = obs.spec.group if obs.spec is not None else None
    if group is None or (level != "Ready" and (reached(member.status, level) or _promoted_since(status, member))):
        return None
    if text := _at_the_start(group, name, member):
        return Behind(name=name, text=text, stands_since=_moved(status, member))
    phase = Phase(member.status.phase)
    if phase is Phase.HEALTHY or reached(member.status, level):
        return None
    text = f"{name} ({_where(member.status)})"
    return Behind(name=name, text=text, stands_since=None if phase in _MOVES else _moved(status, member))


def _at_the_start(group: Group, name: str, member: Member) -> str:
    """Say why a member's part of the present change has not begun yet."""
    if group.wave != member.wave:
        has = f"has wave {member.wave!r}" if member.wave else "has no wave"
        return f"{name} ({has}, not {group.wave!r})" if group.wave else f"{name} ({has}, this one none)"
    if not member.current:
        return f"{name} (has not looked at its newest spec yet)"
    blocked = member.status.blocked_on
    if Phase(member.status.phase) is Phase.HEALTHY and blocked is not None and blocked.kind == "gate":
        return f"{name} ({blocked.message})"
    return ""


def _where(status: RolloutStatus) -> str:
    """Say where a member stands, without figures that change all the time."""
    phase, index, count = Phase(status.phase), status.current_step_index, status.step_count
    match phase:
        case Phase.PROGRESSING:
            return f"{phase}: step {index + 1} of {count}" if index < count else f"{phase}: all steps done"
        case Phase.PAUSED:
            return f"{phase}: {status.pause_reason}"
        case Phase.DEGRADED:
            return f"{phase}: {status.rejected[-1].message}" if status.rejected else phase.value
        case _:
            return phase.value


def _moved(status: RolloutStatus, member: Member) -> datetime | None:
    """Return since when this rollout has waited for a member that does not move by itself."""
    theirs = [member.status.paused_at, *(each.last_transition_time for each in member.status.conditions)]
    known = [instant for instant in (status.step_progress_at, *theirs) if instant is not None]
    return max(known, default=None)


def _promoted_since(status: RolloutStatus, member: Member) -> bool:
    """Say whether a member was promoted with this one, and is on its way to something newer."""
    joined = status.group.joined_at if status.group is not None else None
    done = member.status.group.promoted_at if member.status.group is not None else None
    return joined is not None and done is not None and done >= joined


def final(obs: Observed, status: RolloutStatus) -> bool:
    """Say whether it is settled that the running revision becomes stable: all have agreed, or are about to."""
    return bound(obs, status) and reached(status, "Agreed") and not behind(obs, status, "Serving")


def rolled_back(obs: Observed, status: RolloutStatus) -> Reason | None:
    """Return why this rollout goes back: another member did, since this one came to the group."""
    if not bound(obs, status):
        return None
    found = sorted(_rejections(obs, status), key=lambda each: each[1] == "group")
    return found[0][0] if found else None


def why_rolled_back(obs: Observed, status: RolloutStatus) -> Reason:
    """Return the same, also where the other member has been forgotten by now."""
    return rolled_back(obs, status) or Reason(metric="group", message="another of it was rolled back")


def _rejections(obs: Observed, status: RolloutStatus) -> Iterator[tuple[Reason, str]]:
    """Yield the rollbacks of others that count, each with who did it."""
    joined = status.group.joined_at if status.group is not None else None
    wave = obs.spec.group.wave if obs.spec is not None and obs.spec.group is not None else ""
    for name in companions(obs, status):
        member = obs.members.get(name)
        if member is None or joined is None or not member.status.rejected:
            continue
        last, them = member.status.rejected[-1], member.status
        again = them.canary_revision is not None and Phase(them.phase) is not Phase.ROLLING_BACK
        promoted = them.group.promoted_at if them.group is not None else None
        if last.at < joined or (last.wave or "") != wave or again or (promoted is not None and promoted > last.at):
            continue
        number = f"revision {last.number} of {name}, which is of the same group, was rolled back: {last.message}"
        yield Reason(metric="group", message=last.message if last.by == "group" else number), last.by


def another_wave(obs: Observed, status: RolloutStatus, digest: str) -> bool:
    """Say whether a revision went back only because of another member, and a new wave has come since."""
    wave = obs.spec.group.wave if obs.spec is not None and obs.spec.group is not None else ""
    return any(
        each.hash == digest and each.by == "group" and wave not in ("", each.wave or "") for each in status.rejected
    )


def left(obs: Observed, status: RolloutStatus, by: str) -> RolloutStatus:
    """Return the status of a rollout that goes on from where all wait: with those that are ready, or alone."""
    stages, index = course_of(obs).stages, status.current_step_index
    if index >= len(stages) or not isinstance(stages[index], Together):
        return status
    members = ((name, obs.members.get(name)) for name in companions(obs, status))
    running = tuple(name for name, each in members if each is not None and each.status.canary_revision is not None)
    return changed(status, group=_but(status.group, members=None if by else running, alone_by=by))


def fresh(status: RolloutStatus) -> GroupStatus | None:
    """Return what is left of an attempt with the group when another begins."""
    return status.group and GroupStatus(promoted_at=status.group.promoted_at)
