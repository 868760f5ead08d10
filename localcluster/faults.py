"""Faults for tests and demonstrations: kill, hold down or freeze a program of a running local cluster.

Works from any process of the same user, by the files that the supervisor keeps beside the logs. Names: `apiserver`,
`node`, `mesh`, `envoy`, `prometheus` (its runner), `prometheus-server`, and the caller's own (`controller`).
"""

import os
import signal
from pathlib import Path


class FaultError(Exception):
    """There is no such program in this cluster, or it does not run."""


class Faults:
    """What can be done to the programs of the cluster in a data folder."""

    def __init__(self, data_dir: Path) -> None:
        self._folders = (data_dir / "logs", data_dir / "mesh", data_dir / "prometheus")

    def names(self) -> list[str]:
        """The programs that have a process id on record."""
        return sorted(path.stem for folder in self._folders for path in folder.glob("*.pid"))

    def pid(self, name: str) -> int:
        """The process id of a program. Raises FaultError."""
        return int(self._file(name).read_text("utf-8"))

    def kill(self, name: str) -> int:
        """SIGKILL; the supervisor starts it again. Returns the process id that it had. Raises FaultError."""
        return self._send(name, signal.SIGKILL)

    def hold(self, name: str) -> None:
        """SIGKILL, and keep it down until `release`: its port refuses connections. Raises FaultError."""
        self._file(name).with_suffix(".hold").touch()
        self._send(name, signal.SIGKILL)

    def release(self, name: str) -> None:
        """Let a program that is held down start again. Raises FaultError."""
        self._file(name).with_suffix(".hold").unlink(missing_ok=True)

    def freeze(self, name: str) -> None:
        """SIGSTOP: its port takes connections and nobody answers. Raises FaultError."""
        self._send(name, signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """SIGCONT after `freeze`. Raises FaultError."""
        self._send(name, signal.SIGCONT)

    def cut_prometheus(self) -> None:
        """Take Prometheus away: queries are refused, nothing is scraped. Undo with `restore_prometheus`."""
        self.hold("prometheus-server")

    def restore_prometheus(self) -> None:
        """Give Prometheus back, with the samples that it had."""
        self.release("prometheus-server")

    def _file(self, name: str) -> Path:
        for folder in self._folders:
            path = folder / f"{name}.pid"
            if path.exists():
                return path
        raise FaultError(f"no program {name!r} in this cluster; it has {', '.join(self.names()) or 'none'}")

    def _send(self, name: str, number: signal.Signals) -> int:
        pid = self.pid(name)
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            raise FaultError(f"{name} (process {pid}) does not run") from None
        return pid
