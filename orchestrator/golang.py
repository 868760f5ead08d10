"""What Go programs read in flags and variables: durations and booleans."""

import argparse
import re
from collections.abc import Callable
from typing import TypeVar

from orchestrator.errors import SettingsError

T = TypeVar("T")

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
TRUE = frozenset({"1", "t", "true"})
FALSE = frozenset({"0", "f", "false"})


def duration(text: str) -> float:
    """Seconds from a Go duration: `15s`, `1m30s`, `500ms`, `0`."""
    parts = re.findall(r"([0-9]*\.?[0-9]+)(ns|us|µs|ms|s|m|h)", text)
    if text in {"0", "0s"}:
        return 0.0
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; expected such as 15s, 1m30s or 500ms")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def boolean(text: str) -> bool:
    """A Go boolean."""
    if text.lower() in TRUE | FALSE:
        return text.lower() in TRUE
    raise argparse.ArgumentTypeError(f"{text!r} is no boolean; expected true or false")


def variable(name: str, text: str, read: Callable[[str], T]) -> T:
    """What a variable says, by what reads a flag of its kind. Raises SettingsError, which names it."""
    try:
        return read(text)
    except argparse.ArgumentTypeError as error:
        raise SettingsError(f"{name}: {error}") from None
