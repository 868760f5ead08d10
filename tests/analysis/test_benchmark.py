"""`make bench-judges` from end to end, on a few runs: tables, goals, JSON and pictures; and what it refuses."""

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analysis.verdict import Judgement, Verdict
from bench import goals, judges, plots, whole

WORSE, WHOLE = "0.1 to 90 %", "0.1 to 10 %, 100 rps"


@pytest.fixture(autouse=True)
def _logging_again() -> Iterator[None]:
    """The benchmark switches logging off; others want it."""
    yield
    logging.disable(logging.NOTSET)


def test_every_judge_plays_a_scenario_and_is_told_with_its_goals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plots, "can_draw", lambda: True)
    monkeypatch.setattr(plots, "draw", lambda results, folder: [folder / "a.png"])
    assert judges.main(["--runs", "2", "--kind", "fixed", "--only", WORSE, "--out", str(tmp_path)]) == 0
    said, written = capsys.readouterr().out, json.loads((tmp_path / "judges.json").read_text())
    (row,) = written["fixed"]
    assert set(row["judges"]) >= {"ours", "Flagger docs", "Argo 95 %", "Kayenta", "z-test", "mSPRT", "DKW", "oracle"}
    ours = row["judges"]["ours"]
    assert (ours["fired_percent"], row["bad"], row["runs"]) == (100, True, 2)
    assert row["bound"] <= ours["median"] <= 30
    assert 0 < ours["excess_errors"] < ours["canary_requests"]
    assert f"| {row['scenario']} | 0 | 100 @" in said
    assert "a.png" in said


def test_whole_rollouts_are_played_with_our_judge_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "can_draw", lambda: True)
    monkeypatch.setattr(plots, "draw", lambda results, folder: [])
    asked = ["--runs", "2", "--kind", "progressive", "--alone", "--only", WHOLE, "--out", str(tmp_path)]
    assert judges.main(asked) == 0
    (row,) = json.loads((tmp_path / "judges.json").read_text())["progressive"]
    assert list(row["judges"]) == ["ours"]
    assert row["judges"]["ours"]["rolled_back_percent"] == 100


def test_the_whole_controller_says_what_the_library_says_or_the_benchmark_ends_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ["--runs", "1", "--only", WHOLE, "--out", str(tmp_path)]
    kept: list[whole.Played] = []
    play = whole.play
    monkeypatch.setattr(whole, "play", lambda *given: kept.append(play(*given)) or kept[-1])
    assert whole.main(asked) == 0
    (row,) = json.loads((tmp_path / "whole.json").read_text())
    assert (list(row["controller"]), row["equal"], row["runs"]) == (["rolled back"], 1, 1)
    assert "1 of 1 equal" in capsys.readouterr().out
    other = replace(kept[0], by_library=Judgement(verdict=Verdict.GOOD, message=""))
    monkeypatch.setattr(whole, "play", lambda *_: other)
    assert whole.main(asked) == 1
    assert "0 of 1 equal" in capsys.readouterr().out


@pytest.mark.parametrize("main", [judges.main, whole.main])
def test_a_scenario_that_is_none_is_refused_before_anything_is_played(
    main: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--only", "nothing"])
    assert "--only nothing: no scenario is called so" in capsys.readouterr().err


def fixed(name: str, percent: float, *, bad: bool, runs: int = 1000, bound: float | None = None) -> dict[str, Any]:
    ours = {
        "fired_percent": percent,
        "fired_interval_99": [100 * one for one in judges.interval(round(runs * percent / 100), runs)],
        "median": 20.0 if percent else None,
        "p90": 30.0,
        "excess_errors": 9.0,
    }
    return {"scenario": name, "bad": bad, "runs": runs, "bound": bound, "judges": {"ours": ours, "z-test": ours}}


@pytest.mark.parametrize(
    ("row", "met"),
    [
        (fixed("A/A 1 %", 0, bad=False), [True]),
        (fixed("A/A 1 %", 0, bad=False, runs=40), [False]),
        (fixed("A/A 1 %", 0.9, bad=False), [False]),
        (fixed("latency x1.2", 95, bad=True), [True]),
        (fixed("latency x1.2", 94, bad=True), [False]),
        (fixed("0.1 to 10 %, 100 rps, 5 %", 100, bad=True), [True, True]),
        (fixed("1 to 2 %, 100 rps, 5 %", 100, bad=True, bound=14), [True]),
        (fixed("1 to 2 %, 100 rps, 5 %", 100, bad=True, bound=13), [False]),
    ],
)
def test_goals_are_held_against_what_was_measured(row: dict[str, Any], met: list[bool]) -> None:
    assert [goal.met for goal in goals.goals({"fixed": [row], "progressive": []})] == met


def test_without_what_draws_nothing_is_played_and_it_is_said_how_to_get_it(monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.setattr(plots, "can_draw", lambda: False)
    with pytest.raises(SystemExit):
        judges.main(["--runs", "1", "--out", str(tmp_path)])
    said = capsys.readouterr()
    assert "--out draws with matplotlib, which is missing: pip install --group bench" in said.err
    assert not said.out
    assert not [*tmp_path.iterdir()]


def test_pictures_are_drawn_of_equal_and_of_worse_canaries(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="`make bench-judges` installs it")
    rows = [fixed("A/A 1 %", 0, bad=False), fixed("1 to 2 %", 100, bad=True, bound=14)]
    drawn = plots.draw({"fixed": rows, "progressive": []}, tmp_path / "new")
    assert [path.name for path in drawn] == ["false-rollbacks.png", "detection.png"]
    for path in drawn:
        assert path.read_bytes().startswith(b"\x89PNG")
    assert plots.draw({"fixed": rows[:1], "progressive": []}, tmp_path) == [tmp_path / "false-rollbacks.png"]
