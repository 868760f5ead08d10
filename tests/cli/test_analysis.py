"""`analyze` runs a template with exit codes that a pipeline can read; `lint` names file and line."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from seldon_rollouts.cli.app import program as commands

Served = Callable[..., AbstractContextManager[str]]


def in_turn(*answers: Any) -> Callable[..., tuple[int, str]]:
    """Answer one after the other, and the last for ever."""
    left = list(answers)
    return lambda _asked: (200, json.dumps(left.pop(0) if len(left) > 1 else left[0]))


def template(url: str, **metric: Any) -> dict[str, Any]:
    provider = {"web": {"url": url + "/{{args.path}}", "jsonPath": "{$.rate}"}}
    return {
        "apiVersion": "rollouts.seldon.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": "one"},
        "spec": {"args": [{"name": "path"}], "metrics": [{"name": "rate", "provider": provider, **metric}]},
    }


def ran(tmp_path: Path, given: dict[str, Any], *arguments: str, command: str = "analyze") -> Any:
    file = tmp_path / "template.yaml"
    file.write_text(yaml.safe_dump(given, sort_keys=False))
    return CliRunner().invoke(commands(), [command, "-f", str(file), *arguments])


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        ({"rate": 0.01}, 0, "Successful"),
        ({"rate": 0.5}, 1, "Failed: metric 'rate': 1 failed, and failureLimit is 0: last value 0.5"),
        ({"rate": 0.15}, 3, "Inconclusive"),
        ({}, 4, "no data: nothing was found"),
    ],
)
def test_analyze_ends_with_the_verdict(tmp_path: Path, served: Served, answer: Any, code: int, said: str) -> None:
    limits = {"successCondition": "result < 0.1", "failureCondition": "result > 0.2", "consecutiveErrorLimit": 0}
    with served(in_turn(answer)) as url:
        done = ran(tmp_path, template(url, **limits), "--arg", "path=v")
    assert (done.exit_code, said in done.output) == (code, True), done.output


def test_analyze_measures_again_until_the_count(tmp_path: Path, served: Served) -> None:
    metric = {"successCondition": "result < 0.1", "interval": "50ms", "count": 3, "failureLimit": 1}
    with served(in_turn({"rate": 0.01}, {"rate": 0.3}, {"rate": 0.02})) as url:
        done = ran(tmp_path, template(url, **metric), "--arg", "path=v")
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "argument 'path' has no value"),
        (("--arg", "path=v", "--arg", "other=1"), "no template has an argument 'other'"),
        (("--arg", "path"), "expected name=value"),
        (("--arg", "path=v", "--template", "two"), "In the files: one"),
    ],
)
def test_what_makes_no_run_is_refused_in_words(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    done = ran(tmp_path, template("http://127.0.0.1:1"), *arguments)
    assert done.exit_code == 2
    assert said in " ".join(done.output.replace("│", " ").split())


@pytest.mark.parametrize(
    ("metric", "line", "said"),
    [
        ({}, 0, "1 objects, 0 problems"),
        (
            {"sucessCondition": "result < 1"},
            14,
            "there is no such field; did you mean successCondition?",
        ),
        ({"successCondition": "reslt < 1"}, 9, "unknown name 'reslt'"),
        ({"successCondition": "result < {{args.most}}"}, 6, "{{args.most}} is used, and args has no 'most'"),
        ({"interval": "often"}, 14, "'often' cannot be read; expected a duration such as 30s"),
        ({"count": "two"}, 14, "'two' cannot be read; expected a whole number"),
        ({"count": 5}, 9, "more than one needs an interval"),
    ],
)
def test_lint_names_file_and_line(tmp_path: Path, metric: dict[str, Any], line: int, said: str) -> None:
    done = ran(tmp_path, template("http://x", **metric), command="lint")
    assert done.exit_code == (1 if line else 0), done.output
    wanted = f"template.yaml:{line}: " if line else ""
    assert any(wanted in one and said in one for one in done.output.splitlines()), done.output


def test_files_come_from_a_folder_and_from_a_pipe_and_a_list_is_what_is_in_it(tmp_path: Path) -> None:
    wrong = template("http://x", successCondition="result <")
    wrong["metadata"]["name"] = "two"
    (tmp_path / "a.yml").write_text(yaml.safe_dump(template("http://x")))
    (tmp_path / "b.json").write_text(json.dumps(wrong))
    (tmp_path / "notes.txt").write_text("neither: of: them")
    listed = yaml.safe_dump({"kind": "List", "items": [template("http://x"), wrong]}, sort_keys=False)

    folder = CliRunner().invoke(commands(), ["lint", "-f", str(tmp_path)])
    piped = CliRunner().invoke(commands(), ["lint", "-f", "-"], input=listed)
    converted = CliRunner().invoke(
        commands(), ["convert", "-"], input=listed.replace("rollouts.seldon.io", "argoproj.io")
    )

    assert (folder.exit_code, folder.output.splitlines()[-1]) == (1, "2 objects, 1 problems, 0 warnings")
    line = max(at for at, text in enumerate(listed.splitlines(), 1) if text.strip() == "- name: rate")
    assert piped.output.startswith(f"-:{line}: "), piped.output
    assert [each["kind"] for each in yaml.safe_load_all(converted.stdout)] == ["AnalysisTemplate"] * 2


def test_lint_follows_templates_through_the_files(tmp_path: Path) -> None:
    given = template("http://x")
    given["spec"]["templates"] = [{"templateName": "one"}]
    assert "templates go in a circle" in ran(tmp_path, given, command="lint").output
    given["spec"]["templates"] = [{"templateName": "two", "clusterScope": True}]
    assert "there is no ClusterAnalysisTemplate 'two'" in ran(tmp_path, given, command="lint").output


ENDLESS = {"interval": "10s", "successCondition": "result < 1"}
OWN = {"name": "digits", "routes": ["main"]}


def rollout(**spec: Any) -> dict[str, Any]:
    graph = {"name": "classifier", "implementation": "SKLEARN_SERVER", "modelUri": "gs://m"}
    predictors = [{"name": "default", "graph": graph}]
    return {
        "apiVersion": "rollouts.seldon.io/v1alpha1",
        "kind": "SeldonRollout",
        "metadata": {"name": "digits"},
        "spec": {"template": {"spec": {"predictors": predictors}}, **spec},
    }


def istio(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def named(name: str = "one", **more: Any) -> dict[str, Any]:
    return {"templates": [{"templateName": name}], **more}


def argument(path: str) -> dict[str, Any]:
    return {"name": "path", "valueFrom": {"fieldRef": {"fieldPath": path}}}


@pytest.mark.parametrize(
    ("spec", "other", "code", "said"),
    [
        ({"analysis": named()}, {}, 1, "argument 'path' has no value"),
        ({"analysis": named(args=[argument("metadata.name")])}, {}, 0, "2 objects, 0 problems, 0 warnings"),
        ({"analysis": named(args=[argument("spec.nothing")])}, {}, 1, "the rollout has no field 'spec.nothing'"),
        ({"analysis": named("two")}, {}, 0, "warning: there is no AnalysisTemplate 'two'"),
        (
            {"strategy": {"canary": {"steps": [{"analysis": named(args=[{"name": "path", "value": "v"}])}]}}},
            {},
            1,
            "a step would wait for it for ever",
        ),
        ({"routing": {"gateways": ["edge"]}}, istio("Gateway", "other"), 0, "warning: Gateway 'edge' is not in"),
        (
            {"routing": {"virtualService": OWN}},
            istio("VirtualService", "digits", http=[{"name": "rest"}]),
            1,
            "has no HTTP route named 'main'; it has rest",
        ),
        (
            {"routing": {"virtualService": OWN}},
            istio("VirtualService", "digits", http=[{"name": "main"}]),
            0,
            "3 objects, 0 problems, 0 warnings",
        ),
    ],
)
def test_lint_joins_a_rollout_with_what_it_names(
    tmp_path: Path, spec: dict[str, Any], other: dict[str, Any], code: int, said: str
) -> None:
    metric = ENDLESS if "strategy" in spec else {}
    given = [template("http://x", **metric), rollout(**spec), *([other] if other else [])]
    file = tmp_path / "all.yaml"
    file.write_text(yaml.safe_dump_all(given, sort_keys=False))
    done = CliRunner().invoke(commands(), ["lint", "-f", str(file)])
    assert (done.exit_code, said in " ".join(done.output.split())) == (code, True), done.output


@pytest.mark.parametrize(
    ("address", "code", "said"),
    [
        ("http://gate.ml:8080/x", 0, "3 objects, 0 problems, 0 warnings"),
        ("http://gate.ml.svc.cluster.local:8080", 0, "3 objects, 0 problems, 0 warnings"),
        ("http://gate.ml", 1, "Service ml/gate has no port 80; it has 8080"),
        ("http://gates.ml:8080", 0, "Service ml/gates is not in these files; they have ml/gate"),
        ("http://gate.other.svc:8080", 0, "Service other/gate is not in these files; they have ml/gate"),
        ("http://gate:8080", 0, "names no namespace: the controller would look in its own; write gate.ml"),
        ("https://example.com", 0, "3 objects, 0 problems, 0 warnings"),
        ("http://{{args.path}}.ml:1", 0, "3 objects, 0 problems, 0 warnings"),
    ],
)
def test_lint_joins_addresses_with_services(tmp_path: Path, address: str, code: int, said: str) -> None:
    service = {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "gate", "namespace": "ml"},
        "spec": {"ports": [{"port": 8080}]},
    }  # fmt: skip
    file = tmp_path / "all.yaml"
    file.write_text(yaml.safe_dump_all([template(address), rollout(), service], sort_keys=False))
    done = CliRunner().invoke(commands(), ["lint", "-f", str(file)])
    assert (done.exit_code, said in done.output) == (code, True), done.output


def test_what_a_metric_says_is_whole_on_a_narrow_terminal(
    tmp_path: Path, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with served(in_turn({"rate": 0.01})) as url:
        done = ran(tmp_path, template(url, successCondition="result < 0.1"), "--arg", "path=v")
    assert "│ Successful" in done.output
    assert "rate: 1 of 1 measurements were successful" in done.output
