"""What every kind shares: the model's settings, durations, conditions, names of our labels and annotations."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel

ROLLOUTS_GROUP = "rollouts.seldon.io"
MACHINELEARNING_GROUP = "machinelearning.seldon.io"

ROLLOUT_LABEL = f"{ROLLOUTS_GROUP}/rollout"
"""On every object of a rollout: the SeldonRollout's name."""
REVISION_LABEL = f"{ROLLOUTS_GROUP}/revision-hash"
"""On every object of a revision: the hash of its template."""
ROLE_LABEL = f"{ROLLOUTS_GROUP}/role"
"""On a child SeldonDeployment: stable, canary or retired. The operator drops the preview URL of a stable one."""
ATTEMPT_LABEL = f"{ROLLOUTS_GROUP}/attempt"
"""On an AnalysisRun of a rollout: the attempt, counted by the rollout, that it belongs to."""
RUN_LABEL = f"{ROLLOUTS_GROUP}/run"
"""On an AnalysisRun of a rollout: `background`, or `step-<n>` for the step that waits for it."""
INTENT_ANNOTATION = f"{ROLLOUTS_GROUP}/intent"
"""On a SeldonRollout: what a person wants done, as JSON `{id, verb, by, reason}`."""
RESTARTED_ANNOTATION = f"{ROLLOUTS_GROUP}/restarted-at"
"""On a child's predictors, and so on their pods: when a person had them replaced. It is no part of a revision."""
ADOPTED_ANNOTATION = f"{ROLLOUTS_GROUP}/adopted-by"
"""On a SeldonDeployment that a rollout takes over: the rollout's uid. From then on no operator touches it."""
BEFORE_ANNOTATION = f"{ROLLOUTS_GROUP}/before-adoption"
"""Beside it: what its controller-id label and its VirtualService said, as JSON, to be given back."""
CONTROLLER_ID_LABEL = "seldon.io/controller-id"
"""On a SeldonDeployment: which operator looks after it. Every Seldon Core v1 operator passes over another's."""
LEFT_ANNOTATION = f"{ROLLOUTS_GROUP}/left"
"""On a SeldonRollout that a person had left, and on the SeldonDeployment that took its place: who and why, as JSON."""
FINALIZER = f"{ROLLOUTS_GROUP}/traffic"
"""On a SeldonRollout whose traffic is to be looked after when it is deleted."""
MANAGED_BY = "app.kubernetes.io/managed-by"

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?", re.ASCII)
DURATION_PATTERN = r"^([0-9]{1,5}h)?([0-9]{1,7}m)?([0-9]{1,9}(\.[0-9]{1,9})?s)?([0-9]{1,12}ms)?$"
"""A schema can only count digits; that is enough for a sum with an instant to be an instant."""
LONGEST = timedelta(hours=87_600)
"""The longest duration that is taken, ten years."""


class ApiModel(BaseModel):
    """A frozen Kubernetes-shaped value: camelCase outside, snake_case inside, unknown fields refused by name.

    The text below a field is its description in the schema; `described` reads it.
    """

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, extra="forbid")


class StatusModel(ApiModel):
    """A part of a status: what an older or newer version of ourselves wrote there is passed over."""

    model_config = ConfigDict(extra="ignore")


def parse_duration(value: Any) -> Any:
    """Read `1h30m`, `90s`, `250ms` or a whole number of seconds; leave a timedelta as it is.

    Raises:
        ValueError: the text is not such a duration, or longer than `LONGEST`.
    """
    if isinstance(value, timedelta):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        value = f"{value}s"
    match = _DURATION.fullmatch(value) if isinstance(value, str) and value else None
    if match is None:
        raise ValueError("expected a duration such as 30s, 5m or 1h30m")
    hours, minutes, seconds, millis = (float(part) if part else 0.0 for part in match.groups())
    whole = 3600 * hours + 60 * minutes + seconds + millis / 1000
    if whole > LONGEST.total_seconds():
        raise ValueError("expected a duration of at most 87600h, ten years")
    return timedelta(hours=hours, minutes=minutes, seconds=seconds, milliseconds=millis)


def format_duration(value: timedelta) -> str:
    """Write a duration as Kubernetes does: `1h30m`, `45s`, `0s`."""
    minutes, rest = divmod(value, timedelta(minutes=1))
    hours, minutes = divmod(minutes, 60)
    seconds = f"{rest / timedelta(seconds=1):.6f}".rstrip("0").rstrip(".")
    parts = [
        f"{hours}h" if hours else "",
        f"{minutes}m" if minutes else "",
        f"{seconds}s" if rest else "",
    ]
    return "".join(parts) or "0s"


def format_instant(value: datetime) -> str:
    """Write an instant as RFC 3339 in UTC, with microseconds only where there are some."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": int(LONGEST.total_seconds())},
                {"type": "string", "minLength": 1, "pattern": DURATION_PATTERN},
            ]
        }
    ),
]
Instant = Annotated[
    datetime,
    PlainSerializer(format_instant, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


class Condition(StatusModel):
    """A `metav1.Condition`: one observed truth about an object."""

    type: str
    """What it is about; one condition of each type."""
    status: Literal["True", "False", "Unknown"]
    """Whether it is so."""
    reason: str = ""
    """Why, in one word."""
    message: str = ""
    """Why, in words."""
    last_transition_time: Instant | None = None
    """When the status last changed."""
    observed_generation: int | None = None
    """The generation of the spec that it is about."""
