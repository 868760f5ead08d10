"""Gauges: where every rollout stands, as metrics of the controller, read from the cache when they are scraped.

A rollout at rest has two series, one under way about ten; all go with it, since nothing is kept between two scrapes.
What a status says is read as plain data: ten thousand of them are to cost no more than a fraction of a second.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

Rollouts = Callable[[], Iterable[Mapping[str, Any]]]
_OF = ["namespace", "rollout"]
_UNDER_WAY = frozenset({"Progressing", "Paused", "Promoting", "RollingBack"})


class Gauges(Collector):
    """One family for each thing that a person asks of a rollout.

    Args:
        rollouts: gives the SeldonRollouts; none where another process leads, which tells of them.
    """

    def __init__(self, rollouts: Rollouts) -> None:
        self._rollouts = rollouts

    def describe(self) -> Iterable[Metric]:
        """Name the families without reading the cache."""
        return _families().values()

    def collect(self) -> Iterator[Metric]:
        """Return the families as they are now."""
        families = _families()
        for rollout in self._rollouts():
            _add(families, rollout)
        yield from families.values()


def _families() -> dict[str, GaugeMetricFamily]:
    def family(name: str, text: str, *labels: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(f"seldon_rollouts_rollout_{name}", text, labels=[*_OF, *labels])

    return {
        "phase": family("phase", "1 for the phase that the rollout is in.", "phase"),
        "revision": family("revision", "Number of the revision, while there is one.", "role"),
        "step": family("step", "Step that is under way, counted from 1; while there is a canary."),
        "steps": family("steps", "How many steps there are; while there is a canary."),
        "weight": family(
            "weight_percent", "Percent of live requests, and of copies, by the route; while there is a canary.", "arm"
        ),
        "observed": family("observed_percent", "Percent of requests that the canary was seen to serve."),
        "blocked": family("blocked_since_timestamp_seconds", "Since when it waits for something of this kind.", "kind"),
        "rejected": family(
            "last_rollback_timestamp_seconds", "When a revision was last rolled back, of those that are remembered."
        ),
    }


def _add(families: Mapping[str, GaugeMetricFamily], rollout: Mapping[str, Any]) -> None:
    meta, status = rollout["metadata"], rollout.get("status") or {}
    of = [meta["namespace"], meta["name"]]
    phase = str(status.get("phase") or "Pending")
    families["phase"].add_metric([*of, phase], 1)
    for role in ("stable", "canary"):
        if revision := status.get(f"{role}Revision"):
            families["revision"].add_metric([*of, role], revision.get("number") or 0)
    blocked = status.get("blockedOn") or {}
    if since := blocked.get("since"):
        families["blocked"].add_metric([*of, str(blocked.get("kind"))], _seconds(since))
    if rejected := status.get("rejected"):
        families["rejected"].add_metric(of, max(_seconds(each["at"]) for each in rejected))
    if phase in _UNDER_WAY and status.get("canaryRevision"):
        _moving(families, of, status)


def _moving(families: Mapping[str, GaugeMetricFamily], of: list[str], status: Mapping[str, Any]) -> None:
    steps, weights = int(status.get("stepCount") or 0), status.get("weights") or {}
    stable, canary = status.get("stableRevision") or {}, status["canaryRevision"]
    families["step"].add_metric(of, min(int(status.get("currentStepIndex") or 0) + 1, steps))
    families["steps"].add_metric(of, steps)
    shares = {"stable": stable.get("weight"), "canary": canary.get("weight"), "mirrored": canary.get("mirror")}
    for arm, share in shares.items():
        families["weight"].add_metric([*of, arm], share or 0)
    observed = (weights.get("observed") or {}).get("canaryPercent")
    if observed is not None:
        families["observed"].add_metric(of, observed)


def _seconds(instant: str) -> float:
    return datetime.fromisoformat(instant).timestamp()
