"""Available means that the mesh has the route, where it says so. There is none on these servers: the tests play it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

ISTIO = ("networking.istio.io/v1", "virtualservices")
AWAITED = "the mesh has not said yet that it has the VirtualService"


async def answered(lab: Any, name: str, status: str, **more: str) -> None:
    """Write what the mesh says of a route."""
    route = await lab.client.get(*ISTIO, name, namespace=lab.namespace)
    said = {"type": "Reconciled", "status": status, **more}
    body = {"status": {"observedGeneration": route["metadata"]["generation"], "conditions": [said]}}
    await lab.client.patch(*ISTIO, name, body, namespace=lab.namespace, sub="status")


async def told(lab: Any, name: str, words: str) -> Any:
    """Return the status when it says so; until then it must not be Available."""
    status = (await lab.get(name)).get("status") or {}
    assert status.get("state") != "Available"
    return status if status.get("description") == words else None


async def test_a_model_is_available_when_the_mesh_says_that_it_has_its_first_route(
    lab: Any, make_model: Callable[..., dict[str, Any]]
) -> None:
    lab.silence = timedelta(minutes=10)
    async with lab.running():
        await lab.apply(make_model())
        status = await lab.eventually(lambda: told(lab, "iris", AWAITED), "the mesh to be waited for")
        assert {each["type"] for each in status["conditions"] if each["status"] == "False"} == {
            "istioVirtualServicesReady",
            "Ready",
        }
        await answered(lab, "iris", "False", message="1/2 proxies up to date.")
        words = "the mesh does not have the VirtualService: 1/2 proxies up to date."
        await lab.eventually(lambda: told(lab, "iris", words), "its words")
        await answered(lab, "iris", "True")
        await lab.state("Available")


async def test_a_mesh_that_has_answered_once_is_waited_for_longer_than_one_that_may_be_silent(
    lab: Any, make_model: Callable[..., dict[str, Any]]
) -> None:
    async with lab.running():
        await lab.apply(make_model())
        await lab.state("Available")  # silence is no objection: nobody has heard of this mesh yet
        await answered(lab, "iris", "False", message="0/2 proxies up to date.")
        await lab.state("Creating")
        await answered(lab, "iris", "True")
        await lab.apply(make_model("other"))
        await lab.eventually(lambda: told(lab, "other", AWAITED), "the mesh to be waited for")
        await answered(lab, "other", "True")
        await lab.state("Available", "other")


async def test_what_is_available_stays_so_when_a_mesh_that_is_silent_of_it_answers_for_others(
    lab: Any, make_model: Callable[..., dict[str, Any]]
) -> None:
    async with lab.running():
        await lab.apply(make_model())
        await lab.state("Available")
    lab.silence = timedelta(minutes=10)
    await lab.one_life("iris", writes=10)
    assert (await lab.get())["status"]["state"] == "Available"
