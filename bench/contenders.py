"""The judges that are compared: ours, and the peers' rules re-implemented from their documentation.

Each is fed the same ticks and says "bad", "good" or nothing. Peers that only look once a minute or in five minutes do
so here too.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from analysis import session
from analysis.judges import mann_whitney
from analysis.samples import Count, Latencies, Pair, Tick
from analysis.session import Session
from analysis.spec import Arm, Comparison, Plan
from analysis.verdict import Verdict
from bench.traces import START, TICK


class Contender(Protocol):
    """One judge in one run."""

    def see(self, tick: Tick) -> str:
        """Judge one more tick: "bad", "good" or ""."""
        ...


class Ours:
    """The sequential judge of this project, whole: history, warm-up, errors and latency."""

    def __init__(self, history: list[Tick], *, warmup: int = 60, plan: Plan | None = None) -> None:
        self._together = Together([history], warmup=warmup, plan=plan)

    @property
    def session(self) -> Session:
        return self._together.sessions[0]

    @property
    def promising(self) -> bool:
        return self._together.promising[0]

    def see(self, tick: Tick) -> str:
        return self._together.see({0: tick})[0]

    def step_changed(self, at: int) -> None:
        """Tell that the weight changes now."""
        self._together.step_changed(0, at)


class Together:
    """Our judge in many runs at once: each by itself, and a tick of all of them in one go."""

    def __init__(self, histories: Sequence[Iterable[Tick]], *, warmup: int = 60, plan: Plan | None = None) -> None:
        arm = Arm("bench", "bench")
        plan = plan or Plan(warmup=timedelta(seconds=warmup))
        started = datetime.fromtimestamp(START, UTC)
        watched = Comparison(key=("bench", "bench"), stable=arm, canary=arm, plan=plan, started_at=started)
        self._watched = [watched] * len(histories)
        self.sessions = [session.begin(watched) for _ in histories]
        self.promising = [False] * len(histories)
        """Whether a run's canary may get its next weight, since the last tick."""
        for ticks in zip(*histories, strict=True):
            self.sessions = session.step_all(list(zip(self.sessions, ticks, strict=True)))

    def see(self, ticks: Mapping[int, Tick]) -> dict[int, str]:
        """Judge one more tick of some runs, by their numbers: "bad", "good" or ""."""
        stepped = session.step_all([(self.sessions[number], tick) for number, tick in ticks.items()])
        found = {}
        for number, after in zip(ticks, stepped, strict=True):
            self.sessions[number] = after
            said = session.standing(after)
            found[number] = _SAID.get(said.verdict, "")
            self.promising[number] = said.promising
        return found

    def step_changed(self, number: int, at: int) -> None:
        """Tell that the weight changes now in a run."""
        watched = self._watched[number]
        watched = replace(watched, restarts=(*watched.restarts, datetime.fromtimestamp(START + at, UTC)))
        changed = session.with_restarts(self.sessions[number], watched)
        if changed is None:
            raise AssertionError("a step change came too late")
        self._watched[number], self.sessions[number] = watched, changed


_SAID = {Verdict.BAD: "bad", Verdict.GOOD: "good"}


class Windowed:
    """A check of the last window at each interval; "bad" when more than `limit` checks failed since the start."""

    def __init__(self, check: Callable[[list[Tick]], bool], *, interval: int, limit: int) -> None:
        self._check, self._interval, self._limit = check, interval, limit
        self._window: deque[Tick] = deque(maxlen=interval // TICK)
        self._failed = self._seen = 0
        self.last = ""

    def see(self, tick: Tick) -> str:
        self._window.append(tick)
        self._seen += TICK
        if self._seen % self._interval:
            return ""
        good = self._check(list(self._window))
        self._failed += not good
        if self._failed > self._limit:
            return "bad"
        return "good" if good else ""


class Peeking:
    """The z-test of two shares over all that was seen, looked at in each tick, one-sided at 1 %."""

    def __init__(self) -> None:
        self._total = Pair()

    def see(self, tick: Tick) -> str:
        self._total = self._total.plus(Pair(*tick.canary.served, *tick.stable.served))
        canary, bad, stable, stable_bad = self._total
        if not canary or not stable or bad + stable_bad < 5:
            return ""
        pooled = (bad + stable_bad) / (canary + stable)
        spread = math.sqrt(pooled * (1 - pooled) * (1 / canary + 1 / stable))
        return "bad" if spread and (bad / canary - stable_bad / stable) / spread > 2.326 else ""


class MixtureSprt:
    """The mixture sequential probability ratio test of two shares, one-sided at 1 %, looked at in each tick."""

    def __init__(self, spread: float) -> None:
        self._total, self._spread = Pair(), spread

    def see(self, tick: Tick) -> str:
        self._total = self._total.plus(Pair(*tick.canary.served, *tick.stable.served))
        canary, bad, stable, stable_bad = self._total
        if not canary or not stable or bad + stable_bad < 20:
            return ""
        pooled = (bad + stable_bad) / (canary + stable)
        variance = pooled * (1 - pooled) * (1 / canary + 1 / stable)
        tau, shift = self._spread**2, bad / canary - stable_bad / stable
        log_ratio = 0.5 * math.log(variance / (variance + tau))
        log_ratio += shift * shift * tau / (2 * variance * (variance + tau))
        return "bad" if shift > 0 and log_ratio >= math.log(100) else ""


class Bands:
    """Time-uniform bands of Dvoretzky, Kiefer and Wolfowitz's kind (Howard, Ramdas): at 1 %, errors or any edge."""

    def __init__(self, *, latency: bool) -> None:
        self._latency = latency
        self._total: dict[float, Pair] = {}

    def see(self, tick: Tick) -> str:
        shares = {0.0: Pair(*tick.canary.served, *tick.stable.served)}
        if self._latency:
            mine, theirs = tick.canary.latencies, tick.stable.latencies
            shares = {edge: Pair(*mine.slower(edge), *theirs.slower(edge)) for edge in mine.within}
        for edge, pair in shares.items():
            canary, bad, stable, stable_bad = self._total[edge] = self._total.get(edge, Pair()).plus(pair)
            if canary and stable and bad / canary - stable_bad / stable > _radius(canary) + _radius(stable):
                return "bad"
        return ""


def _radius(number: int) -> float:
    return 0.85 * math.sqrt((math.log(1 + math.log(number)) + 0.8 * math.log(1612 / 0.005)) / number)


class Kayenta:
    """Mann-Whitney on one point a minute, at 98 % and tolerance 0.25, looked at after so many minutes each."""

    def __init__(self, point: Callable[[list[Tick]], tuple[float, float] | None], *, every: int = 5) -> None:
        self._point, self._every = point, every
        self._minute: list[Tick] = []
        self._points: list[tuple[float, float]] = []
        self._minutes = 0

    def see(self, tick: Tick) -> str:
        self._minute.append(tick)
        if len(self._minute) < 60 // TICK:
            return ""
        point = self._point(self._minute)
        if point is not None:
            self._points.append(point)
        self._minute, self._minutes = [], self._minutes + 1
        if self._minutes % self._every:
            return ""
        mine, theirs = [one for one, _ in self._points], [other for _, other in self._points]
        found = mann_whitney.shift(mine, theirs)
        higher = found is not None and found.low > 0.25 * abs(found.estimate) and sum(mine) >= sum(theirs)
        return "bad" if higher else "good"


class Oracle:
    """Wald's test for somebody who knows both rates: the likelihood ratio against the nearest point of the line."""

    def __init__(self, canary: float, stable: float, border: tuple[float, float], *, alpha: float = 0.01) -> None:
        self._hit, self._miss = math.log(canary / border[0]), math.log((1 - canary) / (1 - border[0]))
        self._their_hit, self._their_miss = math.log(stable / border[1]), math.log((1 - stable) / (1 - border[1]))
        self._need, self._won = math.log(1 / alpha), 0.0

    def see(self, tick: Tick) -> str:
        mine, theirs = tick.canary.served, tick.stable.served
        self._won += mine.bad * self._hit + (mine.requests - mine.bad) * self._miss
        self._won += theirs.bad * self._their_hit + (theirs.requests - theirs.bad) * self._their_miss
        return "bad" if self._won >= self._need else ""


def success(least: float) -> Callable[[list[Tick]], bool]:
    """At least this share of the canary's requests succeeded; no requests are a failed check."""

    def check(window: list[Tick]) -> bool:
        canary = _sum([tick.canary.served for tick in window])
        return canary.requests > 0 and 1 - canary.bad / canary.requests >= least

    return check


def both(*checks: Callable[[list[Tick]], bool]) -> Callable[[list[Tick]], bool]:
    """All checks hold."""
    return lambda window: all(check(window) for check in checks)


def p99_within(seconds: float) -> Callable[[list[Tick]], bool]:
    """The canary's 99th percentile, interpolated within its bucket, is at most this."""
    return lambda window: quantile(0.99, [tick.canary.latencies for tick in window]) <= seconds


def relative(errors: float, *, latency: bool) -> Callable[[list[Tick]], bool]:
    """The canary's error rate is at most so many times stable's, and with `latency` its p99 at most 1.1 times."""

    def check(window: list[Tick]) -> bool:
        canary, stable = _sum([tick.canary.served for tick in window]), _sum([tick.stable.served for tick in window])
        if not canary.requests or not stable.requests:
            return False
        mine, theirs = [tick.canary.latencies for tick in window], [tick.stable.latencies for tick in window]
        slow = latency and quantile(0.99, mine) > 1.1 * quantile(0.99, theirs)
        return canary.bad / canary.requests <= errors * stable.bad / stable.requests and not slow

    return check


def error_point(window: list[Tick]) -> tuple[float, float] | None:
    """Canary's and stable's error rate of a minute."""
    canary, stable = _sum([tick.canary.served for tick in window]), _sum([tick.stable.served for tick in window])
    return (canary.bad / canary.requests, stable.bad / stable.requests) if canary.requests and stable.requests else None


def latency_point(window: list[Tick]) -> tuple[float, float] | None:
    """Canary's and stable's p99 of a minute."""
    mine, theirs = [tick.canary.latencies for tick in window], [tick.stable.latencies for tick in window]
    if not sum(one.total for one in mine) or not sum(one.total for one in theirs):
        return None
    return quantile(0.99, mine), quantile(0.99, theirs)


def quantile(share: float, ticks: list[Latencies]) -> float:
    """A quantile of a histogram, interpolated within its bucket; the highest edge beyond it."""
    total = sum(tick.total for tick in ticks)
    rank, low, below = share * total, 0.0, 0
    for edge in ticks[-1].within:
        within = sum(tick.within[edge] for tick in ticks if tick.within)
        if within >= rank and within > below:
            return low + (edge - low) * (rank - below) / (within - below)
        low, below = edge, within
    return low


def interpolated(share: float, below: list[tuple[float, float]]) -> float:
    """A quantile where so many lie below each edge, interpolated within its bucket as `histogram_quantile` does."""
    low, before = 0.0, 0.0
    for edge, here in below:
        if here >= share:
            return low + (edge - low) * (share - before) / (here - before)
        low, before = edge, here
    return low


def _sum(counts: list[Count]) -> Count:
    return Count(sum(count.requests for count in counts), sum(count.bad for count in counts))
