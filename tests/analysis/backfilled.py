"""A past that never was scraped: seeded counters of two revisions, written into a Prometheus's storage by promtool."""

import random
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

EVERY = 10
"""Seconds between two scrapes."""
EDGES = (0.05, 0.1, 0.25, 0.5)
_SERVED = "seldon_api_executor_server_requests_seconds"
_SLOW = (0.3, 0.05, 0.01, 0.0)
"""The share of requests slower than each edge."""


@dataclass(frozen=True)
class Revision:
    """What one deployment's pods count. Shares are of requests; all begin to count with the first scrape."""

    name: str
    rate: float
    """Requests a second, of all pods together."""
    pods: tuple[str, ...]
    failed: float = 0.002
    refused: float = 0.02
    outliers: float | None = None
    """The share of answered rows that are marked; None where nobody counts any."""
    reward: float | None = None
    """The mean of feedback on a tenth of the requests: each is 0 or 1."""
    classes: dict[str, float] = field(default_factory=dict)
    differing: tuple[float, float] | None = None
    """Of one copy a second: how often it differs from stable's answer, and two of stable's from each other."""
    since: int = 0
    """Seconds after the first scrape at which its pods appear."""


def backfill(data: Path, revisions: tuple[Revision, ...], *, start: int, seconds: int, seed: int = 1) -> None:
    """Write what would have been scraped from `start` on (seconds since 1970)."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool on PATH: `make system` installs it with Prometheus")
    text = data.parent / "past.om"
    with text.open("w") as file:
        for number, one in enumerate(revisions):
            for pod in one.pods:
                chance = random.Random(f"{seed}/{number}/{pod}")
                file.writelines(_lines(one, pod, chance, start, seconds))
        file.write("# EOF\n")
    made = subprocess.run(
        [promtool, "tsdb", "create-blocks-from", "openmetrics", "-q", str(text), str(data)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    text.unlink()


def _lines(one: Revision, pod: str, chance: random.Random, start: int, seconds: int) -> Iterator[str]:
    """Every series of a pod, one after the other, as a file of OpenMetrics wants it."""
    at = f'deployment_name="{one.name}",namespace="ml",pod="{pod}",instance="{pod}:8000"'
    counted: dict[str, float] = {}
    samples: dict[str, list[tuple[float, int]]] = {}
    for moment in range(start + one.since, start + seconds + 1, EVERY):
        for series, more in _tick(one, at, chance).items():
            counted[series] = counted.get(series, 0.0) + (more if moment > start + one.since else 0.0)
            samples.setdefault(series, []).append((counted[series], moment))
    for series, values in sorted(samples.items()):
        yield from (f"{series} {value:g} {moment}\n" for value, moment in values)


def _tick(one: Revision, at: str, chance: random.Random) -> dict[str, float]:
    """What ten seconds add to each series of a pod."""
    requests = _drawn(chance, one.rate * EVERY / len(one.pods))
    failed, refused = (_part(chance, requests, share) for share in (one.failed, one.refused))
    good = requests - failed - refused
    request = f'{at},service="predictions",method="post"'
    found: dict[str, float] = {
        f'{_SERVED}_count{{{request},code="{code}"}}': count
        for code, count in (("200", good), ("500", failed), ("400", refused))
    }
    for edge, slow in zip(EDGES, _SLOW, strict=True):
        found[f'{_SERVED}_bucket{{{request},code="200",le="{edge}"}}'] = good - round(good * slow)
    found[f'{_SERVED}_bucket{{{request},code="200",le="+Inf"}}'] = good
    if one.outliers is not None:
        found[f"seldon_prediction_row_total{{{at}}}"] = good
        found[f"seldon_prediction_outlier_total{{{at}}}"] = _part(chance, good, one.outliers)
    if one.reward is not None:
        feedbacks = _part(chance, good, 0.1)
        found[f"seldon_api_model_feedback_total{{{at}}}"] = feedbacks
        found[f"seldon_api_model_feedback_reward_total{{{at}}}"] = _part(chance, feedbacks, one.reward)
    drawn = chance.choices(list(one.classes), list(one.classes.values()), k=good) if one.classes else []
    for kind in one.classes:
        found[f'seldon_prediction_class_total{{{at},class="{kind}"}}'] = drawn.count(kind)
    if one.differing is not None:
        found |= _compared(one.differing, at, chance)
    return found


def _compared(differing: tuple[float, float], at: str, chance: random.Random) -> dict[str, float]:
    found = dict.fromkeys(["disagree", "canary", "stable", "agree"], 0)
    for _ in range(EVERY):
        canary, stable = (chance.random() < share for share in differing)
        found["disagree" if canary and stable else "canary" if canary else "stable" if stable else "agree"] += 1
    return {f'seldon_shadow_compare_total{{{at},pair="both",result="{name}"}}': count for name, count in found.items()}


def _drawn(chance: random.Random, mean: float) -> int:
    """About Poisson's, of a mean that is large enough."""
    return max(0, round(chance.gauss(mean, mean**0.5)))


def _part(chance: random.Random, number: int, share: float) -> int:
    return sum(chance.random() < share for _ in range(number))
