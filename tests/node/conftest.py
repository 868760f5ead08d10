"""Units in process, and nodes and orchestrators as processes."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator.node.unit import Unit


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def port() -> Callable[[], int]:
    """Gives ports that nobody listens on."""
    return free_port


@pytest.fixture
def unit() -> Callable[..., Unit]:
    """Make a unit of an instance; what it counts is in its `recorded`."""

    def make(
        user: Any, *, name: str = "node", image: str = "image:1", metadata: Mapping[str, Any] | None = None
    ) -> Unit:
        recorded: list[Any] = []
        made = Unit(
            user,
            name=name,
            image=image,
            metadata=metadata,
            record=lambda metrics, method: recorded.append((method, list(metrics))),
        )
        user.recorded = recorded
        return made

    return make


@dataclass
class Program:
    """A process with an HTTP port."""

    process: "subprocess.Popen[bytes]"
    port: int
    log: Path
    metrics_port: int = 0
    grpc_port: int = 0

    def request(self, method: str, path: str, body: Any = None, *, port: int = 0, **headers: str) -> tuple[int, Any]:
        """Status and body, as JSON where it is JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=10)
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        try:
            connection.request(method, path, data, {"Content-Type": "application/json", **headers})
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, text.decode()

    def memory(self) -> float:
        """Resident memory in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024

    def wait_ready(self, path: str) -> None:
        """Wait until a page answers 200."""
        end = time.monotonic() + 20
        while time.monotonic() < end:
            assert self.process.poll() is None, self.log.read_text()
            try:
                if self.request("GET", path)[0] == 200:
                    return
            except OSError:
                time.sleep(0.02)
        raise AssertionError(f"{path} did not answer 200: {self.log.read_text()}")

    def stop(self) -> int:
        """End it as Kubernetes does; gives the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """Start `python -m ...`; ended with the test."""
    programs: list[Program] = []

    def start(
        *arguments: str, port: int, cwd: Path | None = None, metrics_port: int = 0, **environment: str
    ) -> Program:
        log = tmp_path / f"{len(programs)}.txt"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                stdout=stream,
                stderr=stream,
                cwd=cwd or tmp_path,
                env={
                    **os.environ,
                    "SELDON_BIND_ADDRESS": "127.0.0.1",
                    "SELDON_PODINFO_PATH": "/nowhere",
                    **environment,
                },
            )
        program = Program(process, port, log, metrics_port)
        programs.append(program)
        return program

    yield start
    for program in programs:
        if program.process.poll() is None:
            program.process.kill()
        program.process.wait(10)


@pytest.fixture
def launch_node(launch: Callable[..., Program], tmp_path: Path) -> Callable[..., Program]:
    """Start a node for a class that is written to `Mine.py`, or for one by its name."""

    def start(source: str = "", interface: str = "Mine", *, wait: bool = True, **environment: str) -> Program:
        if source:
            (tmp_path / "Mine.py").write_text(source)
        port, metrics_port, grpc_port = free_port(), free_port(), free_port()
        ports = {
            "PREDICTIVE_UNIT_HTTP_SERVICE_PORT": str(port),
            "PREDICTIVE_UNIT_METRICS_SERVICE_PORT": str(metrics_port),
            "PREDICTIVE_UNIT_GRPC_SERVICE_PORT": str(grpc_port),
        }
        given = {"PREDICTIVE_UNIT_ID": "mine", **ports, **environment}
        program = launch("orchestrator.node", interface, port=port, metrics_port=metrics_port, **given)
        program.grpc_port = grpc_port
        if wait:
            program.wait_ready("/health/ping")
        return program

    return start
