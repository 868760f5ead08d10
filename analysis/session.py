"""One comparison while it is judged: `step(session, tick)` is pure, so the same ticks give the same evidence."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

from analysis.checks import Check, is_required
from analysis.judges import choice, ledger
from analysis.judges.choice import Judge
from analysis.judges.ledger import Steps
from analysis.judges.view import View
from analysis.samples import NOTHING, ArmTick, Count, Pair, Tick, Traffic
from analysis.signals import signal
from analysis.signals.signal import Signal
from analysis.signals.split import GRACE
from analysis.signals.terms import Terms
from analysis.spec import Comparison, Metric, Plan
from analysis.verdict import Finding, Judgement, Verdict, is_promising

HISTORY = 1800
"""Seconds before the start in which stable's habits are learned."""
COPY_EVERY = 300
"""Seconds after which another copy of the evidence is started, for what begins in the middle of a long step."""
MISSING = 3
"""This many ticks in a row without a series of an arm are no data; fewer may be a missed scrape."""
_MEMORY = 0.8
_PACE = 0.97
"""What a tick keeps of the pace: half is forgotten in 23 ticks."""
_WINDOW = 3
"""Ticks that `traffic` looks back on."""


class Source(NamedTuple):
    """Which metrics tell outcomes. The gateway's see crashed pods and refused connections, but not mirrored copies.

    They are used while the gateway counts at least half of what the canary's orchestrators serve, in a fading sum.
    The choice looks at requests and never at outcomes.
    """

    gateway: float = 0.0
    orchestrator: float = 0.0
    known: bool = False


class Served(NamedTuple):
    """Requests of one tick: at the gateway, and at the orchestrators (mirrored copies among them)."""

    since: int
    """The tick's begin, in seconds since the epoch."""
    gateway_stable: int
    gateway_canary: int
    stable: int
    canary: int


class Pace(NamedTuple):
    """Requests of both arms, and the seconds that they came in, in fading sums."""

    stable: float = 0.0
    canary: float = 0.0
    seconds: float = 0.0


_STILL = Pace()


class Outcomes(NamedTuple):
    """Requests of one tick, with the failed ones and with those that were refused as the client's fault."""

    failed: Pair = Pair()
    refused: Pair = Pair()


_NONE = Outcomes()


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
    at: int | None = None
    source: Source = Source()
    absent: tuple[int, int] = (MISSING, MISSING)
    """Ticks since stable and canary were last present."""
    recent: tuple[Served, ...] = ()
    """Requests of the last ticks."""
    judged_ticks: int = 0
    pace: Pace = _STILL
    asked: tuple[int | None, int | None] = (None, None)
    """When stable and canary had their last request; None before the first."""


def begin(comparison: Comparison) -> Session:
    """A session before its first tick."""
    plan = comparison.plan
    judged_from = int(comparison.started_at.timestamp()) + int(plan.warmup.total_seconds())
    return Session(
        plan,
        judged_from,
        restarts=tuple(sorted(int(at.timestamp()) for at in comparison.restarts)),
        judge=_judge(plan),
        asides=_asides(plan),
        signals=_signals(plan, judged_from),
        shifts=tuple(sorted(Shifted(int(shift.at.timestamp()), shift.share) for shift in comparison.shifts)),
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


def step_all(ticks: Sequence[tuple[Session, Tick]]) -> list[Session]:
    """One tick of each of many sessions: the same as `step` gives each of them, and much cheaper.

    Raises ValueError when a tick is not later than its session's last.
    """
    return ledger.together([_step(session, tick) for session, tick in ticks])


def _step(session: Session, tick: Tick) -> Steps[Session]:
    if session.at is not None and tick.at <= session.at:
        raise ValueError(f"ticks must go forward: got {tick.at} after {session.at}")
    source, outcomes = _outcomes(session.source, tick)
    view = _view(session, tick, outcomes)
    judge = session.judge
    if judge is not None:
        judge = yield from choice.step(judge, view)
    asides = []
    for metric, aside in session.asides:
        asides.append((metric, (yield from choice.step(aside, view))))
    served = _served(tick)
    stable, canary = max(served.stable, served.gateway_stable), max(served.canary, served.gateway_canary)
    last, pace = session.asked, session.pace
    return Session(
        session.plan,
        session.judged_from,
        session.restarts,
        judge,
        tuple(asides),
        tuple([signal.step(one, view) for one in session.signals]),
        session.shifts,
        tick.at,
        source,
        (_absent(session.absent[0], tick.stable), _absent(session.absent[1], tick.canary)),
        (*session.recent[1 - _WINDOW :], served),
        session.judged_ticks + view.judged,
        Pace(_PACE * pace.stable + stable, _PACE * pace.canary + canary, _PACE * pace.seconds + tick.seconds),
        (tick.at if stable else last[0], tick.at if canary else last[1]),
    )


def _view(session: Session, tick: Tick, outcomes: Outcomes) -> View:
    steps = sum([session.judged_from < at < tick.at for at in session.restarts])
    return View(
        at=tick.at,
        seconds=tick.seconds,
        judged=tick.at - tick.seconds >= session.judged_from,
        steps=steps,
        copies=steps + max(0, tick.at - tick.seconds - session.judged_from) // COPY_EVERY,
        errors=outcomes.failed,
        stable=tick.stable,
        canary=tick.canary,
        refused=outcomes.refused,
        share=_share(session.shifts, tick),
    )


def _share(shifts: tuple[Shifted, ...], tick: Tick) -> float | None:
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
    updated_at = None if session.at is None else datetime.fromtimestamp(session.at, UTC)
    found = _findings(session, said=True)
    verdict, message = _opinion(session, found)
    return Judgement(verdict=verdict, message=message, findings=found, updated_at=updated_at)


def traffic(session: Session, *, mirrored: bool) -> Traffic | None:
    """Requests by arm in the last ticks since the weights changed; only orchestrators see mirrored copies."""
    if session.at is None:
        return None
    changed = max((at for at in session.restarts if at <= session.at), default=0)
    # Restarts are whole seconds, rounded down: what begins in the second of a change may have begun before it.
    recent = [served for served in session.recent if served.since > changed]
    gateway = not mirrored and any(served.gateway_stable or served.gateway_canary for served in recent)
    return Traffic(
        stable_requests=sum(served.gateway_stable if gateway else served.stable for served in recent),
        canary_requests=sum(served.gateway_canary if gateway else served.canary for served in recent),
        since=datetime.fromtimestamp(recent[0].since if recent else session.at, UTC),
        at=datetime.fromtimestamp(session.at, UTC),
    )


def _findings(session: Session, *, said: bool) -> tuple[Finding, ...]:
    found = [] if session.judge is None else list(choice.findings(session.judge, said=said))
    optional = [metric.name for metric in session.plan.compared if not is_required(metric.action, metric.required)]
    if optional:
        found = [replace(finding, required=False) if finding.metric in optional else finding for finding in found]
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
    if session.at is None:
        return Verdict.NO_DATA, "nothing was measured yet"
    for arm, ticks in zip(("stable", "the canary"), session.absent, strict=True):
        if ticks >= MISSING and not (arm == "stable" and session.plan.judge == "threshold"):
            return Verdict.NO_DATA, f"no metrics of {arm}: either it serves nothing, or nobody scrapes it"
    if not session.judged_ticks:
        start = datetime.fromtimestamp(session.judged_from, UTC)
        return Verdict.INCONCLUSIVE, f"warming up: what is measured before {start:%H:%M:%S} UTC is dropped"
    required = [finding for finding in found if finding.required]
    missing = [finding for finding in required if finding.verdict is not Verdict.GOOD]
    if not missing:
        return Verdict.GOOD, "; ".join(finding.message for finding in required)
    unmeasured = all(finding.verdict is Verdict.NO_DATA for finding in missing)
    verdict = Verdict.NO_DATA if unmeasured else Verdict.INCONCLUSIVE
    return verdict, "; ".join(finding.message for finding in missing)


def _outcomes(source: Source, tick: Tick) -> tuple[Source, Outcomes]:
    """How the requests of a tick ended, from the source that sees more of the canary."""
    stable, canary = tick.stable.gateway, tick.canary.gateway
    if source.known and stable is None and canary is None:
        return source, _NONE  # a gateway that was missed returns with what it counted meanwhile: count nothing twice
    source = Source(
        gateway=source.gateway * _MEMORY + (canary.requests if canary else 0),
        orchestrator=source.orchestrator * _MEMORY + tick.canary.served.requests,
        known=source.known or stable is not None or canary is not None,
    )
    if source.gateway > 0 and 2 * source.gateway >= source.orchestrator:
        refused = tick.canary.gateway_refused, tick.stable.gateway_refused
        return source, _paired(canary or NOTHING, stable or NOTHING, *refused)
    return source, _paired(tick.canary.served, tick.stable.served, tick.canary.refused, tick.stable.refused)


def _paired(canary: Count, stable: Count, mine: int, theirs: int) -> Outcomes:
    return Outcomes(Pair(*canary, *stable), Pair(canary.requests, mine, stable.requests, theirs))


def _absent(ticks: int, arm: ArmTick) -> int:
    return 0 if arm.present else ticks + 1


def _served(tick: Tick) -> Served:
    stable, canary = tick.stable.gateway or Count(), tick.canary.gateway or Count()
    since = tick.at - tick.seconds
    return Served(since, stable.requests, canary.requests, tick.stable.served.requests, tick.canary.served.requests)
