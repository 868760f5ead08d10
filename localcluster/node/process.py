"""One run of a container: its process session, its log file, and its end."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from localcluster.node.records import Records
from localcluster.node.session import Member, member, members, send
from localcluster.supervise import dies_with_parent

LOG_LIMIT = 8 * 2**20
TAIL_BYTES, TAIL_LINES = 2048, 10
CHECK = 2.0


class StartError(Exception):
    """A command cannot be run; the message says which and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to run: words, environment, working folder."""

    argv: Sequence[str]
    env: Mapping[str, str]
    folder: Path


class Process:
    """A running session. `code` is the exit code once it ended: 128 + signal when a signal ended it, as shells say."""

    def __init__(self, child: asyncio.subprocess.Process, started: int, log_file: Path, records: Records) -> None:
        self._child, self._log_file, self._records = child, log_file, records
        self.pid, self.started = child.pid, started
        self.code: int | None = None
        self._patience = 0.0
        self._over = asyncio.Event()
        self._waiter = asyncio.create_task(self._wait(), name=f"process {child.pid}")

    @classmethod
    async def spawn(cls, command: Command, log_file: Path, records: Records) -> Process:
        """Start a command in a session of its own. Raises StartError."""
        command.folder.mkdir(parents=True, exist_ok=True)
        log_file.parent.mkdir(parents=True, exist_ok=True)
        program = shutil.which(command.argv[0], path=command.env.get("PATH"))
        if program is None:
            raise StartError(f"{command.argv[0]!r} is not an executable file, and not one on PATH")
        # O_APPEND: after the file is cut, the next line goes to its new end.
        with log_file.open("ab") as out:
            try:
                child = await asyncio.create_subprocess_exec(
                    program,
                    *command.argv[1:],
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                    env=dict(command.env),
                    cwd=command.folder,
                    start_new_session=True,
                    preexec_fn=dies_with_parent(),
                )
            except OSError as error:
                raise StartError(f"{program}: {error.strerror or error}") from error
        found = member(child.pid)
        started = found.started if found else 0
        records.add(child.pid, started)
        return cls(child, started, log_file, records)

    async def wait(self) -> int:
        """Wait until the first process and every other of its session are gone; the exit code."""
        await self._over.wait()
        assert self.code is not None
        return self.code

    async def end(self, grace: float) -> int:
        """SIGTERM to the whole session, SIGKILL to what is left of it after `grace` seconds; the exit code."""
        self._patience = asyncio.get_running_loop().time() + grace
        if not self._over.is_set():
            send(self._members(), signal.SIGTERM)
        try:
            await asyncio.wait_for(self._over.wait(), max(0.0, grace))
        except TimeoutError:
            await self.kill()
        return await self.wait()

    async def kill(self) -> None:
        """SIGKILL to everything in the session, until nothing is left."""
        while targets := self._members():
            send(targets, signal.SIGKILL)
            await asyncio.sleep(0.02)

    @property
    def running(self) -> bool:
        """Whether its first process has not ended."""
        return self._child.returncode is None

    def tail(self) -> str:
        """The last lines that it wrote."""
        return tail(self._log_file)

    def _members(self) -> list[Member]:
        return members(self.pid) if self.started else []

    async def _wait(self) -> None:
        watch = asyncio.create_task(self._bound_log())
        code = await self._child.wait()
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        # What the first process leaves behind would keep the pod's ports: a container ends as a whole.
        while self._members() and asyncio.get_running_loop().time() < self._patience:  # noqa: ASYNC110 - /proc tells no news
            await asyncio.sleep(0.05)
        await self.kill()
        self._records.remove(self.pid)
        self.code = 128 - code if code < 0 else code
        self._over.set()

    async def _bound_log(self) -> None:
        while True:
            await asyncio.sleep(CHECK)
            rotate(self._log_file)


def rotate(log_file: Path) -> None:
    """Cut a log file that has grown over the limit; what was in it is kept once, as `<name>.1`."""
    if log_file.stat().st_size > LOG_LIMIT:
        shutil.copyfile(log_file, log_file.with_name(log_file.name + ".1"))
        os.truncate(log_file, 0)


def tail(log_file: Path) -> str:
    """The last lines of a file, at most 10 and 2 KiB."""
    try:
        with log_file.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.strip().splitlines()[-TAIL_LINES:])
