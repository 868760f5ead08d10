"""Documents: objects out of YAML files, and the line on which each of their fields stands."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_SUFFIXES = {".yaml", ".yml", ".json"}


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
        return self.below(path)[0] + 1

    def below(self, path: Sequence[str | int]) -> tuple[int, yaml.Node]:
        """Return where a field stands, or the nearest one above it that is there: its line, from 0, and its node."""
        node, line = self._node, self._node.start_mark.line
        for part in path:
            found = _below(node, part)
            if found is None:
                break
            line, node = found
        return line, node


def _below(node: yaml.Node, part: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark.line, node.value[part]
    if isinstance(node, yaml.MappingNode):
        return next(((key.start_mark.line, value) for key, value in node.value if key.value == part), None)
    return None


def documents(files: Iterable[Path]) -> Iterator[Document]:
    """Read all objects of some files, as kubectl does: `-` is standard input, a folder all of its YAML and JSON files.

    A List gives what is in it.

    Raises:
        ValueError: a file is no YAML; the text names the place.
        OSError: a file cannot be read.
    """
    for file in (each for named in files for each in _within(named)):
        try:
            text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise ValueError(f"{file}: expected YAML in UTF-8") from None
        try:
            for node in yaml.compose_all(text, Loader=yaml.SafeLoader):
                if node is not None:
                    yield from _unpacked(Document(str(file), yaml.SafeLoader("").construct_document(node), node))
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            place = f":{mark.line + 1}" if mark is not None else ""
            raise ValueError(f"{file}{place}: {getattr(error, 'problem', None) or error}") from None


def _within(path: Path) -> Iterable[Path]:
    if not path.is_dir():
        return (path,)
    return sorted(each for each in path.iterdir() if each.suffix in _SUFFIXES and each.is_file())


def _unpacked(found: Document) -> Iterator[Document]:
    items = found.object.get("items") if found.kind == "List" else None
    if not isinstance(items, list):
        yield found
        return
    _, below = found.below(("items",))
    for item, node in zip(items, below.value, strict=True):
        yield Document(found.file, item, node)
