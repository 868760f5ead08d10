"""What a SeldonDeployment must satisfy, in words: the field, the value, and what would be right.

The rules are those of Seldon Core v1's webhook (reference, section 1.9) and those that it lacks. Pure: used in
reconcile, so that a bad object is explained even where no webhook is installed, and nothing that runs is touched.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from controller.api.deployment import PredictiveUnit, PredictorSpec, SeldonDeploymentSpec
from controller.api.faults import brief, faults, written
from controller.api.names import MAX_NAME, NO_ENGINE_ANNOTATION, SVC_NAME_ANNOTATION
from controller.deployment import annotations, explaining, parameters, sources, streaming
from controller.deployment.configuration import Configuration
from controller.deployment.names import containers
from controller.deployment.podshape import Found, entries_misshapen, misshapen
from controller.deployment.render.servers import downloads
from controller.deployment.subject import Subject, is_built_in, is_prepackaged, nodes, protocol_of

MAX_DEPTH = 11
"""Levels of a graph that the schema keeps: the root and ten of children."""
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_NOT_TENSORFLOW = frozenset({"SKLEARN_SERVER", "XGBOOST_SERVER", "MLFLOW_SERVER", "HUGGINGFACE_SERVER"})
_NEEDS_NO_MODEL = frozenset({"HUGGINGFACE_SERVER"})


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Args:
        field: the path of the field.
        value: what was found there.
        expected: what would be right.
    """

    field: str
    value: object
    expected: str

    def __str__(self) -> str:
        return f"{self.field}: {self.value!r} is not valid; expected {self.expected}"


def parse(raw: Mapping[str, Any]) -> Subject | tuple[Problem, ...]:
    """Read an object of the API, or say what of its shape is wrong."""
    try:
        spec = SeldonDeploymentSpec.model_validate(raw.get("spec") or {})
    except ValidationError as error:
        return tuple(Problem(written(each.path), each.value, each.expected) for each in faults(error))
    metadata = raw["metadata"]
    return Subject(
        name=metadata["name"],
        namespace=metadata.get("namespace") or "default",
        uid=metadata.get("uid", ""),
        generation=metadata.get("generation", 0),
        labels=metadata.get("labels") or {},
        annotations=metadata.get("annotations") or {},
        spec=spec,
    )


def check(subject: Subject, configuration: Configuration) -> tuple[Problem, ...]:
    """Return everything that is wrong with a SeldonDeployment; nothing when it can be rendered."""
    shapeless = tuple(_shapes(subject.spec))
    if shapeless:
        return shapeless  # the other rules read pod specs
    problems = [*_identity(subject), *_traffic(subject.spec), *_service_names(subject)]
    problems += _told(streaming.faults(subject.spec))
    for index, predictor in enumerate(subject.spec.predictors):
        path = f"spec.predictors[{index}]"
        problems += _predictor(predictor, path)
        problems += _told(explaining.faults(subject, predictor, path))
        if predictor.explainer and predictor.explainer.model_uri:
            problems += _told(sources.faults(predictor.explainer, f"{path}.explainer.modelUri", configuration))
        problems += _graph(subject, predictor, path, configuration)
    return tuple(problems)


def _shapes(spec: SeldonDeploymentSpec) -> Iterator[Problem]:
    for index, predictor in enumerate(spec.predictors):
        path = f"spec.predictors[{index}]"
        for number, component in enumerate(predictor.component_specs):
            place = f"{path}.componentSpecs[{number}]"
            yield from _told(misshapen(component.spec, component.metadata, place))
            metrics = component.hpa_spec.metrics if component.hpa_spec else ()
            yield from _told(entries_misshapen(metrics, "type", f"{place}.hpaSpec.metrics"))
        yield from _told(explaining.shape(predictor, path))
        env = predictor.svc_orch_spec.env if predictor.svc_orch_spec else ()
        yield from _told(entries_misshapen(env, "name", f"{path}.svcOrchSpec.env"))


def _told(found: Iterable[Found]) -> Iterator[Problem]:
    return (Problem(field, brief(value), expected) for field, value, expected in found)


def _identity(subject: Subject) -> Iterator[Problem]:
    if len(subject.name) > MAX_NAME:
        yield Problem("metadata.name", subject.name, f"at most {MAX_NAME} characters: it is the value of a label")
    elif not _LABEL.fullmatch(subject.name):
        yield Problem(
            "metadata.name", subject.name, "lower-case letters, digits and dashes: Services are named after it"
        )
    names = Counter(predictor.name for predictor in subject.spec.predictors)
    for index, predictor in enumerate(subject.spec.predictors):
        field = f"spec.predictors[{index}].name"
        if not _LABEL.fullmatch(predictor.name) or len(predictor.name) > MAX_NAME:
            yield Problem(field, predictor.name, "lower-case letters, digits and dashes: it is a part of names")
        elif names[predictor.name] > 1:
            yield Problem(field, predictor.name, "a name that no other predictor has")
    yield from _told(annotations.faults(subject))


def _traffic(spec: SeldonDeploymentSpec) -> Iterator[Problem]:
    live = [(index, each) for index, each in enumerate(spec.predictors) if not each.shadow]
    out_of_range = False
    for index, predictor in enumerate(spec.predictors):
        if predictor.traffic is not None and not 0 <= predictor.traffic <= 100:
            out_of_range = True
            yield Problem(f"spec.predictors[{index}].traffic", predictor.traffic, "0 to 100")
    if not live:
        yield Problem("spec.predictors[0].shadow", True, "at least one predictor that is not a shadow")
    if out_of_range:
        return
    total = sum(predictor.traffic or 0 for _, predictor in live)
    if len(live) > 1 and total != 100:
        shares = " + ".join(str(predictor.traffic or 0) for _, predictor in live)
        yield Problem("spec.predictors[*].traffic", shares, f"a sum of 100 over the live predictors, not {total}")
    if len(spec.predictors) == 1 and 0 < total < 100:
        yield Problem("spec.predictors[0].traffic", total, "100 or nothing for the only predictor")


def _service_names(subject: Subject) -> Iterator[Problem]:
    given = Counter(each.annotations.get(SVC_NAME_ANNOTATION) for each in subject.spec.predictors)
    for index, predictor in enumerate(subject.spec.predictors):
        name = predictor.annotations.get(SVC_NAME_ANNOTATION)
        field = f"spec.predictors[{index}].annotations[{SVC_NAME_ANNOTATION}]"
        if name and given[name] > 1:
            yield Problem(field, name, "a name that no other predictor has")
        elif name and (not _LABEL.fullmatch(name) or len(name) > MAX_NAME):
            yield Problem(field, name, "a name of a Service")


def _predictor(predictor: PredictorSpec, path: str) -> Iterator[Problem]:
    size = sum(1 for _ in nodes(predictor.graph))
    if predictor.annotations.get(NO_ENGINE_ANNOTATION, "").lower() == "true" and size > 1:
        yield Problem(
            f"{path}.annotations[{NO_ENGINE_ANNOTATION}]", "true", "a graph of one node when there is no engine"
        )
    seen: set[str] = set()
    for index, component in enumerate(predictor.component_specs):
        field = f"{path}.componentSpecs[{index}]"
        yield from _containers(containers(component), f"{field}.spec.containers", seen)
        if component.pdb_spec and (component.pdb_spec.min_available is None) == (
            component.pdb_spec.max_unavailable is None
        ):
            yield Problem(
                f"{field}.pdbSpec", component.pdb_spec.model_dump(by_alias=True), "one of minAvailable, maxUnavailable"
            )
        hpa = component.hpa_spec
        if hpa and hpa.min_replicas is not None and hpa.min_replicas > hpa.max_replicas:
            yield Problem(f"{field}.hpaSpec.minReplicas", hpa.min_replicas, f"at most maxReplicas ({hpa.max_replicas})")


def _containers(found: list[Any], field: str, seen: set[str]) -> Iterator[Problem]:
    for position, container in enumerate(found):
        name = container["name"]
        if name in seen:
            yield Problem(f"{field}[{position}].name", name, "a name that no other container of the predictor has")
        seen.add(name)


def _graph(subject: Subject, predictor: PredictorSpec, path: str, configuration: Configuration) -> Iterator[Problem]:
    named = {each.get("name"): each for component in predictor.component_specs for each in containers(component)}
    seen: set[str] = set()
    kinds: set[str] = set()
    for unit, field, depth in _walk(predictor.graph, f"{path}.graph", 1):
        if depth > MAX_DEPTH:
            yield Problem(field, unit.name, f"a graph of at most {MAX_DEPTH} levels")
        if not is_built_in(unit) and (not _LABEL.fullmatch(unit.name) or len(unit.name) > MAX_NAME):
            yield Problem(f"{field}.name", unit.name, "lower-case letters, digits and dashes: it names a container")
        if unit.name in seen:
            yield Problem(f"{field}.name", unit.name, "a name that no other node of the graph has")
        seen.add(unit.name)
        kinds |= {unit.endpoint.type} if unit.endpoint and unit.endpoint.type else set()
        yield from _unit(subject, unit, field, named.get(unit.name), configuration)
    transport = {"rest": "REST", "grpc": "GRPC"}.get(subject.spec.transport)
    if len(kinds) == 1 and transport and kinds != {transport}:
        yield Problem(f"{path}.graph.endpoint.type", next(iter(kinds)), f"{transport}, as spec.transport says")


def _walk(unit: PredictiveUnit, field: str, depth: int) -> Iterator[tuple[PredictiveUnit, str, int]]:
    yield unit, field, depth
    for index, child in enumerate(unit.children):
        yield from _walk(child, f"{field}.children[{index}]", depth + 1)


def _unit(
    subject: Subject,
    unit: PredictiveUnit,
    field: str,
    container: Mapping[str, Any] | None,
    configuration: Configuration,
) -> Iterator[Problem]:
    if unit.type == "UNKNOWN_TYPE" and not unit.methods:
        yield Problem(f"{field}.type", unit.type, "methods, when the type is not known")
    if unit.logger is not None and not unit.logger.mode:
        yield Problem(f"{field}.logger.mode", "", "all, request or response")
    yield from _told(parameters.faults(unit, field))
    if downloads(subject, unit):
        yield from _told(sources.faults(unit, f"{field}.modelUri", configuration))
    if is_prepackaged(unit):
        yield from _server(subject, unit, field, container, configuration)
    elif container is None and not is_built_in(unit):
        yield Problem(f"{field}.name", unit.name, "the name of a container in componentSpecs")


def _server(
    subject: Subject,
    unit: PredictiveUnit,
    field: str,
    container: Mapping[str, Any] | None,
    configuration: Configuration,
) -> Iterator[Problem]:
    protocol, server = protocol_of(subject.spec), unit.implementation or ""
    if protocol == "tensorflow" and server in _NOT_TENSORFLOW:
        yield Problem(f"{field}.implementation", server, "a server of the tensorflow protocol, or another protocol")
    elif not (container or {}).get("image") and configuration.server_image(server, protocol) is None:
        known = sorted(name for name in configuration.servers if configuration.server_image(name, protocol))
        yield Problem(f"{field}.implementation", server, f"a server for protocol {protocol}: {', '.join(known)}")
    if not unit.model_uri and server not in _NEEDS_NO_MODEL:
        yield Problem(f"{field}.modelUri", "", "where the model is, such as gs://bucket/model")
