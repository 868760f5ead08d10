"""Routers that learn from feedback."""

from random import Random

import pytest

from orchestrator.bandits import EpsilonGreedy, ThompsonSampling
from orchestrator.errors import BadPayloadError, GraphError
from orchestrator.graph.parse import parse
from orchestrator.servers.message import Response

RATES = (0.2, 0.8, 0.5)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "make", [lambda chance: EpsilonGreedy(3, 0.1, chance), lambda chance: ThompsonSampling(3, chance)]
)
def test_the_best_child_gets_most_of_the_requests(make, seed):
    chance = Random(seed)
    bandit = make(chance)
    chosen = []
    for _ in range(2000):
        child = bandit.choose()
        chosen.append(child)
        bandit.learn(child, float(chance.random() < RATES[child]))

    assert chosen[1000:].count(1) > 800
    assert sum(bandit.counts) == 2000


def test_a_share_of_the_requests_goes_to_the_others():
    bandit = EpsilonGreedy(3, 0.3, Random(1))
    bandit.learn(2, 1.0)

    chosen = [bandit.choose() for _ in range(10_000)]

    assert 0.68 < chosen.count(2) / 10_000 < 0.72
    assert 0.13 < chosen.count(0) / 10_000 < 0.17


def test_without_feedback_thompson_sampling_chooses_evenly():
    bandit = ThompsonSampling(2, Random(1))

    assert 0.48 < [bandit.choose() for _ in range(10_000)].count(0) / 10_000 < 0.52


def test_an_only_child_is_always_chosen():
    assert EpsilonGreedy(1, 1.0, Random(1)).choose() == 0
    assert ThompsonSampling(1, Random(1)).choose() == 0


@pytest.mark.parametrize("reward", [-0.1, 1.1, float("nan")])
def test_a_reward_beyond_0_and_1_is_refused(reward):
    with pytest.raises(BadPayloadError, match="takes 0 to 1"):
        ThompsonSampling(2, Random(1)).learn(0, reward)


def router(implementation, children, **parameters):
    written = [{"name": name, "value": str(value), "type": kind} for name, (value, kind) in parameters.items()]
    return {"name": "r", "implementation": implementation, "children": children, "parameters": written}


@pytest.mark.parametrize(
    ("parameters", "children", "field"),
    [
        ({"epsilon": (2, "FLOAT")}, 1, "graph.parameters.epsilon"),
        ({"epsilon": ("x", "STRING")}, 1, "graph.parameters.epsilon"),
        ({"seed": ("x", "STRING")}, 1, "graph.parameters.seed"),
        ({}, 0, "graph.children"),
    ],
)
def test_a_learning_router_that_cannot_be_run_is_said(make_unit, parameters, children, field):
    graph = router("EPSILON_GREEDY", [make_unit("m", 1)] * children, **parameters)

    with pytest.raises(GraphError) as failed:
        parse({"name": "p", "graph": graph})

    assert failed.value.field == field


@pytest.mark.parametrize("implementation", ["EPSILON_GREEDY", "THOMPSON_SAMPLING"])
async def test_feedback_moves_the_requests_to_the_child_that_earns(node, orchestrate, make_unit, implementation):
    model = await node(lambda request: Response(200, b'{"data":{"ndarray":[1]}}'))
    children = [make_unit("a", model.port), make_unit("b", model.port)]
    running = await orchestrate(router(implementation, children, seed=(7, "INT"), epsilon=(0.2, "FLOAT")))

    taken = []
    for _ in range(150):
        answer = (await running.wire.predict({})).json()
        route = answer["meta"]["routing"]["r"]
        taken.append(route)
        told = await running.wire.post("/api/v1.0/feedback", {"response": answer, "reward": float(route == 1)})
        assert told.status == 200

    assert taken[75:].count(1) > 50


async def test_feedback_that_does_not_say_which_way_teaches_nothing(node, orchestrate, make_unit):
    model = await node(lambda request: Response(200, b"{}"))
    children = [make_unit("a", model.port), make_unit("b", model.port)]
    running = await orchestrate(router("EPSILON_GREEDY", children))

    assert (await running.wire.post("/api/v1.0/feedback", {"reward": 1})).status == 200
    bad = await running.wire.post("/api/v1.0/feedback", {"reward": 5, "response": {"meta": {"routing": {"r": 0}}}})

    assert bad.status == 400
    assert sum(running.application.bandits["r"].counts) == 0
