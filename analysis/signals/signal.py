"""One typed check while it is judged: which state it has, and how a tick, a step change and a finding go."""

from dataclasses import dataclass, replace

from analysis.checks import Check, PredictionDrift, ShadowAgreement, TrafficSplit, is_required
from analysis.checks import Reward as RewardCheck
from analysis.judges.view import View
from analysis.signals import agreement, reward, shares
from analysis.signals.agreement import Agreement
from analysis.signals.drift import Drift
from analysis.signals.reward import Rewards
from analysis.signals.shares import Shares
from analysis.signals.split import Split
from analysis.signals.terms import Terms
from analysis.verdict import Finding

State = Agreement | Drift | Rewards | Shares | Split


@dataclass(frozen=True, slots=True)
class Signal:
    """A check's state. `bad` is final, as the judge's is."""

    metric: Check
    terms: Terms
    state: State
    copies: int = 0
    bad: bool = False


def begin(metric: Check, terms: Terms, judged_from: int) -> Signal:
    """The check before its first tick."""
    state: State
    match metric:
        case TrafficSplit():
            state = Split(metric)
        case PredictionDrift():
            state = Drift(metric)
        case RewardCheck():
            state = reward.begin(metric, judged_from)
        case ShadowAgreement():
            state = agreement.begin(metric)
        case _:
            state = shares.begin(metric)
    return Signal(metric, terms, state)


def step(signal: Signal, view: View) -> Signal:
    """One tick."""
    if signal.bad:
        return signal
    state, terms = signal.state, signal.terms
    for number in range(signal.copies + 1, view.copies + 1):
        state = state.restart(number)
    state = state.step(view, terms)
    bad = state.is_bad(terms) if isinstance(state, Drift) else state.evidence >= terms.needed
    return replace(signal, state=state, copies=view.copies, bad=bad)


def finding(signal: Signal) -> Finding:
    """What the check says."""
    metric = signal.metric
    found = signal.state.finding(signal.terms, bad=signal.bad)
    return replace(found, action=metric.action, required=is_required(metric.action, metric.required))
