"""What is shipped agrees with what is built in; and no object, however odd, breaks the operator."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.deployment.configuration import Configuration, with_config_map
from controller.deployment.defaults import complete
from controller.deployment.render import render
from controller.deployment.subject import Subject
from controller.deployment.validation import check, parse

MANIFESTS = Path(__file__).parents[2] / "manifests"
Read = Callable[..., Subject]


def test_the_shipped_config_map_says_what_is_built_in() -> None:
    data = yaml.safe_load((MANIFESTS / "base" / "seldon-config.yaml").read_text())["data"]
    assert with_config_map(Configuration(), data) == Configuration()


def test_every_shipped_sample_can_be_rendered(subject_for: Read) -> None:
    documents = [
        each for path in (MANIFESTS / "samples").glob("*.yaml") for each in yaml.safe_load_all(path.read_text())
    ]
    found = [each for each in documents if each and each["kind"] == "SeldonDeployment"]
    assert found
    for each in found:
        assert render(subject_for(each), Configuration()).objects()


KEYS = (
    "name",
    "image",
    "env",
    "ports",
    "containerPort",
    "volumeMounts",
    "mountPath",
    "value",
    "labels",
    "type",
    "pods",
)
SCALARS = st.none() | st.booleans() | st.integers(-1, 70000) | st.sampled_from(["", "m", "Pods", "9000"])
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=8,
)
PARTS = ("env", "ports", "volumeMounts", "envFrom", "lifecycle", "image", "args", "resources")
CONTAINER = st.fixed_dictionaries({"name": st.just("m")}, optional=dict.fromkeys(PARTS, JSON))
CONTAINERS = st.lists(CONTAINER | JSON, max_size=2) | JSON
POD = st.fixed_dictionaries({}, optional={"containers": CONTAINERS, "initContainers": JSON, "volumes": JSON})


@settings(deadline=None, max_examples=150)
@given(pod=POD | JSON, metadata=JSON, env=JSON, hpa=JSON)
def test_whatever_stands_in_a_pod_spec_is_explained_or_rendered(pod: Any, metadata: Any, env: Any, hpa: Any) -> None:
    component = {"spec": pod, "metadata": metadata}
    if isinstance(hpa, dict):
        component["hpaSpec"] = {"maxReplicas": 2, "metrics": [hpa]}
    graph = {"name": "m", "implementation": "SKLEARN_SERVER", "modelUri": "gs://m"}
    predictor = {"name": "p", "graph": graph, "componentSpecs": [component], "svcOrchSpec": {"env": env}}
    raw = {"metadata": {"name": "iris", "namespace": "ml"}, "spec": {"predictors": [predictor]}}
    subject = parse(raw)
    if isinstance(subject, Subject):
        configuration = Configuration()
        if not check(subject, configuration):
            assert render(complete(subject, configuration), configuration).objects()
    else:
        assert all(str(each) for each in subject)
