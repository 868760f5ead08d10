"""Runs: the AnalysisRuns of a rollout. Which it makes, ends and drops, and what they say of the revision. Pure.

An attempt has one run in the background, and one for each step that names templates. A run's name holds revision,
attempt and role, so that none is made twice and a retry has runs of its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from controller.api import names
from controller.api.meta import ATTEMPT_LABEL, REVISION_LABEL, ROLLOUT_LABEL, RUN_LABEL
from controller.api.rollout import Reason, RolloutSpec, RolloutStatus
from controller.api.strategy import AnalysisStep, Step
from controller.api.templates import FromTemplates, RunStatus
from controller.rollout import actions, arguments
from controller.rollout.actions import Action
from controller.rollout.course import Judge, Stage, course
from controller.rollout.observed import Observed, Run
from controller.rollout.phases import IN_PROGRESS, Phase
from controller.rollout.revisions import owner_reference
from controller.rollout.stages import changed, course_of

BACKGROUND = "background"
TOLD_LIMIT = 20
_NONE = "no AnalysisRun for "


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a wait for an analysis has come to."""

    good: bool
    message: str = ""
    """What a run says; empty where only the judge is waited for."""
    open: bool = False
    """The run goes on."""


def of_stage(stage: Stage) -> AnalysisStep | None:
    """Return the analysis of a stage that names templates."""
    match stage:
        case Judge(step=step) | Step(analysis=AnalysisStep() as step) if step.templates:
            return step
        case _:
            return None


def named_in(spec: RolloutSpec) -> list[FromTemplates]:
    """Return everything in a spec that names templates."""
    steps = [step for stage in course(spec).stages if (step := of_stage(stage)) is not None]
    return [spec.analysis, *steps] if spec.analysis.templates else list(steps)


def _name(obs: Observed, status: RolloutStatus, role: str) -> str:
    digest = status.canary_revision.hash if status.canary_revision is not None else ""
    return names.shorten(f"{obs.name}-{digest}-{status.attempt}-{role}")


def _step(index: int) -> str:
    """Steps are counted from 1 where people read of them."""
    return f"step-{index + 1}"


def _background(obs: Observed, status: RolloutStatus) -> Run | None:
    return obs.runs.get(_name(obs, status, BACKGROUND))


def _of_step(obs: Observed, status: RolloutStatus) -> Run | None:
    return obs.runs.get(_name(obs, status, _step(status.current_step_index)))


def heard(obs: Observed, status: RolloutStatus) -> list[Run]:
    """Return the runs that speak of the running revision now: the present step's, and the background's."""
    if status.canary_revision is None:
        return []
    return [run for run in (_of_step(obs, status), _background(obs, status)) if run is not None]


# what they say


def said(run: Run) -> str:
    """Say where a run stands, in its own words."""
    return f"AnalysisRun {run.name} is {run.phase}{f': {run.message}' if run.message else ''}"


def failed(obs: Observed, status: RolloutStatus) -> Reason | None:
    """Return why the revision goes: a run has failed."""
    run = next((run for run in heard(obs, status) if run.phase == "Failed"), None)
    return None if run is None else Reason(metric=run.metric or "analysis", message=said(run))


def undecided(obs: Observed, status: RolloutStatus) -> bool:
    """Say whether a run ended without saying anything for or against the revision."""
    return any(run.phase in ("Inconclusive", "Error") for run in heard(obs, status))


def question(obs: Observed, status: RolloutStatus) -> str:
    """Return why a person is asked now: an inconclusive run; the background's is asked about once."""
    if status.passed is not None or status.canary_revision is None:
        return ""
    step, back = _of_step(obs, status), _background(obs, status)
    for run in (step, back if back is not None and back.name not in status.analysis.told else None):
        if run is not None and run.phase == "Inconclusive":
            return f"{said(run)}; say pass or fail"
    return ""


def asked(obs: Observed, status: RolloutStatus, reason: str) -> RolloutStatus:
    """Note that a person was asked, where the reason is such a run."""
    if not reason or reason != question(obs, status):
        return status
    new = [run.name for run in heard(obs, status) if run.phase == "Inconclusive" and run.name in reason]
    return changed(status, analysis=status.analysis.model_copy(update={"told": (*status.analysis.told, *new)}))


def standing(obs: Observed, status: RolloutStatus, step: AnalysisStep, *, raises: bool = False) -> Standing:
    """Return what the wait for an analysis has come to: for its run where it names templates, else for the judge.

    Args:
        raises: nothing but another weight comes after it, for which a promising revision is good enough.
    """
    if step.templates:
        run = _of_step(obs, status)
        if run is None:
            name = _name(obs, status, _step(status.current_step_index))
            return Standing(good=False, message=f"AnalysisRun {name} is to be made", open=True)
        if run.phase != "Successful":
            return Standing(good=False, message=said(run), open=not run.ended)
    elif status.analysis.verdict != "Good" and not (raises and status.analysis.promising):
        return Standing(good=False)
    back = _background(obs, status)
    if back is not None and back.ended and back.phase != "Successful":
        return Standing(good=False, message=said(back))
    return Standing(good=True)


def unfinished(obs: Observed, status: RolloutStatus) -> Standing:
    """Return what the run in the background still keeps the promotion waiting for; one without end runs with it."""
    back = _background(obs, status)
    if back is None:
        wanted = obs.spec is not None and bool(obs.spec.analysis.templates)
        message = f"AnalysisRun {_name(obs, status, BACKGROUND)} is to be made"
        return Standing(good=False, message=message, open=True) if wanted else Standing(good=True)
    if back.phase == "Successful" or (back.endless and not back.ended):
        return Standing(good=True)
    return Standing(good=False, message=said(back), open=not back.ended)


def told(obs: Observed) -> tuple[RunStatus, ...]:
    """Return the rollout's runs for its status, newest last."""
    runs = sorted(obs.runs.values(), key=lambda run: (run.created, run.name))[-TOLD_LIMIT:]
    return tuple(RunStatus(name=run.name, phase=run.phase, message=run.message) for run in runs)


# what is made, ended and dropped


def problem(obs: Observed, status: RolloutStatus) -> str:
    """Return why a run that is still to come cannot be made. Nothing goes on until it can."""
    for role, analysis in _to_come(obs, status):
        try:
            _made(obs, status, role, analysis)
        except ValueError as error:
            return f"{_NONE}{'the background' if role == BACKGROUND else role}: {error}"
    return ""


def held(status: RolloutStatus) -> bool:
    """Say whether the last pass was held by a run that could not be made."""
    return status.blocked_on is not None and status.blocked_on.message.startswith(_NONE)


def _to_come(obs: Observed, status: RolloutStatus) -> Iterator[tuple[str, FromTemplates]]:
    """Yield the runs that this attempt does not have yet, each by its role: the background's and those of steps."""
    if obs.spec is None or status.canary_revision is None or status.forced_by or status.skip_reason:
        return
    if obs.spec.analysis.templates and _background(obs, status) is None:
        yield BACKGROUND, obs.spec.analysis
    for index, stage in enumerate(course_of(obs).stages):
        step = of_stage(stage)
        if step is not None and index >= status.current_step_index and _name(obs, status, _step(index)) not in obs.runs:
            yield _step(index), step


def _due(obs: Observed, status: RolloutStatus, role: str, *, blocked: bool) -> bool:
    phase = Phase(status.phase)
    if role != BACKGROUND:
        here = role == _step(status.current_step_index)
        return here and phase is Phase.PROGRESSING and not blocked
    if phase not in (Phase.PROGRESSING, Phase.PAUSED) or obs.spec is None:
        return False
    start = obs.spec.analysis.starting_step
    return status.analysis.started_at is not None if start is None else status.current_step_index >= start


def _made(obs: Observed, status: RolloutStatus, role: str, analysis: FromTemplates) -> dict[str, object]:
    """Return an AnalysisRun.

    Raises:
        ValueError: the templates make no run, or an argument has no value.
    """
    spec = arguments.run_spec(obs, status, analysis)
    if role != BACKGROUND and (endless := arguments.endless(spec)):
        raise ValueError(f"metric {endless!r} has an interval and no count: a step would wait for it for ever")
    canary = status.canary_revision
    labels = {
        ROLLOUT_LABEL: obs.name,
        REVISION_LABEL: canary.hash if canary is not None else "",
        ATTEMPT_LABEL: str(status.attempt),
        RUN_LABEL: role,
    }
    owner = {"apiVersion": "rollouts.seldon.io/v1alpha1", "kind": "SeldonRollout", "name": obs.name, "uid": obs.uid}
    return {
        "apiVersion": "rollouts.seldon.io/v1alpha1",
        "kind": "AnalysisRun",
        "metadata": {
            "name": _name(obs, status, role),
            "namespace": obs.namespace,
            "labels": labels,
            "ownerReferences": [owner_reference(owner)],
        },
        "spec": spec.model_dump(by_alias=True, mode="json", exclude_defaults=True),
    }


def plan(obs: Observed, status: RolloutStatus, *, blocked: bool) -> list[Action]:
    """Return the runs to make, to end and to drop.

    Args:
        blocked: the split that is wanted may not be routed yet, so no run of a step begins.
    """
    todo: list[Action] = [
        actions.StopRun(run.name, run.uid)
        for run in sorted(obs.runs.values(), key=lambda run: run.name)
        if not run.ended and not run.stopping and not _goes_on(obs, status, run)
    ]
    if Phase(status.phase) in IN_PROGRESS and not problem(obs, status):  # after the stops: never two of a role at once
        todo += [
            actions.CreateRun(_made(obs, status, role, analysis))
            for role, analysis in _to_come(obs, status)
            if _due(obs, status, role, blocked=blocked)
        ]
    return [*todo, *_dropped(obs, status)]


def _goes_on(obs: Observed, status: RolloutStatus, run: Run) -> bool:
    running = Phase(status.phase) in IN_PROGRESS | {Phase.INVALID}
    wanted = run in heard(obs, status) or _ahead(status, run)
    return running and not (status.forced_by or status.skip_reason) and wanted


def _ahead(status: RolloutStatus, run: Run) -> bool:
    """Say whether a run is of a step to come: the pass that made it was cut off before its status."""
    canary, number = status.canary_revision, run.role.removeprefix("step-")
    mine = canary is not None and (run.hash, run.attempt) == (canary.hash, status.attempt)
    return mine and number.isdecimal() and int(number) > status.current_step_index


def _dropped(obs: Observed, status: RolloutStatus) -> list[Action]:
    """Return the oldest finished runs beyond the limits; those of the running attempt all stay."""
    if obs.spec is None:
        return []
    canary = status.canary_revision
    running = (canary.hash, status.attempt) if canary is not None else None
    over = [run for run in obs.runs.values() if run.ended and (run.hash, run.attempt) != running]
    over.sort(key=lambda run: (run.created, run.name))
    good = [run for run in over if run.phase == "Successful"]
    rest = [run for run in over if run.phase != "Successful"]
    limits = obs.spec.analysis
    gone = good[: max(0, len(good) - limits.successful_run_history_limit)]
    gone += rest[: max(0, len(rest) - limits.unsuccessful_run_history_limit)]
    return [actions.DeleteRun(run.name, run.uid) for run in gone]
