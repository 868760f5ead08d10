"""What users may feel of each action is said by the action, and the server is asked before they do."""

from typing import Any, get_args

import pytest

from controller.kube.errors import ConflictError, NotFoundError
from controller.kube.resources import SELDON_ROLLOUT, VIRTUAL_SERVICE
from controller.rollout import actions, freshness
from controller.rollout.actions import Reach

EVERY = sorted(
    (kind for group in (actions.TrafficAction, actions.Handover, actions.RunAction) for kind in get_args(group)),
    key=lambda kind: kind.__name__,
)
REACH = {
    actions.KeepRevision: Reach.NOBODY,
    actions.ForgetRevision: Reach.NOBODY,
    actions.ReleaseDeployment: Reach.NOBODY,
    actions.CreateRun: Reach.NOBODY,
    actions.StopRun: Reach.NOBODY,
    actions.DeleteRun: Reach.NOBODY,
    actions.MakeDeployment: Reach.REQUESTS,
    actions.MarkDeployment: Reach.REQUESTS,
    actions.ApplyRoute: Reach.REQUESTS,
    actions.TakeRoute: Reach.REQUESTS,
    actions.PatchRoute: Reach.REQUESTS,
    actions.DeleteRoute: Reach.REQUESTS,
    actions.HoldRollout: Reach.PODS,
    actions.DeleteDeployment: Reach.PODS,
}
MADE = {
    "a child is made": (actions.ApplyDeployment({}, Reach.NOBODY), []),
    "a child is written over": (actions.ApplyDeployment({}, Reach.PODS), [SELDON_ROLLOUT, VIRTUAL_SERVICE]),
    "a route is written": (actions.ApplyRoute({}), [SELDON_ROLLOUT]),
    "a route is taken over": (actions.TakeRoute({}, "1"), [SELDON_ROLLOUT]),
    "a deployment is marked": (actions.MarkDeployment({}, "1"), [SELDON_ROLLOUT]),
    "a person's route is written": (actions.PatchRoute("shop", (), "1"), [SELDON_ROLLOUT]),
    "a revision goes": (actions.DeleteDeployment("iris-a", "u"), [SELDON_ROLLOUT, VIRTUAL_SERVICE]),
    "the rollout is let go": (actions.HoldRollout((), "1"), [SELDON_ROLLOUT, VIRTUAL_SERVICE]),
    "history is kept": (actions.KeepRevision({}), []),
    "a run ends": (actions.StopRun("run", "u"), []),
}


class Server:
    """What is there now, and who was asked for."""

    def __init__(self, versions: dict[str, str]) -> None:
        self.versions, self.asked = versions, []

    async def fresh(self, resource: Any, _namespace: str, name: str) -> dict[str, Any]:
        self.asked.append(resource)
        if resource.kind not in self.versions:
            raise NotFoundError(404, "NotFound", f"{name} not found")
        return {"metadata": {"resourceVersion": self.versions[resource.kind]}}


@pytest.fixture
def obs(world):
    world.serving()
    return world.observe()


def now_is(obs, **changes: str) -> Server:
    route = obs.route.live["metadata"]["resourceVersion"]
    return Server({"SeldonRollout": obs.resource_version, "VirtualService": route, **changes})


def test_every_action_says_what_users_may_feel_of_it() -> None:
    said = {kind: kind.reach for kind in EVERY if kind is not actions.ApplyDeployment}
    assert said == REACH
    assert set(EVERY) == {*REACH, actions.ApplyDeployment}


@pytest.mark.parametrize("case", MADE)
async def test_the_server_is_asked_for_what_an_action_may_harm(obs, case) -> None:
    action, asked = MADE[case]
    server = now_is(obs)
    await freshness.check(server, obs, [action])
    assert server.asked == asked


@pytest.mark.parametrize("case", [name for name, (_, asked) in MADE.items() if asked])
async def test_what_was_decided_on_an_older_rollout_is_not_done(obs, case) -> None:
    server = now_is(obs, SeldonRollout="2")
    with pytest.raises(ConflictError, match="decided on version 1, the server has 2"):
        await freshness.check(server, obs, [MADE[case][0]])


async def test_pods_do_not_go_by_an_older_route_or_for_a_rollout_that_is_gone(obs) -> None:
    newer = now_is(obs, VirtualService="99")
    with pytest.raises(ConflictError, match="the server has 99"):
        await freshness.check(newer, obs, [actions.DeleteDeployment("iris-a", "u")])
    with pytest.raises(ConflictError, match="it is gone"):
        await freshness.check(Server({}), obs, [actions.TakeRoute({}, "1")])


def test_a_child_that_stands_is_written_over_and_a_new_one_is_made(world) -> None:
    made = world.decide().actions
    assert {each.reach for each in made if isinstance(each, actions.ApplyDeployment)} == {Reach.NOBODY}
    world.serving()
    world.children[world.hash_of("m/v1")]["spec"]["predictors"][0]["replicas"] = 1
    over = world.decide().actions
    assert {each.reach for each in over if isinstance(each, actions.ApplyDeployment)} == {Reach.PODS}
