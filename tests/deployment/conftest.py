"""Samples, models, and a pure world for them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.deployment.configuration import Configuration
from controller.deployment.defaults import complete
from controller.deployment.subject import Subject
from controller.deployment.validation import check, parse
from tests.deployment.world import World

HERE = Path(__file__).parent
SAMPLES = sorted((HERE / "samples").glob("*.yaml"))


def read_sample(path: Path) -> dict[str, Any]:
    """Read a sample as the API server would give it."""
    return yaml.safe_load(path.read_text())


def subject_of(raw: Mapping[str, Any], configuration: Configuration | None = None) -> Subject:
    """Read, check and complete an object that must be right."""
    configuration = configuration or Configuration()
    subject = parse(raw)
    assert isinstance(subject, Subject), subject
    assert check(subject, configuration) == ()
    return complete(subject, configuration)


def model(name: str = "iris", *, uri: str = "gs://m/1", replicas: int | None = None, **spec: Any) -> dict[str, Any]:
    """Return a SeldonDeployment of one prepackaged model."""
    predictor: dict[str, Any] = {
        "name": "default",
        "graph": {"name": "classifier", "implementation": "SKLEARN_SERVER", "modelUri": uri},
    }
    if replicas is not None:
        predictor["replicas"] = replicas
    return {
        "apiVersion": "machinelearning.seldon.io/v1",
        "kind": "SeldonDeployment",
        "metadata": {"name": name, "namespace": "ml", "uid": "uid-1", "generation": 1},
        "spec": {"predictors": [predictor], **spec},
    }


@pytest.fixture
def world() -> World:
    """An empty cluster."""
    return World()


@pytest.fixture
def make_model() -> Callable[..., dict[str, Any]]:
    """Makes SeldonDeployments of one model."""
    return model


@pytest.fixture
def subject_for() -> Callable[..., Subject]:
    """Reads, checks and completes an object."""
    return subject_of


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "sample" in metafunc.fixturenames:
        metafunc.parametrize("sample", SAMPLES, ids=[path.stem for path in SAMPLES])
