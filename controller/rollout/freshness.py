"""Freshness: before traffic moves or pods go, a decision is held against the server itself.

A leader that lost its lease late, or whose watches lag behind each other, may know a new route with an old status, and
would take the weights back. A decision is deterministic: two leaders that decide on the same state do the same. So it
is enough that the rollout is still the one that was decided on; the route carries its own resourceVersion. What an
action reaches is said by the action.
"""

from collections.abc import Awaitable, Iterable

from controller.kube import resources
from controller.kube.cluster import Cluster
from controller.kube.errors import ConflictError, NotFoundError
from controller.kube.objects import Object
from controller.rollout.actions import Action, Reach
from controller.rollout.observed import Observed


async def check(cluster: Cluster, obs: Observed, todo: Iterable[Action]) -> None:
    """Ask the server whether what was decided on still holds, where a mistake would reach users.

    Raises:
        ConflictError: the rollout, or its route where pods are to go, is newer than what was decided on.
        ApiError: the server could not be asked.
    """
    reach = {action.reach for action in todo}
    if reach <= {Reach.NOBODY}:
        return
    asked = cluster.fresh(resources.SELDON_ROLLOUT, obs.namespace, obs.name)
    await _same(asked, f"SeldonRollout {obs.namespace}/{obs.name}", obs.resource_version)
    if obs.route is not None and Reach.PODS in reach:
        meta = obs.route.live["metadata"]
        asked = cluster.fresh(resources.VIRTUAL_SERVICE, meta["namespace"], meta["name"])
        await _same(asked, f"VirtualService {meta['namespace']}/{meta['name']}", meta["resourceVersion"])


async def _same(asked: Awaitable[Object], about: str, version: str) -> None:
    try:
        live = await asked
    except NotFoundError as error:
        raise ConflictError(409, "Conflict", "it is gone since it was decided on", about=about) from error
    found = live["metadata"]["resourceVersion"]
    if found != version:
        said = f"decided on version {version}, the server has {found}"
        raise ConflictError(409, "Conflict", said, about=about)
