"""What the orchestrator counts, by upstream's names, labels and buckets."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from orchestrator.graph.node import Node
from orchestrator.telemetry.counting import Family, Histogram, Reading
from orchestrator.telemetry.families import Shown
from orchestrator.telemetry.process import ProcessMetrics

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
PREDICTOR = ("deployment_name", "predictor_name", "predictor_version")
_CALL = ("service", "method", "code")
_MODEL = ("model_name", "model_image", "model_version")


class Source(Protocol):
    """Anything that counts."""

    def shown(self) -> Iterable[Shown]:
        """What it counted, as it stands."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose metrics these are."""

    deployment: str
    predictor: str
    version: str


class Metrics:
    """The histograms of requests in and of calls out; with `fine` native ones, too."""

    def __init__(self, identity: Identity, *, fine: bool = False) -> None:
        self.identity = identity
        self._identity = (identity.deployment, identity.predictor, identity.version)
        name = "seldon_api_executor_{}_requests_seconds"
        self.server = Family(
            name.format("server"),
            "Time from a whole request to its answer",
            (*PREDICTOR, *_CALL),
            BOUNDS,
            summary=name.format("server") + "_summary",
            fine=fine,
        )
        self.client = Family(
            name.format("client"),
            "Time of calls to nodes",
            (*PREDICTOR, *_MODEL, *_CALL),
            BOUNDS,
            summary=name.format("client") + "_summary",
            fine=fine,
        )
        self._sources: list[Source] = [self.server, self.client, ProcessMetrics()]

    def add(self, source: Source) -> None:
        """Show what a source counts, too."""
        self._sources.append(source)

    def add_gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Show a value that is asked for at each scrape."""
        self._sources.append(Reading(name, text, "gauge", value))

    def add_counter(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Show a count that is asked for at each scrape."""
        self._sources.append(Reading(name, text, "counter", value))

    def add_all(self, readings: Mapping[str, tuple[str, str, Callable[[], float]]]) -> None:
        """Show several values: name to kind, text and value."""
        self._sources += [Reading(name, text, kind, value) for name, (kind, text, value) in readings.items()]

    def served(self, service: str, method: str) -> "Codes":
        """Where requests to one service are counted."""
        return Codes(self.server, (*self._identity, service, method))

    def called(self, node: Node, service: str, method: str) -> "Codes":
        """Where calls of one kind to one node are counted."""
        return Codes(self.client, (*self._identity, node.name, node.image, node.version, service, method))

    def shown(self) -> list[Shown]:
        """Everything, as it stands."""
        return [shown for source in self._sources for shown in source.shown()]


class Codes:
    """Histograms that differ only in the label `code`, which comes last."""

    __slots__ = ("_by_code", "_family", "_labels")

    def __init__(self, family: Family, labels: tuple[str, ...]) -> None:
        self._family = family
        self._labels = labels
        self._by_code: dict[int | str, Histogram] = {}

    def observe(self, code: int | str, seconds: float) -> None:
        """Count one request that ended with `code`."""
        histogram = self._by_code.get(code)
        if histogram is None:
            histogram = self._by_code[code] = self._family.child(*self._labels, str(code))
        histogram.observe(seconds)
