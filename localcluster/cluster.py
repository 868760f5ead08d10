"""The local cluster: an API server, the node, the mesh and Prometheus, each a supervised process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Self

from localcluster import components, people, realserver, state
from localcluster.client import ApiClient
from localcluster.furnish import furnish
from localcluster.objects import ApiError
from localcluster.ports import free_ports, is_free
from localcluster.programs import MissingProgramError, find_envoy, find_prometheus
from localcluster.state import Addresses, DataDirLock, State
from localcluster.supervise import Program, ProgramError, Supervised
from localcluster.sweep import MARK, sweep

log = logging.getLogger(__name__)

Extra = Callable[[Addresses], Iterable[Program]]
PORTS = ("api", "gateway", "gateway-admin", "prometheus", "etcd", "etcd-peer")
OURS = ("apiserver", "node", "mesh", "prometheus", "logs", "pods", "kubeconfig", people.FILE, state.STATE)
"""What a cluster without `keep_data` finds and leaves in its folder; nothing else is ever removed."""


class ClusterError(Exception):
    """The cluster cannot be started; the message carries the log lines that say why."""


def prepare(data_dir: Path) -> None:
    """Make the folder and look for what a cluster needs, before anything is started.

    Raises:
        ClusterError: the folder cannot be made, a cluster runs in it, or a program is not on this machine.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        running = state.runs(data_dir)
    except OSError as error:
        raise ClusterError(
            f"{data_dir}: no cluster can be kept there ({error.strerror}); name a folder that can be written"
        ) from error
    if running:
        raise _taken(data_dir)
    try:
        find_envoy()
        find_prometheus()
    except MissingProgramError as error:
        raise ClusterError(f"the local cluster did not start: {error}") from error


def _taken(data_dir: Path) -> ClusterError:
    return ClusterError(
        f"a local cluster runs in {data_dir}: `status` says where, `down` ends it; or name another folder"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a cluster is made. Ports of 0 are chosen; `crds` are files or folders of definitions to install."""

    crds: tuple[Path, ...] = ()
    roles: tuple[Path, ...] = ()
    """Files of ClusterRoles to install."""
    people: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Users beside the administrator, each with the ClusterRoles that they have everywhere."""
    extra: Extra | None = None
    api_server: Literal["embedded", "real"] = "embedded"
    api_port: int = 0
    gateway_port: int = 0
    prometheus_port: int = 0
    scrape_seconds: float = 1.0
    keep_data: bool = False
    node_arguments: tuple[str, ...] = ()
    """More flags of `python -m localcluster.node`: images, runtimes, where models and classes are."""


class LocalCluster:
    """A cluster in a folder. `await up()`, or `async with`; `addresses` says where everything is as soon as it is made.

    `extra` names further programs, given the addresses: they start last and end first. Programs that die are started
    again. However this process ends, nothing that it started goes on.
    """

    def __init__(self, data_dir: Path | str, options: Options | None = None) -> None:
        self.data_dir = Path(data_dir).absolute()
        self.options = options or Options()
        self.id = secrets.token_hex(8)
        self._lock = DataDirLock(self.data_dir)
        self._ports = self._choose_ports()
        self._running: list[Supervised] = []
        self.addresses = components.addresses(self.data_dir, self._ports)

    async def __aenter__(self) -> Self:
        await self.up()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.down()

    async def up(self) -> None:
        """Start everything and return when all of it is ready. Raises ClusterError, having ended what it started."""
        prepare(self.data_dir)
        if not self._lock.take():
            raise _taken(self.data_dir)
        previous = state.read(self.data_dir)
        if previous is not None:
            await sweep(previous.id)
        if not self.options.keep_data:
            self._clear()
        try:
            people.write(self.data_dir / people.FILE, self.options.people)
            self._write_state("Starting")
            await self._start_all()
            self._write_state("Ready")
        except (ProgramError, ApiError, TimeoutError, OSError) as error:
            logs = "" if isinstance(error, ProgramError) else "".join(each.tail(5) for each in self._running)
            await self.down()
            raise ClusterError(f"the local cluster did not start: {self._cause(f'{error}{logs}')}") from error
        except BaseException:
            await self.down()
            raise

    async def down(self) -> None:
        """End everything, the last started first; without `keep_data` remove its files."""
        with contextlib.suppress(OSError):
            self._write_state("Stopping")
        extras = [each for each in self._running if each.program.name not in OURS and each.program.name != "etcd"]
        await asyncio.gather(*(each.stop() for each in extras))
        await asyncio.gather(*(self._stop(name) for name in ("node", "mesh", "prometheus")))
        await self._stop("apiserver")
        await self._stop("etcd")
        self._running.clear()
        left = await sweep(self.id)
        if left:
            log.error("processes %s could not be ended", left)
        if self.options.keep_data:
            (self.data_dir / state.STATE).unlink(missing_ok=True)
        else:
            self._clear()
        self._lock.release()

    @property
    def tokens(self) -> Mapping[str, str]:
        """The bearer tokens of `Options.people`, once the cluster is up."""
        return people.read(self.data_dir / people.FILE)

    @property
    def programs(self) -> dict[str, Supervised]:
        """The supervised programs by name."""
        return {each.program.name: each for each in self._running}

    async def _start_all(self) -> None:
        await self._start(self._api_server())
        async with ApiClient.from_kubeconfig(self.addresses.kubeconfig) as client:
            await furnish(client, self.options.crds, roles=self.options.roles, people=self.options.people)
        at = self.addresses
        scrape = self.options.scrape_seconds
        node = components.node(at, collect_garbage=self._real, arguments=self.options.node_arguments)
        await self._start([node, components.mesh(at), components.prometheus(at, scrape_seconds=scrape)], together=True)
        more = self.options.extra
        if more is not None:
            await self._start(list(more(at)), together=True)

    async def _start(self, programs: list[Program], *, together: bool = False) -> None:
        started = []
        for program in programs:
            marked = replace(program, env={**program.env, MARK: self.id})
            one = Supervised(marked, self.data_dir / "logs" / f"{program.name}.log")
            self._running.append(one)
            await one.start()
            started.append(one)
            if not together:
                await one.ready()
        await asyncio.gather(*(one.ready() for one in started))

    async def _stop(self, name: str) -> None:
        one = self.programs.get(name)
        if one is not None:
            await one.stop()

    @property
    def _real(self) -> bool:
        return self.options.api_server == "real"

    def _api_server(self) -> list[Program]:
        if not self._real:
            return [components.api_server(self.addresses, tokens=self.data_dir / people.FILE)]
        folder, port = self.data_dir / "apiserver", self._ports["api"]
        found = realserver.programs(
            folder,
            port=port,
            etcd_port=self._ports["etcd"],
            etcd_peer_port=self._ports["etcd-peer"],
            tokens=self.data_dir / people.FILE,
        )
        realserver.write_kubeconfig(folder, port, Path(self.addresses.kubeconfig))
        return found

    def _choose_ports(self) -> dict[str, int]:
        """The ports asked for, else those of the last time in this folder (kept data), else free ones."""
        asked = {
            "api": self.options.api_port,
            "gateway": self.options.gateway_port,
            "prometheus": self.options.prometheus_port,
        }
        before = state.read_ports(self.data_dir) if self.options.keep_data else {}
        again = {name: port for name, port in before.items() if is_free(port)}
        return free_ports(PORTS, again | {name: port for name, port in asked.items() if port})

    def _cause(self, text: str) -> str:
        """Return why it did not start; of a full disk whose it is and what to do, for what else is said is its echo."""
        if os.strerror(errno.ENOSPC) not in text:
            return text
        return f"there is no room left on the disk of {self.data_dir}; free some, or name another folder (--data-dir)"

    def _write_state(self, phase: str) -> None:
        programs = {each.program.name: each.program.ready_url for each in self._running}
        found = State(
            id=self.id, pid=os.getpid(), phase=phase, addresses=self.addresses, ports=self._ports, programs=programs
        )
        state.write(self.data_dir, found)
        if self.options.keep_data:
            state.write_ports(self.data_dir, self._ports)

    def _clear(self) -> None:
        for name in OURS:
            path = self.data_dir / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
