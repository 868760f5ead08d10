"""The operator on an (embedded) API server: what it writes, when it rests, and what it tells."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from controller.deployment import plan
from controller.kube.reflector import Timing
from localcluster.furnish import furnish

from .simple import ISTIO, SDEP, SIMPLE

Make = Callable[..., dict[str, Any]]


async def test_a_model_becomes_available_with_at_most_twelve_writes(lab: Any, make_model: Make) -> None:
    async with lab.running() as operator:
        await lab.apply(make_model())
        status = await lab.state("Available")
        assert await lab.names() == SIMPLE
        assert operator.writes <= 12
    conditions = {each["type"]: each["status"] for each in status["conditions"]}
    assert set(conditions.values()) == {"True"}
    assert conditions.keys() >= {"DeploymentsReady", "ServicesReady", "istioVirtualServicesReady", "Ready"}
    assert status["replicas"] == 1
    url = f"http://iris-default.{lab.namespace}.svc.cluster.local:8000/api/v1.0/predictions"
    assert status["address"]["url"] == url
    assert status["deploymentStatus"]["iris-default-0-classifier"]["availableReplicas"] == 1


async def test_at_rest_nothing_is_written(lab: Any, make_model: Make) -> None:
    async with lab.running() as operator:
        await lab.apply(make_model())
        await lab.state("Available")
        before = operator.writes
        await lab.client.patch(*SDEP, "iris", {"metadata": {"annotations": {"x": "y"}}}, namespace=lab.namespace)
        version = (await lab.get())["metadata"]["resourceVersion"]
        await asyncio.sleep(1.0)  # rest is the absence of writes: there is no condition to wait for
        assert operator.writes == before
        assert (await lab.get())["metadata"]["resourceVersion"] == version


async def test_a_restarted_operator_writes_nothing(lab: Any, make_model: Make) -> None:
    async with lab.running():
        await lab.apply(make_model())
        await lab.state("Available")
    await lab.one_life("iris", writes=0)
    async with lab.running() as operator:
        await asyncio.sleep(0.5)  # rest is the absence of writes: there is no condition to wait for
        assert operator.writes == 0


async def test_a_deleted_model_takes_everything_with_it(lab: Any, make_model: Make) -> None:
    async with lab.running():
        await lab.apply(make_model())
        await lab.state("Available")
        await lab.client.delete(*SDEP, "iris", namespace=lab.namespace)

        async def gone() -> bool:
            return not await lab.names()

        await lab.eventually(gone, "everything to be collected")


async def test_traffic_and_replicas_change_no_pod_template(lab: Any, make_model: Make) -> None:
    raw = make_model()
    predictor = raw["spec"]["predictors"][0]
    raw["spec"]["predictors"] = [
        {**predictor, "name": "main", "traffic": 90},
        {**predictor, "name": "b", "traffic": 10},
    ]
    async with lab.running():
        await lab.apply(raw)
        await lab.state("Available")
        before = await lab.pod_uids()
        for each, traffic in zip(raw["spec"]["predictors"], (40, 60), strict=True):
            each.update(traffic=traffic, replicas=2)
        raw["metadata"]["labels"] = {"rollouts.seldon.io/role": "canary"}
        await lab.apply(raw)
        await lab.state("Available")
        after = await lab.pod_uids()
        assert before.items() <= after.items()
        assert len(after) == 4
        route = (await lab.children())["VirtualService", "iris"]["spec"]["http"][0]["route"]
        assert [each["weight"] for each in route] == [40, 60]


async def test_a_replaced_predictor_serves_until_the_new_one_is_routed_and_then_goes(
    lab: Any, make_model: Make
) -> None:
    raw = make_model()
    async with lab.running():
        await lab.apply(raw)
        await lab.state("Available")
        raw["spec"]["predictors"][0]["name"] = "second"
        await lab.apply(raw)
        await lab.state("Available")
        route = (await lab.children())["VirtualService", "iris"]["spec"]["http"][0]["route"]
        assert route[0]["destination"]["subset"] == "second"
        wanted = {(kind, name.replace("default", "second")) for kind, name in SIMPLE}

        async def collected() -> bool:
            return await lab.names() == wanted

        await lab.eventually(collected, "the first predictor's objects to be deleted")


async def test_a_failed_update_keeps_serving_and_names_pod_and_error(lab: Any, make_model: Make) -> None:
    raw = make_model()
    raw["spec"]["predictors"][0]["progressDeadlineSeconds"] = 1
    lab.pods.broken = {"broken:1"}
    async with lab.running():
        await lab.apply(raw)
        await lab.state("Available")
        components = [{"spec": {"containers": [{"name": "classifier", "image": "broken:1"}]}}]
        raw["spec"]["predictors"][0]["componentSpecs"] = components
        await lab.apply(raw)
        status = await lab.state("Failed")
        assert "the previous version still serves" in status["description"]
        assert "CrashLoopBackOff: Error: exit code 1: ValueError: no such model" in status["description"]
        items, _ = await lab.client.list("discovery.k8s.io/v1", "endpointslices", namespace=lab.namespace)
        ready = [each for piece in items for each in piece.get("endpoints") or () if each["conditions"]["ready"]]
        assert ready


async def test_a_bad_spec_is_explained_and_nothing_that_runs_is_touched(lab: Any, make_model: Make) -> None:
    raw = make_model()
    async with lab.running():
        await lab.apply(raw)
        await lab.state("Available")
        before = {key: obj["metadata"]["resourceVersion"] for key, obj in (await lab.children()).items()}
        raw["spec"]["predictors"][0]["traffic"] = 42
        raw["spec"]["predictors"][0]["graph"]["implementation"] = "NO_SUCH_SERVER"
        await lab.apply(raw)
        status = await lab.state("Failed")
        after = {key: obj["metadata"]["resourceVersion"] for key, obj in (await lab.children()).items()}
        assert "spec.predictors[0].traffic: 42" in status["description"]
        assert "NO_SUCH_SERVER" in status["description"]
        assert after == before


async def test_what_others_have_under_our_name_is_not_taken_over(lab: Any, make_model: Make) -> None:
    theirs = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "iris-default", "namespace": lab.namespace},
        "spec": {"ports": [{"port": 80}], "selector": {"app": "theirs"}},
    }
    await lab.client.create("v1", "services", theirs)
    async with lab.running():
        await lab.apply(make_model())
        status = await lab.state("Failed")
        assert "Service iris-default exists" in status["description"]
        service = await lab.client.get("v1", "services", "iris-default", namespace=lab.namespace)
        assert service["spec"]["selector"] == {"app": "theirs"}


async def test_zero_replicas_are_available(lab: Any, make_model: Make) -> None:
    async with lab.running():
        await lab.apply(make_model(replicas=1))
        await lab.state("Available")
        await lab.apply(make_model(replicas=0))
        status = await lab.state("Available")
        assert status["replicas"] == 0
        assert not await lab.pod_uids()


async def test_the_stable_revision_of_a_rollout_has_no_route_of_its_own(lab: Any, make_model: Make) -> None:
    raw = make_model()
    async with lab.running():
        await lab.apply(raw)
        await lab.state("Available")
        raw["metadata"]["labels"] = {"rollouts.seldon.io/role": "stable"}
        await lab.apply(raw)

        async def without() -> bool:
            return await lab.names() == SIMPLE - {("VirtualService", "iris")}

        await lab.eventually(without, "the route to go")
        raw["metadata"]["labels"] = {"rollouts.seldon.io/role": "retired"}
        await lab.apply(raw)

        async def back() -> bool:
            return await lab.names() == SIMPLE

        await lab.eventually(back, "the route to come back")


async def test_what_the_api_server_refuses_is_told_in_its_words(lab: Any, make_model: Make) -> None:
    raw = make_model()
    raw["spec"]["predictors"][0]["labels"] = {"team": "not a label!"}
    async with lab.running():
        await lab.apply(raw)
        status = await lab.state("Failed")
        assert "iris-default-0-classifier" in status["description"]
        assert "not a label!" in status["description"]
        del raw["spec"]["predictors"][0]["labels"]
        await lab.apply(raw)
        await lab.state("Available")


async def test_without_istio_a_model_is_available_and_a_condition_says_so(
    lab_without_mesh: Any, make_model: Make
) -> None:
    lab = lab_without_mesh
    async with lab.running():
        await lab.apply(make_model())
        status = await lab.state("Available")
    conditions = {each["type"]: each for each in status["conditions"]}
    assert conditions["Ready"]["status"] == "True"
    assert (conditions["istioVirtualServicesReady"]["status"], conditions["istioVirtualServicesReady"]["reason"]) == (
        "Unknown",
        "NoMesh",
    )


async def test_istio_that_comes_later_is_taken_up_without_a_restart(
    lab_without_mesh: Any, make_model: Make, quick: Timing, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = lab_without_mesh
    lab.timing = quick
    monkeypatch.setattr(plan, "ABSENT_POLL", timedelta(seconds=0.2))
    async with lab.running():
        await lab.apply(make_model())
        await lab.state("Available")
        pods = await lab.pod_uids()
        await furnish(lab.client)

        async def routed() -> bool:
            conditions = {each["type"]: each["status"] for each in (await lab.get())["status"]["conditions"]}
            return conditions["istioVirtualServicesReady"] == "True"

        await lab.eventually(routed, "the route")
        for plural, name in (("virtualservices", "iris"), ("destinationrules", "iris-default")):
            assert await lab.client.get(ISTIO, plural, name, namespace=lab.namespace)
        assert await lab.pod_uids() == pods


async def test_what_names_another_operator_is_left_to_it(lab: Any, make_model: Make) -> None:
    raw = make_model()
    raw["metadata"]["labels"] = {"seldon.io/controller-id": "theirs"}
    async with lab.running() as operator:
        await lab.apply(raw)
        await lab.apply(make_model(name="ours"))
        await lab.state("Available", "ours")
        assert not [name for _, name in await lab.names() if name.startswith("iris")]
        assert "status" not in await lab.get("iris")
        assert operator.writes


@pytest.mark.parametrize(("mine", "made"), [((), False), (("itself",), True)], ids=["whole cluster", "own namespace"])
async def test_a_namespace_with_an_operator_of_its_own_is_left_to_it(
    lab: Any, make_model: Make, mine: tuple[str, ...], made: bool
) -> None:
    label = {"metadata": {"labels": {"seldon.io/controller-id": "theirs"}}}
    await lab.client.patch("v1", "namespaces", lab.namespace, label)
    lab.watched = tuple(lab.namespace for _ in mine)
    await lab.apply(make_model())
    await lab.one_life("iris", writes=20)
    assert bool(await lab.names()) is made
    assert ("status" in await lab.get("iris")) is made


async def test_a_bucket_is_read_with_the_secrets_of_the_service_account(lab: Any, make_model: Make) -> None:
    secret = {"metadata": {"name": "keys", "namespace": lab.namespace}, "data": {"awsSecretAccessKey": "eA=="}}
    account = {"metadata": {"name": "reader", "namespace": lab.namespace}, "secrets": [{"name": "keys"}]}
    await lab.client.create("v1", "secrets", {"apiVersion": "v1", "kind": "Secret", **secret})
    await lab.client.create("v1", "serviceaccounts", {"apiVersion": "v1", "kind": "ServiceAccount", **account})
    raw = make_model(uri="s3://models/iris")
    raw["spec"]["predictors"][0]["graph"]["serviceAccountName"] = "reader"
    async with lab.running():
        await lab.apply(raw)
        await lab.state("Available")
    deployment = (await lab.children())["Deployment", "iris-default-0-classifier"]
    (init,) = deployment["spec"]["template"]["spec"]["initContainers"]
    assert "keys" in [each["valueFrom"]["secretKeyRef"]["name"] for each in init["env"]]


async def test_what_a_writer_should_know_is_an_event_said_once(lab: Any, make_model: Make) -> None:
    raw = make_model(annotations={"seldon.io/rest-timout": "100"})
    async with lab.running():
        await lab.apply(raw)
        await lab.state("Available")

        async def said() -> Any:
            items, _ = await lab.client.list("v1", "events", namespace=lab.namespace)
            return [each["message"] for each in items if each["reason"] == "Advice"]

        text = "spec.annotations[seldon.io/rest-timout]: unknown annotation; it does nothing"
        assert await lab.eventually(said, "the advice") == [text]
