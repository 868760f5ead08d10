"""The cluster that the stories run on: the local one, or a real one by --kubeconfig and --context.

kubetest is used as a library, for its namespaces, conditions and waits. It asks for classes that the Kubernetes client
no longer has; the shim gives it placeholders, which nothing here uses.
"""

import asyncio
import itertools
import json
import os
import threading
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import joblib
import kubernetes
import numpy as np
import pytest

for _name in (
    "AppsV1beta1Api", "AppsV1beta2Api", "ExtensionsV1beta1Api", "RbacAuthorizationV1alpha1Api",
    "RbacAuthorizationV1beta1Api", "V1Event", "V1Subject",
):  # fmt: skip
    if not hasattr(kubernetes.client, _name):
        setattr(kubernetes.client, _name, type(_name, (), {}))

from kubetest.condition import Condition  # noqa: E402 - after the shim
from kubetest.objects.namespace import Namespace  # noqa: E402
from kubetest.utils import wait_for_condition  # noqa: E402

from e2e import account, peers  # noqa: E402
from localcluster.cluster import LocalCluster  # noqa: E402
from localcluster.faults import Faults  # noqa: E402
from localcluster.supervise import Supervised  # noqa: E402
from seldon_rollouts import data, local  # noqa: E402
from seldon_rollouts.demo import models  # noqa: E402
from seldon_rollouts.demo.traffic import Users  # noqa: E402

GROUP, VERSION, PLURAL = "rollouts.seldon.io", "v1alpha1", "seldonrollouts"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kubeconfig", default="", help="a real cluster's kubeconfig; the local cluster without it")
    parser.addoption("--context", default="", help="the kubeconfig's context")
    parser.addoption("--gateway-url", default="", help="with --kubeconfig: where Istio's ingress gateway answers")
    parser.addoption("--models", default="", help="with --kubeconfig: URI of the folder with digits-v1 to digits-v4")


@dataclass(frozen=True)
class World:
    """Where the stories happen."""

    kubeconfig: str
    context: str | None
    gateway_url: str
    faults: Faults | None
    """None on a real cluster: there nothing is killed."""
    prometheus_url: str = ""
    """Where Prometheus is; empty on a real cluster."""
    dashboard: str = ""
    """Where the dashboard is; empty on a real cluster."""
    tokens: Mapping[str, str] = field(default_factory=dict)
    """Bearer tokens of the local cluster's people."""
    refusals: Callable[[], list[str]] | None = None
    """With a real API server, where the controller runs as the base's account: what it was refused."""
    buckets: Path | None = None
    """The folder that stands in for buckets: gs://b/p is its gs/b/p; None on a real cluster."""


@pytest.fixture(scope="session")
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    given = request.config.getoption("--kubeconfig")
    if given:
        gateway = request.config.getoption("--gateway-url")
        if not gateway:
            pytest.fail("--kubeconfig needs --gateway-url, the address of Istio's ingress gateway")
        yield World(given, request.config.getoption("--context") or None, gateway, None)
        return
    real = bool(os.environ.get("KUBEBUILDER_ASSETS"))
    folder = tmp_path_factory.mktemp("cluster")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def done(work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, loop).result(120)

    buckets = folder / "buckets"
    buckets.mkdir()
    cluster = local.cluster(
        folder, real_api_server=real, with_controller=not real, with_dashboard=True,
        node_arguments=("--storage-root", str(buckets), *peers.arguments(folder)),
    )  # fmt: skip
    done(cluster.up())
    controller = None
    try:
        refusals = None
        if real:
            controller, refusals = _controller_as_its_account(cluster)
            done(controller.start())
            done(controller.ready())
        at = cluster.addresses
        yield World(
            at.kubeconfig, None, at.gateway_url, Faults(folder), at.prometheus_url, local.dashboard_url(cluster),
            cluster.tokens, refusals, buckets,
        )  # fmt: skip
    finally:
        if controller is not None:
            done(controller.stop())
        done(cluster.down())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def _controller_as_its_account(cluster: LocalCluster) -> tuple[Supervised, Callable[[], list[str]]]:
    """The controller with no more rights than the base grants, and what tells the refusals that it met."""
    folder = cluster.data_dir
    kubeconfig = folder / "account.kubeconfig"
    account.prepare(Path(cluster.addresses.kubeconfig), data.folder("manifests"), kubeconfig)
    program = local.controller(replace(cluster.addresses, kubeconfig=str(kubeconfig)))
    log = folder / "logs" / "controller.log"
    metrics = program.ready_url.removesuffix("readyz") + "metrics"

    def refusals() -> list[str]:
        with urllib.request.urlopen(metrics, timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        counted = [line for line in lines if line.startswith("seldon_rollouts_api_requests_total") and '"403"' in line]
        logged = [line for line in log.read_text("utf-8").splitlines() if "orbidden" in line]
        return counted + logged

    return Supervised(program, log), refusals


@pytest.fixture(scope="session")
def api(world: World) -> Iterator[kubernetes.client.ApiClient]:
    kubernetes.config.load_kube_config(world.kubeconfig, context=world.context)
    client = kubernetes.client.ApiClient()
    yield client
    client.close()


@pytest.fixture(scope="session")
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> models.Trained:
    made = models.train(tmp_path_factory.mktemp("models"))
    root = request.config.getoption("--models")
    if root:
        uris = tuple(f"{root.rstrip('/')}/digits-v{number}" for number in range(1, 5))
        made = models.Trained(uris, made.accuracy, made.rows, made.labels)
    return made


@pytest.fixture
def spoiled(
    request: pytest.FixtureRequest, tmp_path: Path, trained: models.Trained
) -> Callable[[str, float, Callable[[Any, float], Any]], str]:
    """Make models that are worse for so large a share of the images that users send; returns their addresses.

    What spoils is given a good model, and how dark an image must be to belong to that share.
    """
    if request.config.getoption("--models"):
        pytest.skip("these models are trained here, and a real cluster does not see them")
    sums = np.asarray(trained.rows).sum(axis=1)
    inner = joblib.load(Path(trained.uris[1].removeprefix("file://")) / "model.joblib")

    def make(name: str, share: float, spoil: Callable[[Any, float], Any]) -> str:
        folder = tmp_path / name
        folder.mkdir()
        joblib.dump(spoil(inner, float(np.quantile(sums, 1 - share))), folder / "model.joblib")
        return f"file://{folder}"

    return make


@pytest.fixture
def brittle(spoiled: Callable[[str, float, Callable[[Any, float], Any]], str]) -> Callable[[str, float], str]:
    """Make models that refuse so large a share of the images that users send; returns their addresses."""
    return lambda name, share: spoiled(name, share, models.BrittleClassifier)


@pytest.fixture
def namespace(api: kubernetes.client.ApiClient) -> Iterator[str]:
    made = Namespace.new(f"e2e-{uuid.uuid4().hex[:8]}")
    made.create()
    yield made.name
    made.delete(options=kubernetes.client.V1DeleteOptions())


class Kube:
    """The few calls that the stories make, on one namespace."""

    def __init__(self, api: kubernetes.client.ApiClient, namespace: str) -> None:
        self._objects = kubernetes.client.CustomObjectsApi(api)
        self.core = kubernetes.client.CoreV1Api(api)
        self.namespace = namespace
        self._numbers = itertools.count(1)

    def write(self, obj: dict[str, Any], group: str = GROUP, version: str = VERSION, plural: str = PLURAL) -> None:
        """Create an object, or merge into the one that is there."""
        try:
            self._objects.create_namespaced_custom_object(group, version, self.namespace, plural, obj)
        except kubernetes.client.ApiException as error:
            if error.status != 409:
                raise
            name = obj["metadata"]["name"]
            self._objects.patch_namespaced_custom_object(group, version, self.namespace, plural, name, obj)

    def replace(self, obj: dict[str, Any], group: str = GROUP, version: str = VERSION, plural: str = PLURAL) -> None:
        """Write an object whole, as `kubectl replace` does."""
        name = obj["metadata"]["name"]
        self._objects.replace_namespaced_custom_object(group, version, self.namespace, plural, name, obj)

    def read(self, name: str, group: str = GROUP, version: str = VERSION, plural: str = PLURAL) -> dict[str, Any]:
        """Return an object."""
        found: dict[str, Any] = self._objects.get_namespaced_custom_object(group, version, self.namespace, plural, name)
        return found

    def remove(self, name: str, group: str = GROUP, version: str = VERSION, plural: str = PLURAL) -> None:
        """Delete an object, in the background."""
        self._objects.delete_namespaced_custom_object(group, version, self.namespace, plural, name)

    def status(self, name: str, **kind: str) -> dict[str, Any]:
        """Return an object's status if it is about its present generation, else nothing."""
        found = self.read(name, **kind)
        status = found.get("status") or {}
        return status if status.get("observedGeneration") == found["metadata"]["generation"] else {}

    def ask(self, name: str, verb: str, **more: Any) -> None:
        """Leave an intent."""
        number = f"e2e-{next(self._numbers)}-{uuid.uuid4().hex[:6]}"
        text = json.dumps({"id": number, "verb": verb, "by": "e2e", **more})
        patch = {"metadata": {"annotations": {"rollouts.seldon.io/intent": text}}}
        self._objects.patch_namespaced_custom_object(GROUP, VERSION, self.namespace, PLURAL, name, patch)

    def until(self, about: str, check: Callable[[], bool], timeout: int = 120) -> None:
        """Wait, with kubetest's conditions, until a check holds."""
        wait_for_condition(Condition(about, check), timeout=timeout, interval=0.3)


@pytest.fixture
def kube(api: kubernetes.client.ApiClient, namespace: str) -> Kube:
    return Kube(api, namespace)


class Crowd:
    """Users in a thread of their own, for tests that wait for the cluster meanwhile."""

    def __init__(self, url: str, trained: models.Trained, rate: float, patience: float) -> None:
        self._url, self._row = url, list(trained.rows[0])
        self.users = Users(url, trained.rows, trained.labels, rate=rate, patience=patience)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        self._loop.run_until_complete(self.users.run())

    def __enter__(self) -> Users:
        about = "the gateway knows the way"  # by default Istio does not say when it has a route
        wait_for_condition(Condition(about, self._is_known), timeout=30, interval=0.1)
        self._thread.start()
        return self.users

    def _is_known(self) -> bool:
        try:
            body = json.dumps({"data": {"ndarray": [self._row]}}).encode()
            urllib.request.urlopen(self._url, data=body, timeout=10).close()
        except urllib.error.HTTPError as error:
            return error.code != 404
        return True

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self.users.stop)
        self._thread.join(30)
        self._loop.close()


@pytest.fixture
def crowd(world: World, trained: models.Trained, namespace: str) -> Callable[..., Crowd]:
    def make(name: str, rate: float = 200, path: str = "", patience: float = 10) -> Crowd:
        where = path or f"/seldon/{namespace}/{name}"
        return Crowd(f"{world.gateway_url}{where}/api/v1.0/predictions", trained, rate, patience)

    return make


@pytest.fixture
def project() -> Path:
    return Path(__file__).parents[1]
