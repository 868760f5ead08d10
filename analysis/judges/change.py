"""The change detector: watches, after the rollout, for the canary to become worse. It never ends by itself.

Each alternative's wealth is an e-CUSUM, M ← max(M, 1)·s: what speaks against a change in the past does not count
against one that begins now. For an e-variable s given the past, M is at most the sum of the products that begin at
each tick (by induction: max(M, 1) ≤ M + 1), each of which has an expectation of at most 1 under the null, so
E[M_τ] ≤ E[τ] for every stopping time τ. A weighted mean of such M's has the same bound. So at the first alarm,
M ≥ A, A ≤ E[M_τ] ≤ E[τ]: on average at least A ticks go by before a false alarm (Shin, Ramdas, Rinaldo). That is an
average run length and no probability; in a window of n ticks a false alarm has at most the probability n/A, for the
products that begin within it sum to an e-process times n.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

from analysis.judges import parts, sentences
from analysis.judges.parts import Judged
from analysis.judges.views import Views
from analysis.samples import Pair
from analysis.spec import Plan
from analysis.verdict import Finding, Verdict


@dataclass(frozen=True, slots=True)
class Change:
    """The state of the detector. An alarm is final."""

    plan: Plan
    metrics: tuple[Judged, ...]
    bad: bool = False

    @property
    def shares(self) -> tuple[float, ...]:
        """What each metric contributes to the joint evidence."""
        return tuple([judged.evidence / len(self.metrics) for judged in self.metrics])


def begin(plan: Plan) -> Change:
    """The detector before the first tick."""
    return Change(plan, tuple(parts.begin(metric) for metric in plan.compared))


def step_all(judges: Sequence[Change], views: Views, numbers: Sequence[int]) -> list[Change]:
    """One tick of many detectors, each of the comparison with its number."""
    found = list(judges)
    going = [at for at, judge in enumerate(judges) if not judge.bad]
    of = [numbers[at] for at in going for _ in judges[at].metrics]
    caps = [log(judges[at].plan.alarm_needed) + 3 for at in going for _ in judges[at].metrics]
    metrics = [judged for at in going for judged in judges[at].metrics]
    stepped = iter(parts.step_all(metrics, views, of, needed=caps, renewed=True))
    for at in going:
        plan = judges[at].plan
        judge = Change(plan, tuple([next(stepped) for _ in judges[at].metrics]))
        if sum(judge.shares) >= plan.alarm_needed:  # it is stepped no more
            judge = Change(plan, tuple([judged.alone() for judged in judge.metrics]), bad=True)
        found[at] = judge
    return found


def findings(judge: Change) -> tuple[Finding, ...]:
    """What each metric says: Bad after an alarm, Good while enough was counted and nothing changed."""
    most = max(judge.shares)
    return tuple(
        _finding(judge, judged, share, guilty=judge.bad and share == most)
        for judged, share in zip(judge.metrics, judge.shares, strict=True)
    )


def _finding(judge: Change, judged: Judged, share: float, *, guilty: bool) -> Finding:
    plan, counted = judge.plan, judged.requests
    enough = counted.canary_requests >= plan.min_samples and counted.stable_requests > 0
    verdict = Verdict.BAD if guilty else Verdict.GOOD if enough else Verdict.INCONCLUSIVE
    shown = sentences.loudest(judged)
    pair = shown.statement.total if shown else Pair()
    evidence = sum(judge.shares) if guilty else share
    return Finding(
        metric=judged.metric.name,
        verdict=verdict,
        message=sentences.change(shown, verdict, evidence=evidence, plan=plan),
        canary=pair.canary_bad / pair.canary_requests if pair.canary_requests else None,
        stable=pair.stable_bad / pair.stable_requests if pair.stable_requests else None,
        evidence=evidence,
        needed=plan.alarm_needed,
        promote_evidence=1.0 if verdict is Verdict.GOOD else 0.0,
        promote_needed=1.0,
        canary_requests=pair.canary_requests,
        stable_requests=pair.stable_requests,
        phi=shown.statement.phi if shown else None,
    )
