"""`plan`: weights and times of a rollout, what is advised, and what is refused in words."""

from typing import Any

import pytest
from typer.testing import CliRunner

from analysis.usual import Habits
from seldon_rollouts.cli.app import program as commands
from seldon_rollouts.cli.connect import UsageError
from seldon_rollouts.cli.plan import advice, asked
from seldon_rollouts.cli.planned import Planned, Stage, show, written

TEMPLATE = {"spec": {"predictors": [{"name": "default", "graph": {"name": "c"}}]}}
SLOW = {0.1: 0.3, 0.25: 0.02, 0.5: 0.001, 1.0: 0.0}


def rollout(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "ml", "name": "iris"}, "spec": {"template": TEMPLATE, **spec}}


def canary(*steps: dict[str, Any]) -> dict[str, Any]:
    return rollout(strategy={"canary": {"steps": list(steps)}})


@pytest.mark.parametrize(
    ("given", "stages"),
    [
        (rollout(), [Stage(5, 600), Stage(25, 600), Stage(50, 600)]),
        (rollout(strategy={"canary": {"weights": [0.5, 100]}}), [Stage(0.5, 600)]),
        (
            canary({"setWeight": 10}, {"pause": {}}, {"setWeight": 40}, {"analysis": {"maxDuration": "20m"}}),
            [Stage(10, None), Stage(40, 1200)],
        ),
        (
            canary({"analysis": {}}, {"setWeight": 20}, {"analysis": {}}, {"analysis": {"maxDuration": "1m"}}),
            [Stage(20, 660)],
        ),
        (rollout(strategy={"shadow": {"untilVerdict": {}, "then": {"weights": [30]}}}), [Stage(30, 600)]),
    ],
)
def test_each_weight_has_the_time_of_its_analysis(given: dict[str, Any], stages: list[Stage]) -> None:
    assert asked(given)[0] == stages


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (rollout(strategy={"blueGreen": {}}), "has no weights to plan"),
        (canary({"pause": {}}), "set no weight between 0 and 100"),
        (rollout(analysis={"judge": "mannWhitney"}), "only sequential's times"),
        (rollout(analysis={"metrics": [{"traffic": {}}]}), "of the metrics traffic none is required"),
        (rollout(analysis={"alpha": 2}), "spec.analysis.alpha: 2 is not valid; expected less than or equal to 0.5"),
    ],
)
def test_what_cannot_be_planned_is_refused_in_words(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        asked(given)


@pytest.mark.parametrize(
    ("rate", "said"),
    [
        (1000, []),
        (12, ["at 5 % an equal canary needs", "better: weights: [", "or first a shadow"]),
        (3, ["a person is asked", "or first a shadow", "or wait longer: analysis with maxDuration"]),
    ],
)
def test_what_sees_too_little_gets_a_better_plan(rate: float, said: list[str]) -> None:
    stages, judged = asked(rollout())
    found = advice(Habits(rate, 0.002, SLOW), judged, stages)
    assert len(found) == len(said)
    assert all(part in sentence for part, sentence in zip(said, found, strict=True)), found


def test_a_plan_of_typed_checks_alone_speaks_of_them_alone(capsys: pytest.CaptureFixture[str]) -> None:
    stages, judged = asked(rollout(analysis={"metrics": [{"traffic": {}, "required": True}, {"outlierRate": {}}]}))
    seen = Planned("iris-1", Habits(50, 0.002, SLOW), judged, tuple(stages), ())
    show(seen)
    said = capsys.readouterr().out
    assert "traffic (pause): odds of a request x1.5, or 1/1.5" in said
    assert "not foretold: outlierRate: in this time stable's orchestrators counted no rows" in said
    assert "catch errors" not in said
    [first, *_] = written(seen)["weights"]
    assert [one["metric"] for one in first["checks"]] == ["traffic"]
    assert first["checks"][0]["noticed"][0]["seconds"] > first["checks"][0]["noticed"][1]["seconds"] > 0
    assert first["promoteSeconds"] >= first["checks"][0]["goodSeconds"]
    assert (first["caught"], first["smallest"]) == ([], [])


def test_without_a_prometheus_it_says_what_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROMETHEUS_URL", raising=False)
    done = CliRunner().invoke(commands(), ["plan", "iris"])
    assert done.exit_code == 2
    assert "give --prometheus-url, or set PROMETHEUS_URL" in " ".join(done.output.replace("│", " ").split())
