"""`install` prints what kustomize would, without kubectl."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from seldon_rollouts.bundle import Installation, bundle
from seldon_rollouts.cli.app import program
from seldon_rollouts.cli.connect import UsageError
from seldon_rollouts.cli.install import documents

ROOT = Path(__file__).parents[2]


class Reader(yaml.SafeLoader):
    """Reads 1e-09 as a number, as Kubernetes does; in YAML 1.1 a float has a point."""


Reader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"[-+]?\d+[eE][-+]?\d+"), list("-+0123456789"))


def kustomized(folder: Path | str) -> dict[tuple[str, str], Any]:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not on PATH: kustomize cannot be tried")
    said = subprocess.run(["kubectl", "kustomize", folder], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return by_name(yaml.load_all(said, Loader=Reader))


def by_name(objects: Any) -> dict[tuple[str, str], Any]:
    return {(each["kind"], each["metadata"]["name"]): each for each in objects if each}


def different(one: dict[tuple[str, str], Any], other: dict[tuple[str, str], Any]) -> list[tuple[str, str]]:
    """Name the objects that are not the same: the definitions are too long to be shown."""
    return sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key))


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
    assert different(by_name(bundle(documents(wanted), wanted)), kustomized(folder)) == []


def test_its_parts_are_the_components(tmp_path: Path) -> None:
    place = Path(os.path.relpath(ROOT / "manifests", tmp_path))
    components = [str(place / "components" / name) for name in ("monitoring", "notifications", "webhook")]
    (tmp_path / "kustomization.yaml").write_text(
        yaml.safe_dump({"resources": [str(place / "base")], "components": components})
    )
    wanted = Installation(rules=True, grafana=True, notifications=True, webhooks=True)
    expected, made = kustomized(tmp_path), by_name(bundle(documents(wanted), wanted))
    for objects in (expected, made):
        container(objects["Deployment", "seldon-rollouts-controller"])["args"].sort()
    assert different(made, expected) == []


EVERYTHING = Installation(
    prometheus_secret="prometheus", service_monitor=True, rules=True, grafana=True,
    monitoring_labels={"release": "prometheus"}, webhooks=True, notifications=True, dashboard=True,
)  # fmt: skip


def container(deployment: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = deployment["spec"]["template"]["spec"]["containers"][0]
    return found


def test_a_service_monitor_reads_the_port_of_the_service_and_has_the_labels_that_are_chosen_by() -> None:
    made = by_name(bundle(documents(EVERYTHING), EVERYTHING))
    assert ("PodMonitor", "seldon-rollouts-controller") not in made
    monitor = made["ServiceMonitor", "seldon-rollouts-controller"]
    service = made["Service", "seldon-rollouts-controller"]
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["port"] in [port["name"] for port in service["spec"]["ports"]]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    chosen = [key for key, each in made.items() if each["metadata"].get("labels", {}).get("release") == "prometheus"]
    assert sorted(kind for kind, _ in chosen) == ["ConfigMap", "PodMonitor", "PrometheusRule", "ServiceMonitor"]


def test_each_secret_is_mounted_where_its_flag_says() -> None:
    made = by_name(bundle(documents(EVERYTHING), EVERYTHING))
    for name, secrets in (
        ("seldon-rollouts-controller", {"seldon-rollouts-notifications", "prometheus"}),
        ("seldon-rollouts-dashboard", {"prometheus"}),
    ):
        pod = made["Deployment", name]["spec"]["template"]["spec"]
        mounts = {each["name"]: each["mountPath"] for each in pod["containers"][0]["volumeMounts"]}
        assert {each["secret"]["secretName"] for each in pod["volumes"]} == secrets
        for volume in pod["volumes"]:
            assert any(mounts[volume["name"]] in each for each in pod["containers"][0]["args"])


@pytest.mark.parametrize(
    ("controllers", "kinds", "asked"),
    [
        ("operator", {"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"}, ["judge.seldondeployments"]),
        ("rollout", {"ValidatingWebhookConfiguration"}, ["judge.seldonrollouts"]),
    ],
)
def test_webhooks_are_asked_only_of_what_is_installed(controllers: Any, kinds: set[str], asked: list[str]) -> None:
    wanted = Installation(controllers=controllers, webhooks=True)
    made = by_name(bundle(documents(wanted), wanted))
    assert {kind for kind, _ in made if kind.endswith("WebhookConfiguration")} == kinds
    hooks = made["ValidatingWebhookConfiguration", "seldon-rollouts"]["webhooks"]
    assert [".".join(each["name"].split(".")[:2]) for each in hooks] == asked


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--prometheus-url", "prom:9090"], "expected http://HOST:PORT"),
        (["--gateway", "edge"], "expected namespace/name"),
        (["--monitoring-label", "release"], "expected name=value, such as release=prometheus"),
        (["--no-pod-monitors", "--rules"], "leave out --rules"),
    ],
)
def test_what_does_not_fit_is_told(words: list[str], said: str) -> None:
    done = CliRunner().invoke(program("install"), ["install", *words])
    assert isinstance(done.exception, UsageError)
    assert said in str(done.exception)


def controller(objects: list[dict[str, Any]]) -> dict[str, Any]:
    deployment = by_name(objects)["Deployment", "seldon-rollouts-controller"]
    return container(deployment)


def test_addresses_and_images_are_those_that_were_asked_for() -> None:
    wanted = Installation(prometheus_url="https://prom.example", gateway="mesh/edge", registry="reg.example/ml/")
    made = controller(bundle(documents(Installation()), wanted))
    assert {"--prometheus-url=https://prom.example", "--gateway=mesh/edge"} <= set(made["args"])
    assert made["image"].startswith("reg.example/ml/rollouts-controller:")


def test_definitions_come_before_what_needs_them() -> None:
    kinds = [each["kind"] for each in bundle(documents(EVERYTHING), EVERYTHING)]
    assert kinds.index("Deployment") > max(i for i, kind in enumerate(kinds) if kind == "CustomResourceDefinition")
    assert kinds.count("Deployment") == 2
