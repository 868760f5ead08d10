"""One comparison while it is judged: `step(session, tick)` is pure, so the same ticks give the same evidence."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from analysis import arms, tables, tally
from analysis.arms import Arms
from analysis.checks import Check, is_required
from analysis.judges import choice
from analysis.judges.choice import Judge
from analysis.judges.views import Views
from analysis.samples import Tick, Traffic
from analysis.signals import signal
from analysis.signals.signal import Signal
from analysis.signals.split import GRACE
from analysis.signals.terms import Terms
from analysis.spec import Comparison, Metric, Plan
from analysis.tables import Columns, Numbers
from analysis.tally import Shape, Tally
from analysis.verdict import Finding, Judgement, Verdict, is_promising

HISTORY = 1800
"""Seconds before the start in which stable's habits are learned."""
COPY_EVERY = 300
"""Seconds after which another copy of the evidence is started, for what begins in the middle of a long step."""


class Shifted(NamedTuple):
    """From `at` on (seconds since the epoch) this was the canary's share of live requests."""

    at: int
    share: float | None


class Session(NamedTuple):
    """Everything that the judgement rests on."""

    plan: Plan
    judged_from: int
    restarts: tuple[int, ...]
    """Those within the warm-up start no copy: the judge itself starts later."""
    judge: Judge | None
    """Of failed requests and latency, where they roll back; they share alpha."""
    asides: tuple[tuple[Metric, Judge], ...] = ()
    """Of those that only ask or warn: each has an alpha of its own."""
    signals: tuple[Signal, ...] = ()
    shifts: tuple[Shifted, ...] = ()
    optional: tuple[str, ...] = ()
    """The compared metrics that no good verdict needs."""
    counted: Columns = arms.begin()
    """What was seen of both arms until now."""

    @property
    def at(self) -> int | None:
        """The last tick's end, in seconds since the epoch; None before the first."""
        return self.arms.at

    @property
    def arms(self) -> Arms:
        """What was seen of both arms until now."""
        return arms.read(self.counted)


def begin(comparison: Comparison) -> Session:
    """A session before its first tick."""
    plan = comparison.plan
    optional = [metric.name for metric in plan.compared if not is_required(metric.action, metric.required)]
    judged_from = int(comparison.started_at.timestamp()) + int(plan.warmup.total_seconds())
    return Session(
        plan,
        judged_from,
        restarts=tuple(sorted(int(at.timestamp()) for at in comparison.restarts)),
        judge=_judge(plan),
        asides=_asides(plan),
        signals=_signals(plan, judged_from),
        shifts=tuple(sorted(Shifted(int(shift.at.timestamp()), shift.share) for shift in comparison.shifts)),
        optional=tuple(optional),
    )


def _judge(plan: Plan) -> Judge | None:
    """The judge of what rolls back. Checks beside it that do so too have their part of alpha, each an equal one."""
    metrics = tuple([metric for metric in plan.compared if metric.action == "abort"])
    if plan.judge == "threshold":
        metrics = tuple([metric for metric in metrics if metric.max is not None])
    if not metrics:
        return None
    return choice.begin(replace(plan, metrics=_required(metrics), alpha=plan.alpha * len(metrics) / plan.aborting))


def _asides(plan: Plan) -> tuple[tuple[Metric, Judge], ...]:
    metrics = [metric for metric in plan.compared if metric.action != "abort"]
    if plan.judge == "threshold":
        metrics = [metric for metric in metrics if metric.max is not None]
    return tuple([(metric, choice.begin(replace(plan, metrics=_required((metric,))))) for metric in metrics])


def _required(metrics: tuple[Metric, ...]) -> tuple[Metric, ...]:
    return tuple([replace(metric, required=True) for metric in metrics])


def _signals(plan: Plan, judged_from: int) -> tuple[Signal, ...]:
    checks = [metric for metric in plan.metrics if isinstance(metric, Check)]
    return tuple([signal.begin(check, _terms(plan, check), judged_from) for check in checks])


def _terms(plan: Plan, check: Check) -> Terms:
    alpha = plan.alpha / plan.aborting if check.action == "abort" else plan.alpha
    return Terms(1 / alpha, plan.bar)


def step(session: Session, tick: Tick) -> Session:
    """One tick. Raises ValueError when it is not later than the last."""
    return step_all([(session, tick)])[0]


def step_all(ticks: Sequence[tuple[Session, Tick | Tally]]) -> list[Session]:
    """One tick of each of many sessions: the same as `step` gives each of them, and much cheaper.

    Raises ValueError when a tick is not later than its session's last.
    """
    if not ticks:
        return []
    sessions = [session for session, _ in ticks]
    counted = tables.beside([session.counted for session in sessions])
    views = _views(sessions, counted, [tally.of(tick) if isinstance(tick, Tick) else tick for _, tick in ticks])
    judges = [(number, judge) for number, session in enumerate(sessions) for judge in _judges(session)]
    stepped = iter(choice.step_all([judge for _, judge in judges], views, [number for number, _ in judges]))
    found = []
    for number, (session, column) in enumerate(zip(sessions, tables.split(counted, [1] * len(sessions)), strict=True)):
        judge = None if session.judge is None else next(stepped)
        asides = tuple([(metric, next(stepped)) for metric, _ in session.asides])
        signals = session.signals
        if signals:
            view = views.view(number)
            signals = tuple([signal.step(one, view) for one in signals])
        fixed = session.plan, session.judged_from, session.restarts
        found.append(Session(*fixed, judge, asides, signals, session.shifts, session.optional, column))
    return found


def _judges(session: Session) -> list[Judge]:
    asides = [judge for _, judge in session.asides]
    return asides if session.judge is None else [session.judge, *asides]


def _views(sessions: Sequence[Session], counted: Numbers, tallies: Sequence[Tally]) -> Views:
    """What is seen of a tick, which is counted in place."""
    at = np.array([each.at for each in tallies], dtype=np.float64)
    seconds = np.array([each.seconds for each in tallies], dtype=np.float64)
    since = at - seconds - [session.judged_from for session in sessions]
    rows, starts = tally.beside(tallies)
    outcomes = arms.step(
        counted,
        tally.heads(rows, starts),
        np.array([_seen(each.shape) for each in tallies], dtype=np.float64).T,
        at=at,
        seconds=seconds,
        judged=(since >= 0).astype(np.float64),
    )
    tally.believe(rows, starts, outcomes.failed)
    steps = [_steps(session, each.at) for session, each in zip(sessions, tallies, strict=True)]
    late = np.maximum(0, since // COPY_EVERY).astype(np.int64).tolist()
    copies = [number + more for number, more in zip(steps, late, strict=True)]
    return Views(
        tallies, since >= 0, steps, copies, outcomes, rows, starts, lambda at: _share(sessions[at].shifts, tallies[at])
    )


def _seen(shape: Shape) -> tuple[bool, bool, bool, bool]:
    """Which series there are: of stable and of the canary, and at their gateways."""
    return shape.stable.present, shape.canary.present, shape.stable.at_gateway, shape.canary.at_gateway


def _steps(session: Session, at: int) -> int:
    """Step changes before an instant, after the warm-up."""
    return sum([session.judged_from < each < at for each in session.restarts]) if session.restarts else 0


def _share(shifts: tuple[Shifted, ...], tick: Tally) -> float | None:
    """The weight that held all through a tick, and for some time before; None where it changed then."""
    began = tick.at - tick.seconds - GRACE
    before = [shift for shift in shifts if shift.at < tick.at]
    return before[-1].share if before and before[-1].at <= began else None


def with_restarts(session: Session, comparison: Comparison) -> Session | None:
    """The session with the comparison's restarts and shifts; None when they change the past: it must be replayed."""
    fresh = begin(comparison)
    restarts, shifts = fresh.restarts, fresh.shifts
    if restarts == session.restarts and shifts == session.shifts:
        return session
    past = session.judged_from if session.at is None else session.at
    late = restarts[len(session.restarts) :]
    if restarts[: len(session.restarts)] != session.restarts or any(session.judged_from < at < past for at in late):
        return None
    moved = shifts[len(session.shifts) :]
    if shifts[: len(session.shifts)] != session.shifts or any(session.judged_from < shift.at < past for shift in moved):
        return None
    return session._replace(restarts=restarts, shifts=shifts)


class Standing(NamedTuple):
    """What nobody may miss when it changes."""

    verdict: Verdict
    promising: bool
    metrics: tuple[Verdict, ...]


def standing(session: Session) -> Standing:
    """The verdicts: what `judge` says, without its sentences and figures, and much cheaper."""
    found = _findings(session, said=False)
    verdict = _opinion(session, found)[0]
    return Standing(verdict, is_promising(verdict, found), tuple([finding.verdict for finding in found]))


def judge(session: Session) -> Judgement:
    """The opinion, with its sentence."""
    at, found = session.at, _findings(session, said=True)
    updated_at = None if at is None else datetime.fromtimestamp(at, UTC)
    verdict, message = _opinion(session, found)
    return Judgement(verdict=verdict, message=message, findings=found, updated_at=updated_at)


def traffic(session: Session, *, mirrored: bool) -> Traffic | None:
    """Requests by arm in the last ticks since the weights changed; only orchestrators see mirrored copies."""
    seen = session.arms
    if seen.at is None:
        return None
    changed = max((at for at in session.restarts if at <= seen.at), default=0)
    # Restarts are whole seconds, rounded down: what begins in the second of a change may have begun before it.
    recent = [served for served in seen.recent if served.since > changed]
    gateway = not mirrored and any(served.gateway_stable or served.gateway_canary for served in recent)
    return Traffic(
        stable_requests=sum(served.gateway_stable if gateway else served.stable for served in recent),
        canary_requests=sum(served.gateway_canary if gateway else served.canary for served in recent),
        since=datetime.fromtimestamp(recent[0].since if recent else seen.at, UTC),
        at=datetime.fromtimestamp(seen.at, UTC),
    )


def _findings(session: Session, *, said: bool) -> tuple[Finding, ...]:
    found = [] if session.judge is None else list(choice.findings(session.judge, said=said))
    if session.optional:
        found = [replace(each, required=False) if each.metric in session.optional else each for each in found]
    for metric, judge in session.asides:
        required = is_required(metric.action, metric.required)
        found += [
            replace(finding, action=metric.action, required=required) for finding in choice.findings(judge, said=said)
        ]
    return (*found, *[signal.finding(one) for one in session.signals])


def _opinion(session: Session, found: tuple[Finding, ...]) -> tuple[Verdict, str]:
    bad = [finding.message for finding in found if finding.verdict is Verdict.BAD and finding.action == "abort"]
    if bad:
        return Verdict.BAD, "; ".join(bad)
    seen = arms.presence(session.counted)
    if not seen.read:
        return Verdict.NO_DATA, "nothing was measured yet"
    if not (seen.canary and (seen.stable or session.plan.judge == "threshold")):
        arm = "the canary" if seen.stable or session.plan.judge == "threshold" else "stable"
        return Verdict.NO_DATA, f"no metrics of {arm}: either it serves nothing, or nobody scrapes it"
    if not seen.judged:
        start = datetime.fromtimestamp(session.judged_from, UTC)
        return Verdict.INCONCLUSIVE, f"warming up: what is measured before {start:%H:%M:%S} UTC is dropped"
    required = [finding for finding in found if finding.required]
    missing = [finding for finding in required if finding.verdict is not Verdict.GOOD]
    if not missing:
        return Verdict.GOOD, "; ".join(finding.message for finding in required)
    unmeasured = all(finding.verdict is Verdict.NO_DATA for finding in missing)
    verdict = Verdict.NO_DATA if unmeasured else Verdict.INCONCLUSIVE
    return verdict, "; ".join(finding.message for finding in missing)
