"""Act: actions to effects, one match, in order; the first failure stops the pass."""

from typing import Any, assert_never

from controller.kube import resources
from controller.kube.cluster import Cluster
from controller.kube.errors import ConflictError, InvalidError, NotFoundError
from controller.rollout import actions
from controller.rollout.actions import Action, Handover, RunAction, TrafficAction
from controller.rollout.written import Written


async def act(cluster: Cluster, written: Written, namespace: str, name: str, todo: tuple[Action, ...]) -> None:
    """Carry out a decision's actions for the rollout of this name, and note what became of its children.

    Raises:
        ApiError: one of them failed; those after it were not tried.
    """
    for action in todo:
        if isinstance(action, RunAction):
            await _run(cluster, namespace, action)
        elif isinstance(action, Handover):
            await _hand_over(cluster, namespace, name, action)
        else:
            await _one(cluster, written, namespace, name, action)


async def _one(cluster: Cluster, written: Written, namespace: str, name: str, action: TrafficAction) -> None:
    match action:
        case actions.KeepRevision():
            await cluster.apply(resources.CONTROLLER_REVISION, _copy(action.object))
        case actions.ApplyDeployment():
            made = await cluster.apply(resources.SELDON_DEPLOYMENT, _copy(action.object))
            written.note((namespace, name), action.object, made)
        case actions.ApplyRoute():
            await cluster.apply(resources.VIRTUAL_SERVICE, _copy(action.object))
        case actions.PatchRoute():
            patch = {"spec": {"http": [_copy(http) for http in action.http]}}
            version = action.resource_version
            await cluster.merge_patch(
                resources.VIRTUAL_SERVICE, namespace, action.name, patch, resource_version=version
            )
        case actions.DeleteRoute():
            await cluster.delete(resources.VIRTUAL_SERVICE, namespace, action.name, uid=action.uid or None)
        case actions.DeleteDeployment():
            await cluster.delete(resources.SELDON_DEPLOYMENT, namespace, action.name, uid=action.uid or None)
        case actions.ForgetRevision():
            await cluster.delete(resources.CONTROLLER_REVISION, namespace, action.name)
        case _:
            assert_never(action)


async def _hand_over(cluster: Cluster, namespace: str, name: str, action: Handover) -> None:
    match action:
        case actions.TakeRoute(patch, version):
            await cluster.merge_patch(
                resources.VIRTUAL_SERVICE, namespace, name, _copy(patch), resource_version=version
            )
        case actions.MakeDeployment():
            await cluster.create(resources.SELDON_DEPLOYMENT, _copy(action.object))
        case actions.MarkDeployment(patch, version):
            await cluster.merge_patch(
                resources.SELDON_DEPLOYMENT, namespace, name, _copy(patch), resource_version=version
            )
        case actions.ReleaseDeployment(child, version):
            released = {"metadata": {"ownerReferences": None}}
            await cluster.merge_patch(resources.SELDON_DEPLOYMENT, namespace, child, released, resource_version=version)
        case actions.HoldRollout(finalizers, version):
            held = {"metadata": {"finalizers": list(finalizers) or None}}
            await cluster.merge_patch(resources.SELDON_ROLLOUT, namespace, name, held, resource_version=version)
        case _:
            assert_never(action)


async def _run(cluster: Cluster, namespace: str, action: RunAction) -> None:
    match action:
        case actions.CreateRun():
            await _create(cluster, _copy(action.object))
        case actions.StopRun():
            await _stop(cluster, namespace, action)
        case actions.DeleteRun(run, uid):
            await cluster.delete(resources.ANALYSIS_RUN, namespace, run, uid=uid or None)
        case _:
            assert_never(action)


async def _create(cluster: Cluster, run: dict[str, Any]) -> None:
    try:
        await cluster.create(resources.ANALYSIS_RUN, run)
    except ConflictError as error:
        if error.reason != "AlreadyExists":
            raise
        meta = run["metadata"]
        live = await cluster.client.get(resources.ANALYSIS_RUN, meta["namespace"], meta["name"])
        if resources.owned_by(live) != resources.owned_by(run):
            said = f"AnalysisRun {meta['name']} is not this rollout's: delete it"
            raise InvalidError(409, "AlreadyExists", said, about=error.about) from None


async def _stop(cluster: Cluster, namespace: str, action: actions.StopRun) -> None:
    """Tell a run to end; one that is gone, or another of its name, needs no end."""
    ends = {"metadata": {"uid": action.uid}, "spec": {"terminate": True}}
    try:
        await cluster.merge_patch(resources.ANALYSIS_RUN, namespace, action.name, ends)
    except NotFoundError:
        return
    except (ConflictError, InvalidError):
        live = await cluster.client.get(resources.ANALYSIS_RUN, namespace, action.name)
        if live["metadata"]["uid"] == action.uid:
            raise


def _copy(obj: Any) -> dict[str, Any]:
    return dict(obj)
