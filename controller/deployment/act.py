"""Carry out a plan: each action in order, stop at the first failure."""

from collections.abc import Sequence

from controller.deployment.actions import Action, Apply, Delete, Inherit, Mark
from controller.deployment.draft import stranger
from controller.deployment.observe import WRITTEN
from controller.deployment.observed import RETIRED_ANNOTATION
from controller.deployment.subject import Subject
from controller.errors import ControllerError
from controller.kube.cluster import Cluster
from controller.kube.errors import NotFoundError
from controller.kube.inheritance import inherited
from controller.kube.resources import owned_by
from controller.kube.store import Object

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
            case Inherit():
                live = await cluster.client.get(WRITTEN[action.kind], subject.namespace, action.name)
                await _inherit(cluster, live)
            case Mark():
                patch = {"metadata": {"annotations": {RETIRED_ANNOTATION: action.retired_at}}}
                resource, version = WRITTEN[action.kind], action.resource_version
                await cluster.merge_patch(resource, subject.namespace, action.name, patch, resource_version=version)
            case Delete():
                await cluster.delete(WRITTEN[action.kind], subject.namespace, action.name, uid=action.uid)


async def _apply(cluster: Cluster, subject: Subject, action: Apply) -> None:
    """Apply an object. What the caches do not know may still be there, without our label: it is not taken over."""
    resource = WRITTEN[action.object["kind"]]
    if action.creates:
        try:
            live = await cluster.client.get(resource, subject.namespace, action.object["metadata"]["name"])
        except NotFoundError:
            live = None
        if live is not None and owned_by(live) != subject.uid and "deletionTimestamp" not in live["metadata"]:
            raise ObstacleError(stranger(live))
        if live is not None:
            await _inherit(cluster, live)
    await cluster.apply(resource, dict(action.object))


async def _inherit(cluster: Cluster, live: Object) -> None:
    """Take the claims of Seldon Core's operator on an object that is this SeldonDeployment's."""
    meta = live["metadata"]
    entries = inherited(meta.get("managedFields") or (), of=SELDON_CORE)
    if entries is not None:
        patch, version = {"metadata": {"managedFields": entries}}, meta["resourceVersion"]
        resource = WRITTEN[live["kind"]]
        await cluster.merge_patch(resource, meta["namespace"], meta["name"], patch, resource_version=version)
