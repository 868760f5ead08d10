"""Keep a program running: start it, wait until it is ready, start it again when it dies, end it and its children.

A supervised program has its own session (its process group can be signalled as a whole), and beside its log file a
file with its process id (`.pid`). While a file `.hold` is there it is not started again (`localcluster.faults` makes
it). The kernel ends it when the supervisor dies (`PR_SET_PDEATHSIG`, on Linux).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

log = logging.getLogger(__name__)

RESTART_DELAYS = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds before the n-th restart in a row; a program that ran for `HEALTHY` seconds starts from the first again."""
HEALTHY = 10.0
TAIL = 30
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program to keep running. It is ready when `ready_url` answers 2xx (no URL: as soon as it runs)."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    ready_url: str = ""
    ready_timeout: float = 30.0
    stop_timeout: float = 10.0
    cwd: str = ""


class ProgramError(Exception):
    """A program did not get ready, or ended; the message carries the last lines of its log."""


class Supervised:
    """One program, kept running until `stop()`. `log_file` collects what it prints, over restarts."""

    def __init__(self, program: Program, log_file: Path) -> None:
        self.program, self.log_file = program, log_file
        self.pid_file, self.hold_file = log_file.with_suffix(".pid"), log_file.with_suffix(".hold")
        self.restarts = 0
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._log_start = 0

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def start(self) -> None:
        """Start it and keep it running. Raises ProgramError if it cannot be executed at all."""
        self._log_start = self.log_file.stat().st_size if self.log_file.exists() else 0
        self.hold_file.unlink(missing_ok=True)
        await self._spawn()
        self._keeper = asyncio.create_task(self._keep(), name=f"keep {self.program.name}")

    async def ready(self) -> None:
        """Wait until it is ready. Raises ProgramError with the end of its log when it takes too long or keeps dying."""
        deadline = time.monotonic() + self.program.ready_timeout
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
            while not await self._answers(session):
                if self.restarts >= 3:
                    raise ProgramError(f"{self.program.name} keeps ending before it is ready{self.tail()}")
                if time.monotonic() > deadline:
                    raise ProgramError(
                        f"{self.program.name} was not ready at {self.program.ready_url} after "
                        f"{self.program.ready_timeout:g} s{self.tail()}"
                    )
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """End it: SIGTERM to the program, SIGKILL to what is left of its session after `stop_timeout`."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
            self._keeper = None
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.send_signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), self.program.stop_timeout)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        self.pid_file.unlink(missing_ok=True)

    def tail(self, lines: int = TAIL) -> str:
        """The last lines that this run wrote, as the end of an error message."""
        return log_tail(self.log_file, lines, self._log_start)

    async def _answers(self, session: aiohttp.ClientSession) -> bool:
        if self.pid is None:
            return False
        if not self.program.ready_url:
            return True
        try:
            async with session.get(self.program.ready_url, ssl=False) as answer:
                return answer.status < 300
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    async def _spawn(self) -> None:
        program = self.program
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as out:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *program.argv,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                    env={**os.environ, **program.env},
                    cwd=program.cwd or None,
                    start_new_session=True,
                    preexec_fn=dies_with_parent(),
                )
            except OSError as error:
                raise ProgramError(f"{program.name}: cannot run {program.argv[0]}: {error}") from error
        self.pid_file.write_text(f"{self._process.pid}\n", "utf-8")

    async def _keep(self) -> None:
        while True:
            process = self._process
            assert process is not None
            began = time.monotonic()
            code = await process.wait()
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)  # what it leaves behind in its session would hold its ports
            self.restarts = 1 if time.monotonic() - began > HEALTHY else self.restarts + 1
            log.warning("%s ended with code %s: starting it again", self.program.name, code)
            await asyncio.sleep(RESTART_DELAYS[min(self.restarts, len(RESTART_DELAYS)) - 1])
            await self._unheld()
            try:
                await self._spawn()
            except ProgramError:
                log.exception("%s cannot be started again", self.program.name)
                await asyncio.sleep(RESTART_DELAYS[-1])

    async def _unheld(self) -> None:
        while self.hold_file.exists():  # noqa: ASYNC110 - another process makes and removes the file
            await asyncio.sleep(0.05)


def log_tail(log_file: Path, lines: int = TAIL, start: int = 0) -> str:
    """The last lines of a log file from a position on, introduced by its path, to end an error message with."""
    try:
        with log_file.open("rb") as file:
            file.seek(start)
            text = file.read().decode(errors="replace")
    except OSError:
        return f" (no log at {log_file})"
    found = text.strip().splitlines()[-lines:]
    return f"; the end of {log_file}:\n  " + "\n  ".join(found) if found else f" (it wrote nothing to {log_file})"


def dies_with_parent(number: signal.Signals = signal.SIGKILL) -> Callable[[], None] | None:
    """What a child runs before its program: ask the kernel for a signal when we die. None where that is unknown."""
    if _libc is None:
        return None
    parent, prctl = os.getpid(), _libc.prctl

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, number.value, 0, 0, 0)
        if os.getppid() != parent:  # we died between fork and here
            os._exit(1)

    return ask
