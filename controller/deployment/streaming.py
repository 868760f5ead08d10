"""What a SeldonDeployment that reads and writes topics must say: `serverType: kafka` (reference, section 1.9). Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from controller.api.deployment import PredictorSpec, SeldonDeploymentSpec
from controller.api.names import NO_ENGINE_ANNOTATION
from controller.deployment.podshape import Found

BROKER, SOURCE, TARGET = "KAFKA_BROKER", "KAFKA_INPUT_TOPIC", "KAFKA_OUTPUT_TOPIC"
_FULL_GRAPH = "KAFKA_FULL_GRAPH"
_TRUE = frozenset({"1", "t", "true"})


def faults(spec: SeldonDeploymentSpec) -> Iterator[Found]:
    """Yield what keeps predictors from reading their topics, as field, value and what would be right."""
    if spec.server_type != "kafka":
        return
    written: set[tuple[str, str, str]] = set()
    for index, predictor in enumerate(spec.predictors):
        path = f"spec.predictors[{index}]"
        if predictor.annotations.get(NO_ENGINE_ANNOTATION, "").lower() == "true":
            yield f"{path}.annotations[{NO_ENGINE_ANNOTATION}]", "true", "an orchestrator: it is what reads the topic"
        said = _variables(predictor)
        field = f"{path}.svcOrchSpec.env"
        for name in (BROKER, SOURCE, TARGET):
            if not said.get(name):
                yield f"{field}[{name}]", None, "a value, as serverType is kafka"
        yield from _values(field, {name: value for name, value in said.items() if isinstance(value, str)}, written)


def _values(field: str, said: Mapping[str, str], written: set[tuple[str, str, str]]) -> Iterator[Found]:
    broker, source, target = (said.get(name, "") for name in (BROKER, SOURCE, TARGET))
    if said.get(_FULL_GRAPH, "").lower() in _TRUE:
        yield f"{field}[{_FULL_GRAPH}]", said[_FULL_GRAPH], "false: nodes are called over REST or gRPC"
    if not (broker and source and target):
        return
    if source == target:
        yield f"{field}[{TARGET}]", target, "another topic than the one that is read"
    elif (broker, source, target) in written:
        yield f"{field}[{TARGET}]", target, "a topic of its own: each predictor answers every message of what it reads"
    written.add((broker, source, target))


def _variables(predictor: PredictorSpec) -> dict[str, Any]:
    """The variables by name: their text, or where it is found."""
    given = predictor.svc_orch_spec.env if predictor.svc_orch_spec else ()
    return {each["name"]: each.get("value") or each.get("valueFrom") for each in given}
