"""docs/metrics.md tells every metric of the controller as it is, and no other."""

import re
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry

from controller.metrics import Metrics
from controller.notifications.reconciler import sent
from controller.rollout.evidence import Evidence
from controller.rollout.gauges import Gauges

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def registry() -> CollectorRegistry:
    """What a controller with everything switched on has, but for the metrics of any process."""
    metrics = Metrics()
    sent(metrics.registry)
    metrics.registry.register(Gauges(list))
    metrics.registry.register(Evidence(list))
    return metrics.registry


def table(found: CollectorRegistry) -> Iterator[str]:
    """The rows of the page."""
    for collector in found._collector_to_names:
        for family in collector.describe():
            name = family.name + ("_total" if family.type == "counter" else "")
            names = getattr(family, "_labelnames", None) or getattr(collector, "_labelnames", ())
            labels = ", ".join(f"`{each}`" for each in names)
            yield f"| `{name}` | {family.type} | {labels} | {family.documentation} |"


def test_the_page_has_every_metric_as_it_is() -> None:
    written = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `seldon_rollouts_")]
    assert written == list(table(registry()))


def test_names_follow_the_fields_conventions() -> None:
    for row in table(registry()):
        name, kind = re.findall(r"\| `(\S+)` \| (\w+)", row)[0]
        assert re.fullmatch(r"seldon_rollouts_[a-z0-9_]+", name)
        lasting = name.endswith("_seconds") and not name.endswith("_timestamp_seconds")
        assert (kind == "histogram") == lasting, "durations are histograms, in seconds"


if __name__ == "__main__":
    print("\n".join(table(registry())))
