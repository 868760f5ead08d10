"""What `replay` cannot do is refused in words that say what would be right."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from seldon_rollouts.cli.app import main
from seldon_rollouts.cli.app import program as commands

URL = ("--prometheus-url", "http://127.0.0.1:9")
ARMS = ("--stable", "iris-1", "--canary", "iris-2")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((*URL, "--from", "1h"), "give --stable and --canary, or --self"),
        ((*URL, "--from", "1h", "--stable", "a"), "give --stable and --canary, or --self"),
        ((*URL, "--from", "1h", "--stable", "a", "--canary", "a"), "for its own halves give --self"),
        ((*URL, "--from", "1h", "--self", "a", "--canary", "b"), "--self stands alone"),
        ((*URL, *ARMS, "--from", "soon"), "--from soon: expected an ISO time such as 2026-05-04T10:00Z"),
        ((*URL, *ARMS, "--from", "1h", "--to", "2h"), "must lie before --to"),
        ((*URL, *ARMS, "--from", "1h", "--to", "2999-01-01"), "both in the past"),
        ((*URL, *ARMS, "--from", "1h", "--warmup", "long"), "--warmup long: expected a duration"),
        ((*URL, *ARMS, "--from", "1h", "-o", "name"), "expected text, json or yaml"),
        ((*URL, *ARMS), "give --from: an ISO time such as 2026-05-04T10:00Z"),
        (
            (*URL, *ARMS, "--from", "1h", "--weight", "10"),
            "only the check `traffic` looks at it, and the plan has none",
        ),
    ],
)
def test_what_cannot_be_replayed_is_refused_in_words(arguments: tuple[str, ...], said: str) -> None:
    done = CliRunner().invoke(commands(), ["replay", *arguments])
    assert done.exit_code == 2
    assert said in " ".join(done.output.replace("│", " ").split())


ROLLOUT = """
kind: SeldonRollout
metadata: {name: iris, namespace: ml}
spec:
  template: {spec: {predictors: [{name: default, graph: {name: c}}]}}
  analysis: {metrics: [{errorRate: {}}, {traffic: {}}]}
"""


@pytest.mark.parametrize(
    ("written", "arguments", "said"),
    [
        (ROLLOUT, ("--weight", "0"), "--weight 0: expected a percent above 0 and below 100, such as 10"),
        (ROLLOUT, ("--weight", "100"), "--weight 100: expected a percent above 0 and below 100"),
        (ROLLOUT, ("-n", "web"), "it is of namespace ml, and web is meant: give -n ml"),
        (ROLLOUT, ("--rollout", "wine"), "expected one SeldonRollout 'wine', found iris"),
        (f"{ROLLOUT}---{ROLLOUT.replace('iris', 'wine')}", (), "found iris, wine: say which with --rollout"),
        ("kind: Deployment", (), "expected one SeldonRollout, found none"),
        ("kind: [", (), "iris.yaml:1: expected the node content"),
    ],
)
def test_a_file_without_the_rollout_that_is_meant_is_refused(
    written: str, arguments: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    file = tmp_path / "iris.yaml"
    file.write_text(written)
    line = ["replay", *URL, *ARMS, "--from", "1h", "-n", "ml", "-f", str(file), *arguments]
    done = CliRunner().invoke(commands(), line)
    assert done.exit_code == 2
    assert said in " ".join(done.output.replace("│", " ").split())


def test_halves_have_no_weight(tmp_path: Path) -> None:
    file = tmp_path / "iris.yaml"
    file.write_text(ROLLOUT)
    line = ["replay", *URL, "--self", "iris-1", "--from", "1h", "-n", "ml", "-f", str(file), "--weight", "50"]
    done = CliRunner().invoke(commands(), line)
    assert done.exit_code == 2
    assert "halves of one deployment have no weight" in " ".join(done.output.replace("│", " ").split())


def test_a_rollout_that_cannot_be_read_names_the_field(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "iris.yaml"
    file.write_text(ROLLOUT.replace("{traffic: {}}", "{reward: {tolerance: 0.4}}"))
    line = ["seldon-rollouts", "replay", *URL, *ARMS, "--from", "1h", "-n", "ml", "-f", str(file)]
    monkeypatch.setattr("sys.argv", line)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code not in (0, 1, 3)
    said = capsys.readouterr().err
    assert "spec.analysis.metrics[1].reward.tolerance: 0.4 is not valid; expected less than 0.3; see `lint`" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give --prometheus-url, or set PROMETHEUS_URL"),
        (("--prometheus-url", "nowhere"), "must look like http://host:9090"),
        (
            (*URL, "--step", "500ms"),
            "--step 500ms: step must be a whole number of seconds, got 0:00:00.500000, such as",
        ),
        ((*URL, "--prometheus-access", "nowhere"), "--prometheus-access nowhere: expected a folder"),
    ],
)
def test_without_a_prometheus_it_says_what_to_give(
    arguments: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PROMETHEUS_URL", raising=False)
    done = CliRunner().invoke(commands(), ["replay", *ARMS, "--from", "1h", *arguments])
    assert done.exit_code == 2  # 1 would be a bad verdict
    assert said in " ".join(done.output.replace("│", " ").split())


def test_a_prometheus_that_does_not_answer_is_no_bad_verdict(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["seldon-rollouts", "replay", *ARMS, "--from", "1h", *URL])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 4
    assert "http://127.0.0.1:9 did not answer" in capsys.readouterr().err


def test_a_prometheus_that_asks_for_a_login_gets_it(
    tmp_path: Path, served: Callable[..., AbstractContextManager[str]]
) -> None:
    seen: list[str | None] = []

    def empty(asked: Any) -> tuple[int, str]:
        seen.append(asked.headers.get("authorization"))
        return 200, '{"status":"success","data":{"resultType":"matrix","result":[]}}'

    (tmp_path / "token").write_text("let-me-in\n")
    with served(empty) as url:
        where = ("--prometheus-url", url, "--prometheus-access", str(tmp_path))
        done = CliRunner().invoke(commands(), ["replay", *ARMS, "--from", "5m", *where])
    assert done.exit_code == 4, done.output
    assert set(seen) == {"Bearer let-me-in"}
