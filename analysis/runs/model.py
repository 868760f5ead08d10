"""What a run is made of: plans as they were given, and states as they stand. Frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

RETENTION = 10
"""Measurements of a metric that are kept when nothing is said."""
CONSECUTIVE_ERRORS = 4
"""Errors in a row that are borne when nothing is said."""


class Phase(StrEnum):
    """Where a measurement, a metric or a run stands."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCESSFUL = "Successful"
    INCONCLUSIVE = "Inconclusive"
    ERROR = "Error"
    FAILED = "Failed"

    @property
    def ended(self) -> bool:
        """Say whether nothing changes any more."""
        return self not in (Phase.PENDING, Phase.RUNNING)


SEVERITY = (Phase.SUCCESSFUL, Phase.RUNNING, Phase.PENDING, Phase.INCONCLUSIVE, Phase.ERROR, Phase.FAILED)
"""The worst of several phases is the one that stands last here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How one metric is measured.

    Args:
        name: the metric's name.
        interval: time between the end of a measurement and the next; None for a single one.
        initial_delay: time from the run's start to the first measurement.
        count: how many measurements with a value; None for as long as the run lasts.
        failure_limit: more failed ones than this end it as Failed; None for no limit.
        inconclusive_limit: more inconclusive ones than this end it as Inconclusive.
        consecutive_error_limit: more errors in a row than this end it as Error.
        consecutive_success_limit: as many successes in a row end it as Successful; 0 for never.
        dry_run: it is measured, and never decides.
        retention: how many measurements are kept.
    """

    name: str
    interval: timedelta | None = None
    initial_delay: timedelta = timedelta()
    count: int | None = 1
    failure_limit: int | None = 0
    inconclusive_limit: int = 0
    consecutive_error_limit: int = CONSECUTIVE_ERRORS
    consecutive_success_limit: int = 0
    dry_run: bool = False
    retention: int = RETENTION


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One value, and what the conditions make of it. Unfinished (a Job that runs) while `finished_at` is None."""

    phase: Phase
    value: str = ""
    message: str = ""
    started_at: datetime
    finished_at: datetime | None = None
    resume_at: datetime | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricState:
    """What the measurements of one metric add up to. Errors are no part of `count`."""

    name: str
    phase: Phase = Phase.PENDING
    message: str = ""
    measurements: tuple[Measurement, ...] = ()
    count: int = 0
    successful: int = 0
    failed: int = 0
    inconclusive: int = 0
    error: int = 0
    consecutive_error: int = 0
    consecutive_success: int = 0
    dry_run: bool = False

    @property
    def last(self) -> Measurement | None:
        """The newest measurement."""
        return self.measurements[-1] if self.measurements else None

    @property
    def unfinished(self) -> Measurement | None:
        """The measurement that is under way."""
        last = self.last
        return last if last is not None and last.finished_at is None else None

    @property
    def taken(self) -> int:
        """How many measurements were finished, with or without a value."""
        return self.count + self.error


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run and its metrics, in the order of their plans."""

    started_at: datetime
    metrics: tuple[MetricState, ...]
    phase: Phase = Phase.RUNNING
    message: str = ""
    completed_at: datetime | None = None
