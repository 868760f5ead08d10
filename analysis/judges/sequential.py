"""The sequential judge: canary against the stable that serves beside it, valid however often one looks.

The joint evidence that the canary is worse is the weighted mean of all metrics' evidence and the emergency's, so one
alpha holds for the whole rollout: P(a good canary is ever rolled back) ≤ alpha. That the canary is good enough is
asked of each metric by itself.
"""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from analysis import tables
from analysis.judges import emergency, parts, sentences
from analysis.judges.emergency import Past
from analysis.judges.parts import Judged
from analysis.judges.views import Views
from analysis.samples import Pair
from analysis.spec import Bar, ErrorRate, Plan
from analysis.tables import Columns
from analysis.verdict import Finding, Verdict

ERRORS_WEIGHT = 3.0
"""The weight of failed requests in the joint evidence, where latency has 1."""


class Terms(NamedTuple):
    """What a plan asks for, worked out once."""

    weights: tuple[float, ...]
    """Of each metric in the joint evidence."""
    needed: float
    nats: float
    bar: Bar


class Sequential(NamedTuple):
    """The state of the judge. `bad` is final: once the evidence sufficed, nothing that comes later takes it back."""

    plan: Plan
    terms: Terms
    metrics: tuple[Judged, ...]
    watch: Columns | None
    """The emergency's, where failed requests are judged."""
    steps: int = 0
    """Step changes so far."""
    copies: int = 0
    """Copies of the evidence that were started: at each step change, and every few minutes."""
    bad: bool = False

    @property
    def shares(self) -> tuple[float, ...]:
        """What each metric contributes to the joint evidence."""
        return tuple(
            [weight * judged.evidence for weight, judged in zip(self.terms.weights, self.metrics, strict=True)]
        )

    @property
    def evidence(self) -> float:
        """That the canary is worse in any metric, how many to one."""
        return sum(self.shares) + (0.0 if self.watch is None else emergency.SHARE * emergency.read(self.watch).evidence)


def begin(plan: Plan) -> Sequential:
    """The judge before the first tick."""
    watch = emergency.begin() if any(isinstance(metric, ErrorRate) for metric in plan.compared) else None
    # Errors are rare, and latency tells more a request.
    weights = [ERRORS_WEIGHT if isinstance(metric, ErrorRate) else 1.0 for metric in plan.compared]
    all_of_it = (1.0 if watch is None else 1 - emergency.SHARE) / sum(weights)
    metrics = tuple([parts.begin(metric) for metric in plan.compared])
    terms = Terms(tuple([all_of_it * weight for weight in weights]), plan.needed, plan.nats, plan.bar)
    return Sequential(plan, terms, metrics, watch)


def step_all(judges: Sequence[Sequential], views: Views, numbers: Sequence[int]) -> list[Sequential]:
    """One tick of many judges, each of the comparison with its number."""
    found = list(judges)
    going = [at for at, judge in enumerate(judges) if not judge.bad]
    numbers = [numbers[at] for at in going]
    mine = [_restarted(judges[at], views, number) for at, number in zip(going, numbers, strict=True)]
    watches, alarms = _watched(mine, views, numbers)
    of = [number for judge, number in zip(mine, numbers, strict=True) for _ in judge.metrics]
    needed = [judge.terms.nats for judge in mine for _ in judge.metrics]
    stepped = iter(parts.step_all([judged for judge in mine for judged in judge.metrics], views, of, needed=needed))
    for at, judge, watch, alarm in zip(going, mine, watches, alarms, strict=True):
        metrics = tuple([next(stepped) for _ in judge.metrics])
        joint = sum([weight * one.evidence for weight, one in zip(judge.terms.weights, metrics, strict=True)]) + alarm
        if joint >= judge.terms.needed:  # it is stepped no more
            metrics = tuple([judged.alone() for judged in metrics])
            found[at] = judge._replace(metrics=metrics, watch=watch and watch.alone(), bad=True)
        else:
            found[at] = Sequential(judge.plan, judge.terms, metrics, watch, judge.steps, judge.copies)
    return found


def _watched(
    judges: Sequence[Sequential], views: Views, numbers: Sequence[int]
) -> tuple[list[Columns | None], list[float]]:
    """Of each judge the emergency's numbers after the tick, and its part of the joint evidence; none before the run."""
    watches, alarms = [judge.watch for judge in judges], [0.0] * len(judges)
    judged = views.judged[numbers].tolist()
    watching = [(at, watch) for at, watch in enumerate(watches) if watch is not None and judged[at]]
    if watching:
        table = tables.beside([watch for _, watch in watching])
        pairs = views.outcomes.failed[:, [numbers[at] for at, _ in watching]]
        emergency.step(table, pairs, lambda column: _past(judges[watching[column][0]]))
        said = (emergency.SHARE * emergency.evidence(table)).tolist()
        for (at, _), watch, alarm in zip(watching, tables.split(table, [1] * len(watching)), said, strict=True):
            watches[at], alarms[at] = watch, alarm
    return watches, alarms


def _past(judge: Sequential) -> Past:
    errors = next(judged for judged in judge.metrics if isinstance(judged.metric, ErrorRate)).statement(0)
    return Past(errors.question.lines.rollback, errors.share, errors.phi)


def _restarted(judge: Sequential, views: Views, number: int) -> Sequential:
    steps, copies = views.steps[number], views.copies[number]
    if copies == judge.copies:
        return judge
    metrics = judge.metrics
    for copy in range(judge.copies + 1, copies + 1):
        metrics = tuple([parts.restart(judged, copy, step_changed=steps > judge.steps) for judged in metrics])
    return judge._replace(metrics=metrics, steps=steps, copies=copies)


def findings(judge: Sequential, *, said: bool = True) -> tuple[Finding, ...]:
    """What each metric says; without sentences and figures where they are not to be `said`."""
    if not (said or judge.bad):
        return tuple([_unsaid(judged.metric.name, *_reached(judge, judged)) for judged in judge.metrics])
    shares, found = judge.shares, []
    for judged, share in zip(judge.metrics, shares, strict=True):
        verdict, near = _reached(judge, judged)
        if judge.bad and share == max(shares):
            verdict, share = Verdict.BAD, judge.evidence
        found.append(_finding(judge.plan, judged, verdict, near, share))
    return tuple(found)


def _reached(judge: Sequential, judged: Judged) -> tuple[Verdict, bool]:
    """What a metric that is not bad has come to, and whether it is promising."""
    near, good = judge.terms.bar.cleared(judged.samples, better=judged.promote_evidence, worse=judged.evidence)
    return Verdict.GOOD if good else Verdict.INCONCLUSIVE, near


@cache
def _unsaid(metric: str, verdict: Verdict, promising: bool) -> Finding:
    return Finding(metric=metric, verdict=verdict, message="", promising=promising)


def _finding(plan: Plan, judged: Judged, verdict: Verdict, promising: bool, evidence: float) -> Finding:
    shown = sentences.shown_part(judged, verdict)
    pair = sentences.shown_pair(shown, verdict) if shown else Pair()
    return Finding(
        metric=judged.metric.name,
        verdict=verdict,
        message=sentences.finding(judged, shown, verdict, evidence=evidence, plan=plan),
        canary=pair.canary_bad / pair.canary_requests if pair.canary_requests else None,
        stable=pair.stable_bad / pair.stable_requests if pair.stable_requests else None,
        evidence=evidence,
        needed=plan.needed,
        promote_evidence=judged.promote_evidence,
        promote_needed=plan.promote_needed,
        step_needed=plan.step_needed,
        promising=promising,
        canary_requests=pair.canary_requests,
        stable_requests=pair.stable_requests,
        phi=shown.statement.phi if shown else None,
    )
