"""One pass for one AnalysisRun: observe, decide, write the status, measure beside the passes."""

import asyncio
import base64
import binascii
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from analysis.providers.access import AccessError, access
from analysis.providers.asked.http import Http
from analysis.runs.arguments import Redactor
from analysis.runs.model import Measurement, Phase
from controller import clock
from controller.analysisruns import jobs
from controller.analysisruns.asking import Asker
from controller.analysisruns.decide import Decision, Observed, Taken, decide
from controller.analysisruns.plans import PlanError, Prepared, literal, prepared
from controller.analysisruns.room import Room
from controller.api.analysis import AnalysisRunSpec, AnalysisRunStatus, SecretKeyRef
from controller.api.faults import faults
from controller.beside import Beside
from controller.kube import resources
from controller.kube.cluster import Cluster
from controller.kube.errors import ApiError, ConflictError, NotFoundError
from controller.kube.watches import Watch
from controller.queue import Key
from controller.settings import Settings, SettingsError

log = logging.getLogger("seldon_rollouts.analysis")
_UNKNOWN = "secret"
"""What stands for a secret while only the shape of a run is looked at."""


class SecretError(Exception):
    """A secret cannot be read; the text names it, never what is in it."""


@dataclass(slots=True)
class _Work:
    """What is measured for one run, and what was measured and does not stand in its status yet."""

    uid: str
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    taken: list[Taken] = field(default_factory=list)


def _key(obj: dict[str, Any]) -> list[Key]:
    return [(obj["metadata"]["namespace"], obj["metadata"]["name"])]


def _owner_key(obj: dict[str, Any]) -> list[Key]:
    for owner in obj["metadata"].get("ownerReferences") or ():
        if owner.get("kind") == "AnalysisRun" and owner.get("controller"):
            return [(obj["metadata"]["namespace"], owner["name"])]
    return []


class AnalysisController:
    """Measures what AnalysisRuns ask for."""

    name = "analysis"

    def __init__(self, cluster: Cluster, settings: Settings, *, now: Callable[[], datetime] = clock.now) -> None:
        self._cluster, self._now = cluster, now
        try:
            door = access(settings.prometheus_access, settings.prometheus_token_file)
        except AccessError as error:
            raise SettingsError(str(error)) from None
        self._http = Http(now)
        self._asker = Asker(self._http, now, settings.prometheus_url, door)
        self._room = Room()
        self._work: dict[Key, _Work] = {}
        self._beside = Beside()
        self._requeue: Callable[[Key], None] = lambda _key: None
        self.watches = (
            Watch(resources.ANALYSIS_RUN, _key),
            Watch(resources.JOB, _owner_key, labels=jobs.RUN_LABEL),
        )

    def start(self, requeue: Callable[[Key], None]) -> None:
        """Take the function that wakes a run."""
        self._requeue = requeue

    async def run(self) -> None:
        """Keep the connections of what is measured beside the passes; both end when we lead no more."""
        try:
            await asyncio.Event().wait()
        finally:
            self._work.clear()
            await self._beside.end()
            await self._http.close()

    async def reconcile(self, key: Key) -> timedelta | None:
        """Take what was measured into the run's status, and measure what is due; return when to look again.

        Raises:
            ApiError: a write failed; what was measured is kept for the next pass.
        """
        run = self._cluster.get(resources.ANALYSIS_RUN, *key)
        if run is None or "deletionTimestamp" in run["metadata"]:
            self._forget(key)
            return None
        work = self._work.get(key)
        if work is None or work.uid != run["metadata"]["uid"]:
            self._forget(key)
            work = _Work(run["metadata"]["uid"])
        spec, status, metrics, invalid = _parsed(run)
        now = self._now()
        count = len(work.taken)
        obs = Observed(
            generation=run["metadata"].get("generation", 0),
            spec=spec,
            invalid=invalid,
            plans=tuple(metric.plan for metric in metrics),
            status=status,
            taken=(*work.taken, *self._ended_jobs(work, status, now)),
            measuring=frozenset(work.tasks),
        )
        decision = decide(obs, now=now)
        if decision.delete:
            await self._cluster.delete(resources.ANALYSIS_RUN, *key, uid=work.uid)
            return None
        run = await self._write(run, status, decision.status)
        del work.taken[:count]
        await self._tell(run, status, decision.status)
        return await self._act(key, run, work, metrics, decision)

    async def _act(
        self, key: Key, run: dict[str, Any], work: _Work, metrics: tuple[Prepared, ...], decision: Decision
    ) -> timedelta | None:
        if decision.stop:
            self._forget(key)
            for job in self._cluster.owned(resources.JOB, work.uid):
                if not _over(job) and "deletionTimestamp" not in job["metadata"]:
                    await self._cluster.delete(resources.JOB, key[0], job["metadata"]["name"])
            return decision.requeue_after
        for metric in metrics:
            if metric.plan.name in decision.measure:
                self._work[key] = work
                measuring = self._measure(key, run, work, metric, decision.status)
                work.tasks[metric.plan.name] = self._beside.start(measuring)
        return decision.requeue_after

    async def _write(self, run: dict[str, Any], old: AnalysisRunStatus, status: AnalysisRunStatus) -> dict[str, Any]:
        if status == old:
            return run
        return await self._cluster.patch_status(
            resources.ANALYSIS_RUN,
            run["metadata"]["namespace"],
            run["metadata"]["name"],
            status.model_dump(by_alias=True, mode="json", exclude_none=True),
            resource_version=run["metadata"]["resourceVersion"],
        )

    async def _tell(self, run: dict[str, Any], old: AnalysisRunStatus, status: AnalysisRunStatus) -> None:
        if not Phase(status.phase).ended or Phase(old.phase).ended:
            return
        good = status.phase == "Successful"
        log.info("run=%s/%s event=%s", run["metadata"]["namespace"], run["metadata"]["name"], status.phase)
        await self._cluster.event(
            run,
            type="Normal" if good else "Warning",
            reason=f"Analysis{status.phase}",
            message=status.message or "all metrics were successful",
        )

    def _ended_jobs(self, work: _Work, status: AnalysisRunStatus, now: datetime) -> list[Taken]:
        """Return what Jobs say that ended since their measurement began."""
        found: list[Taken] = []
        for job in self._cluster.owned(resources.JOB, work.uid):
            metric = (job["metadata"].get("annotations") or {}).get(jobs.METRIC_ANNOTATION, "")
            result = next((one for one in status.metric_results if one.name == metric), None)
            last = result.measurements[-1] if result is not None and result.measurements else None
            known = metric in work.tasks or any(name == metric for name, _ in work.taken)
            if known or last is None or last.finished_at is not None or last.started_at is None:
                continue
            if last.metadata.get("job") == job["metadata"]["name"] and _over(job):
                found.append((metric, jobs.result(job, last.started_at, now)))
        return found

    def _forget(self, key: Key) -> None:
        work = self._work.pop(key, None)
        for task in work.tasks.values() if work is not None else ():
            task.cancel()

    async def _measure(
        self, key: Key, run: dict[str, Any], work: _Work, metric: Prepared, status: AnalysisRunStatus
    ) -> None:
        """Measure one metric beside the passes, and wake its run with what was found."""
        name = metric.plan.name
        async with self._room.place(key):
            measurement = await self._surely_measured(run, metric, status)
        (source,) = metric.provider.model_dump(exclude_none=True)
        self._cluster.client.metrics.measurements.labels(source, measurement.phase.value).inc()
        work.tasks.pop(name, None)
        work.taken.append((name, measurement))
        self._requeue(key)

    async def _surely_measured(self, run: dict[str, Any], metric: Prepared, status: AnalysisRunStatus) -> Measurement:
        """Measure; what nobody foresaw is an error of this measurement, and no run that waits for ever."""
        started = self._now()
        try:
            return await self._measured(run, metric, status)
        except Exception as error:  # noqa: BLE001 - said as an error of the metric, and logged without its secrets
            where = f"{run['metadata']['namespace']}/{run['metadata']['name']}"
            name = type(error).__name__  # its text may hold what the run's arguments hold
            log.error("a measurement broke run=%s metric=%s error=%s", where, metric.plan.name, name)
            message = f"the measurement broke: {name}"
            return Measurement(phase=Phase.ERROR, message=message, started_at=started, finished_at=self._now())

    async def _measured(self, run: dict[str, Any], metric: Prepared, status: AnalysisRunStatus) -> Measurement:
        now = self._now()
        try:
            spec = AnalysisRunSpec.model_validate(run["spec"])
            secrets = await self._secrets(spec, run["metadata"]["namespace"])
            named = next(one for one in prepared(spec, literal(spec) | secrets) if one.plan.name == metric.plan.name)
            if named.provider.job is not None:
                return await self._job(run, named, status, now)
        except (SecretError, PlanError, ApiError) as error:
            return Measurement(phase=Phase.ERROR, message=str(error)[:1000], started_at=now, finished_at=now)
        return await self._asker.measure(named, Redactor(secrets.values()))

    async def _secrets(self, spec: AnalysisRunSpec, namespace: str) -> dict[str, str]:
        found = {}
        for argument in spec.args:
            source = argument.value_from
            if source is not None and source.secret_key_ref is not None:
                found[argument.name] = await self._secret(namespace, source.secret_key_ref)
        return found

    async def _secret(self, namespace: str, reference: SecretKeyRef) -> str:
        where = f"secret {namespace}/{reference.name}"
        try:
            secret = await self._cluster.client.get(resources.SECRET, namespace, reference.name)
        except NotFoundError:
            raise SecretError(f"there is no {where}") from None
        except ApiError as error:
            raise SecretError(f"{where} cannot be read: {error.reason or error.status}") from None
        data = secret.get("data") or {}
        if reference.key not in data:
            raise SecretError(f"{where} has no key {reference.key!r}; it has {', '.join(sorted(data)) or 'none'}")
        try:
            return base64.b64decode(data[reference.key], validate=True).decode().rstrip("\n")
        except (binascii.Error, UnicodeDecodeError):
            raise SecretError(f"key {reference.key!r} of {where} is not text") from None

    async def _job(
        self, run: dict[str, Any], metric: Prepared, status: AnalysisRunStatus, now: datetime
    ) -> Measurement:
        """Make the Job of this measurement unless it is there, and read what it says."""
        result = next((one for one in status.metric_results if one.name == metric.plan.name), None)
        taken = result.count + result.error if result is not None else 0
        last = result.measurements[-1] if result is not None and result.measurements else None
        started = last.started_at if last is not None and last.finished_at is None and last.started_at else now
        if metric.provider.job is None:
            raise PlanError(f"metric {metric.plan.name!r} has no job")
        wanted = jobs.rendered(run, metric.plan.name, taken + 1, metric.provider.job)
        namespace, name = wanted["metadata"]["namespace"], wanted["metadata"]["name"]
        job = self._cluster.get(resources.JOB, namespace, name)
        if job is None and started != now:
            message = f"Job {name} is gone before it ended"
            return Measurement(phase=Phase.ERROR, message=message, started_at=started, finished_at=now)
        if job is None:
            try:
                job = await self._cluster.create(resources.JOB, wanted)
            except ConflictError:
                job = await self._cluster.client.get(resources.JOB, namespace, name)
        return jobs.result(job, started, now)


def _over(job: dict[str, Any]) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(one.get("type") in ("Complete", "Failed") and one.get("status") == "True" for one in conditions)


def _parsed(run: dict[str, Any]) -> tuple[AnalysisRunSpec | None, AnalysisRunStatus, tuple[Prepared, ...], str]:
    """Read an AnalysisRun; secrets are no part of what it is measured by, so their shape alone is looked at."""
    try:
        status = AnalysisRunStatus.model_validate(run.get("status") or {})
    except ValidationError:
        status = AnalysisRunStatus()  # written by somebody else: it starts again
    try:
        spec = AnalysisRunSpec.model_validate(run.get("spec") or {})
        return spec, status, prepared(spec, literal(spec) | _placeholders(spec)), _unresolved(spec)
    except ValidationError as error:
        return None, status, (), str(next(faults(error)))
    except PlanError as error:
        return None, status, (), str(error)


def _placeholders(spec: AnalysisRunSpec) -> dict[str, str]:
    return {one.name: _UNKNOWN for one in spec.args if one.value_from is not None}


def _unresolved(spec: AnalysisRunSpec) -> str:
    """Say which argument a run on its own cannot have."""
    for one in spec.args:
        if one.value is None and (one.value_from is None or one.value_from.secret_key_ref is None):
            return f"argument {one.name!r} has no value; a run has value or valueFrom.secretKeyRef"
    return ""
