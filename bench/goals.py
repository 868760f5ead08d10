"""The goals of our judge, held against what was measured."""

from typing import NamedTuple


class Goal(NamedTuple):
    """One goal, what was measured, and whether it is met."""

    text: str
    measured: str
    met: bool


def goals(results: dict) -> list[Goal]:
    """All goals whose scenarios were run."""
    fixed = {one["scenario"]: one for one in results["fixed"]}
    whole = {one["scenario"]: one["judges"]["ours"] for one in results["progressive"]}
    found = [_equal(one) for one in fixed.values() if not one["bad"]]
    found += [_slow(one) for one in fixed.values() if one["scenario"].startswith("latency")]
    if (one := fixed.get("0.1 to 10 %, 100 rps, 5 %")) is not None:
        ours = one["judges"]["ours"]
        found.append(_most("0.1 to 10 %: median s", ours["median"], 20))
        found.append(_most("0.1 to 10 %: excess errors", ours["excess_errors"], 10))
    if (one := fixed.get("1 to 2 %, 100 rps, 5 %")) is not None:
        found.append(_most("1 to 2 %: median over the bound", one["judges"]["ours"]["median"] / one["bound"], 1.5))
    if (ours := whole.get("0.1 to 0.5 %, 100 rps")) is not None:
        found.append(_most("0.1 to 0.5 %, whole: promoted %", ours["promoted_percent"], 1))
        found.append(_most("0.1 to 0.5 %, whole: median s", ours["rolled_back_median"], 600))
        found.append(_most("0.1 to 0.5 %, whole: excess errors", ours["excess_errors"], 20))
    if (ours := whole.get("good 1 %, 100 rps")) is not None:
        percent = ours["promoted_percent"]
        found.append(Goal("good 1 %, whole: promoted %, at least 99.5", f"{percent:.1f}", percent >= 99.5))
        found.append(_most("good 1 %, whole: median s", ours["promoted_median"], 420))
    return found


def _most(text: str, value: float | None, most: float) -> Goal:
    if value is None:
        return Goal(f"{text}, at most {most:g}", "never", met=False)
    return Goal(f"{text}, at most {most:g}", f"{value:.3g}", value <= most)


def _equal(one: dict) -> Goal:
    ours = one["judges"]["ours"]
    high = ours["fired_interval_99"][1]
    text = f"{one['scenario']}: rolled back %, 99 % limit at most 1"
    return Goal(text, f"{ours['fired_percent']:.2g} (at most {high:.2g})", high <= 1)


def _slow(one: dict) -> Goal:
    percent = one["judges"]["ours"]["fired_percent"]
    return Goal(f"{one['scenario']}: found %, at least 95", f"{percent:.3g}", percent >= 95)
