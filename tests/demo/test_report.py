"""The demo's account: it says what is not as promised, and never calls a lost request a bad revision's."""

import pytest

from seldon_rollouts.demo import report
from seldon_rollouts.demo.report import Act
from seldon_rollouts.demo.scenes import SCENES, rollout
from seldon_rollouts.demo.traffic import Failure, Tally


def told() -> list[Act]:
    """A telling in which all went as promised."""
    acts = []
    for scene in SCENES:
        act = Act(scene=scene, hash=f"hash{scene.number}", outcome=scene.expected, metric=scene.metric, seconds=10.0)
        act.reason = "requests failed" if scene.expected == "RolledBack" else ""
        if scene.kill_controller_at_step is not None:
            act.controller_killed, act.step_before_kill, act.step_after_kill = True, 1, 1
        acts.append(act)
    return acts


def test_a_telling_as_promised_has_no_problem() -> None:
    assert report.problems(told(), []) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda acts: setattr(acts[1], "outcome", "RolledBack"), "expected Promoted, observed RolledBack"),
        (lambda acts: setattr(acts[2], "metric", "latency"), "rolled back for 'latency'"),
        (lambda acts: setattr(acts[3], "reason", ""), "no reason was written down"),
        (lambda acts: setattr(acts[1], "controller_killed", False), "the controller was not killed"),
        (lambda acts: setattr(acts[1], "step_after_kill", 0), "lost its place"),
        (lambda acts: setattr(acts[1], "step_after_kill", None), "lost its place"),
        (lambda acts: acts[0].problems.append("no end within 180 s"), "no end"),
    ],
)
def test_what_is_not_as_promised_is_said(change, said: str) -> None:
    acts = told()
    change(acts)
    assert any(said in problem for problem in report.problems(acts, []))


@pytest.mark.parametrize(("revision", "lost"), [("hash3", 0), ("hash4", 0), ("hash2", 1), ("?", 1)])
def test_only_what_a_bad_revision_itself_answered_may_fail(revision: str, lost: int) -> None:
    found = report.problems(told(), [Failure(revision, 503, "no healthy upstream")])
    assert len(found) == lost


def test_the_account_for_machines_has_a_row_for_each_revision() -> None:
    tally = Tally()
    tally.add(1.0, 0.010, failed=False, right=True)
    account = report.summary(told(), {"hash1": tally}, [], 99.0)
    assert [row["revision"] for row in account["revisions"]] == [1, 2, 3, 4]
    assert account["revisions"][0]["p50Ms"] == 10.0
    assert (account["controllerKilledAtStep"], account["problems"]) == (2, [])


def test_from_scene_to_scene_only_the_models_address_changes() -> None:
    first, second = rollout("a"), rollout("b")
    first["spec"]["template"]["spec"]["predictors"][0]["graph"]["modelUri"] = "b"
    assert first == second


def test_quantiles_and_shares_of_a_tally() -> None:
    tally = Tally()
    for number in range(100):
        tally.add(float(number), number / 1000, failed=number == 0, right=number % 2 == 1)
    assert (tally.quantile(0.5), tally.quantile(0.99), tally.failed) == (0.050, 0.099, 1)
    assert tally.accuracy() == pytest.approx(50 / 99)


def test_a_revision_that_answered_nothing_has_no_figures() -> None:
    assert (Tally().quantile(0.5), Tally().accuracy()) == (None, None)
