"""The signals' bets pay at most their stake on average, whatever of the null is true: all outcomes are counted out."""

from itertools import product
from math import comb, exp, factorial, prod
from operator import mul

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.checks import ClientErrorRate, ShadowAgreement
from analysis.judges import halfplane
from analysis.judges.view import View
from analysis.samples import ArmTick, Count, Pair
from analysis.signals import agreement, drift, shares, split
from analysis.signals.agreement import Table
from analysis.signals.drift import Family
from analysis.signals.terms import Terms
from analysis.spec import Bar, Line

SHARES = st.floats(0.02, 0.98)


@given(share=SHARES, tolerance=st.floats(1.05, 3), place=st.floats(0, 1), requests=st.integers(1, 12))
@settings(max_examples=150, deadline=None)
def test_traffic_inside_the_band_wins_nothing_on_average(share, tolerance, place, requests):
    odds = share / (1 - share)
    low, high = (odds * factor / (1 + odds * factor) for factor in (1 / tolerance, tolerance))
    truth = low + place * (high - low)
    for hit, miss in split.bets(share, tolerance):
        mean = sum(
            comb(requests, n) * truth**n * (1 - truth) ** (requests - n) * exp(n * hit + (requests - n) * miss)
            for n in range(requests + 1)
        )
        assert mean <= 1 + 1e-9


@pytest.mark.parametrize("share", [0.01, 0.05, 0.5, 0.95])
def test_traffic_beyond_the_band_is_bet_on_from_both_sides(share):
    found = split.bets(share, 1.25)
    assert [hit > 0 for hit, _ in found] == [True] * 4 + [False] * 4
    assert [miss > 0 for _, miss in found] == [False] * 4 + [True] * 4


def multinomial(total: int, chances: tuple[float, ...]):
    """Every outcome of so many draws, with its probability."""
    for counts in product(range(total + 1), repeat=len(chances)):
        if sum(counts) == total:
            ways = factorial(total) / prod(factorial(count) for count in counts)
            yield counts, ways * prod(chance**count for chance, count in zip(chances, counts, strict=True))


WEIGHTS = st.lists(st.floats(0.01, 1), min_size=3, max_size=3)
PAST = st.dictionaries(st.sampled_from("ab"), st.integers(0, 40), max_size=2)


@given(weights=WEIGHTS, mine=PAST, theirs=PAST, sizes=st.tuples(st.integers(1, 4), st.integers(1, 4)))
@settings(max_examples=80, deadline=None)
def test_equal_distributions_win_nothing_on_average_whatever_they_are(weights, mine, theirs, sizes):
    truth = tuple(weight / sum(weights) for weight in weights)
    family = Family("class", canary=mine, stable=theirs)  # "c" was never seen before
    for own in (0.2, 0.5, 1.0):
        mean = 0.0
        for canary, chance in multinomial(sizes[0], truth):
            for stable, other in multinomial(sizes[1], truth):
                counts = [dict(zip("abc", map(float, arm), strict=True)) for arm in (canary, stable)]
                mean += chance * other * exp(drift.gain(own, family, *counts))
        assert mean <= 1 + 1e-9


@given(
    canary=st.lists(st.floats(0.01, 1), min_size=3, max_size=3),
    stable=st.lists(st.floats(0.01, 1), min_size=3, max_size=3),
    sizes=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    there=st.floats(0.2, 0.9),
    base=st.floats(0.05, 0.6),
)
@settings(max_examples=100, deadline=None)
def test_losses_between_0_and_1_win_no_more_than_failures_do(canary, stable, sizes, there, base):
    """Each loss is 0, a half or 1: where the canary's mean is within the line, the bet on more wins nothing."""
    chances = [tuple(weight / sum(arm) for weight in arm) for arm in (canary, stable)]
    means = [0.5 * middle + high for _, middle, high in chances]
    offset = min(0.5, max(0.0, means[0] - means[1]))
    line = Line(1, offset)
    bet = halfplane.worse(line, there, base, sizes[0] / sizes[1])
    if means[0] - means[1] > 0.5 or bet is None or not halfplane.fits(bet, sizes[1] / sizes[0]):
        return
    mean = 0.0
    for mine, chance in multinomial(sizes[0], chances[0]):
        for theirs, other in multinomial(sizes[1], chances[1]):
            losses = [Count(sum(arm), 0.5 * arm[1] + arm[2]) for arm in (theirs, mine)]
            mean += chance * other * exp(halfplane.gain(bet, *losses))
    assert mean <= 1 + 1e-9


@given(
    sizes=st.tuples(st.integers(1, 5), st.integers(1, 7)),
    base=st.floats(0.02, 0.7),
    inside=st.floats(0, 1),
    past=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 90)), min_size=1, max_size=4),
)
@settings(max_examples=25, deadline=None)
def test_refusals_inside_the_line_win_nothing_on_average_whatever_was_seen_before(sizes, base, inside, past):
    """The whole step of the check, with its mixture, φ and cap; the past is any, and the bet knows it."""
    truth = (inside * min(1.0, shares.SHARE_LINES.rollback.at(base)), base)
    terms = Terms(100, Bar(20, 6, 100))
    state = shares.begin(ClientErrorRate())
    for judged, (mine, theirs) in zip((False, True, True, True), past, strict=False):
        state = state.step(seen(Pair(20, mine, 200, theirs), judged=judged), terms)
    mean = 0.0
    for mine, theirs in product(*[range(size + 1) for size in sizes]):
        chance = prod(
            comb(size, bad) * true**bad * (1 - true) ** (size - bad)
            for size, bad, true in zip(sizes, (mine, theirs), truth, strict=True)
        )
        mean += chance * state.step(seen(Pair(sizes[0], mine, sizes[1], theirs)), terms).evidence
    assert mean <= state.evidence * (1 + 1e-9)


TABLES = [
    Table(both, canary, stable, 3 - both - canary - stable)
    for both in range(4)
    for canary in range(4 - both)
    for stable in range(4 - both - canary)
]
"""All that three copies may show."""


@given(
    weights=st.tuples(*[st.floats(0.001, 1)] * 4),
    side=st.sampled_from(["rollback", "promote"]),
    past=st.lists(st.sampled_from([Table(1, 1, 1, 30), Table(0, 9, 0, 20), Table(0, 0, 9, 20)]), max_size=3),
    most=st.none() | st.floats(0.02, 0.5),
)
@settings(max_examples=150, deadline=None)
def test_agreement_wins_nothing_on_average_however_the_two_pairs_of_a_copy_hang_together(weights, side, past, most):
    """Any joint distribution, moved onto the line where it lies beyond: the whole step, with mixture, φ and cap."""
    terms, state = Terms(100, Bar(20, 6, 100)), agreement.begin(ShadowAgreement(max=most))
    for table in past:
        state = state.step(copied(table), terms)
    chances = on_the_line(weights, getattr(state.lines, side), above=side == "promote")
    mean = {"rollback": 0.0, "promote": 0.0}
    for table in TABLES:
        chance = factorial(3) / prod(map(factorial, table)) * prod(map(pow, chances, table))
        stepped = state.step(copied(table), terms)
        mean["rollback"] += chance * stepped.worse.evidence
        mean["promote"] += chance * stepped.better.evidence
    before = {"rollback": state.worse.evidence, "promote": state.better.evidence}
    assert mean[side] <= before[side] * (1 + 1e-9)


@given(weights=st.tuples(*[st.floats(0.001, 1)] * 4), most=st.none() | st.floats(0.02, 0.5))
@settings(max_examples=150, deadline=None)
def test_no_stake_on_a_copy_wins_on_average_without_tempering_and_cap(weights, most):
    lines = agreement.begin(ShadowAgreement(max=most)).lines
    for line, staked in ((lines.rollback, agreement.stakes), (lines.promote, agreement.safe_stakes)):
        chances = on_the_line(weights, line, above=staked is agreement.safe_stakes)
        for stake in staked(line):
            paid = [exp(agreement.gains([stake], line, Table(*one))[0]) for one in ONE_COPY]
            assert sum(map(mul, chances, paid)) <= 1 + 1e-9


ONE_COPY = ((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1))


def on_the_line(weights, line, *, above):
    """The chances of a table's places, of the null: a distribution beyond the line is mixed with one within it."""
    chances = [weight / sum(weights) for weight in weights]

    def beyond(place):
        excess = place[0] + place[1] - line.ratio * (place[0] + place[2]) - line.offset
        return -excess if above else excess

    inner = [0.0, 1.0, 0.0, 0.0] if above else [0.0, 0.0, 0.0, 1.0]
    if beyond(chances) <= 0:
        return chances
    part = beyond(chances) / (beyond(chances) - beyond(inner))
    return [(1 - part) * mine + part * other for mine, other in zip(chances, inner, strict=True)]


def copied(table: Table) -> View:
    """A tick in which copies were compared."""
    both, canary, stable, neither = table
    counted = {
        ("compare", f"both/{name}"): count
        for name, count in zip(("disagree", "canary", "stable", "agree"), table, strict=True)
    }
    counted |= {("compare", "canary/disagree"): both + canary, ("compare", "canary/agree"): stable + neither}
    arms = {"stable": ArmTick(), "canary": ArmTick(signals=counted)}
    return View(at=10, seconds=10, judged=True, steps=0, copies=0, errors=Pair(), **arms)


def test_with_equal_lines_it_is_the_exact_test_of_mcnemar():
    """Copies of which both differ, or none, pay nothing; of the others each is a fair coin under the null."""
    line = Line(1, 0)
    for stake in (0.1, 0.5, 0.9):
        (alike,) = agreement.gains([stake], line, Table(both=7, neither=90))
        (alone,) = agreement.gains([stake], line, Table(canary=5, stable=2))
        assert alike == 0
        assert exp(alone) == pytest.approx(2**7 * ((1 + stake) / 2) ** 5 * ((1 - stake) / 2) ** 2)


def seen(refused: Pair, *, judged: bool = True) -> View:
    arm = ArmTick()
    return View(
        at=10, seconds=10, judged=judged, steps=0, copies=0, errors=Pair(), stable=arm, canary=arm, refused=refused
    )


def test_bins_are_taken_over_the_edges_that_both_arms_have():
    mine = ArmTick(signals={("score", "0.5"): 3, ("score", "0.9"): 7, ("score", "+Inf"): 7})
    theirs = ArmTick(signals={("score", "0.5"): 0, ("score", "+Inf"): 4})
    assert drift.counts_of("score", mine, theirs) == ({"0.5": 3, "+Inf": 4}, {"+Inf": 4})
