"""The judge's sentences, such as "requests slower than 250 ms: 2.1 % against 0.9 % on stable, 4,310 requests, ..."."""

from math import inf, log, sqrt
from typing import NamedTuple

from analysis.judges import statement
from analysis.judges.parts import Judged, Part
from analysis.judges.statement import Statement
from analysis.samples import Pair
from analysis.spec import DOUBT, Bar, Latency, Plan
from analysis.verdict import Verdict

_NO_EDGE = "latency: stable's histogram has too few requests yet, or no edge that 60 % of them stay under"


def share(value: float) -> str:
    """A share as percent with two telling digits, such as `2.1 %`, `0.034 %`, `43 %`."""
    percent = 100 * value
    if percent == 0:
        return "0 %"
    if percent >= 9.95:
        return f"{percent:.0f} %"
    digits = 1
    while digits < 6 and percent < 10 ** (1 - digits) * 0.995:
        digits += 1
    return f"{percent:.{digits}f} %"


def odds(value: float) -> str:
    """Evidence, such as `312:1`, `0.4:1`, `more than a million:1`."""
    if value > 1e6:
        return "more than a million:1"
    if value >= 9.95:
        return f"{value:,.0f}:1"
    return f"{value:.1f}:1" if value >= 0.05 else "0:1"


def good_enough(better: float, *, good: bool, bar: Bar) -> str:
    """What speaks for the canary, and what has to: for the next step and for the promotion, where they differ."""
    needs = odds(bar.promote_needed).replace(".0:", ":")
    if good:
        return f"good enough, evidence {odds(better)} (needs {needs})"
    if bar.step_needed < bar.promote_needed:
        needs = f"{odds(bar.step_needed).replace('.0:', ':')} for the next step, {needs} to promote"
    return f"evidence that it is good enough {odds(better)} (needs {needs})"


def edge(seconds: float) -> str:
    """A histogram edge, such as `250 ms` or `2.5 s`."""
    return f"{seconds:g} s" if seconds >= 1 else f"{1000 * seconds:g} ms"


class Shown(NamedTuple):
    """The part that a metric's sentence is about, and what it states."""

    part: Part
    statement: Statement


def shown_part(judged: Judged, verdict: Verdict) -> Shown | None:
    """The part that a verdict is explained with: what speaks loudest against, or what is still missing most."""
    if not judged.parts:
        return None
    if verdict is Verdict.BAD:
        return loudest(judged)
    every = _every(judged)
    clearing = [each for each in every if each.part.clears]
    return min(clearing or every, key=lambda each: each.statement.better)


def loudest(judged: Judged) -> Shown | None:
    """The part that speaks loudest against the canary."""
    return max(_every(judged), key=lambda each: each.part.weight * each.statement.worse, default=None)


def _every(judged: Judged) -> list[Shown]:
    return [Shown(part, judged.statement(number)) for number, part in enumerate(judged.parts)]


def shown_pair(shown: Shown, verdict: Verdict) -> Pair:
    """The counts that a verdict is explained with: since the last step change when the difference is clearer there."""
    total, recent = shown.statement.total, shown.statement.recent
    return recent if verdict is Verdict.BAD and _clarity(recent) > _clarity(total) else total


def _clarity(pair: Pair) -> float:
    """How many standard deviations apart the arms are, roughly."""
    requests, bad = pair.canary_requests + pair.stable_requests, pair.canary_bad + pair.stable_bad
    if not pair.canary_requests or not pair.stable_requests or not bad or bad == requests:
        return 0.0
    part = pair.canary_requests / requests
    return (pair.canary_bad - part * bad) / sqrt(bad * part * (1 - part) * (1 - bad / requests))


def finding(judged: Judged, shown: Shown | None, verdict: Verdict, *, evidence: float, plan: Plan) -> str:
    """One metric's sentence."""
    if shown is None:
        return _NO_EDGE
    part, pair = shown.part, shown_pair(shown, verdict)
    words = [f"{_subject(part)}: {_against(part, pair)}, {pair.canary_requests:,} requests"]
    if verdict is Verdict.BAD:
        words.append(f"evidence {odds(evidence)} (needs {odds(plan.needed)})")
    else:
        words.append(_enough(judged, shown, plan, good=verdict is Verdict.GOOD))
    return ", ".join(words)


def change(shown: Shown | None, verdict: Verdict, *, evidence: float, plan: Plan) -> str:
    """One metric's sentence while a change is watched for."""
    if shown is None:
        return _NO_EDGE
    part, pair = shown.part, shown.statement.total
    words = f"{_subject(part)}: {_against(part, pair)}, {pair.canary_requests:,} requests"
    if verdict is Verdict.INCONCLUSIVE:
        return f"{words}, needs at least {plan.min_samples:,}, and some on stable"
    found = "it changed for the worse" if verdict is Verdict.BAD else "no change for the worse"
    return f"{words}, {found}: evidence {odds(evidence)} (alarm at {odds(plan.alarm_needed)})"


def _subject(part: Part) -> str:
    if part.edge is None:
        return "failed requests"
    return "latency" if part.edge == -inf else f"requests slower than {edge(part.edge)}"


def _against(part: Part, pair: Pair) -> str:
    if not pair.canary_requests:
        return "none on the canary"
    canary = share(pair.canary_bad / pair.canary_requests)
    if part.ceiling:
        return f"{canary} against at most {share(part.question.lines.rollback.offset)}"
    if not pair.stable_requests:
        return f"{canary}, and no requests on stable to compare with"
    return f"{canary} against {share(pair.stable_bad / pair.stable_requests)} on stable"


def _enough(judged: Judged, shown: Shown, plan: Plan, *, good: bool) -> str:
    if isinstance(judged.metric, Latency) and shown.part.edge == -inf:
        return "no histogram edge is as short as slowerThan, so it cannot be found good"
    better = judged.promote_evidence
    sentence = good_enough(better, good=good, bar=plan.bar)
    if good:
        return sentence
    short = plan.min_samples - judged.samples
    more = [_more(shown, better, line) for line in (plan.step_needed, plan.promote_needed)]
    estimates = sorted({_rounded(estimate) for each in more if (estimate := max(short, each)) > 0})
    if estimates:
        return f"{sentence}, about {' and '.join([f'{each:,}' for each in estimates])} more requests"
    if judged.evidence >= DOUBT:
        return f"{sentence}, while {odds(judged.evidence)} speaks for a worse one (needs less than {odds(DOUBT)})"
    return sentence


def _more(shown: Shown, better: float, line: float) -> int:
    """About how many requests are missing until the evidence that the canary is good enough is at a line."""
    nats = log(line) - log(max(1e-300, better))
    return (statement.needed_requests(shown.statement, nats) or 0) if nats > 0 else 0


def _rounded(number: int) -> int:
    """Two telling digits: an estimate does not know more."""
    step = int(10 ** max(0, len(str(number)) - 2))
    return -(-number // step) * step
