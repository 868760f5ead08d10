"""The promises of the parts bite: of groups, runs, webhooks, autoscalers, mirrors with a match, and ends."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from simulated.catching import Case, case, is_caught, stories
from simulated.shrink import broken

from controller.deployment import draft
from controller.rollout import gate as gates
from controller.rollout import group, leaving, runs, specials, split
from controller.rollout import webhooks as asked
from controller.rollout.actions import HoldRollout, StopRun


def _alone(patch: pytest.MonkeyPatch) -> None:
    """Nobody waits for the others of the group."""
    patch.setattr(group, "behind", lambda *_told: ())
    patch.setattr(group, "rolled_back", lambda *_told: None)


def _agreed_is_taken_back(patch: pytest.MonkeyPatch) -> None:
    """What is settled is not: the judge is heard to the end."""
    patch.setattr(group, "final", lambda *_told: False)


def _runs_go_on(patch: pytest.MonkeyPatch) -> None:
    real = runs.plan
    patch.setattr(
        runs, "plan", lambda *told, **more: [each for each in real(*told, **more) if not isinstance(each, StopRun)]
    )


def _failed_is_nothing(patch: pytest.MonkeyPatch) -> None:
    """A run that failed says nothing, and is not waited for."""
    patch.setattr(runs, "failed", lambda *_told: None)
    patch.setattr(runs, "unfinished", lambda *_told: runs.Standing(good=True))
    real = runs.standing
    patch.setattr(
        runs, "standing", lambda obs, status, step, **more: replace(real(obs, status, step, **more), good=True)
    )


def _none_is_dropped(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(runs, "_dropped", lambda *_told: [])


def _webhook_ignored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(gates, "_webhook", lambda *_told: gates.View(open=True))


def _any_answer(patch: pytest.MonkeyPatch) -> None:
    """Whatever is answered opens the gate."""
    real = asked.Webhooks._post

    async def post(self: Any, question: Any) -> tuple[bool, str]:
        _, said = await real(self, question)
        return True, said

    patch.setattr(asked.Webhooks, "_post", post)


def _impatient(patch: pytest.MonkeyPatch) -> None:
    real = asked.Webhooks.answer
    patch.setattr(
        asked.Webhooks,
        "answer",
        lambda self, key, question, _interval, wake: real(self, key, question, timedelta(), wake),
    )


def _counted_for_them(patch: pytest.MonkeyPatch) -> None:
    """Whoever changes the number of pods, it is taken back."""
    real = draft.differs

    def differs(desired: Any, live: Any) -> bool:
        mine = desired["kind"] == "Deployment" and "replicas" not in desired["spec"]
        return real(desired, live) or (mine and live["spec"].get("replicas") != 2)

    patch.setattr(draft, "differs", differs)
    careful = draft._careful

    def two(desired: Any, live: Any) -> Any:
        done = careful(desired, live)
        return {**done, "spec": {**done["spec"], "replicas": 2}} if desired["kind"] == "Deployment" else done

    patch.setattr(draft, "_careful", two)


def _all_copied(patch: pytest.MonkeyPatch) -> None:
    """Everybody's requests are copied, too."""
    from controller.rollout import traffic

    real = split.copied
    patch.setattr(traffic, "copied", lambda obs, found, **_more: real(obs, found, chosen=True))


def _copied_by_the_canary(patch: pytest.MonkeyPatch) -> None:
    """The canary answers what is copied to it."""
    patch.setattr(specials, "taken", lambda obs, found: specials.all_of(obs, found.canary))


def _everything_kept(patch: pytest.MonkeyPatch) -> None:
    """What does not serve is left, too."""
    real = leaving._release
    patch.setattr(leaving, "_release", lambda obs, status, _kept: real(obs, status, frozenset(obs.children)))


def _nothing_kept(patch: pytest.MonkeyPatch) -> None:
    """A deletion waits for nothing."""
    patch.setattr(
        leaving, "_keep_stable", lambda obs, now: leaving.Decision(actions=(leaving._end(obs),), status=obs.status)
    )


def _never_ends(patch: pytest.MonkeyPatch) -> None:
    """The finalizer stays."""
    patch.setattr(leaving, "_end", lambda obs: HoldRollout(obs.finalizers, obs.resource_version))


def _handed_over_early(patch: pytest.MonkeyPatch) -> None:
    """The route changes hands before the pods of the SeldonDeployment are ready."""
    real = leaving.plain.stage

    def stage(obs: Any, status: Any, **more: Any) -> Any:
        found = real(obs, status, **more)
        return leaving.plain.Stage.ROUTE if found is leaving.plain.Stage.PODS else found

    patch.setattr(leaving.plain, "stage", stage)


GOOD, BAD = (10.0, "edit", "good-1"), (10.0, "edit", "bad-1")
WAVE = (10.0, "together", "good-1", "bad-1", "good-1", 0.0)
CASES: dict[str, Case] = {
    "each for itself": case(_alone, 4, WAVE, promises="all of a wave are promoted, or none", also=("group",)),
    "runs are left running": case(
        _runs_go_on,
        24,
        (1.0, "unmeasured", 900.0),
        GOOD,
        (60.0, "verb", "abort"),
        (250.0, "scale", 3),
        promises="no run goes on after its rollout has ended",
        also=("runs",),
    ),
    "failed runs are nothing": case(
        _failed_is_nothing,
        24,
        (1.0, "doomed", 300.0),
        GOOD,
        (250.0, "scale", 3),
        promises="a failed run never lets a weight go up; a failed run promotes nothing",
        also=("runs",),
    ),
    "two runs at once": case(
        _runs_go_on,
        24,
        (1.0, "unmeasured", 900.0),
        GOOD,
        (60.0, "edit", "good-2"),
        (100.0, "scale", 3),
        promises="there is one run of a role at a time",
        also=("runs",),
    ),
    "runs are kept": case(
        _none_is_dropped,
        24,
        *((60.0, "edit", f"good-{1 + at % 3}") for at in range(6)),
        promises="the oldest runs go",
        also=("runs",),
    ),
    "webhooks are not asked": case(_webhook_ignored, 22, GOOD, promises="a gate is opened", also=("webhook",)),
    "any answer opens": case(
        _any_answer,
        22,
        (1.0, "gatekeeper", "closed", 400.0),
        GOOD,
        (200.0, "scale", 3),
        promises="a gate is opened",
        also=("webhook",),
    ),
    "webhooks are asked at once again": case(
        _impatient,
        22,
        (1.0, "gatekeeper", "closed", 400.0),
        GOOD,
        (200.0, "scale", 3),
        promises="a webhook is asked no more often than it says",
        also=("webhook",),
    ),
    "pods are counted for the autoscaler": case(
        _counted_for_them,
        4,
        (10.0, "busy", 4, 100.0),
        GOOD,
        (100.0, "scale", 3),
        promises="an autoscaler's number of pods is its own",
        also=("autoscaler",),
    ),
    "all is copied": case(
        _all_copied, 27, GOOD, (60.0, "scale", 3), promises="what does not match is not copied", also=("matched",)
    ),
    "the canary answers what is copied": case(
        _copied_by_the_canary,
        28,
        GOOD,
        (100.0, "scale", 3),
        promises="what is copied is answered as all else",
        also=("matched",),
    ),
    "the canary is left, too": case(
        _everything_kept,
        3,
        GOOD,
        (80.0, "delete"),
        promises="what is left is what the policy says",
        also=("deletion",),
        policy="KeepStable",
    ),
    "nothing is left": case(
        _nothing_kept,
        3,
        GOOD,
        (80.0, "delete"),
        promises="what is left is what the policy says",
        also=("deletion",),
        policy="KeepStable",
    ),
    "a deletion waits for ever": case(
        _never_ends,
        4,
        (10.0, "delete"),
        promises="a deletion ends",
        also=("deletion",),
        policy="KeepStable",
    ),
    "the route goes before the pods": case(
        _handed_over_early,
        4,
        (10.0, "delete"),
        promises="no request is lost",
        seed=2,
        also=("deletion",),
        policy="Leave",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_controller_broken_on_purpose_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    is_caught(CASES[name], monkeypatch)


@pytest.mark.parametrize("name", stories(CASES))
def test_the_same_story_breaks_nothing_with_the_controller_as_it_is(name: str) -> None:
    assert broken(CASES[name].story) is None
