"""The promises bite: a controller that is broken on purpose breaks one of them within a short story."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from simulated.catching import Case, case, is_caught, stories
from simulated.shrink import broken

from controller import clock
from controller.deployment import draft
from controller.rollout import (
    decide,
    effects,
    gate,
    ground,
    outlook,
    own_route,
    peers,
    reconciler,
    rejection,
    specials,
    traffic,
)
from controller.rollout import status as words
from controller.rollout.course import Course
from controller.rollout.observed import Child
from controller.rollout.outlook import Outlook
from controller.rollout.phases import Event
from controller.rollout.stages import changed


def _no_drain(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(decide, "without_traffic", lambda _obs, _digest, _ground: True)
    real = reconciler.observe

    def hurried(*told: Any, **more: Any) -> Any:
        obs = real(*told, **more)
        return replace(obs, spec=obs.spec.model_copy(update={"scale_down_delay": timedelta()}) if obs.spec else None)

    patch.setattr(reconciler, "observe", hurried)


def _no_verdict_needed(patch: pytest.MonkeyPatch) -> None:
    def final(_obs: Any, _status: Any, _ground: Any, _way: Course, _now: Any) -> Outlook:
        return Outlook(event=Event.STEPS_DONE)

    patch.setattr(outlook, "_final", final)


def _mirror_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(traffic, "_ended", lambda http, _route: http)


def _all_pods_ready(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Child, "serving", property(lambda _child: True))
    patch.setattr(ground, "full", lambda _obs, _status: True)


def _still_routed(patch: pytest.MonkeyPatch) -> None:
    for module in (effects, rejection):
        patch.setattr(module, "unrouted", lambda status: status)
    patch.setitem(effects.EFFECTS, Event.STABLE_SERVES_ALL, lambda at, status: changed(status, phase=at.phase.value))


def _bad_is_ignored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(decide, "_JUDGED", frozenset())
    _no_verdict_needed(patch)


def _silent(patch: pytest.MonkeyPatch) -> None:
    real = reconciler.decide

    def silent(obs: Any, *, now: Any) -> Any:
        decision = real(obs, now=now)
        return replace(decision, status=decision.status.model_copy(update={"blocked_on": None}))

    patch.setattr(reconciler, "decide", silent)


def _restless(patch: pytest.MonkeyPatch) -> None:
    """The message says when it was written, to ten seconds."""
    real = words.describe

    def describe(status: Any, obs: Any, blocked: Any) -> str:
        now = clock.now()
        return f"{real(status, obs, blocked)} at {now:%H:%M}:{now.second // 10}0"

    patch.setattr(words, "describe", describe)


def _no_deadline(patch: pytest.MonkeyPatch) -> None:
    def never(_obs: Any, _status: Any, _kind: Any, *, now: Any) -> Any:
        return now + timedelta(days=1)

    patch.setattr(outlook, "deadline", never)
    patch.setattr(ground, "deadline", never)


def _no_healing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(draft, "differs", lambda _desired, _live: False)


def _hasty(patch: pytest.MonkeyPatch) -> None:
    real = outlook._pause

    def pause(obs: Any, status: Any, where: Any, step: Any, now: Any) -> Any:
        return real(obs, status, where, step, now + timedelta(minutes=5))

    patch.setattr(outlook, "_pause", pause)


def _not_theirs(patch: pytest.MonkeyPatch) -> None:
    """The named route loses what its person wrote beside the split."""
    real = own_route._with

    def bare(*told: Any, **more: Any) -> Any:
        return {key: value for key, value in real(*told, **more).items() if key != "timeout"}

    patch.setattr(own_route, "_with", bare)


def _without_memory(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(specials, "_staying", lambda _obs, _split: ())


def _nobody_is_waited_for(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(peers, "waits", lambda _obs: "")


def _mesh_not_waited_for(patch: pytest.MonkeyPatch) -> None:
    """What is written counts as taken."""
    real = ground._surveyed

    def hasty(*told: Any) -> Any:
        found = real(*told)
        return replace(found, in_effect=True, verified=True, settles_at=None) if found.applied else found

    patch.setattr(ground, "_surveyed", hasty)


def _requests_not_looked_at(patch: pytest.MonkeyPatch) -> None:
    """What the mesh says is believed, whatever share of requests is seen."""
    patch.setattr(ground, "_verified", lambda found, *_told: replace(found, verified=True))


def _asked_for_instead_of_live(patch: pytest.MonkeyPatch) -> None:
    """The weights of the status pass for those of the route."""

    def wanted(obs: Any, digest: str) -> float:
        canary = obs.status.canary_revision
        return obs.status.weights.canary if canary is not None and canary.hash == digest else 0

    patch.setattr(ground, "live_weight", wanted)


def _half_way_at_once(patch: pytest.MonkeyPatch) -> None:
    """What is superseded loses all traffic at once, whatever stable can carry."""
    patch.setattr(ground, "_still_carrying", lambda _obs, _status: None)


def _clock_begins_anew(patch: pytest.MonkeyPatch) -> None:
    """A pass counts as progress, once a minute."""
    real = words.refresh

    def refresh(obs: Any, *, now: Any) -> Any:
        return changed(real(obs, now=now), step_progress_at=now.replace(second=0, microsecond=0))

    patch.setattr(words, "refresh", refresh)


def _rejected_forgotten(patch: pytest.MonkeyPatch) -> None:
    """A process that starts knows of no rejected revision."""
    real, known = reconciler.observe, []

    def forgetful(cluster: Any, *told: Any, **more: Any) -> Any:
        obs = real(cluster, *told, **more)
        if cluster in known:
            return obs
        known.append(cluster)
        return replace(obs, status=changed(obs.status, rejected=()))

    patch.setattr(reconciler, "observe", forgetful)


def _gates_open(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(gate, "view", lambda *_told, **_more: gate.View(open=True))


def _gone_at_once(patch: pytest.MonkeyPatch) -> None:
    """Connections are not waited for."""
    real = decide._delays
    patch.setattr(decide, "_delays", lambda *told: [(each, timedelta()) for each, _ in real(*told)])


def _one_protocol(patch: pytest.MonkeyPatch) -> None:
    """The route of gRPC stays with whoever is first."""
    real = traffic._http

    def http(*told: Any) -> Any:
        for each in real(*told):
            yield {**each, "route": [{**each["route"][0], "weight": 100}]} if each["name"] == "grpc" else each

    patch.setattr(traffic, "_http", http)


GOOD, BAD, STUCK = (10.0, "edit", "good-1"), (10.0, "edit", "bad-1"), (10.0, "edit", "stuck-1")
CASES: dict[str, Case] = {
    "what drains is deleted": case(
        _no_drain, 4, GOOD, (25.0, "edit", "good-2"), promises="nothing goes while the route in effect names it"
    ),
    "no verdict promotes": case(
        _no_verdict_needed, 4, (1.0, "prometheus", "down", 300.0), GOOD, (200.0, "scale", 3),
        promises="nothing but a good verdict promotes",
    ),
    "the judge is not heard": case(_bad_is_ignored, 4, BAD, promises="nothing but a good verdict promotes"),
    "mirrors are forgotten": case(
        _mirror_forgotten, 11, GOOD,
        promises="everything comes to rest; the route leads to who serves; every phase has a deadline",
    ),
    "pods count as ready": case(_all_pods_ready, 4, STUCK, promises="no weight without ready pods"),
    "the rejected is routed to": case(
        _still_routed, 4, BAD, promises="a rejected revision gets no request; everything comes to rest"
    ),
    "nothing is said": case(_silent, 4, GOOD, promises="every block is named"),
    "passes write at rest": case(_restless, 4, GOOD, promises="no write at rest; everything comes to rest"),
    "no deadline": case(_no_deadline, 4, STUCK, promises="every phase has a deadline"),
    "drift stays": case(
        _no_healing, 4, (90.0, "drift", "replicas"), (60.0, "scale", 3), promises="drift is healed within seconds"
    ),
    "a person's route is not given back": case(
        _not_theirs, 4, GOOD, promises="a person's route stays theirs", routing="own"
    ),
    "users are forgotten": case(
        _without_memory, 3, GOOD, (120.0, "scale", 3), promises="a user stays while the weight allows",
        routing="cookie",
    ),
    "nobody is waited for": case(
        _nobody_is_waited_for, 4, (10.0, "lookup", "good-1", "good-1"),
        promises="nothing new begins before what it depends on is done", depends=True,
    ),
    "the mesh is not waited for": case(
        _mesh_not_waited_for, 1, (1.0, "sluggish", 30.0, 200.0), GOOD, (60.0, "scale", 3),
        promises="a step is left once the mesh has had it",
    ),
    "requests are not looked at": case(
        _requests_not_looked_at, 1, (1.0, "boast", 20.0, 600.0), GOOD, (60.0, "scale", 3),
        promises="a step is left once the mesh has had it",
    ),
    "the status passes for the route": case(
        _asked_for_instead_of_live, 3, GOOD, (80.0, "outage", 1, 60.0), (1.0, "verb", "abort"),
        promises="no weight without ready pods",
    ),
    "what is half-way is dropped": case(
        _half_way_at_once, 3, GOOD, (80.0, "outage", 1, 60.0), (1.0, "edit", "good-2"),
        promises="no weight without ready pods",
    ),
    "passes are progress": case(_clock_begins_anew, 4, STUCK, promises="every phase has a deadline"),
    "the rejected is forgotten at a restart": case(
        _rejected_forgotten, 4, BAD, (100.0, "crash", 1, False), (1.0, "scale", 3),
        promises="what was rejected is not tried again",
    ),
    "gates stand open": case(_gates_open, 15, GOOD, promises="a gate is opened"),
    "nothing drains": case(
        _gone_at_once, 4, BAD, promises="what has no traffic any more stands for its delay"
    ),
    "gRPC is forgotten": case(_one_protocol, 4, GOOD, promises="both protocols are split alike"),
    "pauses are short": case(_hasty, 1, GOOD, (120.0, "scale", 3), promises="a pause lasts as long as it says"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_controller_broken_on_purpose_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    is_caught(CASES[name], monkeypatch)


@pytest.mark.parametrize("name", stories(CASES))
def test_the_same_story_breaks_nothing_with_the_controller_as_it_is(name: str) -> None:
    assert broken(CASES[name].story) is None
