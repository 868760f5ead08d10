"""Programs are kept running, ended with all that they started, and explained when they fail."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from localcluster.faults import FaultError, Faults
from localcluster.ports import free_ports, is_free
from localcluster.supervise import Program, ProgramError
from localcluster.sweep import MARK, marked, sweep


def python(code: str, **more: Any) -> Program:
    return Program(name="program", argv=(sys.executable, "-S", "-c", code), **more)


def runs(pid: int) -> bool:
    """Whether a process runs: not gone, not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


async def test_a_program_that_dies_is_started_again(supervised: Callable[..., Any], until: Callable[..., Any]) -> None:
    one = await supervised()
    await one.ready()
    before = one.pid
    os.kill(before, signal.SIGKILL)
    await until(lambda: one.pid not in (None, before))
    await one.ready()


async def test_a_program_that_is_stopped_stays_stopped(supervised: Callable[..., Any]) -> None:
    one = await supervised()
    await one.ready()
    pid = one.pid
    await one.stop()
    assert one.pid is None
    assert not runs(pid)
    assert not one.pid_file.exists()


async def test_what_a_program_started_ends_with_it(supervised: Callable[..., Any], until: Callable[..., Any]) -> None:
    child = "import subprocess, time; c = subprocess.Popen(['sleep', '300']); print(c.pid, flush=True); time.sleep(300)"
    one = await supervised(python(child))
    pid = int(await until(lambda: one.log_file.read_text().strip()))
    assert runs(pid)
    await one.stop()
    await until(lambda: not runs(pid))


async def test_a_program_that_ignores_sigterm_is_killed(
    supervised: Callable[..., Any], until: Callable[..., Any]
) -> None:
    stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); print('on', flush=True); time.sleep(300)"
    one = await supervised(python(stubborn, stop_timeout=0.2))
    await until(one.log_file.read_text)
    pid = one.pid
    await one.stop()
    assert not runs(pid)


async def test_a_program_that_keeps_ending_is_an_error_with_its_last_words(supervised: Callable[..., Any]) -> None:
    one = await supervised(python("print('no such model: iris'); raise SystemExit(3)", ready_url="http://127.0.0.1:1/"))
    with pytest.raises(ProgramError, match=r"(?s)keeps ending before it is ready.*no such model: iris"):
        await one.ready()


async def test_a_program_that_is_never_ready_is_an_error_with_its_last_words(supervised: Callable[..., Any]) -> None:
    slow = "import time; print('still loading', flush=True); time.sleep(300)"
    one = await supervised(python(slow, ready_url="http://127.0.0.1:1/", ready_timeout=1.0))
    with pytest.raises(ProgramError, match=r"(?s)was not ready at http://127.0.0.1:1/ after 1 s.*still loading"):
        await one.ready()


async def test_a_program_that_cannot_be_executed_is_an_error_that_names_it(supervised: Callable[..., Any]) -> None:
    with pytest.raises(ProgramError, match="cannot run /nowhere/program"):
        await supervised(Program(name="program", argv=("/nowhere/program",)))


async def test_a_program_dies_with_a_supervisor_that_is_killed(tmp_path: Path, until: Callable[..., Any]) -> None:
    code = (
        "import asyncio, pathlib\n"
        "from localcluster.supervise import Program, Supervised\n"
        "async def main():\n"
        f"    log_file = pathlib.Path({str(tmp_path / 'sleep.log')!r})\n"
        "    one = Supervised(Program(name='sleep', argv=('sleep', '300')), log_file)\n"
        "    await one.start(); print(one.pid, flush=True); await asyncio.sleep(300)\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    child = int(await parent.stdout.readline())
    assert runs(child)
    parent.kill()
    await parent.wait()
    await until(lambda: not runs(child))


async def test_a_program_that_is_held_down_starts_again_when_it_is_released(
    supervised: Callable[..., Any], until: Callable[..., Any], tmp_path: Path
) -> None:
    one = await supervised()
    await one.ready()
    faults = Faults(tmp_path)
    faults.hold("server")
    await until(lambda: one.pid is None)
    with pytest.raises(FaultError, match="does not run"):
        faults.kill("server")
    faults.release("server")
    await until(lambda: one.pid is not None)
    await one.ready()


async def test_a_frozen_program_is_stopped_all_the_same(supervised: Callable[..., Any], tmp_path: Path) -> None:
    one = await supervised()
    await one.ready()
    pid = one.pid
    Faults(tmp_path).freeze("server")
    await one.stop()
    assert not runs(pid)


def test_a_fault_of_an_unknown_program_names_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "node.pid").write_text("1")
    with pytest.raises(FaultError, match="no program 'mesh' in this cluster; it has node"):
        Faults(tmp_path).kill("mesh")


async def test_a_sweep_ends_every_process_with_the_clusters_mark_and_no_other(until: Callable[..., Any]) -> None:
    mine, other = f"mine-{os.getpid()}", f"other-{os.getpid()}"
    started = [
        await asyncio.create_subprocess_exec("sleep", "300", env={**os.environ, MARK: mark}, start_new_session=True)
        for mark in (mine, mine, other)
    ]
    await until(lambda: len(marked(mine)) == 2 and len(marked(other)) == 1)
    assert await sweep(mine) == []
    assert [process.returncode is None for process in started][2]
    assert marked(other) == [started[2].pid]
    started[2].kill()
    for process in started:
        await process.wait()


def test_free_ports_are_all_different_and_a_taken_one_is_named() -> None:
    found = free_ports([f"port-{number}" for number in range(20)])
    assert len(set(found.values())) == 20

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not is_free(port)
        with pytest.raises(OSError, match=f"port {port} on 127.0.0.1, asked for gateway"):
            free_ports(["gateway"], {"gateway": port})
