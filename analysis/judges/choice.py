"""The judge that a plan asks for: one face for all of them."""

from analysis.judges import change, mann_whitney, sequential, threshold
from analysis.judges.change import Change
from analysis.judges.ledger import Steps
from analysis.judges.mann_whitney import MannWhitney
from analysis.judges.sequential import Sequential
from analysis.judges.threshold import Threshold
from analysis.judges.view import View
from analysis.spec import Plan
from analysis.verdict import Finding

Judge = Sequential | Threshold | MannWhitney | Change


def begin(plan: Plan) -> Judge:
    """The judge before the first tick."""
    match plan.judge:
        case "sequential":
            return sequential.begin(plan)
        case "threshold":
            return threshold.begin(plan)
        case "mannWhitney":
            return mann_whitney.begin(plan)
        case "change":
            return change.begin(plan)


def step(judge: Judge, view: View) -> Steps[Judge]:
    """One tick."""
    match judge:
        case Sequential():
            return (yield from sequential.step(judge, view))
        case Threshold():
            return threshold.step(judge, view)
        case MannWhitney():
            return mann_whitney.step(judge, view)
        case Change():
            return (yield from change.step(judge, view))


def findings(judge: Judge, *, said: bool = True) -> tuple[Finding, ...]:
    """What each metric says; the sequential judge leaves out what costs, where it is not to be `said`."""
    match judge:
        case Sequential():
            return sequential.findings(judge, said=said)
        case Threshold():
            return threshold.findings(judge)
        case MannWhitney():
            return mann_whitney.findings(judge)
        case Change():
            return change.findings(judge)
