"""One container of a pod: started, probed, started again with back-off, and ended in good order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import aiohttp

from localcluster.images import ImageNotFoundError
from localcluster.node.environment import ConfigError
from localcluster.node.probes import Kind, Probe, Tally, ask, request
from localcluster.node.process import Command, Process, StartError
from localcluster.node.room import PodRoom
from localcluster.node.status import CRASH_LOOP, Running, Terminated, View, Waiting, ended

FIRST_BACK_OFF, LAST_BACK_OFF, STEADY = 1.0, 30.0, 60.0
"""Seconds: the first and the longest wait before a restart, and the run time that makes the next failure the first."""
EAGER, FIRST_LOOK = 0.1, 1.0
log = logging.getLogger(__name__)


class ContainerRunner:
    """Runs one container; `view` tells what is known of it, and every change is announced to `changed`."""

    def __init__(self, room: PodRoom, container: Mapping[str, Any], view: View, changed: Callable[[], None]) -> None:
        self.container, self.address = container, room.address
        self.view = view
        self._room, self._changed = room, changed
        self._process: Process | None = None
        self._command: Command | None = None
        self._stopping = asyncio.Event()
        self._attempt = 0

    async def run(self, policy: str) -> int:
        """Run until it is over for good: `policy` is Always, OnFailure or Never. The last exit code."""
        while True:
            began = asyncio.get_running_loop().time()
            code = await self._run_once()
            over = policy == "Never" or (policy == "OnFailure" and code == 0)
            if self._stopping.is_set() or (over and code is not None):
                return code or 0
            if asyncio.get_running_loop().time() - began > STEADY:
                self._attempt = 0
            await self._back_off()
            if self._stopping.is_set():
                return code or 0

    async def stop(self, deadline: float, *, hook: bool = True) -> None:
        """End it for good: the preStop hook (where wanted), SIGTERM, and SIGKILL at the deadline (the loop's time)."""
        self._stopping.set()
        process = self._process
        if process is not None and process.code is None:
            self._room.tell("Killing", f"Stopping container {self.view.name}", container=self.view.name)
            await self._end(process, deadline, hook=hook)

    async def kill(self) -> None:
        """SIGKILL to whatever runs of it."""
        if self._process is not None and self._process.code is None:
            await self._process.kill()

    async def execute(self, words: list[str]) -> tuple[int, str]:
        """Run a command with the container's environment and folder: exit code and output; killed when cancelled."""
        assert self._command is not None
        try:
            child = await asyncio.create_subprocess_exec(
                *self._room.localized(words, self.container),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env=dict(self._command.env),
                cwd=self._command.folder,
                start_new_session=True,
            )
        except OSError as error:
            return 127, str(error)
        try:
            output, _ = await child.communicate()
        finally:
            if child.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    child.kill()
        return child.returncode or 0, output.decode(errors="replace")

    async def _run_once(self) -> int | None:
        """The exit code of one run, None when it could not even start."""
        process = await self._start()
        if process is None:
            return None
        since = datetime.now(UTC)
        started = not self.container.get("startupProbe")
        ready = started and not self.container.get("readinessProbe")
        identity = f"process://{process.pid}-{process.started}"
        self._show(replace(self.view, state=Running(since), started=started, ready=ready, identity=identity))
        self._room.tell("Started", f"Started container {self.view.name}", container=self.view.name)
        probing = asyncio.create_task(self._attend(process), name=f"probes of {self.view.name}")
        try:
            code = await process.wait()
        finally:
            probing.cancel()
            await asyncio.gather(probing, return_exceptions=True)
        over = ended(code, process.tail() if code else "", since, datetime.now(UTC))
        self._show(replace(self.view, state=over, started=False, ready=False))
        return code

    async def _start(self) -> Process | None:
        try:
            self._command = await self._room.command(self.container)
            process = await Process.spawn(self._command, self._room.new_log(self.view.name), self._room.node.records)
        except ImageNotFoundError as error:
            await self._refuse("ImageNotFound", str(error))
        except ConfigError as error:
            await self._refuse("CreateContainerConfigError", str(error))
        except StartError as error:
            await self._refuse("StartError", str(error))
        else:
            self._process = process
            if self._stopping.is_set():
                await process.kill()
            return process
        return None

    async def _refuse(self, reason: str, message: str) -> None:
        self._show(replace(self.view, state=Waiting(reason, message), ready=False, started=False))
        self._room.tell("Failed", message, container=self.view.name, warning=True)

    async def _back_off(self) -> None:
        seconds = min(LAST_BACK_OFF, FIRST_BACK_OFF * 2**self._attempt)
        self._attempt += 1
        if isinstance(self.view.state, Terminated):
            message = f"back-off {seconds:g} s before restarting container {self.view.name}"
            self._show(replace(self.view, state=Waiting(CRASH_LOOP, message), last=self.view.state))
            self._room.tell("BackOff", message.capitalize(), container=self.view.name, warning=True)
            self.view = replace(self.view, restarts=self.view.restarts + 1)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _attend(self, process: Process) -> None:
        """The postStart hook, the startup probe; then readiness and liveness side by side."""
        hook = (self.container.get("lifecycle") or {}).get("postStart")
        if hook and (trouble := await self._hook(hook)):
            message = f"postStart hook of {self.view.name}: {trouble}"
            self._room.tell("FailedPostStartHook", message, container=self.view.name, warning=True)
            await self._end(process, asyncio.get_running_loop().time() + self._room.grace)
            return
        startup, readiness, liveness = (
            Probe.parse(self.container.get(f"{kind}Probe")) for kind in ("startup", "readiness", "liveness")
        )
        if any(probe is not None and "grpc" in probe.handler for probe in (startup, readiness, liveness)):
            message = f"gRPC probes of {self.view.name} check the connection only, not the health service"
            self._room.tell("ProbeSimplified", message, container=self.view.name)
        if startup is not None:
            await self._follow("startup", startup, process)
        await asyncio.gather(
            *(self._follow(kind, probe, process) for kind, probe in _present(readiness, liveness)),
        )

    async def _follow(self, kind: Kind, probe: Probe, process: Process) -> None:
        """Ask period by period. Until it first succeeds a startup or readiness probe also looks in between, more often:
        there only a success counts, so that a local process need not wait for the next period to be seen.

        A process that has only just been started is not blamed for not answering within the first second.
        """
        loop = asyncio.get_running_loop()
        first_look = min(FIRST_LOOK, probe.period)
        patient = kind == "liveness"
        await asyncio.sleep(max(probe.initial_delay, first_look) if patient else probe.initial_delay)
        counted_at = loop.time() if patient else loop.time() + first_look
        tally, eager = Tally(), not patient and probe.successes == 1
        while True:
            trouble = await ask(probe, self, self._room.node.http)
            counts = loop.time() >= counted_at
            if counts:
                counted_at = max(loop.time(), counted_at + probe.period)
            if counts or not trouble:
                tally = tally.after(not trouble, probe)
            await self._judge(kind, probe, process, tally, trouble if counts else "")
            if kind == "startup" and tally.verdict:
                return
            eager = eager and not tally.verdict and tally.row > -probe.failures
            await asyncio.sleep(max(0.0, min(counted_at - loop.time(), EAGER if eager else probe.period)))

    async def _judge(self, kind: Kind, probe: Probe, process: Process, tally: Tally, trouble: str) -> None:
        if trouble:
            message = f"{kind.capitalize()} probe failed: {trouble}"
            self._room.tell("Unhealthy", message, container=self.view.name, warning=True)
        match kind:
            case "startup" if tally.verdict:
                self._show(replace(self.view, started=True, ready=not self.container.get("readinessProbe")))
            case "readiness":
                self._show(replace(self.view, ready=bool(tally.verdict)))
            case _:
                pass
        if tally.verdict is False and kind != "readiness":
            message = f"Container {self.view.name} failed its {kind} probe and will be restarted"
            self._room.tell("Killing", message, container=self.view.name)
            grace = probe.grace if probe.grace is not None else self._room.grace
            await self._end(process, asyncio.get_running_loop().time() + grace)

    async def _end(self, process: Process, deadline: float, *, hook: bool = True) -> None:
        loop = asyncio.get_running_loop()
        before = (self.container.get("lifecycle") or {}).get("preStop") if hook else None
        if before and process.running and deadline > loop.time():
            await self._before_stop(before, process, deadline - loop.time())
        await process.end(max(0.0, deadline - loop.time()))

    async def _before_stop(self, hook: Mapping[str, Any], process: Process, limit: float) -> None:
        """Run the hook, at most until the grace period is over, and not longer than the process lives."""
        running = asyncio.create_task(self._hook(hook))
        gone = asyncio.create_task(process.wait())
        await asyncio.wait({running, gone}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        trouble = running.result() if running.done() else ""
        for task in (running, gone):
            task.cancel()
        await asyncio.gather(running, gone, return_exceptions=True)
        if trouble:
            message = f"preStop hook of {self.view.name}: {trouble}"
            self._room.tell("FailedPreStopHook", message, container=self.view.name, warning=True)

    async def _hook(self, hook: Mapping[str, Any]) -> str:
        if "sleep" in hook:
            await asyncio.sleep(float(hook["sleep"]["seconds"]))
            return ""
        if "exec" in hook:
            code, output = await self.execute(list(hook["exec"]["command"]))
            return "" if code == 0 else f"exit code {code}: {output[-300:]}"
        if "httpGet" in hook:
            try:
                await request(hook["httpGet"], self, self._room.node.http)
            except (aiohttp.ClientError, OSError, ValueError) as error:
                return str(error)
            return ""
        return f"none of exec, httpGet, sleep: {sorted(hook)}"

    def _show(self, view: View) -> None:
        if view != self.view:
            self.view = view
            self._changed()


def _present(readiness: Probe | None, liveness: Probe | None) -> list[tuple[Kind, Probe]]:
    pairs: tuple[tuple[Kind, Probe | None], ...] = (("readiness", readiness), ("liveness", liveness))
    return [(kind, probe) for kind, probe in pairs if probe is not None]
