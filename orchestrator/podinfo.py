"""The annotations file of the downward API."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from orchestrator.errors import SettingsError

REST_TIMEOUT = "seldon.io/rest-timeout"
GRPC_TIMEOUT = "seldon.io/grpc-timeout"
GRPC_MAX_MESSAGE = "seldon.io/grpc-max-message-size"
PREDICTION_METRICS = "seldon.io/prediction-metrics"
PREDICTION_SAMPLE = "seldon.io/prediction-metrics-sample"
PREDICTION_BOUNDS = "seldon.io/prediction-metrics-bounds"
COMPARE_WITH = "seldon.io/compare-with"
COMPARE_WITH_GRPC = "seldon.io/compare-with-grpc"
COMPARE_TOLERANCE = "seldon.io/compare-tolerance"
COMPARE_PER_SECOND = "seldon.io/compare-per-second"
COMPARE_SHARE = "seldon.io/compare-share"
MOST_PER_SECOND = 1000
KINDS = ("class", "score", "outlier")
SCORE_BOUNDS = tuple(round(step / 20, 2) for step in range(1, 21))


@dataclass(frozen=True, slots=True)
class PredictionMetrics:
    """What to count in answers: some of `KINDS`, of which share (0 to 1), and the score histogram's bounds."""

    kinds: frozenset[str]
    share: float = 1.0
    bounds: tuple[float, ...] = SCORE_BOUNDS


class Address(NamedTuple):
    """Where another orchestrator is asked."""

    host: str
    port: int
    tls: bool = False


@dataclass(frozen=True, slots=True)
class Compared:
    """With whom the answers to copies are compared, how near numbers have to be, and how many copies are asked about.

    Without `grpc` copies over gRPC are not compared. `per_second` is of the whole pod; `share` (0 to 1) is what is
    drawn before.
    """

    rest: Address
    grpc: Address | None = None
    tolerance: float = 0.01
    per_second: float = 1.0
    share: float = 1.0


def parse(text: str) -> dict[str, str]:
    """Annotations from lines of `key="value"`. A value may hold anything, `=` too; what is no such line is skipped."""
    annotations: dict[str, str] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        key, value = key.strip(), value.strip()
        if not equals or not key:
            continue
        if len(value) >= 2 and value[0] == value[-1] == '"':
            try:
                value = str(json.loads(value))
            except ValueError:  # Kubernetes quotes as Go does, which knows escapes that JSON does not
                value = value[1:-1]
        annotations[key] = value
    return annotations


def load(path: Path) -> dict[str, str]:
    """The file's annotations; none when there is no file."""
    try:
        return parse(path.read_text(encoding="utf-8", errors="replace"))
    except FileNotFoundError:
        return {}


def timeout(annotations: Mapping[str, str], name: str) -> float | None:
    """Seconds that a call to a node may take, or None when the annotation does not say.

    Raises:
        SettingsError: the value is no number of milliseconds above 0.
    """
    value = annotations.get(name)
    if value is None:
        return None
    milliseconds = _number(value)
    if not 0 < milliseconds < float("inf"):
        raise SettingsError(f"annotation {name}: {value!r} is not valid; expected milliseconds, such as 3000")
    return milliseconds / 1000


def grpc_max_message(annotations: Mapping[str, str]) -> int | None:
    """Bytes that a gRPC message may have, or None when it is not said.

    Raises:
        SettingsError: the value is no whole number of bytes that gRPC can have.
    """
    value = annotations.get(GRPC_MAX_MESSAGE)
    if value is None:
        return None
    if not value.isdecimal() or not 0 < int(value) < 2**31:
        raise SettingsError(f"annotation {GRPC_MAX_MESSAGE}: {value!r} is not valid; expected bytes, 1 to {2**31 - 1}")
    return int(value)


def prediction_metrics(annotations: Mapping[str, str]) -> PredictionMetrics | None:
    """What to count in answers, or None when nothing is wanted.

    Raises:
        SettingsError: a value cannot be used; the message names the annotation.
    """
    kinds = frozenset(kind.strip() for kind in annotations.get(PREDICTION_METRICS, "").split(",") if kind.strip())
    if not kinds:
        return None
    if not kinds <= set(KINDS):
        raise SettingsError(
            f"annotation {PREDICTION_METRICS}: {annotations[PREDICTION_METRICS]!r} is not valid; "
            f"expected some of {', '.join(KINDS)}, with commas between"
        )
    written = annotations.get(PREDICTION_SAMPLE, "1")
    share = _number(written)
    if not 0 < share <= 1:
        raise SettingsError(f"annotation {PREDICTION_SAMPLE}: {written!r} is not valid; expected a share, such as 0.1")
    bounds = SCORE_BOUNDS
    if PREDICTION_BOUNDS in annotations:
        written = annotations[PREDICTION_BOUNDS]
        bounds = tuple(_number(bound) for bound in written.split(","))
        if not all(low < high for low, high in zip((float("-inf"), *bounds), (*bounds, float("inf")), strict=True)):
            raise SettingsError(
                f"annotation {PREDICTION_BOUNDS}: {written!r} is not valid; expected rising numbers, such as 0.1,0.5"
            )
    return PredictionMetrics(kinds, share, bounds)


def compared(annotations: Mapping[str, str]) -> Compared | None:
    """With whom answers to copies are compared, or None with nobody.

    Raises:
        SettingsError: a value cannot be used; the message names the annotation.
    """
    rest = _address(annotations, COMPARE_WITH)
    if rest is None:
        return None
    return Compared(
        rest,
        _address(annotations, COMPARE_WITH_GRPC),
        tolerance=_within(annotations, COMPARE_TOLERANCE, "0.01", least=0.0, most=1.0),
        per_second=_within(annotations, COMPARE_PER_SECOND, "1", least=0.001, most=MOST_PER_SECOND),
        share=_within(annotations, COMPARE_SHARE, "1", least=1e-4, most=1.0),
    )


def _address(annotations: Mapping[str, str], name: str) -> Address | None:
    url = annotations.get(name)
    if not url:
        return None
    try:
        parts = urlsplit(url)
        host, port, tls = parts.hostname, parts.port or 0, parts.scheme == "https"
    except ValueError:
        host, port, tls = None, 0, False
    if not host or not port or url not in {f"http://{host}:{port}", f"https://{host}:{port}"}:
        raise SettingsError(f"annotation {name}: {url!r} is not valid; expected such as http://iris.ml:8000")
    return Address(host, port, tls)


def _within(annotations: Mapping[str, str], name: str, unset: str, *, least: float, most: float) -> float:
    written = annotations.get(name, unset)
    value = _number(written)
    if not least <= value <= most:
        raise SettingsError(f"annotation {name}: {written!r} is not valid; expected {least:g} to {most:g}")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
