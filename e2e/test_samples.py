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


def deploy(kube, name: str) -> dict[str, Any]:
    """Apply what stands in the sample's file beside it, and it; return it as it was written."""
    documents = list(yaml.safe_load_all(FILES[name].read_text()))
    for each in documents:
        if each["kind"] == "ConfigMap":
            kube.core.create_namespaced_config_map(kube.namespace, each)
    if name == "iris-tls":
        kube.core.create_namespaced_secret(kube.namespace, certificate(name))
    (raw,) = [each for each in documents if each["kind"] == "SeldonDeployment" and each["metadata"]["name"] == name]
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
    """Ask for a prediction, as soon as Envoy knows the route: that may be a moment after the state says so."""
    found: list[list[list[float]]] = []

    def answered() -> bool:
        try:
            found.append(_ask(world, kube, name, rows))
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
        return bool(found)

    kube.until(f"{name} answers", answered, timeout=20)
    return found[0]


def _ask(world, kube, name: str, rows: list[list[float]]) -> list[list[float]]:
    url = f"{world.gateway_url}/seldon/{kube.namespace}/{name}/api/v1.0/predictions"
    body = json.dumps({"data": {"ndarray": rows}}).encode()
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        found: list[list[float]] = json.loads(answer.read())["data"]["ndarray"]
        return found


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


def described(kube, name: str) -> str:
    return str(kube.status(name, **SELDON).get("description"))


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(ELSEWHERE))
def test_a_sample_whose_server_cannot_run_here_keeps_the_contract_and_says_what_it_lacks(
    world, api, kube, buckets, name
) -> None:
    raw = deploy(kube, name)
    kube.until("it is said what is missing", lambda: ELSEWHERE[name] in described(kube, name), timeout=30)
    assert breaches(raw, objects(api, kube, name), routed=False) == []
