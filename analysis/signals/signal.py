"""One typed check while it is judged: which state it has, and how a tick, a step change and a finding go."""

from dataclasses import dataclass, replace

from analysis.checks import Check, PredictionDrift, ShadowAgreement, TrafficSplit, is_required
from analysis.checks import Reward as RewardCheck
from analysis.judges.view import View
from analysis.signals import agreement, drift, reward, shares, split
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

    @property
    def evidence(self) -> float:
        """That something is wrong, how many to one."""
        match self.state:
            case Split() as state:
                return state.wealth.evidence
            case Rewards() as state:
                return state.statement.worse
            case state:
                return state.evidence


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
    state = signal.state
    for number in range(signal.copies + 1, view.copies + 1):
        state = _restart(state, number)
    match state:
        case Split():
            state = split.step(state, view, signal.terms)
        case Rewards():
            state = reward.step(state, view, signal.terms)
        case Drift():
            state = drift.step(state, view, signal.terms)
        case Agreement():
            state = agreement.step(state, view, signal.terms)
        case Shares():
            state = shares.step(state, view, signal.terms)
    stepped = replace(signal, state=state, copies=view.copies)
    return replace(stepped, bad=_is_bad(stepped))


def finding(signal: Signal) -> Finding:
    """What the check says."""
    metric, state, terms = signal.metric, signal.state, signal.terms
    match state:
        case Split():
            found = split.finding(state, terms, bad=signal.bad)
        case Rewards():
            found = reward.finding(state, terms, bad=signal.bad)
        case Drift():
            found = drift.finding(state, terms, bad=signal.bad)
        case Agreement():
            found = agreement.finding(state, terms, bad=signal.bad)
        case _:
            found = shares.finding(state, terms, bad=signal.bad)
    return replace(found, action=metric.action, required=is_required(metric.action, metric.required))


def _restart(state: State, number: int) -> State:
    match state:
        case Split():
            return split.restart(state, number)
        case Rewards():
            return reward.restart(state, number)
        case Drift():
            return drift.restart(state, number)
        case Agreement():
            return agreement.restart(state, number)
        case Shares():
            return shares.restart(state, number)


def _is_bad(signal: Signal) -> bool:
    if isinstance(signal.state, Drift):
        return drift.is_bad(signal.state, signal.terms)
    return signal.evidence >= signal.terms.needed
