"""What is rendered for each shipped sample keeps Seldon Core v1's contract."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.deployment.configuration import Configuration
from controller.deployment.render import render
from controller.deployment.subject import Subject
from e2e.contract import breaches

HERE = Path(__file__).parent
Read = Callable[..., Subject]
SHIPPED = {
    document["metadata"]["name"]: document
    for path in sorted((HERE.parents[1] / "manifests" / "samples").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
    if document["kind"] == "SeldonDeployment"
}
NAMED_BY_UPSTREAM = (
    "SKLEARN_SERVER", "XGBOOST_SERVER", "MLFLOW_SERVER", "TENSORFLOW_SERVER", "TRITON_SERVER", "HUGGINGFACE_SERVER",
    "TEMPO_SERVER", "RANDOM_ABTEST",
)  # fmt: skip


def _rendered(raw: dict[str, Any], subject_for: Read) -> dict[tuple[str, str], dict[str, Any]]:
    raw["metadata"] |= {"namespace": "ml", "uid": "uid-1"}
    objects = render(subject_for(raw), Configuration()).objects()
    return {(each["kind"], each["metadata"]["name"]): each for each in json.loads(json.dumps(objects))}


@pytest.mark.parametrize("name", SHIPPED)
def test_what_is_rendered_for_a_sample_keeps_the_contract(name: str, subject_for: Read) -> None:
    raw = copy.deepcopy(SHIPPED[name])
    assert breaches(raw, _rendered(raw, subject_for)) == []


def test_the_samples_show_each_server_and_each_kind_of_graph() -> None:
    text = json.dumps(list(SHIPPED.values()))
    kinds = ("ROUTER", "COMBINER", "TRANSFORMER", '"shadow": true', "explainer", "hpaSpec", "kedaSpec", "pdbSpec")
    switches = ("certSecretName", "seldon.io/no-engine", "seldon.io/engine-separate-pod", "EPSILON_GREEDY")
    assert [each for each in (*NAMED_BY_UPSTREAM, *kinds, *switches) if each not in text] == []


def _lose(obj: dict[str, Any], path: tuple[Any, ...]) -> None:
    for step in path[:-1]:
        obj = obj[step]
    del obj[path[-1]]


DEPLOYMENT, SERVICE = ("Deployment", "iris-default-0-classifier"), ("Service", "iris-default")
CONTAINERS = ("spec", "template", "spec", "containers")


@pytest.mark.parametrize(
    ("key", "path"),
    [
        (DEPLOYMENT, ("metadata", "labels", "fluentd")),
        (DEPLOYMENT, ("spec", "template", "metadata", "labels", "version")),
        (DEPLOYMENT, ("spec", "template", "metadata", "annotations", "prometheus.io/path")),
        (DEPLOYMENT, (*CONTAINERS, 0, "ports", 2)),
        (DEPLOYMENT, (*CONTAINERS, 0, "env", 0)),
        (DEPLOYMENT, (*CONTAINERS, 0, "lifecycle", "preStop")),
        (DEPLOYMENT, (*CONTAINERS, 1, "args", 1)),
        (DEPLOYMENT, ("spec", "template", "spec", "initContainers", 0)),
        (SERVICE, ("spec", "ports", 1)),
        (("DestinationRule", "iris-default"), ("spec", "subsets", 0)),
        (("VirtualService", "iris"), ("spec", "http", 0, "rewrite", "uri")),
        (("VirtualService", "iris"), ("spec", "http", 1, "match", 0, "headers", "seldon")),
    ],
)
def test_what_is_missing_is_a_breach(key: tuple[str, str], path: tuple[Any, ...], subject_for: Read) -> None:
    raw = copy.deepcopy(SHIPPED["iris"])
    objects = _rendered(raw, subject_for)
    _lose(objects[key], path)
    assert breaches(raw, objects)
