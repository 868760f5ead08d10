"""`install` prints what kustomize would, without kubectl."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from seldon_rollouts.bundle import Installation, bundle
from seldon_rollouts.cli.install import documents

ROOT = Path(__file__).parents[2]


def by_name(objects: Any) -> dict[tuple[str, str], Any]:
    return {(each["kind"], each["metadata"]["name"]): each for each in objects if each}


@pytest.mark.parametrize(
    ("folder", "wanted"),
    [
        ("manifests/base", Installation()),
        ("manifests/overlays/operator-only", Installation(controllers="operator")),
        ("manifests/overlays/rollout-only", Installation(controllers="rollout")),
        ("manifests/overlays/without-prometheus-operator", Installation(pod_monitors=False)),
    ],
)
def test_it_is_what_the_overlay_says(folder: str, wanted: Installation) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not on PATH: kustomize cannot be tried")
    said = subprocess.run(["kubectl", "kustomize", folder], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert by_name(bundle(documents(dashboard=False), wanted)) == by_name(yaml.safe_load_all(said))


def controller(objects: list[dict[str, Any]]) -> dict[str, Any]:
    deployment = by_name(objects)["Deployment", "seldon-rollouts-controller"]
    container: dict[str, Any] = deployment["spec"]["template"]["spec"]["containers"][0]
    return container


def test_addresses_and_images_are_those_that_were_asked_for() -> None:
    wanted = Installation(prometheus_url="https://prom.example", gateway="mesh/edge", registry="reg.example/ml/")
    made = controller(bundle(documents(dashboard=False), wanted))
    assert {"--prometheus-url=https://prom.example", "--gateway=mesh/edge"} <= set(made["args"])
    assert made["image"].startswith("reg.example/ml/rollouts-controller:")


def test_definitions_come_before_what_needs_them() -> None:
    kinds = [each["kind"] for each in bundle(documents(dashboard=True), Installation(dashboard=True))]
    assert kinds.index("Deployment") > max(i for i, kind in enumerate(kinds) if kind == "CustomResourceDefinition")
    assert kinds.count("Deployment") == 2
