"""Keeping the store on disk: a snapshot and a log of what happened since, one JSON document a line.

A write is handed to the operating system before its answer goes out, so it survives the end of this process; it is not
forced to the disk, so the machine's own crash may lose the last moments. A half-written last line is dropped.
"""

import contextlib
import os
from pathlib import Path
from typing import Any

import orjson

from localcluster.apiserver.history import Event, History

JsonObject = dict[str, Any]

_FEWEST_LINES_TO_REWRITE = 20_000


class Journal:
    """One folder. `load` first, then `follow`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "journal.jsonl"
        self._file: int | None = None
        self._lines = 0

    def load(self) -> History:
        """The history as it was left. Raises ValueError for a file that is not ours."""
        objects: dict[tuple[str, str, str], tuple[int, JsonObject]] = {}
        revision = 0
        for line in self._read():
            place = (line["collection"], line["namespace"], line["name"])
            revision = max(revision, line["revision"])
            if line["object"] is None:
                objects.pop(place, None)
            else:
                objects[place] = (line["revision"], line["object"])
        history = History()
        for (collection, namespace, name), (at, obj) in objects.items():
            if name:
                history.restore(collection, (namespace, name), obj, at)
        history.restored(revision)
        return history

    def _read(self) -> list[JsonObject]:
        if not self._path.exists():
            return []
        raw = self._path.read_bytes().split(b"\n")
        lines: list[JsonObject] = []
        for number, text in enumerate(raw, start=1):
            if not text:
                continue
            try:
                lines.append(orjson.loads(text))
            except orjson.JSONDecodeError as error:
                if number >= len(raw):
                    break
                raise ValueError(f"{self._path}, line {number}: {error}") from error
        return lines

    def follow(self, history: History) -> None:
        """Rewrites the snapshot and keeps every change from now on."""
        self._rewrite(history)
        history.listeners.append(lambda event: self._keep(history, event))

    def _keep(self, history: History, event: Event) -> None:
        assert self._file is not None
        line = _line(
            event.collection, event.key, event.revision, b"null" if event.type == "DELETED" else event.entry.raw
        )
        os.write(self._file, line)
        self._lines += 1
        if self._lines > _FEWEST_LINES_TO_REWRITE and self._lines > 4 * sum(1 for _ in history.all()):
            self._rewrite(history)

    def _rewrite(self, history: History) -> None:
        self.close()
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as out:
            fresh.chmod(0o600)
            out.write(_line("", ("", ""), history.revision, b"null"))
            for collection, key, entry in history.all():
                out.write(_line(collection, key, entry.revision, entry.raw))
        fresh.replace(self._path)
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND)
        self._lines = 0

    def close(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.close(self._file)
            self._file = None


def _line(collection: str, key: tuple[str, str], revision: int, obj: bytes) -> bytes:
    head = orjson.dumps({"collection": collection, "namespace": key[0], "name": key[1], "revision": revision})
    return b'%b,"object":%b}\n' % (head[:-1], obj)
