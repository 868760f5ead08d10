"""The sequential judge: canary against the stable that serves beside it, valid however often one looks.

The joint evidence that the canary is worse is the weighted mean of all metrics' evidence and the emergency's, so one
alpha holds for the whole rollout: P(a good canary is ever rolled back) ≤ alpha. That the canary is good enough is
asked of each metric by itself.
"""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from analysis.judges import emergency, parts, sentences
from analysis.judges.emergency import Emergency, Past
from analysis.judges.ledger import Steps
from analysis.judges.parts import Judged
from analysis.judges.statement import Statement
from analysis.judges.view import View
from analysis.samples import Pair
from analysis.spec import Bar, ErrorRate, Plan
from analysis.verdict import Finding, Verdict

ERRORS_WEIGHT = 3.0
"""The weight of failed requests in the joint evidence, where latency has 1."""


class Sequential(NamedTuple):
    """The state of the judge. `bad` is final: once the evidence sufficed, nothing that comes later takes it back."""

    plan: Plan
    bar: Bar
    metrics: tuple[Judged, ...]
    emergency: Emergency | None
    shares: tuple[float, ...]
    """What each metric contributes to the joint evidence."""
    steps: int = 0
    """Step changes so far."""
    copies: int = 0
    """Copies of the evidence that were started: at each step change, and every few minutes."""
    bad: bool = False

    @property
    def evidence(self) -> float:
        """That the canary is worse in any metric, how many to one."""
        return _joint(self.shares, self.emergency)


def _shares(metrics: Sequence[Judged], watch: Emergency | None) -> tuple[float, ...]:
    """What each metric contributes. Errors are rare, and latency tells more a request."""
    weights = [ERRORS_WEIGHT if isinstance(judged.metric, ErrorRate) else 1.0 for judged in metrics]
    all_of_it = (1 - emergency.SHARE if watch else 1.0) / sum(weights)
    return tuple([all_of_it * weight * one.evidence for weight, one in zip(weights, metrics, strict=True)])


def _joint(shares: tuple[float, ...], watch: Emergency | None) -> float:
    return sum(shares) + (emergency.SHARE * watch.evidence if watch else 0.0)


def begin(plan: Plan) -> Sequential:
    """The judge before the first tick."""
    metrics = tuple(parts.begin(metric) for metric in plan.compared)
    has_errors = any(isinstance(metric, ErrorRate) for metric in plan.compared)
    watch = Emergency() if has_errors else None
    return Sequential(plan, plan.bar, metrics, watch, _shares(metrics, watch))


def step(judge: Sequential, view: View) -> Steps["Sequential"]:
    """One tick."""
    if judge.bad:
        return judge
    metrics, watch = _restarted(judge, view), judge.emergency
    if watch is not None and view.judged:
        errors = next(judged for judged in metrics if isinstance(judged.metric, ErrorRate))
        watch = emergency.step(watch, view.errors, lambda: _past(errors.statement(0)))
    asked = [parts.ask(judged, view, needed=judge.plan.nats) for judged in metrics]
    answers = yield [ask for _, ask in asked]
    metrics = tuple([parts.told(judged, view, rows) for (judged, _), rows in zip(asked, answers, strict=True)])
    shares = _shares(metrics, watch)
    bad = _joint(shares, watch) >= judge.plan.needed
    return Sequential(judge.plan, judge.bar, metrics, watch, shares, view.steps, view.copies, bad)


def _past(errors: Statement) -> Past:
    return Past(errors.question.lines.rollback, errors.share, errors.phi)


def _restarted(judge: Sequential, view: View) -> tuple[Judged, ...]:
    metrics, step_changed = judge.metrics, view.steps > judge.steps
    for number in range(judge.copies + 1, view.copies + 1):
        metrics = tuple([parts.restart(judged, number, step_changed=step_changed) for judged in metrics])
    return metrics


def findings(judge: Sequential, *, said: bool = True) -> tuple[Finding, ...]:
    """What each metric says; without sentences and shares where they are not to be `said`."""
    contributions = judge.shares
    most = max(contributions)
    return tuple(
        _finding(judge, judged, share, guilty=judge.bad and share == most, said=said)
        for judged, share in zip(judge.metrics, contributions, strict=True)
    )


@cache
def _unsaid(metric: str, verdict: Verdict, promising: bool) -> Finding:
    return Finding(metric=metric, verdict=verdict, message="", promising=promising)


def _finding(judge: Sequential, judged: Judged, share: float, *, guilty: bool, said: bool) -> Finding:
    plan = judge.plan
    evidence = judge.evidence if guilty else share
    promote_evidence = judged.promote_evidence
    samples = judged.samples
    promising, good = judge.bar.cleared(samples, better=promote_evidence, worse=judged.evidence)
    verdict = Verdict.BAD if guilty else Verdict.GOOD if good else Verdict.INCONCLUSIVE
    if not said:
        return _unsaid(judged.metric.name, verdict, promising)
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
        promote_evidence=promote_evidence,
        promote_needed=plan.promote_needed,
        step_needed=plan.step_needed,
        promising=promising,
        canary_requests=pair.canary_requests,
        stable_requests=pair.stable_requests,
        phi=shown.statement.phi if shown else None,
    )
