"""Lacking: the templates that a rollout names and that are not there, also before a new revision waits for them."""

from typing import Any

from pydantic import ValidationError

from controller.api.analysis import AnalysisTemplateSpec, TemplateRef
from controller.api.joining import called
from controller.api.rollout import RolloutSpec
from controller.kube import resources
from controller.kube.client import Client
from controller.kube.errors import ApiError, NotFoundError
from controller.rollout import gather, runs
from seldon_rollouts.cli import finding


async def templates(client: Client, rollout: dict[str, Any]) -> dict[str, str]:
    """Return which templates are missing, as they are called in a sentence, each with what to do.

    What may not be read is passed over, as is a spec that is not valid: others tell of that.
    """
    try:
        spec = RolloutSpec.model_validate(rollout.get("spec") or {})
    except ValidationError:
        return {}
    namespace, found, seen = rollout["metadata"]["namespace"], dict[str, str](), set[TemplateRef]()
    left = [reference for each in runs.named_in(spec) for reference in each.templates]
    while left:
        if (reference := left.pop(0)) in seen:
            continue
        seen.add(reference)
        try:
            said = gather.template(await _read(client, namespace, reference))
        except NotFoundError as error:
            found[called(reference)] = await _advice(client, namespace, reference, error)
        except ApiError:
            continue
        else:
            left += said.templates if isinstance(said, AnalysisTemplateSpec) else ()
    return found


async def _read(client: Client, namespace: str, reference: TemplateRef) -> dict[str, Any]:
    if reference.cluster_scope:
        return await client.get(resources.CLUSTER_ANALYSIS_TEMPLATE, None, reference.template_name)
    return await client.get(resources.ANALYSIS_TEMPLATE, namespace, reference.template_name)


async def _advice(client: Client, namespace: str, reference: TemplateRef, error: NotFoundError) -> str:
    if reference.cluster_scope:
        return f"there is no {called(reference)}: create it, or correct the name"
    wanted = (namespace, reference.template_name)
    return str(await finding.missing(client, resources.ANALYSIS_TEMPLATE, wanted, error))
