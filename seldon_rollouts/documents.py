"""Documents: objects out of YAML files, and the line on which each of their fields stands."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True, slots=True)
class Document:
    """One object of a file."""

    file: str
    object: Any
    _node: yaml.Node

    @property
    def kind(self) -> str:
        """The object's kind; empty when it has none."""
        return str(self.object.get("kind") or "") if isinstance(self.object, dict) else ""

    @property
    def name(self) -> str:
        """The object's name; empty when it has none."""
        meta = self.object.get("metadata") if isinstance(self.object, dict) else None
        return str((meta or {}).get("name") or "") if isinstance(meta, dict) else ""

    def line(self, path: Sequence[str | int] = ()) -> int:
        """Return the line of a field, or of the nearest one above it that is there. Counts from 1."""
        node, line = self._node, self._node.start_mark.line
        for part in path:
            found = _below(node, part)
            if found is None:
                break
            line, node = found
        return line + 1


def _below(node: yaml.Node, part: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark.line, node.value[part]
    if isinstance(node, yaml.MappingNode):
        return next(((key.start_mark.line, value) for key, value in node.value if key.value == part), None)
    return None


def documents(files: Iterable[Path]) -> Iterator[Document]:
    """Read all objects of some files.

    Raises:
        ValueError: a file is no YAML; the text names the place.
        OSError: a file cannot be read.
    """
    for file in files:
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise ValueError(f"{file}: expected YAML in UTF-8") from None
        try:
            for node in yaml.compose_all(text, Loader=yaml.SafeLoader):
                if node is not None:
                    yield Document(str(file), yaml.SafeLoader("").construct_document(node), node)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            place = f":{mark.line + 1}" if mark is not None else ""
            raise ValueError(f"{file}{place}: {getattr(error, 'problem', None) or error}") from None
