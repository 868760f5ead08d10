"""What models answer, as counts: classes, scores and outliers of a sample of the answers, read after they were sent."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable

from orchestrator.errors import OrchestratorError
from orchestrator.podinfo import PredictionMetrics
from orchestrator.protocols.outcome import Outcome
from orchestrator.telemetry.counting import Family, Histogram
from orchestrator.telemetry.families import Shown, single
from orchestrator.telemetry.metrics import PREDICTOR, Identity

log = logging.getLogger(__name__)

Read = Callable[[], Outcome]

CLASSES = 50
OTHER = "other"
_WAITING = 64  # answers that wait to be read; more than that are not worth their memory
_LONGEST_LABEL = 128


class Predictions:
    """Reads one answer in each turn of the loop, so that no request waits long for it.

    Args:
        identity: whose answers they are.
        wanted: what to count, of which share of the answers.
        draw: gives numbers that are uniform in [0, 1).
    """

    def __init__(self, identity: Identity, wanted: PredictionMetrics, draw: Callable[[], float]) -> None:
        values = (identity.deployment, identity.predictor, identity.version)
        self._labels = tuple(zip(PREDICTOR, values, strict=True))
        self._wanted = wanted
        self._draw = draw
        self._waiting: deque[Read] = deque()
        self.classes: dict[str, int] = {}
        text = "Scores in sampled answers"
        self._scores = Family("seldon_prediction_score", text, PREDICTOR, wanted.bounds)
        self.scores: Histogram = self._scores.child(*values)
        self.outliers = self.rows = self.sampled = self.skipped = 0

    def offer(self, read: Read) -> None:
        """Look at an answer soon, if it is drawn. `read` decodes it."""
        if self._draw() >= self._wanted.share:
            return
        if len(self._waiting) >= _WAITING:
            self.skipped += 1
            return
        self._waiting.append(read)
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        read = self._waiting.popleft()
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._look)
        try:
            outcome = read()
        except OrchestratorError as error:
            log.debug("an answer could not be read for the prediction metrics: %s", error)
            self.skipped += 1
            return
        self.count(outcome)

    def count(self, outcome: Outcome) -> None:
        """Count one answer."""
        self.sampled += 1
        for name in outcome.classes:
            name = name[:_LONGEST_LABEL]
            if name not in self.classes and len(self.classes) >= CLASSES:
                name = OTHER
            self.classes[name] = self.classes.get(name, 0) + 1
        for score in outcome.scores:
            self.scores.observe(score)
        self.outliers += outcome.outliers
        self.rows += max(1, len(outcome.classes), len(outcome.scores), outcome.outliers)

    def shown(self) -> Iterable[Shown]:
        """The metrics of what is wanted, and of how much was looked at."""
        kinds = self._wanted.kinds
        if "class" in kinds:
            series = {(*self._labels, ("class", name)): float(count) for name, count in self.classes.items()}
            yield Shown("seldon_prediction_class_total", "Classes in sampled answers", "counter", {**series})
        if "score" in kinds:
            yield from self._scores.shown()
        counts = [
            ("row", "Rows in sampled answers", self.rows),
            ("sampled", "Answers that were looked at", self.sampled),
            ("skipped", "Answers that were drawn and not looked at: too many at a time, or not readable", self.skipped),
        ]
        if "outlier" in kinds:
            counts.insert(0, ("outlier", "Rows in sampled answers that are marked as outliers", self.outliers))
        for name, text, value in counts:
            yield single(f"seldon_prediction_{name}_total", text, "counter", value, self._labels)
