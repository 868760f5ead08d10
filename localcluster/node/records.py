"""Which processes are ours, written down, so that they can be ended even when we were killed."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import orjson

from localcluster.node import guard

BOOT = Path("/proc/sys/kernel/random/boot_id")


class Records:
    """The session leaders that run, in a file and at the guard, a process that ends them when we die."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._leaders: dict[int, int] = {}
        self._guard: subprocess.Popen[str] | None = None

    def recover(self) -> int:
        """End what an earlier run left; how many sessions it had noted. Processes of an earlier boot are long gone."""
        try:
            noted = orjson.loads(self._file.read_bytes())
            leaders = {int(pid): int(started) for pid, started in noted["leaders"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return 0
        if noted.get("boot") == _boot():
            guard.end(leaders)
        return len(leaders)

    def open(self) -> None:
        """Begin: the guard runs from here on."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._guard = subprocess.Popen(
            [sys.executable, "-m", "localcluster.node.guard"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )
        self._write()

    def close(self) -> None:
        """All sessions have ended: the guard goes too."""
        if self._guard is not None:
            assert self._guard.stdin is not None
            with contextlib.suppress(OSError):
                self._guard.stdin.close()
            self._guard.wait(15)
            self._guard = None
        self._file.unlink(missing_ok=True)

    def add(self, pid: int, started: int) -> None:
        """A session began."""
        self._leaders[pid] = started
        self._tell(f"+{pid} {started}\n")

    def remove(self, pid: int) -> None:
        """Nothing is left of a session."""
        if self._leaders.pop(pid, None) is not None:
            self._tell(f"-{pid}\n")

    def _tell(self, line: str) -> None:
        self._write()
        if self._guard is not None and self._guard.stdin is not None:
            with contextlib.suppress(OSError):
                self._guard.stdin.write(line)
                self._guard.stdin.flush()

    def _write(self) -> None:
        content = {"boot": _boot(), "leaders": {str(pid): started for pid, started in self._leaders.items()}}
        draft = self._file.with_suffix(".new")
        draft.write_bytes(orjson.dumps(content))
        draft.replace(self._file)


def _boot() -> str:
    try:
        return BOOT.read_text("ascii").strip()
    except OSError:
        return ""
