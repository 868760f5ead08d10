"""Which comparisons a tick names: those whose verdict changed at once, and of those whose figures move a few."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from analysis.measure import Measurer
from analysis.monitor import Monitor
from analysis.samples import ArmReading, PodReading, Reading
from analysis.spec import Arm, Comparison, ErrorRate, Key, Plan
from analysis.verdict import Verdict

START = 1_700_000_000
STEP = 10


class Made(Measurer):
    """Answers with counters that grow by the second; `failing` and `silent` name rollouts of another kind."""

    def __init__(self) -> None:
        self.failing: dict[str, int] = {}
        """By rollout: from which instant on its canary fails."""
        self.silent: set[str] = set()

    async def read(self, comparisons: Sequence[Comparison], at: datetime) -> dict[Key, Reading]:
        return {one.key: self._reading(one.key[1], int(at.timestamp())) for one in comparisons}

    async def replay(
        self, comparisons: Sequence[Comparison], start: datetime, end: datetime, step: int
    ) -> dict[Key, tuple[Reading, ...]]:
        moments = range(int(start.timestamp()), int(end.timestamp()) + 1, step)
        return {one.key: tuple([self._reading(one.key[1], at) for at in moments]) for one in comparisons}

    def _reading(self, name: str, at: int) -> Reading:
        served = 0 if name in self.silent else 10 * (at - START + 10_000)
        failed = 5 * max(0, at - self.failing.get(name, at))
        stable, canary = {"200": float(served), "500": served / 1000}, {"200": float(served - failed)}
        return Reading(
            at,
            ArmReading({"s/1": PodReading(stable)}),
            ArmReading({"c/1": PodReading({**canary, "500": float(failed)})}),
        )


def monitor(measurer: Made, names: Sequence[str], *, figures: int) -> Monitor:
    found = Monitor(measurer, step=timedelta(seconds=STEP), settle=timedelta(0), figures=figures)
    plan = Plan(warmup=timedelta(0), metrics=(ErrorRate(),))
    for name in names:
        arms = (Arm("ml", f"{name}-1"), Arm("ml", f"{name}-2"))
        started = datetime.fromtimestamp(START, UTC)
        found.track(Comparison(key=("ml", name), stable=arms[0], canary=arms[1], plan=plan, started_at=started))
    return found


async def ticks(judge: Monitor, count: int, *, after: int) -> list[set[str]]:
    moments = [datetime.fromtimestamp(START + (after + number) * STEP, UTC) for number in range(count)]
    return [{name for _, name in await judge.tick(at)} for at in moments]


async def test_where_only_figures_move_all_are_named_in_turn() -> None:
    names = ["a", "b", "c", "d", "e"]
    judge = monitor(Made(), names, figures=2)
    await ticks(judge, 60, after=1)
    found = await ticks(judge, 5, after=61)
    assert [len(each) for each in found] == [2] * 5
    assert set().union(*found[:3]) == set(names)


async def test_a_verdict_that_changes_is_named_at_once() -> None:
    made = Made()
    judge = monitor(made, ["a", "b", "c", "d", "e"], figures=1)
    await ticks(judge, 60, after=1)
    made.failing["d"] = START + 600
    named = await ticks(judge, 6, after=61)
    bad = next(number for number, each in enumerate(named) if "d" in each and len(each) == 2)
    assert bad <= 4
    assert judge.judgement(("ml", "d")).verdict is Verdict.BAD


async def test_at_rest_nobody_is_named() -> None:
    made = Made()
    made.silent = {"a"}
    judge = monitor(made, ["a"], figures=5)
    await ticks(judge, 6, after=1)
    assert await ticks(judge, 5, after=7) == [set()] * 5
