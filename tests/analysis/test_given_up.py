"""Requests that clients gave up: they count by how long was waited, and a canary that hangs is found by them."""

import re
from datetime import UTC, datetime

import pytest

from analysis import columns, session
from analysis.columns import Counted, laid_out
from analysis.measure import Measurer
from analysis.providers.provider import Instant
from analysis.samples import ArmReading, PodReading, Reading
from analysis.spec import Arm, Comparison, Plan
from analysis.verdict import Judgement, Verdict

START = 1_700_000_000
BEGAN = datetime.fromtimestamp(START, UTC)
TICKS = 90
COMPARISON = Comparison(
    key=("ml", "iris"), stable=Arm("ml", "iris-1"), canary=Arm("ml", "iris-2"), plan=Plan(), started_at=BEGAN
)


class Asked:
    """A provider that keeps what it is asked."""

    def __init__(self) -> None:
        self.queries: list[str] = []

    async def instant(self, query: str, at: datetime) -> Instant:
        self.queries.append(query)
        return Instant([], [])


@pytest.mark.parametrize(
    ("code", "timed"),
    [
        ("200", True), ("204", True), ("OK", True), ("499", True), ("CANCELLED", True), ("Canceled", True),
        ("400", False), ("500", False), ("UNAVAILABLE", False),
    ],
)  # fmt: skip
async def test_what_was_answered_well_or_given_up_is_timed(code, timed):
    provider = Asked()
    await Measurer(provider).read([COMPARISON], BEGAN)
    (query,) = [each for each in provider.queries if "_bucket{" in each]
    pattern = re.search(r'code=~"([^"]+)"', query)[1]
    assert bool(re.fullmatch(pattern, code)) is timed


def arm(times: int, quick: int, left_soon: int, left_late: int) -> ArmReading:
    """So many of each in each tick; edges at 0.1 and 5 seconds."""
    codes = {"200": float(times * quick), "499": float(times * (left_soon + left_late))}
    soon, every = float(times * (quick + left_soon)), float(times * (quick + left_soon + left_late))
    return ArmReading({"p/1": PodReading(codes, {0.1: soon, 5.0: soon, float("inf"): every})})


def judged(stable: tuple[int, int, int], canary: tuple[int, int, int]) -> Judgement:
    state, counted = session.begin(COMPARISON), Counted()
    for number in range(67 + TICKS):
        reading = Reading(START - 600 + 10 * number, arm(number, *stable), arm(max(0, number - 66), *canary))
        [(counted, tick)] = columns.advance_all([(counted, laid_out(reading))])
        if tick is not None:
            state = session.step(state, tick)
    return session.judge(state)


def test_a_canary_that_hangs_is_rolled_back_though_no_client_waits_for_an_error():
    judgement = judged(stable=(900, 0, 0), canary=(0, 0, 100))
    assert judgement.verdict is Verdict.BAD
    assert "requests slower than" in judgement.message


@pytest.mark.parametrize("canary", [(90, 10, 0), (80, 10, 10)], ids=["soon", "late"])
def test_clients_that_leave_both_alike_speak_against_none(canary):
    stable = tuple(9 * each for each in canary)
    assert judged(stable, canary).verdict is Verdict.GOOD
