"""Explainers, KEDA's and Istio's optional kinds on an API server: taken whole, healed, and gone when nobody asks."""

from pathlib import Path
from typing import Any

import yaml

from controller.deployment.configuration import Configuration
from controller.deployment.defaults import complete
from controller.deployment.drift import differs
from controller.deployment.render import render
from controller.deployment.subject import Subject
from controller.deployment.validation import parse

SAMPLES = Path(__file__).parents[1] / "samples"
PLURALS = {
    "AuthorizationPolicy": ("security.istio.io/v1", "authorizationpolicies"),
    "PeerAuthentication": ("security.istio.io/v1", "peerauthentications"),
    "ScaledObject": ("keda.sh/v1alpha1", "scaledobjects"),
}


def _sample(name: str) -> dict[str, Any]:
    return yaml.safe_load((SAMPLES / f"{name}.yaml").read_text())


async def _available(lab: Any, raw: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """Apply an object and wait; return what was stored, after comparing it with what is rendered for it."""
    name = raw["metadata"]["name"]
    await lab.apply(raw)
    status = await lab.state("Available", name)
    assert {each["status"] for each in status["conditions"]} == {"True"}
    children = await lab.children()
    subject = parse(await lab.get(name))
    assert isinstance(subject, Subject)
    for wanted in render(complete(subject, Configuration()), Configuration()).objects():
        live = children[wanted["kind"], wanted["metadata"]["name"]]
        assert not differs(wanted, live)
        if wanted["kind"] in PLURALS:
            assert live["spec"] == wanted["spec"]
    return children


async def test_explainers_are_taken_as_they_are_rendered(lab: Any) -> None:
    async with lab.running():
        children = await _available(lab, _sample("explainers"))
        names = {name for kind, name in children if kind == "Deployment" and name.endswith("-explainer")}
        assert names
        assert {(kind, name) for kind in ("Service", "DestinationRule") for name in names} <= children.keys()
        assert {("VirtualService", f"{name}-http") for name in names} <= children.keys()
        raw = _sample("explainer-v2")
        raw["metadata"]["name"] = "income-v2"
        assert ("Deployment", "income-v2-default-explainer") in await _available(lab, raw)


async def test_a_scaled_object_is_taken_whole_healed_and_gone_when_nobody_asks(lab: Any) -> None:
    raw = _sample("scaled-by-keda")
    async with lab.running():
        children = await _available(lab, raw)
        (name,) = [name for kind, name in children if kind == "ScaledObject"]
        wanted = children["ScaledObject", name]["spec"]
        where = {"namespace": lab.namespace}
        await lab.client.patch(*PLURALS["ScaledObject"], name, {"spec": {"maxReplicaCount": 99}}, **where)

        async def healed() -> bool:
            return (await lab.children())["ScaledObject", name]["spec"] == wanted

        await lab.eventually(healed, "the ScaledObject to be healed")
        for predictor in raw["spec"]["predictors"]:
            for component in predictor["componentSpecs"]:
                component.pop("kedaSpec", None)
        await lab.apply(raw)

        async def gone() -> bool:
            return "ScaledObject" not in {kind for kind, _ in await lab.names()}

        await lab.eventually(gone, "the ScaledObject to go")


async def test_the_number_of_pods_that_keda_sets_is_left_to_it_and_told(lab: Any) -> None:
    """The test plays KEDA's autoscaler, which writes a Deployment's scale."""
    raw = _sample("scaled-by-keda")
    name, predictor = raw["metadata"]["name"], raw["spec"]["predictors"][0]
    predictor["replicas"] = 2
    async with lab.running():
        await _available(lab, raw)
        (scaled,) = [name for kind, name in await lab.names() if kind == "ScaledObject"]

        async def deployment() -> dict[str, Any]:
            return (await lab.children())["Deployment", scaled]

        async def told(number: int) -> bool:
            status = (await lab.state("Available", name))["deploymentStatus"][scaled]
            return (status.get("replicas"), status.get("availableReplicas")) == (number, number)

        for number in (4, 1, 3):
            generation = (await deployment())["metadata"]["generation"]
            scale = {"spec": {"replicas": number}}
            await lab.client.patch("apps/v1", "deployments", scaled, scale, namespace=lab.namespace, sub="scale")
            await lab.eventually(lambda number=number: told(number), f"{number} pods to be told")
            assert (await deployment())["metadata"]["generation"] == generation + 1
        predictor["annotations"] = {"seldon.io/rest-timeout": "4000"}
        await lab.apply(raw)
        await lab.state("Available", name)
        found = await deployment()
        assert found["metadata"]["generation"] > generation + 1  # the template has changed, the number has not
        assert found["spec"]["replicas"] == 3


async def test_policies_are_taken_whole_healed_and_gone_when_nobody_asks(lab: Any) -> None:
    raw = _sample("mesh-security")
    async with lab.running():
        before = await _available(lab, raw)
        pods = await lab.pod_uids()
        where = {"namespace": lab.namespace}
        open_to_all = {"spec": {"rules": [{}]}}
        await lab.client.patch(*PLURALS["AuthorizationPolicy"], "guarded", open_to_all, **where)
        await lab.client.delete(*PLURALS["PeerAuthentication"], "guarded", **where)

        async def healed() -> bool:
            children = await lab.children()
            keys = [(kind, "guarded") for kind in ("AuthorizationPolicy", "PeerAuthentication")]
            return all(key in children and children[key]["spec"] == before[key]["spec"] for key in keys)

        await lab.eventually(healed, "the policies to be healed")
        await lab.apply({**raw, "metadata": {"name": "guarded"}})

        async def gone() -> bool:
            return not {kind for kind, _ in await lab.names()} & {"AuthorizationPolicy", "PeerAuthentication"}

        await lab.eventually(gone, "the policies to go")
        assert await lab.pod_uids() == pods
