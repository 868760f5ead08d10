"""Process sessions: every process of a container, found through /proc, and ended for certain.

A container's first process leads a session of its own. Its descendants stay in that session unless they leave it on
purpose; those are found by their parents. A process is named by pid and start time, so that a reused pid is never hit.
"""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Member:
    """A process: its id, its parent, its session, and when it started (clock ticks after boot)."""

    pid: int
    parent: int
    session: int
    started: int
    zombie: bool


def member(pid: int) -> Member | None:
    """A process by id, None when there is none."""
    try:
        text = (PROC / str(pid) / "stat").read_text("utf-8", errors="replace")
    except OSError:
        return None
    # The name in parentheses may hold anything, so the fields are counted from the last parenthesis.
    fields = text[text.rindex(")") + 2 :].split()
    return Member(pid, int(fields[1]), int(fields[3]), int(fields[19]), fields[0] in "ZX")


def processes() -> list[Member]:
    """All processes of this machine that are not dead yet."""
    found = (member(int(entry.name)) for entry in PROC.iterdir() if entry.name.isdigit())
    return [one for one in found if one is not None and not one.zombie]


def members(leader: int) -> list[Member]:
    """The processes of a session and all their descendants."""
    everyone = processes()
    chosen = {one.pid: one for one in everyone if one.session == leader or one.pid == leader}
    grown = True
    while grown:
        more = {one.pid: one for one in everyone if one.parent in chosen and one.pid not in chosen}
        chosen |= more
        grown = bool(more)
    chosen.pop(os.getpid(), None)
    return list(chosen.values())


def send(targets: list[Member], number: signal.Signals) -> None:
    """Signal processes, each only if it is still the one that was seen."""
    for target in targets:
        now = member(target.pid)
        if now is not None and now.started == target.started:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(target.pid, number)


def same(pid: int, started: int) -> bool:
    """Whether the process with this id is the one that started then."""
    found = member(pid)
    return found is not None and found.started == started
