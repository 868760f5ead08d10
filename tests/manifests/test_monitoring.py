"""Alerts and dashboards: they are what promtool takes, what both operators find, and made of metrics that there are."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "manifests" / "components" / "monitoring"
RULES = FOLDER / "rules.yaml"
DASHBOARDS = sorted((FOLDER / "grafana").glob("*.json"))
OURS = re.compile(r"\bseldon_rollouts_[a-z0-9_]+")
TESTED = Path(__file__).with_name("rules-test.yaml")


def promtool(*words: str) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not on PATH; it comes with Prometheus: python -m localcluster.programs --install")
    done = subprocess.run(["promtool", *words], capture_output=True, text=True, check=False, cwd=ROOT, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def alerts() -> list[dict]:
    return [rule for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"] for rule in group["rules"]]


def documented() -> set[str]:
    """Every name of a series that docs/metrics.md promises."""
    page = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    found = set()
    for name, kind in re.findall(r"^\| `(seldon_rollouts_\w+)` \| (\w+)", page, re.MULTILINE):
        found |= {f"{name}_{part}" for part in ("bucket", "count", "sum")} if kind == "histogram" else {name}
    return found


def expressions(board: Path) -> list[str]:
    made = json.loads(board.read_text("utf-8"))
    return [target["expr"] for panel in made["panels"] for target in panel.get("targets", ())]


def test_promtool_takes_the_rules() -> None:
    promtool("check", "rules", str(RULES))


def test_the_alerts_come_and_go_as_they_should() -> None:
    promtool("test", "rules", str(TESTED))


def test_every_alert_has_a_test_in_which_it_fires() -> None:
    cases = [case for test in yaml.safe_load(TESTED.read_text())["tests"] for case in test["alert_rule_test"]]
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == {rule["alert"] for rule in alerts()}


def test_the_operators_rules_are_the_same() -> None:
    rule = yaml.safe_load((FOLDER / "prometheus-rule.yaml").read_text("utf-8"))
    assert rule["spec"] == yaml.safe_load(RULES.read_text("utf-8"))


def test_every_alert_says_what_happened_and_what_to_do() -> None:
    for rule in alerts():
        assert rule["labels"]["severity"] in {"info", "warning", "critical"}, rule["alert"]
        assert set(rule["annotations"]) == {"summary", "description"}, rule["alert"]


def test_alerts_and_panels_are_made_of_metrics_that_are_documented() -> None:
    used = {name for rule in alerts() for name in OURS.findall(rule["expr"])}
    for board in DASHBOARDS:
        used |= {name for each in expressions(board) for name in OURS.findall(each)}
    assert used - documented() == set()


@pytest.mark.parametrize("board", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_can_be_provisioned_beside_others(board: Path) -> None:
    made = json.loads(board.read_text("utf-8"))
    numbers = [panel["id"] for panel in made["panels"]]
    assert len(set(numbers)) == len(numbers)
    assert "id" not in made, "Grafana gives numbers itself"
    variables = {each["name"] for each in made["templating"]["list"]}
    asked = {name for each in expressions(board) for name in re.findall(r"\$([a-z]\w*)", each)}
    assert asked <= variables
    sources = {panel["datasource"]["uid"] for panel in made["panels"] if "datasource" in panel}
    assert sources == {"${datasource}"}


def test_the_component_brings_dashboards_by_the_sidecars_label_and_the_rules(kustomize, tmp_path) -> None:
    where = os.path.relpath(ROOT / "manifests", tmp_path)
    (tmp_path / "kustomization.yaml").write_text(
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
        f"resources: [{where}/base]\ncomponents: [{where}/components/monitoring]\n"
    )
    objects = kustomize(str(tmp_path))
    (boards,) = [each for each in objects if each["metadata"]["name"] == "seldon-rollouts-grafana-dashboards"]
    assert boards["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert {json.loads(text)["uid"] for text in boards["data"].values()} == {
        "seldon-rollouts",
        "seldon-rollouts-models",
    }
    assert [each["metadata"]["name"] for each in objects if each["kind"] == "PrometheusRule"] == ["seldon-rollouts"]


def test_the_controllers_own_labels_survive_the_scrape(base) -> None:
    (monitor,) = [
        each
        for each in base
        if each["kind"] == "PodMonitor" and each["metadata"]["name"] == "seldon-rollouts-controller"
    ]
    assert all(endpoint["honorLabels"] for endpoint in monitor["spec"]["podMetricsEndpoints"])
