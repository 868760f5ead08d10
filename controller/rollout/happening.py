"""A happening: an event at a rollout, with all that its effect depends on but the status. Pure."""

from dataclasses import dataclass
from datetime import datetime

from controller.api.rollout import Intent, Missing
from controller.rollout.observed import Observed
from controller.rollout.phases import Event, Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One event."""

    event: Event
    obs: Observed
    phase: Phase
    """Where the table leads."""
    now: datetime
    reason: str = ""
    """Why it came, in words."""
    lacks: Missing | None = None
    """What a person is asked in place of."""
    intent: Intent | None = None
    """What a person asked for, if that is what happened."""

    @property
    def by(self) -> str:
        """Who asked for it; empty where nobody did."""
        return (self.intent.by or "a person") if self.intent else ""

    @property
    def said(self) -> str:
        """Who asked for it, and the reason that they gave."""
        return f"{self.by}: {self.intent.reason}" if self.intent and self.intent.reason else self.by
