"""A judge that tells the truth of what was served, as far as its Prometheus lets it.

It has the face of `analysis.monitor.Monitor`. Its verdicts are simple and sharp, so that an invariant can hold the
controller to them; the statistics of the real judge have tests of their own.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from analysis.samples import Traffic
from analysis.spec import Comparison, Key
from analysis.verdict import Finding, Judgement, Verdict
from simulated.timeline import START
from simulated.users import EVERY, Count, Ledger

NEEDED = 60
"""Canary requests since the last change that a good verdict needs."""
ENOUGH = 30
"""As many are enough for the next weight."""


@dataclass(slots=True)
class Prometheus:
    """How it does: up, down, empty, nan or late."""

    mode: str = "up"


def share_is_bad(canary: Count, stable: Count) -> bool | None:
    """Say whether a canary is worse than stable; None when it cannot be told yet."""
    if canary.requests < 20:
        return None
    base = stable.bad / stable.requests if stable.requests else 0.0
    share = canary.bad / canary.requests
    if share > 1.5 * base + 0.04 and canary.bad >= 8:
        return True
    if canary.requests >= ENOUGH and stable.requests >= 20 and share <= 1.5 * base + 0.03:
        return False
    return None


class SimulatedMonitor:
    """All running comparisons."""

    def __init__(self, ledger: Ledger, prometheus: Prometheus) -> None:
        self._ledger, self._prometheus = ledger, prometheus
        self._tracked: dict[Key, Comparison] = {}
        self._judgements: dict[Key, Judgement] = {}
        self._traffic: dict[Key, Traffic] = {}

    @property
    def busy(self) -> bool:
        return bool(self._tracked)

    def track(self, comparison: Comparison) -> None:
        before = self._tracked.get(comparison.key)
        self._tracked[comparison.key] = comparison
        if before is None or before.started_at != comparison.started_at or before.canary != comparison.canary:
            self._judgements[comparison.key] = Judgement(verdict=Verdict.NO_DATA, message="not measured yet")
            self._traffic.pop(comparison.key, None)

    def untrack(self, key: Key) -> None:
        for table in (self._tracked, self._judgements, self._traffic):
            table.pop(key, None)  # type: ignore[attr-defined]  # all three are dictionaries

    def judgement(self, key: Key) -> Judgement | None:
        return self._judgements.get(key)

    def traffic(self, key: Key) -> Traffic | None:
        return self._traffic.get(key)

    def tick(self, at: datetime) -> frozenset[Key]:
        """Judge everything anew; return what changed."""
        changed = set()
        for key, comparison in self._tracked.items():
            before = self._judgements[key], self._traffic.get(key)
            self._judge(key, comparison, at)
            if before != (self._judgements[key], self._traffic.get(key)):
                changed.add(key)
        return frozenset(changed)

    def _judge(self, key: Key, comparison: Comparison, at: datetime) -> None:
        mode = self._prometheus.mode
        if self._judgements[key].verdict is Verdict.BAD:
            return  # once shown, it stays
        if mode == "down":
            self._judgements[key] = Judgement(
                verdict=Verdict.ERROR, message="metrics could not be read: connection refused (simulated)"
            )
            return
        if mode in ("empty", "nan"):
            self._judgements[key] = Judgement(verdict=Verdict.NO_DATA, message=f"no series of the canary ({mode})")
            return
        until = (at - START).total_seconds() - (60.0 if mode == "late" else 2.0)
        started = (comparison.started_at - START).total_seconds()
        changed = max([started, *((each - START).total_seconds() for each in comparison.restarts)])
        canary, stable = self._counts(comparison, started, until)
        late_canary, late_stable = self._counts(comparison, max(changed, until - 60), until)
        if until > changed + EVERY:
            since = START + timedelta(seconds=max(changed, until - 60))
            self._traffic[key] = Traffic(
                stable_requests=late_stable.requests, canary_requests=late_canary.requests, since=since,
                at=START + timedelta(seconds=until),
            )  # fmt: skip
        fresh, _ = self._counts(comparison, changed, until)
        self._judgements[key] = _judgement(canary, stable, fresh, at)

    def _counts(self, comparison: Comparison, since: float, until: float) -> tuple[Count, Count]:
        copied = comparison.mirrored
        canary = self._ledger.between(comparison.canary.deployment, since, until, copied=copied)
        stable = self._ledger.between(comparison.stable.deployment, since, until, copied=copied)
        return canary, stable


def _judgement(canary: Count, stable: Count, fresh: Count, at: datetime) -> Judgement:
    bad = share_is_bad(canary, stable)
    promising = bad is False and fresh.requests >= ENOUGH
    if bad is None or (not bad and min(fresh.requests, canary.requests) < NEEDED):
        verdict = Verdict.INCONCLUSIVE
    else:
        verdict = Verdict.BAD if bad else Verdict.GOOD
    share = canary.bad / canary.requests if canary.requests else None
    base = stable.bad / stable.requests if stable.requests else None
    words = f"failed requests: canary {_percent(share)} of {canary.requests}, stable {_percent(base)}"
    finding = Finding(
        metric="errorRate", verdict=verdict, message=words, canary=share, stable=base,
        evidence=1000.0 if bad else 1.0, canary_requests=canary.requests, stable_requests=stable.requests,
        promising=promising,
    )  # fmt: skip
    return Judgement(verdict=verdict, message=words, findings=(finding,), updated_at=at)


def _percent(share: float | None) -> str:
    return "nothing" if share is None else f"{100 * share:.1f} %"
