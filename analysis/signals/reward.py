"""reward: is the mean reward of the canary's answers lower than stable's?

Rewards are brought to 0..1, and 1 - reward is a loss in 0..1. The half-plane bets on failed requests hold for losses
as they stand: x ↦ (a/z)^x · ((1-a)/(1-z))^(1-x) is convex, so for any loss x within 0..1 of the mean θ its mean is at
most θ·a/z + (1-θ)(1-a)/(1-z), which is all that their proof uses. The lines are z_C = z_S + tolerance (rollback) and
z_C = z_S + 3·tolerance (promote).
"""

from dataclasses import dataclass, replace

from analysis.checks import Reward
from analysis.judges import statement
from analysis.judges.question import Question
from analysis.judges.statement import Statement
from analysis.judges.view import View
from analysis.samples import ArmTick, Count, Pair
from analysis.signals.terms import Terms, Weighed, because, found
from analysis.spec import Line, Lines
from analysis.verdict import Finding, Verdict

_EXPECTED = 0.5
_SLACK = 1e-6
_NONE = Pair()


@dataclass(frozen=True, slots=True)
class Rewards:
    """The state of the check."""

    metric: Reward
    judged_from: int
    statement: Statement
    total: Pair = _NONE
    """Feedbacks, and losses as what is bad of them."""
    outside: bool = False
    """A tick's mean lay outside the range."""

    @property
    def evidence(self) -> float:
        """That the canary's rewards are lower, how many to one."""
        return self.statement.worse

    def step(self, view: View, terms: Terms) -> "Rewards":
        """One tick."""
        pair = Pair(*losses(self.metric, view.canary), *losses(self.metric, view.stable))
        if not (_possible(pair[0], pair[1]) and _possible(pair[2], pair[3])):
            return replace(self, outside=True)
        if not view.judged or view.at - view.seconds < self.judged_from:
            return replace(self, statement=statement.learn(self.statement, pair))
        stepped = statement.step(self.statement, pair, needed=terms.nats)
        return replace(self, statement=stepped, total=self.total.plus(pair))

    def restart(self, number: int) -> "Rewards":
        """Look for a loss that begins now, too."""
        return replace(self, statement=statement.restart(self.statement, number))

    def finding(self, terms: Terms, *, bad: bool) -> Finding:
        """What the check says. `canary` and `stable` are mean self as they were reported."""
        asked = self.statement
        said = found(self.metric.name, Weighed(self.total, asked.worse, asked.better, asked.phi), terms, bad=bad)
        if self.outside and not bad:
            said = replace(said, verdict=Verdict.ERROR)
        said = replace(said, canary=_reward(self.metric, said.canary), stable=_reward(self.metric, said.stable))
        return replace(said, message=_sentence(self.metric, said, terms))


def begin(metric: Reward, judged_from: int) -> Rewards:
    """The check before its first tick. What began before `judged_from` and the metric's delay is dropped."""
    lines = Lines(rollback=Line(1, metric.tolerance), promote=Line(1, 3 * metric.tolerance))
    asked = statement.ask(Question(lines, _EXPECTED))
    return Rewards(metric, judged_from + int(metric.delay.total_seconds()), asked)


def losses(metric: Reward, arm: ArmTick) -> Count:
    """Feedbacks of a tick, and the sum of their losses, each within 0..1."""
    number = arm.counted("feedback")
    total = arm.signals.get(("reward", ""), 0.0)
    return Count(number, number - (total - number * metric.low) / (metric.high - metric.low))


def _possible(number: int, lost: float) -> bool:
    return -_SLACK * number <= lost <= number * (1 + _SLACK)


def _reward(metric: Reward, loss: float | None) -> float | None:
    """The mean reward that a mean loss stands for."""
    return None if loss is None else metric.high - (metric.high - metric.low) * loss


def _sentence(metric: Reward, said: Finding, terms: Terms) -> str:
    if said.verdict is Verdict.ERROR:
        return f"reward: means outside {metric.low:g}..{metric.high:g} were counted: set reward.low and reward.high"
    if said.canary is None:
        return "reward: no feedback on the canary's answers"
    against = ", and none on stable to compare with"
    if said.stable is not None:
        against = f" against {said.stable:.3g} on stable"
    text = f"reward: a mean of {said.canary:.3g}{against}"
    return f"{text}, {said.canary_requests:,} feedbacks, {because(said, terms)}"
