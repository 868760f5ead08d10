"""The annotations file of the downward API."""

import json
from collections.abc import Mapping
from pathlib import Path

from orchestrator.errors import SettingsError

REST_TIMEOUT = "seldon.io/rest-timeout"


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


def rest_timeout(annotations: Mapping[str, str]) -> float | None:
    """Seconds that a REST call to a node may take, or None when it is not said.

    Raises:
        SettingsError: the value is no number of milliseconds above 0.
    """
    value = annotations.get(REST_TIMEOUT)
    if value is None:
        return None
    try:
        milliseconds = float(value)
    except ValueError:
        milliseconds = 0.0
    if not 0 < milliseconds < float("inf"):
        raise SettingsError(f"annotation {REST_TIMEOUT}: {value!r} is not valid; expected milliseconds, such as 3000")
    return milliseconds / 1000
