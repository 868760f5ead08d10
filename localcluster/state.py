"""What a local cluster leaves on disk about itself, so that `status` and `down` work from any process."""

import fcntl
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

STATE, LOCK, PORTS = "cluster.json", "cluster.lock", "ports.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where everything of a cluster is found."""

    data_dir: str
    kubeconfig: str
    api_url: str
    gateway_url: str
    gateway_admin_url: str
    prometheus_url: str
    hosts_file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The content of `cluster.json`. `phase` is Starting, Ready or Stopping."""

    id: str
    pid: int
    phase: str
    addresses: Addresses
    ports: dict[str, int] = field(default_factory=dict)
    programs: dict[str, str] = field(default_factory=dict)
    """The URL that says whether it is ready, by name; empty for one without."""


def read(data_dir: Path) -> State | None:
    """The state on disk; None if there is none that can be read."""
    try:
        held: dict[str, Any] = orjson.loads((data_dir / STATE).read_bytes())
        return State(**{**held, "addresses": Addresses(**held["addresses"])})
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError):
        return None


def write(data_dir: Path, state: State) -> None:
    """Replace the state on disk."""
    _replace(data_dir / STATE, asdict(state))


def read_ports(data_dir: Path) -> dict[str, int]:
    """The ports of the last cluster that kept its data in this folder; empty if there was none."""
    try:
        held = orjson.loads((data_dir / PORTS).read_bytes())
        return {str(name): int(port) for name, port in held.items()}
    except (OSError, orjson.JSONDecodeError, AttributeError, TypeError, ValueError):
        return {}


def write_ports(data_dir: Path, ports: dict[str, int]) -> None:
    """Remember the ports, so that a kubeconfig in use stays right over a restart."""
    _replace(data_dir / PORTS, ports)


def _replace(path: Path, content: dict[str, Any]) -> None:
    temporary = path.with_suffix(".new")
    temporary.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2))
    temporary.replace(path)


class DataDirLock:
    """Held by the supervisor for as long as it lives; the kernel lets go of it whatever way it ends."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / LOCK
        self._descriptor: int | None = None

    def take(self) -> bool:
        """Take the lock; False if another process has it."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Let go of the lock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def runs(data_dir: Path) -> bool:
    """Whether a supervisor works on this folder now."""
    if not (data_dir / LOCK).exists():
        return False
    lock = DataDirLock(data_dir)
    free = lock.take()
    lock.release()
    return not free
