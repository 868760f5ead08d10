"""The operator on an API server: what others change, and what a process that died left, is put right."""

from collections.abc import Callable
from typing import Any

import pytest

from controller.kube.errors import ConflictError

from .simple import ISTIO, SDEP, SIMPLE

Make = Callable[..., dict[str, Any]]


async def test_drift_is_healed(lab: Any, make_model: Make) -> None:
    async with lab.running():
        await lab.apply(make_model())
        await lab.state("Available")
        await lab.client.delete(ISTIO, "destinationrules", "iris-default", namespace=lab.namespace)
        patch = {"spec": {"selector": {"seldon-app": "elsewhere"}}}
        await lab.client.patch("v1", "services", "iris-default", patch, namespace=lab.namespace)

        async def healed() -> bool:
            children = await lab.children()
            service = children["Service", "iris-default"]
            return set(children) == SIMPLE and service["spec"]["selector"] == {"seldon-app": "iris-default"}

        await lab.eventually(healed, "drift to be healed")


async def test_drift_of_what_runs_and_of_what_scales_it_is_healed(lab: Any, make_model: Make) -> None:
    raw = make_model()
    component = {"spec": {"containers": [{"name": "classifier"}]}, "hpaSpec": {"minReplicas": 2, "maxReplicas": 5}}
    raw["spec"]["predictors"][0]["componentSpecs"] = [{**component, "pdbSpec": {"maxUnavailable": 1}}]
    name = "iris-default-0-classifier"
    async with lab.running():
        await lab.apply(raw)
        await lab.state("Available")
        strangers = (
            ("autoscaling/v2", "horizontalpodautoscalers", {"spec": {"maxReplicas": 50}}),
            ("policy/v1", "poddisruptionbudgets", {"spec": {"maxUnavailable": 9}}),
            ("apps/v1", "deployments", {"spec": {"template": {"metadata": {"labels": {"version": "other"}}}}}),
        )
        for group_version, plural, patch in strangers:
            await lab.client.patch(group_version, plural, name, patch, namespace=lab.namespace)

        async def healed() -> bool:
            children = await lab.children()
            said = (
                children["HorizontalPodAutoscaler", name]["spec"]["maxReplicas"],
                children["PodDisruptionBudget", name]["spec"]["maxUnavailable"],
                children["Deployment", name]["spec"]["template"]["metadata"]["labels"]["version"],
            )
            return said == (5, 1, "default")

        await lab.eventually(healed, "drift to be healed")
        await lab.client.delete("autoscaling/v2", "horizontalpodautoscalers", name, namespace=lab.namespace)

        async def back() -> bool:
            return ("HorizontalPodAutoscaler", name) in await lab.children()

        await lab.eventually(back, "the autoscaler to be back")


async def test_who_writes_at_the_same_time_makes_no_error(lab: Any, make_model: Make) -> None:
    """A person is faster than the operator with its first status: it looks again, and nobody hears of it."""
    async with lab.running() as operator:
        send, met = operator.send, []

        async def interrupted(request: Any, **more: Any) -> Any:
            if request.path.endswith("/status") and not met:
                note = {"metadata": {"annotations": {"note": "mine"}}}
                await lab.client.patch(*SDEP, "iris", note, namespace=lab.namespace)
                with pytest.raises(ConflictError) as refused:
                    await send(request, **more)
                met.append(refused.value)
                raise refused.value
            return await send(request, **more)

        operator.send = interrupted
        await lab.apply(make_model())
        await lab.state("Available")
        assert met
        items, _ = await lab.client.list("v1", "events", namespace=lab.namespace)
        assert {each["type"] for each in items} == {"Normal"}
        assert (await lab.get())["metadata"]["annotations"]["note"] == "mine"


async def test_a_process_that_dies_after_every_single_write_converges_and_leaks_nothing(
    lab: Any, make_model: Make
) -> None:
    raw = make_model()

    async def converge(state: str) -> None:
        async def step() -> bool:
            await lab.one_life("iris", writes=1)
            obj = await lab.get()
            status = obj.get("status") or {}
            return status.get("state") == state and status["observedGeneration"] == obj["metadata"]["generation"]

        await lab.eventually(step, f"{state} by single writes")

    await lab.apply(raw)
    await converge("Available")
    assert await lab.names() == SIMPLE
    raw["spec"]["predictors"][0]["name"] = "second"
    await lab.apply(raw)
    await converge("Available")
    wanted = {(kind, name.replace("default", "second")) for kind, name in SIMPLE}

    async def collected() -> bool:
        await lab.one_life("iris", writes=1)
        return await lab.names() == wanted

    await lab.eventually(collected, "the first predictor to be collected by single writes")
