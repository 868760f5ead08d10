"""The webhooks of the manifests, asked by an API server: what it refuses and stores, whatever the certificate."""

import asyncio
import contextlib
import copy
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import yaml

from controller import clock
from controller.__main__ import serve
from controller.admission import store, trust
from controller.admission.keeper import Context, GivenCertificate, OwnCertificate
from controller.admission.rotation import Terms
from controller.admission.server import AdmissionServer
from controller.deployment.configuration import Configuration
from controller.kube.client import Client
from controller.kube.connection import fixed
from controller.kube.errors import ApiError, InvalidError
from controller.kube.resources import NAMESPACE, SELDON_DEPLOYMENT, SELDON_ROLLOUT, Resource
from controller.startup import parse_settings
from localcluster.ports import free_ports
from localcluster.testserver import running_server

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.asyncio(loop_scope="module")
OLD = Resource("machinelearning.seldon.io", "v1alpha2", "seldondeployments", "SeldonDeployment")
HERE = "seldon-system"
TERMS = Terms(authority=timedelta(days=90), certificate=timedelta(days=60), skew=timedelta(days=30))
"""So that certificates of each of the instants below hold today."""
BEGINNING, ONE_DUE, ALL_DUE = (timedelta(days=days) for days in (-50, -19, 1))
"""From now: the first certificates are made; the server's is due; the authority's is, too."""


class Still:
    """In the place of the keeper that the server runs by the clock: here the test says what time it is."""

    async def look(self, now: datetime) -> timedelta:
        return timedelta(hours=1)


class Hooks:
    """An API server that asks our webhooks."""

    def __init__(self, client: Client, keeper: OwnCertificate, kubeconfig: Path) -> None:
        self.client, self.keeper, self.kubeconfig = client, keeper, kubeconfig
        self.made = 0
        self.at = clock.now() + BEGINNING

    async def look(self) -> None:
        """Look as often as it takes until nothing is to be done."""
        for _ in range(4):
            await self.keeper.look(self.at)

    def sdep(self, name: str, **spec: Any) -> dict[str, Any]:
        graph = {"name": "m", "implementation": "SKLEARN_SERVER", "modelUri": "gs://m"}
        return {
            "apiVersion": "machinelearning.seldon.io/v1",
            "kind": "SeldonDeployment",
            "metadata": {"name": name, "namespace": HERE},
            "spec": {"predictors": [{"name": "p", "graph": graph}], **spec},
        }

    async def refusal(self, obj: dict[str, Any], resource: Resource = SELDON_DEPLOYMENT) -> str:
        """Return why an object is refused; it must be refused as invalid."""
        with pytest.raises(InvalidError) as refused:
            await self.client.create(resource, obj)
        return refused.value.message

    async def trusted(self) -> None:
        """Wait until the API server has taken over what it is to trust: a bad object is refused by us."""

        async def refused() -> bool:
            self.made += 1
            bad = self.sdep(f"probe-{self.made}")
            bad["spec"]["predictors"][0]["graph"]["implementation"] = "NO_SERVER"
            try:
                await self.client.create(SELDON_DEPLOYMENT, bad)
            except InvalidError as error:
                return "NO_SERVER" in error.message
            except ApiError:
                return False  # the webhook's certificate is not trusted yet
            await self.client.delete(SELDON_DEPLOYMENT, HERE, bad["metadata"]["name"])
            return False

        await _eventually(refused)


async def _eventually(probe: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await probe():  # noqa: ASYNC110 - the condition is in another process
            await asyncio.sleep(0.05)


async def _configuration(_: Any) -> Configuration:
    return Configuration()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hooks() -> AsyncIterator[Hooks]:
    async with running_server(crds=[ROOT / "crds"]) as server:
        connect = fixed(server.url, server.admin_token, tls=server.ssl_context())
        async with Client(connect, chance=lambda: 0.0) as client:
            await client.create(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": HERE}})
            context = Context()
            keeper = OwnCertificate(client, context, HERE, frozenset({"127.0.0.1"}), TERMS)
            webhooks = AdmissionServer(Still(), context, _configuration, operator=True)
            await webhooks.start("127.0.0.1", 0)
            documents = yaml.safe_load_all((ROOT / "manifests/components/webhook/webhooks.yaml").read_text())
            for each in documents:
                for hook in each.get("webhooks") or ():
                    path = hook["clientConfig"].pop("service")["path"]
                    hook["clientConfig"] = {"url": f"https://127.0.0.1:{webhooks.port}{path}"}
                if each["kind"] in trust.KINDS:
                    await client.create(trust.KINDS[each["kind"]], each)
            made = Hooks(client, keeper, server.kubeconfig_path)
            await made.look()
            await made.trusted()
            yield made
            await webhooks.stop()


async def test_a_bad_object_is_refused_in_every_version(hooks: Hooks) -> None:
    bad = hooks.sdep("bad", annotations={"rollouts.seldon.io/max-surge": "some"})
    said = await hooks.refusal(bad)
    assert "rollouts.seldon.io/max-surge: 'some' is not valid; expected a number of pods" in said
    old = {**bad, "apiVersion": "machinelearning.seldon.io/v1alpha2"}
    assert "judge.seldondeployments.machinelearning.seldon.io" in await hooks.refusal(old, OLD)


async def test_a_good_object_is_stored_with_its_defaults(hooks: Hooks) -> None:
    made = await hooks.client.create(SELDON_DEPLOYMENT, hooks.sdep("good", transport="grpc"))
    spec = made["spec"]
    assert (spec["protocol"], spec["transport"], spec["serverType"]) == ("seldon", "grpc", "rpc")


async def test_what_only_we_can_say_of_a_rollout_is_said_before_it_is_stored(hooks: Hooks) -> None:
    template = {"spec": copy.deepcopy(hooks.sdep("x")["spec"])}
    rollout = {
        "apiVersion": "rollouts.seldon.io/v1alpha1",
        "kind": "SeldonRollout",
        "metadata": {"name": "iris", "namespace": HERE},
        "spec": {"template": template, "strategy": {"canary": {"steps": [{"setWeight": 10}]}}},
    }
    await hooks.client.create(SELDON_ROLLOUT, rollout)
    template["spec"]["predictors"][0]["graph"] = {"name": "m"}
    rollout["metadata"] = {"name": "other", "namespace": HERE}
    said = await hooks.refusal(rollout, SELDON_ROLLOUT)
    assert "spec.template.spec.predictors[0].graph.name: 'm' is not valid" in said


async def test_the_certificate_is_renewed_with_its_authority_and_the_api_server_goes_on_asking(hooks: Hooks) -> None:
    seen = []
    for later in (ONE_DUE, ALL_DUE):
        hooks.at = clock.now() + later
        await hooks.look()
        await hooks.trusted()
        material = store.material_of(await store.read(hooks.client, HERE))
        assert material is not None
        seen.append(material)
    assert seen[0].certificate != seen[1].certificate
    assert seen[1].before == seen[0].authority != seen[1].authority


async def test_a_damaged_secret_is_made_anew(hooks: Hooks) -> None:
    secret = await store.read(hooks.client, HERE)
    assert secret is not None
    await hooks.client.replace(
        store.SECRET, {**secret, "data": {**secret["data"], "tls.crt": "eA==", "tls.key": "eA=="}}
    )
    await hooks.look()
    assert store.material_of(await store.read(hooks.client, HERE)) is not None
    await hooks.trusted()


async def test_at_rest_the_secret_and_the_configurations_are_not_written(hooks: Hooks) -> None:
    async def versions() -> list[str]:
        found = [await store.read(hooks.client, HERE), *await trust.configurations(hooks.client)]
        return [each["metadata"]["resourceVersion"] for each in found if each]

    await hooks.look()
    before = await versions()
    await hooks.look()
    assert await versions() == before


async def test_files_of_somebody_elses_are_served_and_read_again(hooks: Hooks, tmp_path: Path) -> None:
    material = store.material_of(await store.read(hooks.client, HERE))
    assert material is not None
    context = Context()
    keeper = GivenCertificate(context, tmp_path)
    with pytest.raises(FileNotFoundError, match=r"tls\.crt"):
        await keeper.look(clock.now())
    assert not context.loaded
    (tmp_path / "tls.crt").write_bytes(material.certificate)
    (tmp_path / "tls.key").write_bytes(material.key)
    await keeper.look(clock.now())
    assert context.loaded


async def test_the_program_serves_webhooks_with_a_certificate_of_its_own(hooks: Hooks, tmp_path: Path) -> None:
    port = free_ports(("webhook",))["webhook"]
    flags = [
        "--controllers=operator",
        "--namespace=elsewhere",
        "--operator-namespace=elsewhere",
        "--listen=127.0.0.1:0",
    ]
    flags += [f"--kubeconfig={hooks.kubeconfig}", f"--webhook-listen=127.0.0.1:{port}", "--webhook-names=127.0.0.1"]
    await hooks.client.create(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "elsewhere"}})
    stop = asyncio.Event()
    serving = asyncio.create_task(serve(parse_settings(flags, {}), stop))

    async def answered() -> bool:
        material = store.material_of(await store.read(hooks.client, "elsewhere"))
        if material is None:
            return False
        trusting = ssl.create_default_context(cadata=material.bundle.decode())
        async with aiohttp.ClientSession() as session:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.post(f"https://127.0.0.1:{port}/validate", json={}, ssl=trusting) as response:
                    return (response.status, await response.text()) == (
                        400,
                        "expected an AdmissionReview with request.uid\n",
                    )
        return False

    try:
        await _eventually(answered)
    finally:
        stop.set()
        await serving
        await hooks.look()  # the program had its own certificate trusted
        await hooks.trusted()
