"""Sessions that are stepped together: each is what it would be alone, whoever goes along with it, in any order."""

import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from analysis import session, tables
from analysis.checks import ClientErrorRate, TrafficSplit
from analysis.samples import ArmTick, Count, Half, Latencies, Tick
from analysis.spec import Arm, Comparison, ErrorRate, Latency, Plan, Shift

START = 1_700_000_000
PLANS = (
    Plan(),
    Plan(warmup=timedelta(0), metrics=(ErrorRate(),)),
    Plan(metrics=(ErrorRate(max=0.05), Latency(slower_than=timedelta(milliseconds=300), max=0.2))),
    Plan(judge="change"),
    Plan(judge="threshold", metrics=(ErrorRate(max=0.02),)),
    Plan(judge="mannWhitney"),
    Plan(metrics=(ErrorRate(), Latency(action="warn"), TrafficSplit(), ClientErrorRate())),
)


def comparison(plan: Plan, *, restarts: tuple[int, ...]) -> Comparison:
    begun = datetime.fromtimestamp(START, UTC)
    return Comparison(
        key=("ml", "iris"),
        stable=Arm("ml", "iris-1"),
        canary=Arm("ml", "iris-2"),
        plan=plan,
        started_at=begun,
        restarts=tuple([begun + timedelta(seconds=at) for at in restarts]),
        shifts=(Shift(at=begun, share=0.2),),
    )


def arm(rng: random.Random, requests: int, bad: float) -> ArmTick:
    """An arm that may be missed, or have no series at its gateway, with a slow mode between 0.25 and 0.5 s."""
    if rng.random() < 0.1:
        return ArmTick(present=False)
    failed, slow = sum(rng.random() < bad for _ in range(requests)), requests // 20
    good = requests - failed
    latencies = Latencies(good, {0.1: good - slow, 0.25: good - slow, 0.5: good})
    count = Count(requests, failed)
    half = Half(Count(requests // 2, failed // 2), Latencies(good // 2, {0.1: good // 3, 0.5: good // 2}))
    gateway = count if rng.random() < 0.5 else None
    return ArmTick(True, gateway, count, latencies, (half, half), refused=failed // 2)


@pytest.mark.parametrize("seed", range(4))
def test_a_session_is_the_same_alone_and_in_any_company(seed):
    rng = random.Random(seed)
    plans = [rng.choice(PLANS) for _ in range(9)]
    begun = [session.begin(comparison(plan, restarts=(rng.choice((90, 200)),))) for plan in plans]
    together, alone = list(begun), list(begun)
    for number in range(130):
        at = START - 400 + 10 * number
        company = rng.sample(range(9), 9 if number % 7 else rng.randint(1, 8))
        company = sorted(company) if rng.random() < 0.7 else company
        bad = 0.3 if number > 80 else 0.01
        ticks = [
            Tick(at, 10, arm(rng, rng.choice((0, 200)), 0.01), arm(rng, rng.choice((0, 60)), bad)) for _ in company
        ]
        stepped = session.step_all([(together[one], tick) for one, tick in zip(company, ticks, strict=True)])
        for one, tick, after in zip(company, ticks, stepped, strict=True):
            together[one], alone[one] = after, session.step(alone[one], tick)
        assert together == alone
    assert [session.judge(one) for one in together] == [session.judge(one) for one in alone]
    assert any(session.judge(one).verdict == "Bad" for one in together)


def test_a_tick_that_is_not_later_is_refused_and_nothing_is_counted():
    begun = [session.begin(comparison(Plan(), restarts=())) for _ in range(2)]
    late = Tick(START, 10, ArmTick(), ArmTick())
    first, second = session.step_all([(one, late) for one in begun])
    with pytest.raises(ValueError, match=f"ticks must go forward: got {START} after {START}"):
        session.step_all([(first, late._replace(at=START + 10)), (second, late)])
    assert (first.at, second.at) == (START, START)


def test_columns_that_were_split_are_put_beside_each_other_again_in_any_order():
    parts = tables.split(np.arange(12.0).reshape(2, 6), [1, 2, 3])
    assert [len(part) for part in parts] == [1, 2, 3]
    assert tables.beside(parts).tolist() == np.arange(12.0).reshape(2, 6).tolist()
    assert tables.beside([parts[2], parts[0]]).tolist() == [[3, 4, 5, 0], [9, 10, 11, 6]]
    assert parts[1] == tables.split(np.array([[1.0, 2.0], [7.0, 8.0]]), [2])[0] != parts[0]


def test_nobody_changes_what_another_holds():
    [part] = tables.split(np.zeros((2, 1)), [1])
    tables.beside([part])[:] = 1
    assert part.numbers.tolist() == [[0], [0]]
    with pytest.raises(ValueError, match="read-only"):
        part.numbers[:] = 1
    assert part.alone() == part
    assert part.alone().table is not part.table
