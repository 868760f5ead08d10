"""What of an object's shape is wrong, in words: the field as Kubernetes writes it, its value, what would be right."""

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from controller.errors import plain

Path = tuple[str | int, ...]
_SHAPES = {
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dict_type": "a mapping",
    "list_type": "a list",
    "tuple_type": "a list",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
}
"""What pydantic says in the words of Python."""
_SAID = {"missing": "the field is required", "extra_forbidden": "there is no such field; check its spelling"}
_LONGEST = 80


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong.

    Args:
        path: where.
        value: what was found there.
        expected: what would be right.
        said: the whole sentence, of a rule that has its own.
        kind: pydantic's name for it.
    """

    path: Path
    value: object
    expected: str
    said: str = ""
    kind: str = ""

    def __str__(self) -> str:
        return f"{written(self.path)}: {self.said or f'{self.value!r} is not valid; expected {self.expected}'}"


def faults(error: ValidationError, root: Path = ("spec",)) -> Iterator[Fault]:
    """Yield what a model refused, in the order of its fields.

    Args:
        error: the model's.
        root: where in the object the model's fields stand.
    """
    found = error.errors(include_url=False, include_context=False)
    for one in found:
        path, kind, message = one["loc"], one["type"], str(one["msg"])
        if kind == "too_short" and any(each["loc"][: len(path)] == path != each["loc"] for each in found):
            continue  # there are items, and what is wrong with them is told
        expected, said = (
            _SHAPES.get(kind)
            or message.removeprefix("Input should be ").replace("String should match pattern", "text that matches"),
            "",
        )
        if kind == "value_error":
            said = plain(message)
            expected, said = said.removeprefix("expected "), "" if said.startswith("expected ") else said
        elif kind in _SAID:
            expected = said = _SAID[kind]
        value = None if kind == "missing" else brief(one["input"])
        yield Fault((*root, *path), value, expected.removeprefix("'', "), said, kind)


def written(path: Path) -> str:
    """Return a path as Kubernetes writes it: `spec.steps[0].setWeight`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def brief(value: object) -> object:
    """Return a value, or the beginning of one that is too long for a sentence."""
    text = repr(value)
    return value if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
