"""Evidence: what the judge knows of each running rollout, as metrics of the controller, read when they are scraped."""

from collections.abc import Callable, Iterable, Iterator
from math import log10

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from analysis.verdict import Finding, Judgement
from controller.queue import Key

_LEAST = 1e-12
_OF = ["namespace", "rollout"]


class Evidence(Collector):
    """Only rollouts that are judged now have series; they go with the comparison.

    Args:
        judged: gives the rollouts that are judged and what is known of each.
    """

    def __init__(self, judged: Callable[[], Iterable[tuple[Key, Judgement]]]) -> None:
        self._judged = judged

    def describe(self) -> Iterable[Metric]:
        """Name the families without asking the judge."""
        return _families().values()

    def collect(self) -> Iterator[Metric]:
        """Return the families as they are now."""
        families = _families()
        for key, judgement in self._judged():
            families["verdict"].add_metric([*key, judgement.verdict.value], 1)
            for finding in judgement.findings:
                _add(families, key, finding)
        yield from families.values()


def _families() -> dict[str, GaugeMetricFamily]:
    def family(name: str, text: str, *labels: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(f"seldon_rollouts_{name}", text, labels=[*_OF, *labels])

    return {
        "evidence": family("evidence_log10", "Evidence of a metric, how many to one, as log10.", "metric", "side"),
        "needed": family(
            "evidence_threshold_log10", "Evidence at which the judge decides, or a step ends.", "metric", "side"
        ),
        "phi": family("phi", "How much noisier than chance a metric is: 1 is not at all.", "metric"),
        "samples": family("samples", "Requests, rows, pairs or feedbacks that were judged.", "metric", "arm"),
        "value": family("measured", "A metric's figure, such as a share of requests.", "metric", "arm"),
        "verdict": family("verdict", "1 for the verdict that holds now.", "verdict"),
    }


def _add(families: dict[str, GaugeMetricFamily], key: Key, finding: Finding) -> None:
    of = [*key, finding.metric]
    for side, found, needed in (
        ("worse", finding.evidence, finding.needed),
        ("promote", finding.promote_evidence, finding.promote_needed),
    ):
        families["evidence"].add_metric([*of, side], log10(max(found, _LEAST)))
        families["needed"].add_metric([*of, side], log10(max(needed, _LEAST)))
    step = finding.promote_needed if finding.step_needed is None else finding.step_needed
    families["needed"].add_metric([*of, "step"], log10(max(step, _LEAST)))
    if finding.phi is not None:
        families["phi"].add_metric(of, finding.phi)
    for arm, value, samples in (
        ("canary", finding.canary, finding.canary_requests),
        ("stable", finding.stable, finding.stable_requests),
    ):
        families["samples"].add_metric([*of, arm], samples)
        if value is not None:
            families["value"].add_metric([*of, arm], value)
