"""Beside an unmodified Seldon Core v1 operator `--controllers=rollout` keeps its promises, with its webhook or not."""

from dataclasses import replace

import pytest
from simulated.api import NAMESPACE_NAME
from simulated.story import Happening, Story, draw
from simulated.world import World, play

from controller.kube.resources import DEPLOYMENT, SELDON_DEPLOYMENT, VIRTUAL_SERVICE

WEBHOOK, PLAIN = 1, 2
"""Seeds: with an odd one the webhook of old writes its defaults into the stored specs."""


def told(seed: int, *happenings: tuple, strategy: int = 4, silent: bool = True) -> Story:
    happened = tuple(Happening(after, kind, tuple(values)) for after, kind, *values in happenings)
    return Story(seed, happened, strategy=strategy, silent=silent, upstream=True)


@pytest.mark.parametrize("seed", [WEBHOOK, PLAIN])
@pytest.mark.parametrize("strategy", [0, 4, 6, 8, 12, 16], ids=lambda way: f"way {way}")
def test_a_good_model_is_promoted(seed: int, strategy: int) -> None:
    world = play(told(seed, (5.0, "edit", "good-1"), (400.0, "answer", "promote"), strategy=strategy))
    assert world.users.lost == 0
    assert world.status()["stableRevision"]["number"] == 2, world.status()["message"]


@pytest.mark.parametrize("seed", [WEBHOOK, PLAIN])
@pytest.mark.parametrize("model", ["bad-1", "stuck-1"])
def test_a_model_that_fails_or_never_starts_is_rolled_back(seed: int, model: str) -> None:
    world = play(told(seed, (5.0, "edit", model), strategy=0))
    assert world.users.lost == 0
    status = world.status()
    assert (status["phase"], status["stableRevision"]["number"]) == ("Degraded", 1)


@pytest.mark.parametrize("seed", [WEBHOOK, PLAIN])
def test_what_the_webhook_filled_in_is_no_drift_and_what_somebody_changed_is(seed: int) -> None:
    world = World(told(seed))
    with world.on_simulated_time():
        world.start_controller()
        world.people.create()
        world.timeline.run_until(60)
        (process,), before = world.processes, world.api.revision
        for _ in range(5):
            process.add(process.rooms[0], world.key)
            world.timeline.run_until(world.timeline.now + 20)
        assert world.api.revision == before, "nothing is written at rest"
        writes = process.client.writes
        name = world.status()["stableRevision"]["name"]
        live = world.api.find(SELDON_DEPLOYMENT, name)
        added = [{**live["spec"]["predictors"][0], "replicas": 5}]
        world.api.merge(SELDON_DEPLOYMENT, name, {"spec": {"predictors": added}}, actor="somebody")
        world.timeline.run_until(world.timeline.now + 30)
        healed = world.api.find(SELDON_DEPLOYMENT, name)["spec"]["predictors"][0]
        assert healed["replicas"] == 2
        assert process.client.writes - writes <= 3, "it was healed once, not fought over"


@pytest.mark.parametrize("seed", [WEBHOOK, PLAIN])
def test_a_late_status_that_speaks_of_fewer_pods_gives_no_weight(seed: int) -> None:
    """Its `Available` is of the spec before: the canary's pods were one, and shall be four before it takes all."""
    world = World(told(seed, strategy=6))
    world.upstream.late = 20.0
    seen = []

    def look(_actor, event) -> None:
        if event.collection == VIRTUAL_SERVICE.name and event.key == (NAMESPACE_NAME, "iris"):
            canary = world.status().get("canaryRevision")
            rest = [each for each in event.entry.object["spec"]["http"] if each.get("name") == "rest"]
            for part in rest[0]["route"] if canary and rest else ():
                if part["destination"]["host"].startswith(f"{canary['name']}-"):
                    found = [each for each in world.api.all(DEPLOYMENT)
                             if each["metadata"]["labels"]["seldon-deployment-id"] == canary["name"]]  # fmt: skip
                    ready = sum((each.get("status") or {}).get("readyReplicas", 0) for each in found)
                    seen.append((part["weight"], ready))

    with world.on_simulated_time():
        world.start_controller()
        world.people.create(replicas=4)
        world.timeline.run_until(200)
        world.api.watchers.append(look)
        world.happen(Happening(0.0, "edit", ("good-1",)))
        world.timeline.run_until(1500)
    assert world.status()["stableRevision"]["number"] == 2, world.status()["message"]
    assert {(25, 1), (75, 3), (100, 4)} <= {(weight, min(ready, 4)) for weight, ready in seen}
    assert all(100 * ready >= 4 * weight for weight, ready in seen), seen


@pytest.mark.parametrize(("seed", "number"), [(WEBHOOK, 2), (PLAIN, 1)])
def test_a_live_seldondeployment_is_adopted(seed: int, number: int) -> None:
    """What serves is the first revision; a template without what the webhook filled in is released after it, judged."""
    world = World(told(seed, silent=False))
    with world.on_simulated_time():
        world.start_controller()
        world.happen(Happening(0.0, "deployment", ("good-0", 3)))
        world.timeline.run_until(60)
        assert set(world.users.ledger.live[-1]) == {"iris"}
        world.happen(Happening(0.0, "adopt", ("good-0",)))
        world.timeline.run_until(500)
    status = world.status()
    assert (status["phase"], status["stableRevision"]["number"]) == ("Healthy", number), status["message"]
    assert [each["metadata"]["name"] for each in world.api.all(SELDON_DEPLOYMENT)] == [status["stableRevision"]["name"]]
    assert world.users.lost == 0


QUIET = frozenset({"drift", "forbid"})
"""What our operator heals and its does not, or what only our client meets."""


@pytest.mark.parametrize("seed", range(12))
def test_random_stories_break_no_promise_with_it_either(seed: int) -> None:
    drawn = draw(seed, parts=False)
    kept = tuple(each for each in drawn.happenings if each.kind not in QUIET)
    play(replace(drawn, happenings=kept, upstream=True))
