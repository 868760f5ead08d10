"""Every SeldonDeployment that we ship as a sample: deployed, compared with the contract, and asked for a prediction."""

import datetime as dt
import json
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import joblib
import kubernetes
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from e2e import peers
from e2e.contract import breaches

SELDON = {"group": "machinelearning.seldon.io", "version": "v1", "plural": "seldondeployments"}
FOLDER = Path(__file__).parents[1] / "manifests" / "samples"
FILES = {
    document["metadata"]["name"]: path
    for path in sorted(FOLDER.glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
    if document["kind"] == "SeldonDeployment" and document["spec"].get("serverType") != "kafka"  # there is no broker
}
NO_IMAGE = "no local command is known for image"
ELSEWHERE = {
    "server-xgboost": "pip install xgboost", "server-mlflow": "pip install mlflow",
    "server-sklearn-v2": NO_IMAGE, "server-xgboost-v2": NO_IMAGE, "server-mlflow-v2": NO_IMAGE,
    "server-huggingface": NO_IMAGE, "server-triton": NO_IMAGE, "server-tensorflow": NO_IMAGE, "server-tempo": NO_IMAGE,
    "server-tensorflow-proxy": NO_IMAGE, "income-v2": NO_IMAGE,
}  # fmt: skip
"""Whose server cannot run here, and the words that say what is missing: a command for its image, or its library."""
PEERS = {
    "server-sklearn-v2": ("mlserver", "sklearn"),
    "server-xgboost-v2": ("mlserver", "xgboost"),
    "server-mlflow-v2": ("mlserver", "mlflow"),
    "server-xgboost": ("seldon-core", "xgboost"),
    "server-mlflow": ("seldon-core", "mlflow"),
}
"""Of these, those that a runtime of `make peers` serves, and what made the model."""
BY_MLSERVER = frozenset({"server-huggingface", "server-tempo", "income-v2"})
"""And those whose image is MLServer's with a library that is not installed, so that it ends at once."""
FLOWER = [[5.1, 3.5, 1.4, 0.2]]
SETOSA = 0
GRAPHS = {
    "chain": ([[1.0, 2.0]], [[2.54 * 5.08]]),
    "combiner": ([[7.0]], [[1.5]]),
    "router": ([[7.0]], [[1.0], [2.0]]),
}
"""What a graph of the samples' own code is asked, and what it may answer."""
LIVE = (
    ("apps", "v1", "deployments", "Deployment"),
    ("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler"),
    ("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget"),
    ("networking.istio.io", "v1", "destinationrules", "DestinationRule"),
    ("networking.istio.io", "v1", "virtualservices", "VirtualService"),
)
ABSENT = {"iris-keda": "KedaReady", "iris-guarded": "istioSecurityReady"}
"""What needs kinds that the local cluster does not serve, and the condition that says so."""


@pytest.fixture(scope="module")
def buckets(world) -> Path:
    if world.buckets is None:
        pytest.skip("the samples' buckets are folders of the local cluster")
    x, y = load_iris(return_X_y=True)
    model = LogisticRegression(max_iter=500).fit(x, y)
    for uri in sorted({uri for path in FILES.values() for uri in re.findall(r"gs://(\S+)", path.read_text())}):
        target = world.buckets / "gs" / uri
        target.mkdir(parents=True)
        joblib.dump(model, target / "model.joblib")
    return world.buckets


def sample(name: str) -> dict[str, Any]:
    """Return a sample as it was written."""
    documents = yaml.safe_load_all(FILES[name].read_text())
    (raw,) = [each for each in documents if each["kind"] == "SeldonDeployment" and each["metadata"]["name"] == name]
    return dict(raw)


def deploy(kube, name: str) -> dict[str, Any]:
    """Apply what stands in the sample's file beside it, and it; return it as it was written."""
    for each in yaml.safe_load_all(FILES[name].read_text()):
        if each["kind"] == "ConfigMap":
            kube.core.create_namespaced_config_map(kube.namespace, each)
    if name == "iris-tls":
        kube.core.create_namespaced_secret(kube.namespace, certificate(name))
    raw = sample(name)
    kube.write(raw, **SELDON)
    raw["metadata"]["namespace"] = kube.namespace
    return raw


def certificate(name: str) -> dict[str, Any]:
    """A Secret with a certificate that only itself has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + dt.timedelta(hours=1))
    made = builder.sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {
        "metadata": {"name": "iris-tls"},
        "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": made.public_bytes(pem).decode(), "tls.key": private.decode()},
    }


def objects(api: kubernetes.client.ApiClient, kube, name: str) -> dict[tuple[str, str], dict[str, Any]]:
    """What stands for a SeldonDeployment, by kind and name."""
    selector = {"label_selector": f"seldon-deployment-id={name}"}
    services = kube.core.list_namespaced_service(kube.namespace, **selector, _preload_content=False)
    found = {("Service", each["metadata"]["name"]): each for each in json.loads(services.data)["items"]}
    custom = kubernetes.client.CustomObjectsApi(api)
    for group, version, plural, kind in LIVE:
        items = custom.list_namespaced_custom_object(group, version, kube.namespace, plural, **selector)["items"]
        found |= {(kind, each["metadata"]["name"]): each for each in items}
    return found


def ask(world, kube, name: str, rows: list[list[float]]) -> list[list[float]]:
    """Ask for a prediction by the protocol of Seldon Core."""
    answer = post(world, kube, name, "api/v1.0/predictions", {"data": {"ndarray": rows}})
    found: list[list[float]] = answer["data"]["ndarray"]
    return found


def infer(world, kube, name: str, model: str, rows: list[list[float]]) -> list[float]:
    """Ask for a prediction by the v2 protocol. MLflow's models take a tensor as such only where that is said."""
    data = [value for row in rows for value in row]
    tensor = {"name": "predict", "shape": [len(rows), len(rows[0])], "datatype": "FP64", "data": data}
    body = {"parameters": {"content_type": "np"}, "inputs": [tensor]}
    answer = post(world, kube, name, f"v2/models/{model}/infer", body)
    found: list[float] = answer["outputs"][0]["data"]
    return found


def post(world, kube, name: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Send a request, as soon as Envoy knows the route: that may be a moment after the state says so."""
    found: list[dict[str, Any]] = []
    url = f"{world.gateway_url}/seldon/{kube.namespace}/{name}/{path}"
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})

    def answered() -> bool:
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                found.append(json.loads(answer.read()))
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
        return bool(found)

    kube.until(f"{name} answers", answered, timeout=20)
    return found[0]


def train(buckets: Path, name: str) -> None:
    """Put a model where a sample looks for it, made by the libraries of the server that will read it."""
    target = buckets / "gs" / str(sample(name)["spec"]["predictors"][0]["graph"]["modelUri"]).removeprefix("gs://")
    peers.train(*PEERS[name], target)


def is_available(kube, name: str) -> bool:
    return kube.status(name, **SELDON).get("state") == "Available"


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_of_own_code_answers_as_its_graph_says(world, api, kube, name) -> None:
    raw = deploy(kube, name)
    kube.until(f"{name} is available", lambda: is_available(kube, name))
    rows, answers = GRAPHS[name]
    (answer,) = ask(world, kube, name, rows)
    assert answer in [pytest.approx(each) for each in answers]
    assert breaches(raw, objects(api, kube, name)) == []


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(FILES.keys() - GRAPHS.keys() - ELSEWHERE.keys() - {"income"}))
def test_a_sample_becomes_available_keeps_the_contract_and_predicts(world, api, kube, buckets, name) -> None:
    raw = deploy(kube, name)
    kube.until(f"{name} is available", lambda: is_available(kube, name))
    (answer,) = ask(world, kube, name, FLOWER)
    assert answer.index(max(answer)) == SETOSA
    stands = objects(api, kube, name)
    found = [each for each in breaches(raw, stands) if name not in ABSENT or "ScaledObject" not in each]
    assert found == []
    conditions = {each["type"]: each for each in kube.status(name, **SELDON)["conditions"]}
    lacking = {kind for kind, each in conditions.items() if each["status"] == "False"} - {"Ready"}
    assert lacking == ({ABSENT[name]} if name in ABSENT else set())


@pytest.mark.long
def test_an_explainer_that_cannot_run_here_holds_up_no_prediction(world, api, kube, buckets) -> None:
    raw = deploy(kube, "income")
    kube.until("its model is routed", lambda: ("VirtualService", "income") in objects(api, kube, "income"))
    (answer,) = ask(world, kube, "income", FLOWER)
    assert answer.index(max(answer)) == SETOSA
    kube.until("it is said what the explainer lacks", lambda: NO_IMAGE in described(kube, "income"))
    del raw["spec"]["predictors"][0]["explainer"]
    assert breaches(raw, objects(api, kube, "income")) == []
    assert ("Deployment", "income-default-explainer") in objects(api, kube, "income")


@pytest.mark.long
def test_a_server_of_upstreams_image_is_answered_by_seldon_cores_own_wrapper(world, api, kube, buckets) -> None:
    peers.train("seldon-core", "sklearn", buckets / "gs" / "models" / "iris" / "upstream")
    raw = sample("iris")
    (predictor,) = raw["spec"]["predictors"]
    predictor["graph"]["modelUri"] = "gs://models/iris/upstream"
    container = {"name": predictor["graph"]["name"], "image": "seldonio/sklearnserver:1.17.1"}
    predictor["componentSpecs"] = [{"spec": {"containers": [container]}}]
    kube.write(raw, **SELDON)
    kube.until("it is available", lambda: is_available(kube, "iris"))
    (scores,) = ask(world, kube, "iris", FLOWER)
    assert scores.index(max(scores)) == SETOSA
    raw["metadata"]["namespace"] = kube.namespace
    assert breaches(raw, objects(api, kube, "iris")) == []


def described(kube, name: str) -> str:
    return str(kube.status(name, **SELDON).get("description"))


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(PEERS))
def test_a_sample_is_answered_by_the_server_of_others_that_it_names(world, api, kube, buckets, name) -> None:
    """MLServer itself, and our classes in Seldon Core's own wrapper."""
    train(buckets, name)
    raw = deploy(kube, name)
    kube.until(f"{name} is available", lambda: is_available(kube, name), timeout=180)
    if raw["spec"].get("protocol") == "v2":
        (answer,) = infer(world, kube, name, raw["spec"]["predictors"][0]["graph"]["name"], FLOWER)
    else:
        (answer,) = ask(world, kube, name, FLOWER)
    assert (answer.index(max(answer)) if isinstance(answer, list) else answer) == SETOSA
    assert breaches(raw, objects(api, kube, name)) == []


@pytest.mark.long
@pytest.mark.parametrize(
    "name", sorted(name for name in ELSEWHERE if name not in PEERS or not peers.installed(PEERS[name][0]))
)
def test_a_sample_whose_server_cannot_run_here_keeps_the_contract_and_says_what_it_lacks(
    world, api, kube, buckets, name
) -> None:
    if name in BY_MLSERVER and peers.installed("mlserver"):
        pytest.skip("its image is MLServer's, which is installed without the library that it needs")
    raw = deploy(kube, name)
    kube.until("it is said what is missing", lambda: ELSEWHERE[name] in described(kube, name), timeout=30)
    assert breaches(raw, objects(api, kube, name), routed=False) == []
