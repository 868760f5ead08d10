"""One pass for one rollout: observe, decide, act, write the status; and the judge's tick for all of them."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

from analysis.measure import Measurer
from analysis.monitor import Monitor
from analysis.sightings import Sightings
from analysis.spec import Comparison
from analysis.verdict import Judgement
from controller import clock
from controller.api.meta import FINALIZER
from controller.api.rollout import RolloutStatus
from controller.kube import resources
from controller.kube.cluster import Cluster
from controller.kube.errors import ApiError, ForbiddenError, InvalidError, NotFoundError
from controller.kube.watches import Watch
from controller.queue import Key
from controller.rollout import ejection, freshness, gate, judging, seen
from controller.rollout.act import act
from controller.rollout.actions import Announcement, HoldRollout
from controller.rollout.counted import Counted
from controller.rollout.decide import decide
from controller.rollout.endings import USUAL, endings
from controller.rollout.evidence import Evidence
from controller.rollout.gauges import Gauges
from controller.rollout.neighbours import Neighbours
from controller.rollout.observe import dependencies, group_labels, key_of_owned, observe
from controller.rollout.observed import Answer, Observed, RoutingDefaults, TrafficWindow
from controller.rollout.parsed import Readings
from controller.rollout.provider import provider
from controller.rollout.refusals import refused
from controller.rollout.revisions import Ports
from controller.rollout.rivals import Rivals
from controller.rollout.uses import Uses
from controller.rollout.webhooks import Webhooks
from controller.rollout.written import Written
from controller.settings import Settings

log = logging.getLogger("seldon_rollouts.rollout")

LOOKS = 8
"""Times in a tick that the gateway is looked at while a rollout waits to see its weight there."""


def _refuses(error: ApiError) -> bool:
    """Say whether the server answered no, rather than not now: that is not over by itself in a moment."""
    return isinstance(error, ForbiddenError | InvalidError | NotFoundError) or error.status == 500


def _key(obj: dict[str, Any]) -> list[Key]:
    return [(obj["metadata"]["namespace"], obj["metadata"]["name"])]


def _named_keys(obj: dict[str, Any]) -> list[Key]:
    """An object concerns the rollout of its name, whosever it is: it may stand in the way."""
    return [*_key(obj), *key_of_owned(obj)]


class RolloutController:
    """Moves traffic from stable to canary, step by step, as decided."""

    name = "rollout"

    def __init__(self, cluster: Cluster, settings: Settings) -> None:
        self._cluster = cluster
        self._tick, self._settle = settings.tick, settings.settle
        ports = Ports(
            engine_http=settings.executor_http_port,
            engine_grpc=settings.executor_grpc_port,
            node_http=settings.first_http_port,
            node_grpc=settings.first_grpc_port,
        )
        self._defaults = RoutingDefaults(
            gateways=(settings.istio_gateway,), ports=ports, root_namespace=settings.istio_root_namespace
        )
        self._metrics = cluster.client.metrics
        self._monitor: Monitor | None = None
        self._sightings: Sightings | None = None
        if settings.prometheus_url:
            self._monitor, self._sightings = self._judge(settings)
        for pair in USUAL:
            self._metrics.rollout_seconds.labels(*pair)
        self._tracked: dict[Key, Comparison] = {}
        self._neighbours = Neighbours()
        self._readings = Readings()
        self._named = Uses()
        """Of templates: those that are missing too, as a rollout was last looked at."""
        self.collectors = (Gauges(self._led), Evidence(self._judged))
        """Where rollouts stand and what the judge knows of them, as metrics."""
        self._webhooks = Webhooks(clock.now)
        self._written_by = Uses()
        self._ejecting = ejection.Ejecting()
        self._written = Written()
        self._rivals = Rivals()
        self._requeue: Callable[[Key], None] = lambda _key: None
        self.watches = (
            Watch(resources.SELDON_ROLLOUT, self._rollout_keys),
            Watch(resources.SELDON_ROLLOUT, self._neighbours.mates, part=seen.face),
            Watch(resources.SELDON_DEPLOYMENT, _named_keys),
            Watch(resources.CONTROLLER_REVISION, key_of_owned, labels="rollouts.seldon.io/rollout"),
            Watch(resources.DEPLOYMENT, self._deployment_keys, indexed=("seldon-deployment-id",)),
            Watch(resources.VIRTUAL_SERVICE, self._route_keys, optional=True),
            Watch(resources.DESTINATION_RULE, self._rule_keys, optional=True),
            Watch(resources.ANALYSIS_RUN, key_of_owned, optional=True),
            Watch(resources.ANALYSIS_TEMPLATE, self._template_keys, optional=True),
            Watch(resources.CLUSTER_ANALYSIS_TEMPLATE, self._template_keys, optional=True),
        )

    def _rollout_keys(self, obj: dict[str, Any]) -> list[Key]:
        """A rollout concerns itself, and those that depend on it."""
        return [*_key(obj), *self._neighbours.dependents(obj)]

    def _route_keys(self, obj: dict[str, Any]) -> list[Key]:
        """A VirtualService also concerns the rollouts that write into it."""
        return [*_named_keys(obj), *self._written_by.users(_key(obj)[0])]

    def _rule_keys(self, obj: dict[str, Any]) -> list[Key]:
        """One that takes failing pods out may concern whatever is compared now; a child's own concerns its rollout."""
        return sorted({*(self._tracked if self._ejecting.note(obj) else ()), *self._deployment_keys(obj)})

    def _rules(self, obs: Observed) -> tuple[dict[str, Any], ...]:
        """Return the DestinationRules that may be in effect for a rollout, where any takes failing pods out."""
        where = ejection.namespaces(obs)
        if obs.status.canary_revision is None or not self._ejecting.any(where):
            return ()
        return tuple(rule for each in where for rule in self._cluster.list(resources.DESTINATION_RULE, each))

    def _deployment_keys(self, obj: dict[str, Any]) -> list[Key]:
        """A Deployment or another object of a child concerns the child's rollout."""
        child_name = (obj["metadata"].get("labels") or {}).get("seldon-deployment-id")
        if not child_name:
            return []
        child = self._cluster.get(resources.SELDON_DEPLOYMENT, obj["metadata"]["namespace"], child_name)
        return key_of_owned(child) if child else []

    def _template_keys(self, obj: dict[str, Any]) -> list[Key]:
        """A template concerns the rollouts that name it, or that name one that does."""
        return self._named.users((obj["metadata"].get("namespace") or "", obj["metadata"]["name"]))

    def _judge(self, settings: Settings) -> tuple[Monitor, Sightings]:
        source = provider(settings)
        measurer = Measurer(Counted(source, self._metrics.prometheus_seconds))
        monitor = Monitor(measurer, step=settings.tick, settle=settings.settle, lag=lambda: source.lag)
        return monitor, Sightings(measurer)

    def _led(self) -> list[dict[str, Any]]:
        """Return all rollouts while this process leads: whoever leads tells of them, and nobody beside."""
        return self._cluster.list(resources.SELDON_ROLLOUT) if self._cluster.fence() else []

    def _judged(self) -> Iterator[tuple[Key, Judgement]]:
        for key in sorted(self._tracked) if self._cluster.fence() else ():
            judgement = self._monitor.judgement(key) if self._monitor else None
            if judgement is not None:
                yield key, judgement

    def start(self, requeue: Callable[[Key], None]) -> None:
        """Take the function that wakes a rollout."""
        self._requeue = requeue

    async def run(self) -> None:
        """Read all running comparisons once a tick, wake the rollouts whose judgement changed, and ask for gates."""
        async with asyncio.TaskGroup() as work:
            work.create_task(self._webhooks.run())
            if self._monitor is None:
                log.warning("no Prometheus: rollouts cannot be judged and wait for a person; give --prometheus-url")
            else:
                work.create_task(self._ticks(self._monitor))
            if self._sightings is not None:
                work.create_task(self._looks(self._sightings))

    async def _ticks(self, monitor: Monitor) -> None:
        while True:
            await asyncio.sleep(judging.until_next(clock.now(), step=self._tick, settle=self._settle).total_seconds())
            with self._metrics.tick_seconds.time():
                changed = await monitor.tick(clock.now())
            for key in sorted(changed):
                self._requeue(key)

    async def _looks(self, sightings: Sightings) -> None:
        """While a rollout waits to see its weight, look at the gateway's counters more often than the judge does."""
        while True:
            await sightings.wanted()
            for key in sorted(await sightings.look(clock.now())):
                self._requeue(key)
            await asyncio.sleep(self._tick.total_seconds() / LOOKS)

    def _traffic(self, key: Key) -> TrafficWindow | None:
        counted = self._monitor.traffic(key) if self._monitor else None
        seen = self._sightings.traffic(key) if self._sightings else None
        return judging.window(counted, seen, self._tracked.get(key))

    async def reconcile(self, key: Key) -> timedelta | None:
        """Make one rollout's objects what they should be; return when to look again.

        Raises:
            ApiError: a write failed; nothing after it was done, and the next pass goes on from there.
        """
        rollout = self._cluster.get(resources.SELDON_ROLLOUT, *key)
        depends_on, group = (dependencies(rollout), group_labels(rollout)) if rollout is not None else ((), None)
        self._neighbours.note(key, depends_on=depends_on, group=group)
        if rollout is None or "deletionTimestamp" in rollout["metadata"]:
            self._track(key, None)
            self._webhooks.forget(key)
            self._named.note(key)
            if rollout is None or FINALIZER not in (rollout["metadata"].get("finalizers") or ()):
                self._written_by.note(key)
                self._written.forget(key)
                self._rivals.forget(key)
                return None
        obs = observe(
            self._cluster,
            rollout,
            analysis=judging.opinion(self._monitor.judgement(key), self._tracked.get(key)) if self._monitor else None,
            traffic=self._traffic(key),
            defaults=self._defaults,
            readings=self._readings,
        )
        own = obs.routing.virtual_service
        self._written_by.note(key, [(key[0], own.name)] if own is not None else ())
        self._named.note(key, (("" if each.cluster_scope else key[0], each.template_name) for each in obs.templates))
        obs = replace(obs, answer=self._answer(key, obs), rules=self._rules(obs))
        obs = self._written.told(key, replace(obs, prometheus=self._monitor is not None))
        now = clock.now()
        decision = decide(obs, now=now)
        try:
            await freshness.check(self._cluster, obs, decision.actions)
            await act(self._cluster, self._written, obs.namespace, obs.name, decision.actions)
        except ApiError as error:
            if not _refuses(error) or obs.deleting is not None:
                raise
            said = f"{error.about or 'a write'} is refused: {error.message}"
            await self._finish(rollout, obs, *refused(obs, decision, said, now=now))
            raise
        if any(isinstance(each, HoldRollout) for each in decision.actions):
            return decision.requeue_after  # the rollout is newer than what was decided on, or gone
        wait = await self._finish(rollout, obs, decision.status, decision.announcements)
        return min(filter(None, (wait, decision.requeue_after)), default=decision.requeue_after)

    async def _finish(
        self, rollout: dict[str, Any], obs: Observed, status: RolloutStatus, announcements: tuple[Announcement, ...]
    ) -> timedelta:
        """Write the status, and then say what it tells; return after how long to try again where another leader did."""
        key = (obs.namespace, obs.name)
        wait = await self._write(rollout, status)
        for ended in endings(obs.status, status):
            self._metrics.rollout_seconds.labels(ended.outcome, ended.reason).observe(ended.took.total_seconds())
        if obs.deleting is not None:
            return wait
        self._track(key, judging.comparison(obs, status))
        self._expect(key, status)
        for said in announcements:
            log.info("rollout=%s/%s event=%s message=%r", *key, said.reason, said.message)
            await self._cluster.event(rollout, type=said.type, reason=said.reason, message=said.message)
        return wait

    def _answer(self, key: Key, obs: Observed) -> Answer | None:
        """Ask what the gate that the rollout stands at wants to know; return what is known of it."""
        found = gate.current(obs, obs.status)
        interval = found.webhook.interval if found is not None and found.webhook is not None else timedelta()
        return self._webhooks.answer(key, gate.question(obs, obs.status), interval, self._requeue)

    async def _write(self, rollout: dict[str, Any], status: RolloutStatus) -> timedelta:
        fresh = status.model_dump(by_alias=True, mode="json", exclude_none=True)
        meta, live = rollout["metadata"], rollout.get("status") or {}
        key, now = (meta["namespace"], meta["name"]), clock.now()
        if fresh == live:
            return timedelta()
        wait = self._rivals.wait(key, live, fresh, now=now)
        if not wait:
            version = meta["resourceVersion"]
            await self._cluster.patch_status(resources.SELDON_ROLLOUT, *key, fresh, resource_version=version)
            self._rivals.wrote(key, fresh, now=now)
        return wait

    def _expect(self, key: Key, status: RolloutStatus) -> None:
        """Have the gateway looked at while a rollout waits to see its weight there."""
        compared = self._tracked.get(key)
        if self._sightings is None or compared is None:
            return
        if judging.awaits_share(status):
            self._sightings.expect(compared, at=clock.now())
        else:
            self._sightings.enough(compared)

    def _track(self, key: Key, wanted: Comparison | None) -> None:
        if self._monitor is None or self._tracked.get(key) == wanted:
            return
        if wanted is None:
            self._monitor.untrack(key)
            self._tracked.pop(key, None)
            if self._sightings is not None:
                self._sightings.forget(key)
        else:
            self._monitor.track(wanted)
            self._tracked[key] = wanted
