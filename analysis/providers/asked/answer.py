"""What a question gives: a value and what else was learned, or an error without secrets."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from analysis.expressions.values import Value

LONGEST = 1000
"""Characters of a value in a status."""


class AskError(Exception):
    """There was no answer, or none that can be used. The text says from whom, and why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A value, and what to tell beside it: the query as it was asked, warnings."""

    value: Value
    metadata: Mapping[str, str] = field(default_factory=dict)


def written(value: Value) -> str:
    """Write a value as JSON for a status, cut to a length that a status can hold."""
    text = json.dumps(value, ensure_ascii=False, separators=(", ", ": "), default=str)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
