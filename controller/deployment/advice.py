"""Advice: what a SeldonDeployment may do, and its writer should know. Pure; said by the webhook and as events."""

from collections.abc import Iterator

from controller.api.deployment import PredictiveUnit, PredictorSpec
from controller.deployment.annotations import unknown
from controller.deployment.parameters import LEARNERS
from controller.deployment.subject import Subject, nodes


def advise(subject: Subject, *, copied: bool = False) -> tuple[str, ...]:
    """Return what its writer should know of a SeldonDeployment.

    Args:
        subject: as it was written.
        copied: all its predictors get copies of live requests, as the new revision of a rollout with a mirror does.
    """
    return tuple(_advice(subject, copied))


def _advice(subject: Subject, copied: bool) -> Iterator[str]:
    yield from unknown(subject.annotations, "metadata.annotations")
    yield from unknown(subject.spec.annotations, "spec.annotations")
    for index, predictor in enumerate(subject.spec.predictors):
        path = f"spec.predictors[{index}]"
        yield from unknown(predictor.annotations, f"{path}.annotations")
        if copied or predictor.shadow:
            yield from _side_effects(predictor, path)
    if subject.spec.oauth_key or subject.spec.oauth_secret:
        yield "spec.oauth_key, spec.oauth_secret: deprecated; they do nothing"


def _side_effects(predictor: PredictorSpec, path: str) -> Iterator[str]:
    for unit in nodes(predictor.graph):
        yield from _of_node(unit, f"{path}.graph ({unit.name})")


def _of_node(unit: PredictiveUnit, where: str) -> Iterator[str]:
    if unit.logger is not None:
        yield f"{where}: gets copies of live requests and logs them, too: the sink sees each request twice"
    if unit.implementation in LEARNERS or "SEND_FEEDBACK" in (unit.methods or ()):
        yield f"{where}: learns from feedback, which is never copied to a shadow"
