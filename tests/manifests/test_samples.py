"""Every sample is valid for the models, the schemas and the operator; its nodes do what their graph asks of them."""

from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from controller.api.crds import KINDS, definition
from controller.api.deployment import SeldonDeploymentSpec
from controller.deployment.configuration import Configuration
from controller.deployment.subject import Subject
from controller.deployment.validation import check, parse

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "manifests" / "samples").glob("*.yaml")) + sorted((ROOT / "tests/api/samples").glob("*.yaml"))
OURS = {kind.name: kind for kind in KINDS}
DOCUMENTS = [
    pytest.param(document, id=f"{path.stem}:{document['kind']}")
    for path in FILES
    for document in yaml.safe_load_all(path.read_text())
]
METHODS = {"TRANSFORMER": "transform_input", "MODEL": "predict", "ROUTER": "route", "COMBINER": "aggregate"}


def _of_kind(*kinds):
    return [each for each in DOCUMENTS if each.values[0]["kind"] in kinds]


def _unknown(schema, value, path=""):
    """Yield the fields that the API server would drop."""
    if isinstance(value, dict) and "properties" in schema:
        for key, item in value.items():
            if key not in schema["properties"]:
                yield f"{path}.{key}"
            elif path or key != "metadata":
                yield from _unknown(schema["properties"][key], item, f"{path}.{key}")
    if isinstance(value, list):
        for item in value:
            yield from _unknown(schema.get("items", {}), item, f"{path}[]")


def test_no_two_samples_are_one_object():
    names = [(one["kind"], one["metadata"]["name"]) for one in (each.values[0] for each in DOCUMENTS)]
    assert sorted({name for name in names if names.count(name) > 1}) == []


@pytest.mark.parametrize("document", _of_kind(*OURS))
def test_the_model_and_the_schema_take_every_field_of_a_sample(document):
    kind = OURS[document["kind"]]
    schema = definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert document["apiVersion"] == f"{kind.group}/{kind.versions[0]}"
    assert [str(error) for error in jsonschema_rs.Draft4Validator(schema).iter_errors(document)] == []
    assert list(_unknown(schema, document)) == []
    assert kind.model.model_validate({"spec": document["spec"]})


@pytest.mark.parametrize("document", _of_kind("SeldonDeployment", "SeldonRollout"))
def test_the_operator_has_nothing_against_a_sample(document):
    spec = document["spec"] if document["kind"] == "SeldonDeployment" else document["spec"]["template"]["spec"]
    raw = {"metadata": {"name": "sample", "namespace": "default", "uid": "u", "generation": 1}, "spec": spec}
    subject = parse(raw)
    assert isinstance(subject, Subject), subject
    assert list(check(subject, Configuration())) == []


def _nodes(unit):
    yield unit
    for child in unit.children:
        yield from _nodes(child)


@pytest.mark.parametrize("path", [path for path in FILES if path.stem.startswith("graph-")], ids=lambda path: path.stem)
def test_the_code_of_a_graph_has_the_methods_that_its_nodes_are_called_by(path):
    code, deployment = yaml.safe_load_all(path.read_text())
    space = {}
    exec(compile(code["data"]["nodes.py"], "nodes.py", "exec"), space)
    predictor = SeldonDeploymentSpec.model_validate(deployment["spec"]).predictors[0]
    containers = {each["name"]: each for each in predictor.component_specs[0].spec["containers"]}
    for unit in _nodes(predictor.graph):
        served = containers[unit.name]["args"][0].removeprefix("nodes.")
        values = {each.name: {"INT": int, "FLOAT": float}[each.type](each.value) for each in unit.parameters}
        assert callable(getattr(space[served](**values), METHODS[unit.type]))


def _run(path, name):
    code, _ = yaml.safe_load_all((ROOT / "manifests/samples" / path).read_text())
    space = {}
    exec(code["data"]["nodes.py"], space)
    return space[name]


def test_the_chain_turns_inches_into_an_area_in_centimetres():
    prepared = _run("graph-chain.yaml", "Centimetres")().transform_input([[1, 2]], [])
    assert _run("graph-chain.yaml", "Area")().predict(prepared, []) == [[pytest.approx(2.54 * 5.08)]]


def test_the_combiner_takes_the_mean_of_its_children():
    assert _run("graph-combiner.yaml", "Mean")().aggregate([[[1.0], [3.0]], [[2.0], [5.0]]], []) == [[1.5], [4.0]]


def test_the_router_learns_from_rewards():
    router = _run("graph-router.yaml", "EpsilonGreedy")(branches=2, epsilon=0.0)
    router.send_feedback([], [], 1.0, None, routing=1)
    assert router.route([[1.0]], []) == 1
