"""The mesh's shell: watch the cluster, render, write Envoy's files, and report on each VirtualService."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import orjson

from localcluster.client import ApiClient
from localcluster.mesh.addresses import OCTETS, octet_of
from localcluster.mesh.admin import Admin
from localcluster.mesh.bootstrap import bootstrap
from localcluster.mesh.envoy import envoy_program, refusal
from localcluster.mesh.errors import RouteError
from localcluster.mesh.names import GATEWAY_ROUTES
from localcluster.mesh.objects import Key, Object, Snapshot, key_of, snapshot
from localcluster.mesh.render import History, Rejection, Rendered, Settings, render
from localcluster.mesh.routes import routed
from localcluster.mesh.status import Report, status
from localcluster.mesh.xds import Applied, Files
from localcluster.objects import ApiError, NotFoundError
from localcluster.reflector import Reflector
from localcluster.supervise import ProgramError, Supervised

ISTIO = "networking.istio.io/v1"
RETRY_SECONDS = 0.5
RETRY_REFUSED_SECONDS = 5.0
TOGETHER_SECONDS = 0.005
"""Each kind has a watch of its own: a route may be heard of before the endpoints that its writer had seen."""
ATTEMPTS = 3
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where the mesh keeps its files and listens."""

    data_dir: Path
    gateway_port: int
    admin_port: int
    envoy: str = ""
    octet: int = OCTETS.start

    @property
    def hosts_file(self) -> Path:
        """The hosts(5) file of the cluster's names."""
        return self.data_dir / "hosts"

    @property
    def addresses_file(self) -> Path:
        """Which address each Service got, kept over restarts."""
        return self.data_dir / "addresses.json"


@dataclass(slots=True)
class _Memory:
    accepted: dict[Key, Object] = field(default_factory=dict)
    rejected: dict[Key, Rejection] = field(default_factory=dict)
    addresses: dict[Key, str] = field(default_factory=dict)

    def history(self) -> History:
        return History(accepted=self.accepted, rejected=self.rejected, addresses=self.addresses)


class Mesh:
    """One Envoy made to follow one cluster. `run()` works until it is cancelled."""

    def __init__(self, client: ApiClient, places: Places) -> None:
        self._client, self._places = client, places
        self._admin = Admin(places.admin_port)
        self._files = Files(places.data_dir / "envoy", self._admin)
        self._settings = Settings(
            gateway_port=places.gateway_port,
            octet=places.octet,
            routes_dir=str(self._files.routes),
            endpoints_dir=str(self._files.endpoints),
        )
        self._memory = _Memory(addresses=_recorded(places.addresses_file))
        self._changed = asyncio.Event()
        self._reports: dict[Key, Report] = {}
        self._reported = asyncio.Event()
        self._warned: set[str] = set()
        self._complained = ""
        config = places.data_dir / "envoy" / "bootstrap.json"
        _replace(
            config,
            orjson.dumps(
                bootstrap(
                    admin_port=places.admin_port,
                    listeners_file=str(self._files.listeners_file),
                    clusters_file=str(self._files.clusters_file),
                )
            ),
        )
        program = envoy_program(places.envoy, config, admin_port=places.admin_port)
        self.envoy = Supervised(program, places.data_dir / "envoy.log")
        self._watched = {
            name: Reflector(client, version, plural, optional=optional, on_change=self._noticed)
            for name, version, plural, optional in (
                ("services", "v1", "services", False),
                ("slices", "discovery.k8s.io/v1", "endpointslices", False),
                ("pods", "v1", "pods", False),
                ("virtual_services", ISTIO, "virtualservices", True),
                ("destination_rules", ISTIO, "destinationrules", True),
                ("gateways", ISTIO, "gateways", True),
            )
        }

    async def run(self) -> None:
        """Start Envoy with what the cluster says, and follow it from there."""
        try:
            await asyncio.gather(*(each.start().synced() for each in self._watched.values()))
            await self._begin()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._follow())
                tasks.create_task(self._report())
        finally:
            await asyncio.gather(*(each.stop() for each in self._watched.values()))
            await self.envoy.stop()
            await self._admin.close()

    async def _begin(self) -> None:
        self._changed.clear()
        seen = self._snapshot()
        await self._vet(seen, seen.virtual_services)
        wanted = render(seen, self._settings, self._memory.history())
        self._files.write_all(wanted)
        await self.envoy.start()
        await self.envoy.ready()
        bound = await self._admin.listeners()
        if "gateway" not in bound:
            raise ProgramError(f"Envoy cannot listen at 127.0.0.1:{self._places.gateway_port}{self.envoy.tail(5)}")
        self._accept(wanted)
        if wanted.listeners.keys() - bound:
            self._complain(Applied(refused=frozenset({"listeners"})))

    async def _follow(self) -> None:
        while True:
            due = self._files.next_removal
            with contextlib.suppress(TimeoutError):
                wait = None if due is None else max(0.01, due - asyncio.get_running_loop().time())
                await asyncio.wait_for(self._changed.wait(), wait)
                await asyncio.sleep(TOGETHER_SECONDS)
            self._changed.clear()
            try:
                await self._once()
            except OSError:
                log.exception("cannot write Envoy's files; trying again")
                self._again()

    async def _once(self) -> None:
        for _ in range(ATTEMPTS):
            seen = self._snapshot()
            wanted = render(seen, self._settings, self._memory.history())
            answer = await self._files.apply(wanted)
            self._complain(answer)
            if not answer.refused - {"clusters", "listeners"}:
                if GATEWAY_ROUTES not in answer.silent:
                    self._accept(wanted)
                return
            await self._quarantine(seen, wanted)
        log.error("Envoy keeps refusing routes%s", self.envoy.tail(5))

    def _accept(self, wanted: Rendered) -> None:
        memory = self._memory
        memory.accepted = dict(wanted.in_effect)
        memory.rejected = {key: value for key, value in memory.rejected.items() if key in wanted.reports}
        if memory.addresses != wanted.addresses or not self._places.addresses_file.exists():
            memory.addresses = dict(wanted.addresses)
            content = {"/".join(key): address for key, address in sorted(memory.addresses.items())}
            _replace(self._places.addresses_file, orjson.dumps(content, option=orjson.OPT_INDENT_2))
        _replace(self._places.hosts_file, wanted.hosts.encode())
        for warning in wanted.warnings:
            if warning not in self._warned:
                self._warned.add(warning)
                log.warning("%s", warning)
        self._reports = dict(wanted.reports)
        self._reported.set()

    async def _quarantine(self, seen: Snapshot, wanted: Rendered) -> None:
        """Find out which of the new VirtualServices Envoy refuses; if none by itself, take all that are new."""
        accepted = self._memory.accepted
        suspects = [obj for key, obj in wanted.in_effect.items() if accepted.get(key) != obj]
        if not await self._vet(seen, suspects):
            for obj in suspects:
                self._reject(obj, "Envoy refuses its routes beside those of other VirtualServices")

    async def _vet(self, seen: Snapshot, suspects: list[Object] | tuple[Object, ...]) -> bool:
        """Ask Envoy about each VirtualService that is new to us. Returns whether it refused any."""
        routes = {key_of(obj): self._routes(obj, seen) for obj in suspects}
        together = [route for each in routes.values() for route in each]
        if not together or not await refusal(self._places.envoy, together):
            return False
        found = False
        for obj in suspects:
            reason = await refusal(self._places.envoy, routes[key_of(obj)])
            if reason:
                self._reject(obj, f"Envoy refuses it: {reason}")
                found = True
        return found

    def _reject(self, obj: Object, message: str) -> None:
        log.warning("VirtualService %s: %s", "/".join(key_of(obj)), message)
        self._memory.rejected[key_of(obj)] = Rejection(int(obj["metadata"].get("generation") or 0), message)

    @staticmethod
    def _routes(obj: Object, seen: Snapshot) -> list[Mapping[str, object]]:
        try:
            return [route.envoy for route in routed(obj, seen).routes]
        except (RouteError, TypeError, ValueError, AttributeError, KeyError):
            return []

    def _complain(self, answer: Applied) -> None:
        """Try again later what Envoy refused or did not answer for: a port that is taken may become free."""
        names = {*answer.silent, *(answer.refused & {"clusters", "listeners"})}
        if not names:
            return
        said = f"Envoy did not take: {', '.join(sorted(names))}{self.envoy.tail(2)}"
        log.log(logging.WARNING if said != self._complained else logging.DEBUG, "%s", said)
        self._complained = said
        self._files.forget(names)
        self._again(RETRY_SECONDS if answer.silent else RETRY_REFUSED_SECONDS)

    def _again(self, delay: float = RETRY_SECONDS) -> None:
        asyncio.get_running_loop().call_later(delay, self._changed.set)

    def _snapshot(self) -> Snapshot:
        return snapshot(**{name: list(each.objects.values()) for name, each in self._watched.items()})

    def _noticed(self, new: Object | None, old: Object | None) -> None:
        """A change that may alter routing: not a pod's or a VirtualService's mere status."""
        if new is None or old is None or _routing_part(new) != _routing_part(old):
            self._changed.set()

    async def _report(self) -> None:
        while True:
            await self._reported.wait()
            self._reported.clear()
            for key, report in list(self._reports.items()):
                await self._write_status(key, report)

    async def _write_status(self, key: Key, report: Report) -> None:
        held = self._watched["virtual_services"].objects.get(key)
        if held is None or int(held["metadata"].get("generation") or 0) < report.generation:
            return
        wanted = status(report, held.get("status"), datetime.now(UTC))
        if wanted is None:
            return
        try:
            written = await self._client.patch(
                ISTIO, "virtualservices", key[1], {"status": wanted}, namespace=key[0], sub="status"
            )
        except NotFoundError:
            return
        except ApiError as error:
            log.warning("cannot write the status of VirtualService %s: %s", "/".join(key), error)
            asyncio.get_running_loop().call_later(RETRY_SECONDS, self._reported.set)
            return
        self._watched["virtual_services"].observe(written)


def _routing_part(obj: Object) -> object:
    metadata = obj["metadata"]
    if obj.get("kind") == "EndpointSlice":
        return (metadata.get("labels"), obj.get("endpoints"), obj.get("ports"))
    labels = metadata.get("labels") if obj.get("kind") == "Pod" else None
    spec = None if obj.get("kind") == "Pod" else obj.get("spec")
    return (metadata.get("uid"), metadata.get("generation"), labels, spec)


def claim_octet(addresses_file: Path) -> tuple[int, socket.socket]:
    """A network for our Services that no other mesh on this machine has; the one of the last time if it is free.

    The claim is the socket's: it ends when the socket is closed, or with the process. Raises OSError if none is free.
    """
    first = octet_of(_recorded(addresses_file))
    for octet in (first, *(each for each in OCTETS if each != first)):
        holder = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            holder.bind(f"\0seldon-rollouts-127.{octet}")
        except OSError:
            holder.close()
        else:
            return octet, holder
    raise OSError(f"127.{OCTETS.start}.0.0/16 to 127.{OCTETS.stop - 1}.0.0/16 are all used by other local clusters")


def _recorded(path: Path) -> dict[Key, str]:
    try:
        held = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    return {(key.partition("/")[0], key.partition("/")[2]): address for key, address in held.items()}


def _replace(path: Path, content: bytes) -> None:
    if path.exists() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".new")
    temporary.write_bytes(content)
    temporary.replace(path)
