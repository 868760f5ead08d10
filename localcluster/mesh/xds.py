"""The files that Envoy watches: written whole, renamed into place, in an order in which no request meets a hole.

Endpoints first, then clusters (new ones beside old ones), then routes, then listeners; clusters that nothing uses any
more go last, after a delay. After each step Envoy's statistics say whether it took the file. Envoy reacts to a rename
only, and a file for endpoints or routes holds exactly one resource: what it reads from files is checked for that.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from localcluster.mesh.admin import Admin, AdminError, Subscription
from localcluster.mesh.names import GATEWAY_ROUTES, file_name
from localcluster.mesh.render import Rendered

ACCEPT_SECONDS = 5.0
POLL_SECONDS = 0.002
KEEP_UNUSED_SECONDS = 5.0
CLUSTERS, LISTENERS = "cluster_manager.cds", "listener_manager.lds"
Resources = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Applied:
    """What Envoy said: the files that it refused (`gateway`, `clusters`, ...), and those it did not answer for."""

    refused: frozenset[str] = frozenset()
    silent: frozenset[str] = frozenset()


class Files:
    """Envoy's configuration folder. One writer; `write` is the only thing that changes it."""

    def __init__(self, folder: Path, admin: Admin, *, now: Callable[[], float] = time.monotonic) -> None:
        self.folder = folder
        self.routes, self.endpoints = folder / "routes", folder / "endpoints"
        self.listeners_file, self.clusters_file = folder / "listeners.json", folder / "clusters.json"
        for each in (folder, self.routes, self.endpoints):
            each.mkdir(parents=True, exist_ok=True)
        self._admin, self._now = admin, now
        self._version = time.time_ns() // 1_000_000
        self._written: dict[Path, bytes] = {}
        self._clusters: dict[str, Mapping[str, Any]] = {}
        self._listeners: dict[str, Mapping[str, Any]] = {}
        self._unused: dict[str, float] = {}
        self._seen: dict[str, Subscription] = {}
        """By statistics prefix: as Envoy answered for the last file. Nothing but a file of ours changes it."""

    @property
    def next_removal(self) -> float | None:
        """When (by the clock given) an unused cluster may go; None if there is none."""
        return min(self._unused.values(), default=None)

    def write_all(self, wanted: Rendered) -> None:
        """Write everything without asking Envoy: before it runs."""
        self._endpoints(wanted.endpoints)
        for name, table in wanted.routes.items():
            self._put(self.routes / file_name(name), [table])
        self._clusters, self._listeners = dict(wanted.clusters), dict(wanted.listeners)
        self._put(self.clusters_file, list(wanted.clusters.values()))
        self._put(self.listeners_file, list(wanted.listeners.values()))
        self._sweep(wanted)

    async def apply(self, wanted: Rendered) -> Applied:
        """Bring a running Envoy to `wanted`. What a refused file is about stays as it was; later steps still run."""
        self._endpoints(wanted.endpoints)
        refused: set[str] = set()
        silent: set[str] = set()

        def note(name: str, answer: bool | None) -> None:
            if answer is False:
                refused.add(name)
            elif answer is None:
                silent.add(name)

        note("clusters", await self._grow(wanted.clusters))
        for name, answer in (await self._route(wanted)).items():
            note(name, answer)
        await self._shrink(wanted)
        return Applied(frozenset(refused), frozenset(silent))

    def _endpoints(self, endpoints: Resources) -> None:
        for name, assignment in endpoints.items():
            self._put(self.endpoints / file_name(name), [assignment])

    async def _grow(self, clusters: Resources) -> bool | None:
        """Add new clusters and change changed ones; keep the others for now."""
        now = self._now()
        for name in self._clusters.keys() - clusters.keys():
            self._unused.setdefault(name, now + KEEP_UNUSED_SECONDS)
        for name in clusters:
            self._unused.pop(name, None)
        together = {**self._clusters, **clusters}
        if together == self._clusters:
            return True
        before = await self._before([CLUSTERS])
        self._clusters = together
        version = self._put(self.clusters_file, list(together.values()))
        answers = await self._answers({CLUSTERS: version}, before)
        await self._warmed()
        return answers[CLUSTERS]

    async def _route(self, wanted: Rendered) -> dict[str, bool | None]:
        tables = {
            name: table
            for name, table in wanted.routes.items()
            if self._differs(self.routes / file_name(name), [table])
        }
        prefixes = {name: _statistic(name) for name in tables}
        listeners = dict(wanted.listeners)
        new = listeners != self._listeners
        before = await self._before([*prefixes.values(), *([LISTENERS] if new else [])])
        versions = {prefixes[name]: self._put(self.routes / file_name(name), [table]) for name, table in tables.items()}
        if new:
            self._listeners = listeners
            versions[LISTENERS] = self._put(self.listeners_file, list(listeners.values()))
        answers = await self._answers(versions, before)
        found = {name: answers[prefix] for name, prefix in prefixes.items()}
        return found | ({"listeners": answers[LISTENERS]} if new else {})

    async def _shrink(self, wanted: Rendered) -> None:
        now = self._now()
        due = [name for name, at in self._unused.items() if at <= now]
        if due:
            for name in due:
                del self._unused[name]
                self._clusters.pop(name, None)
            self._put(self.clusters_file, list(self._clusters.values()))
            self._seen.pop(CLUSTERS, None)
        self._sweep(wanted)

    def _sweep(self, wanted: Rendered) -> None:
        """Remove files that no cluster and no listener refers to."""
        keep = {self.endpoints / file_name(name) for name in self._clusters}
        keep |= {self.routes / file_name(name) for name in wanted.routes}
        known = [path for path in self._written if path.parent in (self.routes, self.endpoints)]
        for path in known:
            if path not in keep:
                path.unlink(missing_ok=True)
                del self._written[path]

    def forget(self, names: Iterable[str]) -> None:
        """Write these files again at the next `apply`, though their content may be the same."""
        for name in names:
            if name == "clusters":
                self._written.pop(self.clusters_file, None)
                self._clusters = {}
            elif name == "listeners":
                self._written.pop(self.listeners_file, None)
                self._listeners = {}
            else:
                self._written.pop(self.routes / file_name(name), None)

    async def _before(self, prefixes: list[str]) -> Mapping[str, Subscription]:
        """Return how subscriptions stand before a file is written; Envoy is asked about those that are not known."""
        unknown = [prefix for prefix in prefixes if prefix not in self._seen]
        return {**self._seen, **(await self._state(unknown) if unknown else {})}

    async def _state(self, prefixes: list[str]) -> Mapping[str, Subscription]:
        try:
            return await self._admin.subscriptions(prefixes)
        except AdminError:
            return {}

    async def _warmed(self) -> None:
        """Wait, within bounds, until no cluster is without its endpoints."""
        for _ in range(int(ACCEPT_SECONDS / POLL_SECONDS)):
            try:
                if not await self._admin.warming():
                    return
            except AdminError:
                return
            await asyncio.sleep(POLL_SECONDS)

    async def _answers(self, versions: Mapping[str, str], before: Mapping[str, Subscription]) -> dict[str, bool | None]:
        """For each statistics prefix: True when its version is in effect, False when refused, None for silence."""
        for prefix in versions:
            self._seen.pop(prefix, None)
        answers: dict[str, bool | None] = {}
        deadline = self._now() + ACCEPT_SECONDS
        while True:
            waiting = [prefix for prefix in versions if prefix not in answers]
            if not waiting or self._now() > deadline:
                return {prefix: answers.get(prefix) for prefix in versions}
            state = await self._state(waiting)
            for prefix in waiting:
                now, then = state.get(prefix, Subscription()), before.get(prefix, Subscription())
                if now.version == versions[prefix]:
                    answers[prefix] = True
                elif now.rejected > then.rejected:
                    answers[prefix] = False
                if prefix in answers:
                    self._seen[prefix] = now
            if len(answers) < len(versions):
                await asyncio.sleep(POLL_SECONDS)

    def _differs(self, path: Path, resources: list[Mapping[str, Any]]) -> bool:
        return self._written.get(path) != orjson.dumps(resources)

    def _put(self, path: Path, resources: list[Mapping[str, Any]]) -> str:
        """Write a file if its content is new. Returns the version that Envoy will report."""
        content = orjson.dumps(resources)
        if self._written.get(path) != content:
            self._version += 1
            document = b'{"version_info":"%d","resources":%s}' % (self._version, content)
            temporary = path.with_suffix(".new")
            temporary.write_bytes(document)
            temporary.replace(path)
            self._written[path] = content
        return str(self._version)


def _statistic(table: str) -> str:
    """The prefix of Envoy's statistics for a route table: by the listener's `stat_prefix`."""
    return f"http.{'gateway' if table == GATEWAY_ROUTES else 'service'}.rds.{table}"
