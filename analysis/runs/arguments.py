"""Arguments: `{{args.name}}` in texts, wherever they stand in a metric, and secrets that nobody gets to read."""

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

_PLACE = re.compile(r"\{\{\s*(.*?)\s*\}\}")
_ARGUMENT = re.compile(r"args\.([A-Za-z0-9_.-]+)")
MASK = "*****"
_CUT = re.compile(r"\.\.\.|['\"]|$")
"""Where a text may have been cut off: at its end, before dots, before the quote that closes it."""
_TELLING = 4
"""A beginning of a secret of fewer characters may be chance."""
_LONG_LINE = 8
_AS_IN_A_PATH = "!$&'()*+,;=:@/"
_AS_IN_A_QUERY = _AS_IN_A_PATH + "?"
"""What may stand in these as it is (RFC 3986): HTTP clients leave it, and servers tell back what they were asked."""


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
    """Masks secrets in texts: as they are, as addresses, JSON and messages write them, and where a text was cut off."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = tuple(secrets)
        forms = {form for secret in self._secrets for form in _forms(secret)}
        self._forms = sorted(forms, key=lambda form: (-len(form), form))

    def also(self, *secrets: str) -> "Redactor":
        """Return one that masks more secrets, too."""
        return Redactor([*self._secrets, *secrets])

    def __call__(self, text: str) -> str:
        """Return the text without any secret."""
        for form in self._forms:
            text = text.replace(form, MASK)
        return self._without_beginnings(text) if self._forms else text

    def _without_beginnings(self, text: str) -> str:
        """Mask beginnings of secrets that stand where a text was cut off."""
        parts, done = [], 0
        for cut in _CUT.finditer(text):
            whole = text[done : cut.start()]
            begun = max([_begun(whole, form) for form in self._forms], default=0)
            parts += [whole[: len(whole) - begun], MASK if begun else "", cut[0]]
            done = cut.end()
        return "".join(parts) + text[done:]


def _forms(secret: str) -> Iterator[str]:
    """How a secret may be written, each line of a long one by itself, too."""
    lines = [line for line in secret.splitlines() if len(line) >= _LONG_LINE]
    for part in (secret, secret.strip(), *lines):
        if part.strip():
            yield from (part, quote(part, ""), quote_plus(part), base64.b64encode(part.encode()).decode())
            yield from (quote(part), quote(part, _AS_IN_A_PATH), quote(part, _AS_IN_A_QUERY), html.escape(part))
            yield from (repr(part)[1:-1], json.dumps(part)[1:-1], json.dumps(part, ensure_ascii=False)[1:-1])


def _begun(text: str, form: str) -> int:
    """Return how many characters at the end of a text are the beginning of a secret, 0 where too few to tell."""
    at = text.find(form[:_TELLING], max(0, len(text) - len(form)))
    while at >= 0:
        if form.startswith(text[at:]):
            return len(text) - at
        at = text.find(form[:_TELLING], at + 1)
    return 0
