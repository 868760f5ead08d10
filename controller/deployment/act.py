"""Carry out a plan: each action in order, stop at the first failure."""

from collections.abc import Mapping, Sequence
from typing import Any

from controller.deployment.actions import Action, Apply, Delete, Mark
from controller.deployment.draft import stranger
from controller.deployment.observe import WRITTEN
from controller.deployment.observed import RETIRED_ANNOTATION, identity, is_ending
from controller.deployment.subject import Subject
from controller.errors import ControllerError
from controller.kube.cluster import Cluster
from controller.kube.errors import NotFoundError
from controller.kube.inheritance import inherited
from controller.kube.resources import owned_by

SELDON_CORE = "manager"
"""The field manager of Seldon Core's operator: the name of its program."""


class ObstacleError(ControllerError):
    """An object that is not ours stands under a name that we need."""


async def act(cluster: Cluster, subject: Subject, actions: Sequence[Action]) -> None:
    """Carry out actions in order.

    Raises:
        ObstacleError: what we would create is there and is not ours.
        ApiError: the API server refused an action; those after it were not tried.
    """
    for action in actions:
        match action:
            case Apply():
                await _apply(cluster, subject, action)
            case Mark():
                patch = {"metadata": {"annotations": {RETIRED_ANNOTATION: action.retired_at}}}
                resource, version = WRITTEN[action.kind], action.resource_version
                await cluster.merge_patch(resource, subject.namespace, action.name, patch, resource_version=version)
            case Delete():
                await cluster.delete(WRITTEN[action.kind], subject.namespace, action.name, uid=action.uid)


async def _apply(cluster: Cluster, subject: Subject, action: Apply) -> None:
    resource = WRITTEN[action.object["kind"]]
    if action.first:
        await _take_over(cluster, subject, action.object)
    await cluster.apply(resource, dict(action.object))


async def _take_over(cluster: Cluster, subject: Subject, wanted: Mapping[str, Any]) -> None:
    """Take the claims of Seldon Core's operator on what stands under a name of ours, which the caches may not know."""
    kind, name = identity(wanted)
    try:
        live = await cluster.client.get(WRITTEN[kind], subject.namespace, name)
    except NotFoundError:
        return
    if owned_by(live) != subject.uid and not is_ending(live):
        raise ObstacleError(stranger(live))
    entries = inherited(live["metadata"].get("managedFields") or (), of=SELDON_CORE)
    if entries is not None:
        patch, version = {"metadata": {"managedFields": entries}}, live["metadata"]["resourceVersion"]
        await cluster.merge_patch(WRITTEN[kind], subject.namespace, name, patch, resource_version=version)
