"""predictionDrift: does the canary answer with other classes or scores than stable does at the same time?

Of a tick let x_C, x_S count answers by class (or by bin of the score) and n_C, n_S all of them. With any q_C, q_S from
the past and q = (n_C·q_C + n_S·q_S)/N,

    ln s = Σ_j x_Cj ln(q_Cj/q_j) + x_Sj ln(q_Sj/q_j)

has E[s] ≤ 1 whenever both arms have the same distribution p, whatever it is and however it moves: E[s] =
(Σ p q_C/q)^n_C · (Σ p q_S/q)^n_S, and the weighted geometric mean of the two brackets is at most their arithmetic
mean, which is Σ p = 1. ∎ q_C and q_S are what each arm answered so far, drawn towards both together by three degrees
(a mixture); classes that nobody saw before are one class.

Evidence says that there is a difference, not that it matters: a finding is bad only if the population stability index
Σ (p-q) ln(p/q) is `max` or more too. Stable's counts enter it tick by tick in the proportion n_C/n_S, so that a
distribution that moves with the hour, and a changing weight, leave no difference where there is none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import inf, log, sqrt

from analysis.checks import PredictionDrift
from analysis.judges import dispersion, sentences, wealth
from analysis.judges.dispersion import Dispersion
from analysis.judges.view import View
from analysis.judges.wealth import Wealth
from analysis.samples import ArmTick, Pair
from analysis.signals.terms import Terms, paid
from analysis.verdict import Finding, Verdict

Counts = Mapping[str, float]

DEGREES = (0.2, 0.5, 1.0)
"""How far q_C and q_S follow their own arm's past, against both arms' together."""
_SMOOTH = 0.5
_TELLING = 6
"""So many of the most frequent kinds tell how noisy the answers are."""
NEW = "\0new"
"""Every kind that no tick before had."""
_QUIET = Dispersion()
_NOTHING = wealth.begin([1 / len(DEGREES)] * len(DEGREES), reserve=wealth.RESERVE)


def index(canary: Counts, stable: Counts) -> float:
    """The population stability index of two distributions, shares by kind; without end where one has a kind alone."""
    pairs = [(canary.get(kind, 0.0), stable.get(kind, 0.0)) for kind in _all(canary, stable)]
    return sum([(p - q) * log(p / q) if p and q else inf for p, q in pairs if p or q])


@dataclass(frozen=True, slots=True)
class Family:
    """One distribution: of classes, or of scores."""

    what: str
    wealth: Wealth = _NOTHING
    canary: Counts = field(default_factory=dict)
    stable: Counts = field(default_factory=dict)
    matched: Counts = field(default_factory=dict)
    """Stable's counts, each tick in the proportion n_C/n_S."""
    spread: float = 0.0
    """Σ n_C²/n_S: what the proportions do to the noise of `matched`."""
    noise: Dispersion = _QUIET
    last: Mapping[str, float] = field(default_factory=dict)
    """The last tick's standardized differences."""

    @property
    def seen(self) -> int:
        """How many of the canary's answers were counted."""
        return round(sum(self.canary.values()))

    @property
    def index(self) -> float:
        """The population stability index as counted; chance alone raises it."""
        total, other = sum(self.canary.values()), sum(self.matched.values())
        if not total or not other:
            return 0.0
        kinds = _all(self.canary, self.matched)
        return index(
            {kind: (self.canary.get(kind, 0) + _SMOOTH) / (total + _SMOOTH) for kind in kinds},
            {kind: (self.matched.get(kind, 0) + _SMOOTH) / (other + _SMOOTH) for kind in kinds},
        )

    @property
    def by_chance(self) -> float:
        """What the index is expected to be without any difference."""
        total = sum(self.canary.values())
        kinds = len(self.canary.keys() | self.matched.keys())
        return max(0, kinds - 1) * (1 / total + self.spread / (total * total)) if total else 0.0

    @property
    def size(self) -> float:
        """The population stability index without what chance adds."""
        return max(0.0, self.index - self.by_chance)


@dataclass(frozen=True, slots=True)
class Drift:
    """The state of the check."""

    metric: PredictionDrift
    families: tuple[Family, ...] = (Family("class"), Family("score"))

    @property
    def counted(self) -> tuple[Family, ...]:
        """The families that both arms count."""
        return tuple([family for family in self.families if family.canary and family.stable])

    @property
    def evidence(self) -> float:
        """That the distributions differ, how many to one: the mean of all families."""
        return sum([family.wealth.evidence for family in self.families]) / len(self.families)

    def step(self, view: View, terms: Terms) -> "Drift":
        """One tick."""
        if not view.judged:
            return self
        return replace(self, families=tuple([_step(family, view, terms) for family in self.families]))

    def restart(self, number: int) -> "Drift":
        """Look for a difference that begins now, too."""
        families = [replace(family, wealth=wealth.restart(family.wealth, number)) for family in self.families]
        return replace(self, families=tuple(families))

    def finding(self, terms: Terms, *, bad: bool) -> Finding:
        """What the check says. `canary` is the index, `stable` what it is to stay below."""
        shown = max(self.counted, key=lambda family: family.wealth.evidence, default=self.families[0])
        verdict = Verdict.INCONCLUSIVE
        if bad:
            verdict = Verdict.BAD
        elif not self.counted:
            verdict = Verdict.NO_DATA
        elif all(family.seen >= terms.bar.min_samples and family.index < self.metric.max for family in self.counted):
            verdict = Verdict.GOOD if self.evidence < terms.needed else verdict
        index = max([family.index for family in self.counted], default=0.0)
        return Finding(
            metric=self.metric.name,
            verdict=verdict,
            message=_sentence(self, shown, verdict, terms),
            canary=shown.size if self.counted else None,
            stable=self.metric.max,
            evidence=self.evidence,
            needed=terms.needed,
            promote_evidence=min(1e6, self.metric.max / index) if index else 0.0,
            promote_needed=1.0,
            canary_requests=shown.seen,
            stable_requests=round(sum(shown.stable.values())),
            phi=float(dispersion.estimate(_QUIET, shown.noise)) if self.counted else None,
        )

    def is_bad(self, terms: Terms) -> bool:
        """Evidence of a difference, and a difference that matters."""
        return self.evidence >= terms.needed and any(family.size >= self.metric.max for family in self.counted)


def counts_of(what: str, canary: ArmTick, stable: ArmTick) -> tuple[dict[str, float], dict[str, float]]:
    """Both arms' answers of one tick by class, or by bin of the score over the edges that both arms have."""
    mine, theirs = _kinds(what, canary), _kinds(what, stable)
    if what == "class":
        return _some(mine), _some(theirs)
    edges = sorted(mine.keys() & theirs.keys(), key=float)
    return _bins(mine, edges), _bins(theirs, edges)


def gain(own: float, family: Family, canary: Counts, stable: Counts) -> float:
    """ln s of one tick, with what the past of the family makes of q_C and q_S."""
    pool = _plus(family.canary, family.stable)
    mine, theirs = _mixed(own, family.canary, pool), _mixed(own, family.stable, pool)
    n_canary, n_stable = sum(canary.values()), sum(stable.values())
    found = 0.0
    for kind in _all(canary, stable):
        place = kind if kind in pool else NEW
        q = (n_canary * mine[place] + n_stable * theirs[place]) / (n_canary + n_stable)
        found += canary.get(kind, 0) * log(mine[place] / q) + stable.get(kind, 0) * log(theirs[place] / q)
    return found


def _step(family: Family, view: View, terms: Terms) -> Family:
    canary, stable = counts_of(family.what, view.canary, view.stable)
    n_canary, n_stable = sum(canary.values()), sum(stable.values())
    if not n_canary or not n_stable:
        return family
    phi = float(dispersion.estimate(_QUIET, family.noise))
    gains = [gain(own, family, canary, stable) for own in DEGREES]
    noise, last = _noise(family, canary, stable)
    share = n_canary / n_stable
    return Family(
        family.what,
        paid(family.wealth, gains, phi=phi, nats=terms.nats),
        _plus(family.canary, canary),
        _plus(family.stable, stable),
        _plus(family.matched, {kind: share * count for kind, count in stable.items()}),
        family.spread + n_canary * share,
        noise,
        last,
    )


def _mixed(own: float, counts: Counts, pool: Counts) -> dict[str, float]:
    """Shares of all known kinds and of `NEW`, which sum to 1."""
    kinds = [*pool, NEW]
    mine = sum(counts.values()) + _SMOOTH * len(kinds)
    all_of_it = sum(pool.values()) + _SMOOTH * len(kinds)
    return {
        kind: own * (counts.get(kind, 0) + _SMOOTH) / mine + (1 - own) * (pool.get(kind, 0) + _SMOOTH) / all_of_it
        for kind in kinds
    }


def _noise(family: Family, canary: Counts, stable: Counts) -> tuple[Dispersion, dict[str, float]]:
    """Learn φ from how much the standardized differences move from tick to tick: a lasting one cancels."""
    n_canary, n_stable = sum(canary.values()), sum(stable.values())
    total = n_canary + n_stable
    together = _plus(canary, stable)
    now: dict[str, float] = {}
    for kind in sorted(together, key=lambda kind: (-together[kind], kind))[:_TELLING]:
        count = together[kind]
        variance = n_canary * n_stable * count * (total - count) / (total * total * max(1, total - 1))
        if variance >= 1:
            now[kind] = (canary.get(kind, 0) - n_canary * count / total) / sqrt(variance)
    moves = [(now[kind] - family.last[kind]) ** 2 / 2 for kind in now if kind in family.last]
    if not moves:
        return family.noise, now
    return Dispersion(family.noise.excess + sum(moves) / len(moves), family.noise.weight + 1, Pair()), now


def _kinds(what: str, arm: ArmTick) -> dict[str, float]:
    return {kind: float(round(count)) for (name, kind), count in arm.signals.items() if name == what}


def _some(counts: Counts) -> dict[str, float]:
    return {kind: count for kind, count in counts.items() if count > 0}


def _bins(cumulative: Counts, edges: list[str]) -> dict[str, float]:
    found, below = {}, 0.0
    for edge in edges:
        if cumulative.get(edge, 0.0) > below:
            found[edge] = cumulative[edge] - below
            below = cumulative[edge]
    return found


def _plus(first: Counts, second: Counts) -> dict[str, float]:
    return {kind: first.get(kind, 0) + second.get(kind, 0) for kind in _all(first, second)}


def _all(first: Counts, second: Counts) -> list[str]:
    """Every kind, in one order: sums of parts are the same to the last bit in every process."""
    return sorted(first.keys() | second.keys())


def _sentence(drift: Drift, family: Family, verdict: Verdict, terms: Terms) -> str:
    if verdict is Verdict.NO_DATA:
        return "predictions: the orchestrators of both revisions count neither classes nor scores"
    subject = "predicted classes" if family.what == "class" else "scores"
    text = f"{subject}: they differ by a stability index of {family.size:.3f}, {family.seen:,} answers"
    odds = terms.against(drift.evidence)
    if verdict is Verdict.BAD:
        return f"{text}, {odds}: {_moved(family)}"
    if verdict is Verdict.GOOD:
        return f"{text}, below {drift.metric.max:g}"
    if family.index >= drift.metric.max > family.size:
        return f"{text}, of which chance alone would show {family.by_chance:.3f}, {odds}"
    return f"{text}, {odds}"


def _moved(family: Family) -> str:
    """The kind whose share differs most, in words."""
    total, other = sum(family.canary.values()), sum(family.matched.values())
    kinds = _all(family.canary, family.matched)
    shares = {kind: (family.canary.get(kind, 0) / total, family.matched.get(kind, 0) / other) for kind in kinds}
    most = max(kinds, key=lambda kind: abs(shares[kind][0] - shares[kind][1]))
    mine, theirs = (sentences.share(value) for value in shares[most])
    name = f"class {most}" if family.what == "class" else f"scores in the bin up to {most}"
    return f"{name} {mine} against {theirs} on stable"
