"""Arguments: `{{args.name}}` in texts, wherever they stand in a metric, and secrets that nobody gets to read."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

_PLACE = re.compile(r"\{\{\s*(.*?)\s*\}\}")
_ARGUMENT = re.compile(r"args\.([A-Za-z0-9_.-]+)")
MASK = "*****"


class ArgumentError(Exception):
    """A text refers to what is not given. It names the reference and what there is."""


def filled(value: Any, arguments: Mapping[str, str]) -> Any:
    """Return a value with every `{{args.name}}` in its texts filled in.

    Raises:
        ArgumentError: a reference is no argument, or one without a value.
    """
    if isinstance(value, str):
        return _PLACE.sub(lambda match: _value(match[0], match[1], arguments), value)
    if isinstance(value, Mapping):
        return {key: filled(item, arguments) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [filled(item, arguments) for item in value]
    return value


def _value(whole: str, inside: str, arguments: Mapping[str, str]) -> str:
    match = _ARGUMENT.fullmatch(inside)
    if match is None:
        raise ArgumentError(f"{whole} is no argument; expected {{{{args.<name>}}}}")
    if match[1] not in arguments:
        known = ", ".join(sorted(arguments)) or "none"
        raise ArgumentError(f"{whole} has no value; arguments with a value: {known}")
    return arguments[match[1]]


def references(value: Any) -> Iterator[str]:
    """Return the names of the arguments that the texts of a value refer to."""
    if isinstance(value, str):
        for match in _PLACE.finditer(value):
            if found := _ARGUMENT.fullmatch(match[1]):
                yield found[1]
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from references(item)


class Redactor:
    """Masks secrets in texts: as they are, and as they stand in addresses."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets if secret.strip() for form in (secret, secret.strip(), quote(secret, ""))}
        self._forms = sorted(forms, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return the text without any secret."""
        for form in self._forms:
            text = text.replace(form, MASK)
        return text
