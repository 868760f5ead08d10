"""`lint` says of every mistake that is made by hand where it is and what would be right, before a cluster sees it."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from seldon_rollouts.cli.app import program

RIGHT = """
apiVersion: rollouts.seldon.io/v1alpha1
kind: SeldonRollout
metadata: {name: iris}
spec:
  template:
    spec:
      predictors:
      - name: default
        replicas: 1
        graph: {name: classifier, implementation: SKLEARN_SERVER, modelUri: gs://models/iris/v1}
  strategy:
    canary:
      steps: [{setWeight: 20}, {analysis: {}}, {setWeight: 50}, {pause: {duration: 1m}}]
  analysis: {metrics: [{errorRate: {}}]}
"""
STEPS = ("spec", "strategy", "canary", "steps")
FIRST = ("spec", "template", "spec", "predictors", 0)
NOT_VALID = "is not valid; expected"


def written(path: tuple[str | int, ...], value: Any) -> str:
    given = deepcopy(yaml.safe_load(RIGHT))
    place = given
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    return yaml.safe_dump(given, sort_keys=False)


def linted(tmp_path: Path, text: str) -> tuple[int, str]:
    file = tmp_path / "rollout.yaml"
    file.write_text(text)
    done = CliRunner().invoke(program(), ["lint", "-f", str(file)])
    return done.exit_code, done.output


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("kind",), "SeldonRolout", "2: kind: there is no SeldonRolout in rollouts.seldon.io; did you mean"),
        (("apiVersion",), "rollouts.seldon.io/v1", "1: apiVersion: 'rollouts.seldon.io/v1' is not valid"),
        (("metadata", "name"), "Iris_1", "4: metadata.name: lower-case letters, digits and dashes"),
        (("metadata", "name"), "x" * 60, "4: metadata.name: at most 63 characters"),
        (("spec", "scaledownDelay"), "5s", "spec.scaledownDelay: there is no such field; did you mean scaleDownDelay?"),
        ((*STEPS, 0), {"setWieght": 20}, "steps[0].setWieght: there is no such field; did you mean setWeight?"),
        ((*STEPS, 0), {"setWeight": "20%"}, f"steps[0].setWeight: '20%' {NOT_VALID} a number"),
        ((*STEPS, 0), {"setWeight": 130}, f"steps[0].setWeight: 130 {NOT_VALID} less than or equal to 100"),
        ((*STEPS, 0), {"setMirror": 50}, f"steps[0].setMirror: 50 {NOT_VALID} a mapping"),
        ((*STEPS, 3), {"pause": {"duration": "1 minute"}}, f"duration: '1 minute' {NOT_VALID} a duration such as 30s"),
        ((*STEPS, 3), {"gate": {"webhook": {"url": "x"}}}, f"url: 'x' {NOT_VALID} text that matches"),
        (STEPS, {"setWeight": 5}, f"canary.steps: {{'setWeight': 5}} {NOT_VALID} a list"),
        (("spec",), None, "5: spec.template: the field is required"),
        ((*FIRST, "replica"), 2, "predictors[0].replica: there is no such field; did you mean replicas?"),
        ((*FIRST, "replicas"), "two", f"predictors[0].replicas: 'two' {NOT_VALID} a whole number"),
        ((*FIRST, "graph", "modelURI"), "gs://a/b", "graph.modelURI: there is no such field; did you mean modelUri?"),
        ((*FIRST, "graph", "implementation"), "SKLEARN", f"graph.implementation: 'SKLEARN' {NOT_VALID} a server for"),
        ((*FIRST, "graph"), {"name": "c", "type": "COMBINER"}, f"graph.name: 'c' {NOT_VALID} the name of a container"),
        ((*FIRST, "graph"), None, "predictors[0].graph"),
        ((*FIRST, "graph", "modelUri"), "gss://m", f"graph.modelUri: 'gss://m' {NOT_VALID} a scheme of"),
        (("spec", "routing"), {"gateways": ["a", "ns/b/c"]}, f"routing.gateways[1]: 'ns/b/c' {NOT_VALID} mesh, or the"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place_and_what_would_be_right(
    tmp_path: Path, path: tuple[str | int, ...], value: Any, said: str
) -> None:
    code, output = linted(tmp_path, written(path, value))
    assert (code, said in output) == (1, True), output


def test_what_is_right_is_left_alone(tmp_path: Path) -> None:
    assert linted(tmp_path, RIGHT) == (0, "1 objects, 0 problems, 0 warnings\n")


def test_a_weight_that_goes_down_is_a_warning(tmp_path: Path) -> None:
    code, output = linted(tmp_path, written((*STEPS, 2), {"setWeight": 10}))
    assert (code, "warning: steps[2].setWeight: 10 comes after 20" in output) == (0, True), output


def test_a_seldondeployment_alone_is_looked_at_too(tmp_path: Path) -> None:
    template = yaml.safe_load(RIGHT)["spec"]["template"]
    template["spec"]["predictors"][0]["graph"]["implementation"] = "SKLEARN"
    text = yaml.safe_dump(
        {
            "apiVersion": "machinelearning.seldon.io/v1",
            "kind": "SeldonDeployment",
            "metadata": {"name": "x"},
            **template,
        }
    )
    code, output = linted(tmp_path, text)
    assert (code, "spec.predictors[0].graph.implementation: 'SKLEARN' is not valid" in output) == (1, True), output
