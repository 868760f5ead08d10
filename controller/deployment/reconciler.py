"""The operator: makes the cluster match each SeldonDeployment. A thin shell around the pure parts of this room."""

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from controller import clock
from controller.api.deployment import SeldonDeploymentStatus
from controller.api.mesh import answer
from controller.api.meta import ADOPTED_ANNOTATION, CONTROLLER_ID_LABEL, ROLLOUT_LABEL
from controller.deployment.acceptance import PATIENCE, SILENCE
from controller.deployment.accounts import Accounts
from controller.deployment.act import ObstacleError, act
from controller.deployment.actions import Action, Apply, Delete
from controller.deployment.blueprints import Blueprint, Blueprints
from controller.deployment.catalogue import Catalogue
from controller.deployment.configuration import DRAIN, Configuration
from controller.deployment.observe import OPTIONAL, WRITTEN, observe
from controller.deployment.observed import Observed, identity
from controller.deployment.plan import OBSTACLES_POLL, Plan, make
from controller.deployment.render import Desired
from controller.deployment.render.labels import ID
from controller.deployment.status import as_json, rejected, summarize
from controller.deployment.subject import KIND, Subject
from controller.deployment.succession import succeed
from controller.deployment.tenancy import FRESH_FOR, Tenancy
from controller.kube.cluster import Cluster
from controller.kube.errors import ConflictError, ForbiddenError, InvalidError
from controller.kube.resources import ENDPOINT_SLICE, POD, SELDON_DEPLOYMENT, VIRTUAL_SERVICE
from controller.kube.watches import Watch
from controller.queue import Key
from controller.settings import Settings

log = logging.getLogger("seldon_rollouts.deployment")

AGAIN = timedelta(milliseconds=100)
"""How soon to look again after somebody else wrote first."""
Object = Mapping[str, Any]


def _itself(obj: Object) -> Iterable[Key]:
    yield obj["metadata"].get("namespace") or "", obj["metadata"]["name"]


def _labelled(obj: Object) -> Iterable[Key]:
    """Return the SeldonDeployment that an object names by its label, and by its controller."""
    metadata = obj["metadata"]
    namespace = metadata.get("namespace") or ""
    names = {(metadata.get("labels") or {}).get(ID)}
    names |= {
        each["name"]
        for each in metadata.get("ownerReferences") or ()
        if each.get("controller") and each.get("kind") == KIND
    }
    return [(namespace, name) for name in names if name]


class DeploymentController:
    """Reconciles SeldonDeployments.

    Args:
        cluster: cached reads and writes.
        settings: what the controller was told at its start.
        drain: how long what has been replaced is kept.
        silence: how long a first route is waited for, while the mesh has not been seen to say that it has one.
    """

    name = "operator"

    def __init__(
        self, cluster: Cluster, settings: Settings, *, drain: timedelta = DRAIN, silence: timedelta = SILENCE
    ) -> None:
        self._cluster = cluster
        self._silence = silence
        self._mesh_answers = False
        self._catalogue = Catalogue(cluster.client, settings, drain)
        self._accounts = Accounts(cluster.client)
        self._blueprints = Blueprints()
        self._identity = settings.controller_id
        self._tenancy = Tenancy(cluster.client, whole_cluster=not settings.namespaces)
        self.watches: tuple[Watch, ...] = (
            Watch(SELDON_DEPLOYMENT, _itself),
            *(
                Watch(each, _labelled, optional=each in OPTIONAL, labels=ID, indexed=(ID,))
                for each in (*WRITTEN.values(), POD, ENDPOINT_SLICE)
            ),
        )

    def start(self, requeue: Callable[[Key], None]) -> None:
        """Nothing to do: every wake-up comes from a watch or a delay."""

    async def run(self) -> None:
        """Return at once: there is no work of its own."""

    async def reconcile(self, key: Key) -> timedelta | None:
        """Make the cluster match one SeldonDeployment; return when to come back.

        Raises:
            ApiError: the API server could not be asked, or is overloaded; to be tried again.
        """
        raw = self._cluster.get(SELDON_DEPLOYMENT, *key)
        if raw is None or "deletionTimestamp" in raw["metadata"]:
            return None  # what it owned goes with it, by its owner references
        if (raw["metadata"].get("annotations") or {}).get(ADOPTED_ANNOTATION):
            return None  # a rollout takes it over: its pods serve as they are until they go
        if (raw["metadata"].get("labels") or {}).get(CONTROLLER_ID_LABEL, "") != self._identity:
            return None  # another operator looks after it
        now = clock.now()
        if await self._tenancy.is_theirs(key[0], now):
            return FRESH_FOR  # the operator of that namespace looks after it
        try:
            return await self._reconcile(raw, now)
        except ConflictError as error:
            log.info("somebody else wrote first, looking again key=%s/%s about=%s", *key, error.about)
            return AGAIN

    async def _reconcile(self, raw: dict[str, Any], now: datetime) -> timedelta | None:
        configuration = await self._catalogue.configuration(now)
        configuration = await self._accounts.configuration(raw, configuration, now)
        blueprint = self._blueprints.of(raw, configuration)
        if not isinstance(blueprint, Blueprint):
            await self._reject(raw, blueprint, now)
            return None
        subject, rendered, previous = blueprint.subject, blueprint.rendered, _previous(raw)
        patience = self._patience(subject, previous)
        desired, observed, plan = self._look(subject, rendered, configuration, patience)
        try:
            await act(self._cluster, subject, plan.actions)
        except (ObstacleError, InvalidError, ForbiddenError) as error:
            await self._reject(raw, [error], now)
            return OBSTACLES_POLL
        if plan.actions:
            await self._tell(raw, plan.actions)
            desired, observed, plan = self._look(subject, rendered, configuration, patience)
        if previous.observed_generation != subject.generation:
            for text in blueprint.advice:  # once for each generation; where there is a webhook, it said so before
                await self._cluster.event(raw, type="Warning", reason="Advice", message=text)
        status = summarize(subject, desired, observed, plan, previous=previous, now=now)
        await self._write(raw, previous, status)
        return AGAIN if plan.actions else plan.requeue_after

    def _look(
        self, subject: Subject, rendered: Desired, configuration: Configuration, patience: timedelta
    ) -> tuple[Desired, Observed, Plan]:
        now = clock.now()  # writes may have taken their time
        observed = observe(self._cluster, subject, rendered, use_mesh=configuration.istio, patience=patience)
        routes = (each for (kind, _), each in observed.objects.items() if kind == VIRTUAL_SERVICE.kind)
        self._mesh_answers |= any(answer(each) is not None for each in routes)
        desired = succeed(rendered, observed)
        return desired, observed, make(desired, observed, now=now, drain=configuration.drain)

    def _patience(self, subject: Subject, previous: SeldonDeploymentStatus) -> timedelta:
        """Say how long a silent mesh is waited for: not by what serves already, which silence does not undo.

        A revision is reached by the route of its rollout, which waits for the mesh itself: its own is a preview.
        """
        if ROLLOUT_LABEL in subject.labels or previous.state == "Available":
            return timedelta(0)
        return PATIENCE if self._mesh_answers else self._silence

    async def _reject(self, raw: dict[str, Any], problems: Iterable[object], now: datetime) -> None:
        previous = _previous(raw)
        generation = raw["metadata"].get("generation", 0)
        await self._write(raw, previous, rejected(problems, generation=generation, previous=previous, now=now))

    async def _write(
        self, raw: dict[str, Any], previous: SeldonDeploymentStatus, status: SeldonDeploymentStatus
    ) -> None:
        """Write the status if it says anything new, and tell of a new state."""
        body = as_json(status)
        if body == raw.get("status"):
            return
        metadata = raw["metadata"]
        await self._cluster.patch_status(
            SELDON_DEPLOYMENT,
            metadata["namespace"],
            metadata["name"],
            body,
            resource_version=metadata["resourceVersion"],
        )
        if status.state == previous.state and (status.state != "Failed" or status.description == previous.description):
            return
        log.info("state %s/%s is %s: %s", metadata["namespace"], metadata["name"], status.state, status.description)
        if status.state == "Failed":
            await self._cluster.event(raw, type="Warning", reason="Failed", message=status.description)
        elif status.state == "Available":
            await self._cluster.event(raw, type="Normal", reason="Available", message="all predictors serve")

    async def _tell(self, raw: dict[str, Any], actions: Iterable[Action]) -> None:
        """Tell of Deployments that came, changed or went; the rest stands in the log."""
        for action in actions:
            match action:
                case Apply():
                    kind, name = identity(action.object)
                    verb = "Create" if action.creates else "Update"
                case Delete(kind=kind, name=name):
                    verb = "Delete"
                case _:
                    continue
            log.info("%s %s %s/%s", verb, kind, raw["metadata"]["namespace"], name)
            if kind == "Deployment":
                message = f"{verb}d Deployment {name}"
                await self._cluster.event(raw, type="Normal", reason=f"{verb}Deployment", message=message)


def _previous(raw: Object) -> SeldonDeploymentStatus:
    try:
        return SeldonDeploymentStatus.model_validate(raw.get("status") or {})
    except ValidationError:  # what another version or a person left there
        return SeldonDeploymentStatus()
