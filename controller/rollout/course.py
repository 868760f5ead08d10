"""The course: every strategy as one list of stages, so that one machine goes through all of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from controller.api.meta import format_duration
from controller.api.rollout import RolloutSpec
from controller.api.strategy import (
    AnalysisStep,
    BlueGreenStrategy,
    CanaryStrategy,
    Gate,
    HeaderRoute,
    Pause,
    PostPromotionAnalysis,
    PrePromotionAnalysis,
    RouteMatch,
    SetMirror,
    SetScale,
    ShadowStrategy,
    Step,
    TextMatch,
    UntilVerdict,
)

PREVIEW_ROUTE = "preview"


@dataclass(frozen=True, slots=True)
class Ready:
    """Wait until all pods that the new revision should have are ready."""


@dataclass(frozen=True, slots=True)
class Switch:
    """All traffic to the new revision in one write; stable may get copies, to be compared with."""

    control: float = 0
    """Percent of live requests that stable gets copied."""


@dataclass(frozen=True, slots=True)
class Report:
    """Stop copying, and keep what the judge said of the shadow."""


@dataclass(frozen=True, slots=True)
class Judge:
    """Wait for the judge; without a verdict in time go on, or ask a person."""

    step: AnalysisStep
    lenient: bool = False
    """Go on without a verdict when the time is over: what comes next exposes nobody."""


@dataclass(frozen=True, slots=True)
class Bake:
    """The canary has all but a holdback, and is watched for a change."""

    duration: timedelta
    holdback: int
    """Percent of live traffic that stays on stable."""


@dataclass(frozen=True, slots=True)
class Together:
    """Wait until all members of the group have come as far."""

    consent: bool
    """The judge is asked before, and all the while."""


Stage = Step | Ready | Switch | Report | Judge | Bake | Together


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What a new revision goes through."""

    stages: tuple[Stage, ...]
    consent: bool = True
    """After the last stage the judge is asked once more."""
    stands_down: bool = False
    """It ends without a promotion."""
    unjudged: range = range(0)
    """The stages whose requests are not judged."""
    fast_return: bool = False
    """A revision that still stands from before is switched back to without any stage."""

    @property
    def mirrors(self) -> bool:
        """The new revision gets copies of live requests at some stage."""
        copies = (each.set_mirror for each in self.stages if isinstance(each, Step) and each.set_mirror is not None)
        return any(each.percentage > 0 for each in copies)


EMPTY = Course(stages=())


def course(spec: RolloutSpec) -> Course:
    """Return the stages of a rollout: its strategy's, the bake, and the wait for its group."""
    way = _strategy(spec)
    if spec.bake is not None:
        bake = Bake(spec.bake.duration, spec.bake.holdback)
        way = replace(way, stages=(*way.stages, Judge(AnalysisStep()), bake))
    return way if spec.group is None else _in_group(way)


def _in_group(way: Course) -> Course:
    """Wait for the group before all traffic is given: at the switch, or else at the end, once the judge consents."""
    for index, stage in enumerate(way.stages):
        if isinstance(stage, Switch):
            return replace(way, stages=(*way.stages[:index], Together(consent=False), *way.stages[index:]))
    return replace(way, stages=(*way.stages, Together(consent=way.consent)), consent=False)


def _strategy(spec: RolloutSpec) -> Course:
    strategy = spec.strategy
    if strategy.blue_green is not None:
        return _blue_green(strategy.blue_green)
    if strategy.shadow is not None:
        return _shadow(strategy.shadow)
    canary = strategy.canary or CanaryStrategy()
    return Course(stages=canary.plan(), unjudged=range(canary.judged_from_step))


def _shadow(shadow: ShadowStrategy) -> Course:
    wait: Stage
    if shadow.duration is not None:
        wait = Step(pause=Pause(duration=shadow.duration))
    else:
        until = shadow.until_verdict or UntilVerdict()
        step = AnalysisStep(min_duration=until.min_duration, max_duration=until.max_duration)
        wait = Judge(step, lenient=shadow.then is None)
    stages = (Step(set_mirror=SetMirror(percentage=shadow.percentage)), wait, Report())
    if shadow.then is None:
        return Course(stages=stages, stands_down=True)
    begin = len(stages)
    unjudged = range(begin, begin + shadow.then.judged_from_step)
    return Course(stages=(*stages, *shadow.then.plan()), unjudged=unjudged)


def _blue_green(spec: BlueGreenStrategy) -> Course:
    stages: list[Stage] = []
    if spec.preview_replicas is not None:
        stages.append(Step(set_scale=SetScale(replicas=spec.preview_replicas)))
    stages.append(Ready())
    if spec.preview_header is not None:
        match = RouteMatch(headers={spec.preview_header.name: TextMatch(exact=spec.preview_header.value)})
        stages.append(Step(set_header_route=HeaderRoute(name=PREVIEW_ROUTE, match=(match,))))
    before = spec.pre_promotion_analysis
    if not before.skip:
        stages.append(Step(set_mirror=SetMirror(percentage=before.percentage)))
        stages.append(Judge(_waits(before)))
    if not spec.auto_promotion_enabled:
        stages.append(Step(pause=Pause()))
    elif spec.auto_promotion_seconds:
        stages.append(Step(pause=Pause.model_validate({"duration": spec.auto_promotion_seconds})))
    if spec.preview_replicas is not None:
        stages.append(Step(set_scale=SetScale(auto=True)))
    after = spec.post_promotion_analysis
    stages.append(Switch(control=after.percentage if after is not None else 0))
    if after is not None:
        stages.append(Judge(_waits(after)))
    return Course(stages=tuple(stages), consent=False, fast_return=True)


def _waits(analysis: PrePromotionAnalysis | PostPromotionAnalysis) -> AnalysisStep:
    return AnalysisStep(**{name: getattr(analysis, name) for name in AnalysisStep.model_fields})


def moves(stage: Stage) -> bool:
    """Say whether a stage changes who gets which requests or copies, and is left once that was seen."""
    if isinstance(stage, Step):
        changes = (stage.set_weight, stage.set_mirror, stage.set_header_route)
        return any(change is not None for change in changes)
    return isinstance(stage, Switch)


def raises(stages: Sequence[Stage], index: int) -> bool:
    """Say whether the canary only gets another weight (below 100), copies or header route after this stage.

    The last such wait is the promotion's, and so is each of blue-green's, a shadow's and a bake's.
    """
    if not isinstance(stages[index], Step):
        return False
    for stage in stages[index + 1 :]:
        match stage:
            case Step(set_weight=int() | float() as weight):
                return weight < 100
            case Step(set_mirror=SetMirror(percentage=share)) if share:
                return True
            case Step(set_header_route=HeaderRoute(match=found)) if found:
                return True
            case _:
                pass
    return False


_KINDS = {
    Ready: "pods", Switch: "switch", Report: "report", Judge: "analysis", Bake: "bake", Together: "group",
}  # fmt: skip


def kind(stage: Stage) -> str:
    """Return the one word for a stage, as in a step's field."""
    if isinstance(stage, Step):
        return stage.kind
    return _KINDS[type(stage)]


def title(stage: Stage) -> str:
    """Say a stage in a few words."""
    match stage:
        case Ready() | Switch() | Report():
            return kind(stage)
        case Together():
            return "all of the group ready"
        case Bake(duration=duration, holdback=holdback):
            return f"bake {format_duration(duration)}, {holdback} % held back"
        case Step(set_weight=int() | float() as weight):
            return f"weight {weight:g} %"
        case Step(set_mirror=SetMirror(percentage=share, match=match)):
            return f"mirror {share:g} % of what matches" if match else f"mirror {share:g} %"
        case Step(pause=Pause(duration=duration)):
            return f"pause {format_duration(duration)}" if duration is not None else "pause for a person"
        case Step(set_header_route=HeaderRoute(name=name, match=found)):
            return f"route {name}" if found else f"no route {name}"
        case Step(set_scale=SetScale() as scale):
            return f"scale {_amount(scale)}"
        case Step(gate=Gate() as gate):
            return _gate(gate)
        case Step() | Judge():
            return "judge"


def _gate(gate: Gate) -> str:
    if gate.approval is not None:
        return f"approval {gate.approval.name}"
    return "webhook" if gate.webhook is not None else "time window"


def _amount(scale: SetScale) -> str:
    if scale.replicas is not None:
        return f"{scale.replicas} pods"
    if scale.percent is not None:
        return f"{scale.percent} %"
    return "with the weight" if scale.match_weight else "in full"
