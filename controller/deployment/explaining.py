"""What an explainer must satisfy. Pure."""

import json
from collections.abc import Iterator

from controller.api.deployment import PredictorSpec
from controller.deployment.podshape import Found, container_misshapen
from controller.deployment.render.explainers import ALIBI_TYPES, explainer_of
from controller.deployment.subject import Subject, protocol_of


def shape(predictor: PredictorSpec, path: str) -> Iterator[Found]:
    """Return what of an explainer's container cannot be read."""
    if predictor.explainer and predictor.explainer.container_spec:
        yield from container_misshapen(predictor.explainer.container_spec, f"{path}.explainer.containerSpec")


def faults(subject: Subject, predictor: PredictorSpec, path: str) -> Iterator[Found]:
    """Return what of an explainer cannot be done."""
    explainer = explainer_of(predictor)
    if explainer is None:
        return
    field = f"{path}.explainer"
    given = explainer.init_parameters
    if protocol_of(subject.spec) != "v2":
        if given:
            yield (
                f"{field}.initParameters",
                given,
                "nothing: config gives arguments to the seldon protocol's explainers",
            )
        return
    if explainer.type not in ALIBI_TYPES:
        yield f"{field}.type", explainer.type, f"one of {', '.join(ALIBI_TYPES)}"
    if given and not _is_object(given):
        yield f"{field}.initParameters", given, "a JSON object"


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
