"""Rows by subtraction: the same ticks and the same counters as the rules give reading by reading."""

from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import columns, counters, tally
from analysis.columns import Counted, Row, laid_out
from analysis.counters import Counters
from analysis.samples import ArmReading, ArmTick, Half, Latencies, PodReading, Reading
from analysis.tally import Tally

INF = float("inf")
VALUES = st.integers(0, 400).map(float)
CODES = st.fixed_dictionaries(
    {"200": VALUES}, optional={"500": VALUES, "400": VALUES, "499": VALUES, "UNAVAILABLE": VALUES}
)
BUCKETS = st.one_of(
    st.just({}), st.fixed_dictionaries({0.1: VALUES, INF: VALUES}), st.fixed_dictionaries({INF: VALUES, 0.5: VALUES})
)
OUTCOMES = st.dictionaries(
    st.sampled_from(
        [("200", "-", ""), ("503", "UF", ""), ("0", "DC", ""), ("200", "-", "14"), ("200", "-", "3"), ("404", "-", "")]
    ),
    VALUES,
    min_size=1,
)
ARMS = st.builds(
    ArmReading,
    st.dictionaries(st.sampled_from("abcd"), st.builds(PodReading, CODES, BUCKETS), max_size=4),
    st.dictionaries(st.sampled_from(["gw/iris", "gw2/iris"]), OUTCOMES, max_size=2),
)


def later(arm: ArmReading, more: int) -> ArmReading:
    pods = {
        name: PodReading({c: v + more for c, v in pod.codes.items()}, {e: v + 2 * more for e, v in pod.buckets.items()})
        for name, pod in arm.pods.items()
    }
    return ArmReading(pods, {name: {o: v + more for o, v in each.items()} for name, each in arm.gateways.items()})


@st.composite
def stories(draw) -> list[Reading]:
    """Readings of which most only rise, and some are of other series, restarted pods or an older scrape."""
    stable, canary, told = draw(ARMS), draw(ARMS), []
    for number in range(draw(st.integers(2, 9))):
        match draw(st.sampled_from(["rise", "rise", "rise", "others", "fall"])):
            case "rise":
                stable, canary = later(stable, draw(st.integers(0, 90))), later(canary, draw(st.integers(0, 90)))
            case "others":
                stable = draw(ARMS)
            case "fall":
                canary = later(canary, -draw(st.integers(1, 5)))
        told.append(Reading(10 * number, stable, canary))
    return told


def said(told: Tally | None) -> object:
    """What a tally says, whatever stands where in it."""
    if told is None:
        return None
    arms = told.shape.stable, told.shape.canary
    edges = tuple(sorted({*arms[0].within, *arms[1].within, 99.0}))
    shown = [(arm.present, arm.at_gateway, sorted(arm.within)) for arm in arms]
    pairs = dict(zip(edges, told.row[told.shape.pairs(edges)].T.tolist(), strict=True))
    return told.at, told.seconds, shown, told.row[: tally.HEAD].tolist(), pairs


def _timed(arm: ArmTick) -> ArmTick:
    """Without edges nobody asks how many requests were timed."""
    return arm if arm.latencies.within else arm._replace(latencies=Latencies())


def in_rows(story: list[Reading]) -> list[Row]:
    """The readings as rows, equal layouts as one."""
    rows, layouts = [], []
    for reading in story:
        row = laid_out(reading)
        layouts.append(next((each for each in layouts if each == row.layout), row.layout))
        rows.append(row._replace(layout=layouts[-1]))
    return rows


@settings(max_examples=60)
@given(stories())
def test_rows_give_the_ticks_and_counters_that_readings_give(story):
    by_row, by_name, rows = Counted(), Counters(), in_rows(story)
    for reading, row in zip(story, rows, strict=True):
        [(by_row, told)] = columns.advance_all([(by_row, row)])
        by_name, expected = counters.advance(by_name, reading)
        assert said(told) == said(expected and tally.of(expected))
        if told is not None:
            assert told.halves() == expected.stable.halves
            without = [arm._replace(halves=(Half(), Half())) for arm in (expected.stable, expected.canary)]
            assert [_timed(arm) for arm in told.arms] == [_timed(arm) for arm in without]
        assert by_row.counters == by_name
        assert by_row.at == by_name.at


@settings(max_examples=40)
@given(st.lists(stories(), min_size=2, max_size=5))
def test_a_comparison_is_counted_the_same_whichever_are_counted_with_it(told):
    together, alone = [Counted() for _ in told], [Counted() for _ in told]
    for at in zip(*[in_rows(story) for story in told], strict=False):
        found = columns.advance_all(list(zip(together, at, strict=True)))
        together = [counted for counted, _ in found]
        for number, row in enumerate(at):
            [(alone[number], told)] = columns.advance_all([(alone[number], row)])
            assert said(found[number][1]) == said(told)
            assert together[number].counters == alone[number].counters


@settings(max_examples=20)
@given(ARMS, ARMS)
def test_a_row_tells_what_its_reading_told(stable, canary):
    row = laid_out(Reading(7, stable, canary))
    assert (row.at, row.stable, row.canary) == (7, stable, canary)


def test_signals_stay_out_of_rows():
    assert laid_out(Reading(0, canary=ArmReading(signals={"p": {("class", "cat"): 1.0}}))) is None
