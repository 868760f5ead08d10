"""Credentials: what the Secrets of a service account give to a download, and where none are asked for."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controller.deployment.accounts import FRESH_FOR, Accounts
from controller.deployment.configuration import Configuration, with_config_map
from controller.deployment.credentials import Keys, accounts, granted
from controller.deployment.render import render
from controller.kube.errors import NotFoundError
from controller.kube.resources import Resource

Make = Callable[..., dict[str, Any]]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
S3 = {
    "metadata": {
        "name": "bucket",
        "annotations": {
            "serving.kubeflow.org/s3-endpoint": "old:9000",
            "machinelearning.seldon.io/s3-endpoint": "minio:9000",
            "machinelearning.seldon.io/s3-usehttps": "0",
            "serving.kubeflow.org/s3-region": "eu",
            "serving.kubeflow.org/s3-verifyssl": "0",
        },
    },
    "data": {"awsAccessKeyID": "QQ==", "awsSecretAccessKey": "Qg=="},
}
GCS = {"metadata": {"name": "google"}, "data": {"gcloud-application-credentials.json": "e30="}}
TOKEN = {"metadata": {"name": "token"}, "data": {"token": "eA=="}}


def _init(make_model: Make, subject_for: Any, configuration: Configuration, **graph: Any) -> dict[str, Any]:
    raw = make_model(uri=graph.pop("uri", "s3://models/iris"))
    raw["spec"]["predictors"][0]["graph"] |= graph
    (deployment,) = render(subject_for(raw, configuration), configuration).deployments
    return deployment["spec"]["template"]["spec"]


def _env(container: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each.get("value") or each["valueFrom"]["secretKeyRef"] for each in container.get("env", ())}


def test_an_s3_secret_becomes_variables_that_refer_to_it(make_model: Make, subject_for: Any) -> None:
    configuration = Configuration(grants={"reader": granted([TOKEN, S3], Keys())})
    pod = _init(make_model, subject_for, configuration, serviceAccountName="reader")
    assert pod["serviceAccountName"] == "reader"
    assert _env(pod["initContainers"][0]) == {
        "AWS_ACCESS_KEY_ID": {"name": "bucket", "key": "awsAccessKeyID"},
        "AWS_SECRET_ACCESS_KEY": {"name": "bucket", "key": "awsSecretAccessKey"},
        "AWS_REGION": "eu",
        "S3_VERIFY_SSL": "0",
        "S3_USE_HTTPS": "0",
        "S3_ENDPOINT": "minio:9000",
        "AWS_ENDPOINT_URL": "http://minio:9000",
    }


def test_a_google_secret_is_mounted_in_the_init_container_alone(make_model: Make, subject_for: Any) -> None:
    configuration = Configuration(grants={"default": granted([GCS], Keys())})
    pod = _init(make_model, subject_for, configuration, uri="gs://models/iris")
    init = pod["initContainers"][0]
    assert _env(init) == {"GOOGLE_APPLICATION_CREDENTIALS": "/var/secrets/gcloud-application-credentials.json"}
    assert {"name": "user-gcp-sa", "mountPath": "/var/secrets/", "readOnly": True} in init["volumeMounts"]
    assert {"name": "user-gcp-sa", "secret": {"secretName": "google"}} in pod["volumes"]
    assert not any(each["name"] == "user-gcp-sa" for one in pod["containers"] for each in one["volumeMounts"])


@pytest.mark.parametrize("uri", ["pvc://claim/iris", "https://models.example/iris", "file:///models/iris"])
def test_what_is_in_no_bucket_gets_no_credentials(make_model: Make, subject_for: Any, uri: str) -> None:
    configuration = Configuration(grants={"default": granted([S3], Keys())})
    assert "env" not in _init(make_model, subject_for, configuration, uri=uri)["initContainers"][0]
    assert accounts(make_model(uri=uri)["spec"]) == frozenset()


def test_a_claim_is_mounted_in_the_server_and_the_init_container(make_model: Make, subject_for: Any) -> None:
    pod = _init(make_model, subject_for, Configuration(), uri="pvc://claim/iris/v1")
    mount = {"name": "kfserving-pvc-source", "mountPath": "/mnt/pvc", "readOnly": True}
    assert pod["initContainers"][0]["args"] == ["/mnt/pvc/iris/v1", "/mnt/models"]
    assert mount in pod["initContainers"][0]["volumeMounts"]
    assert mount in pod["containers"][0]["volumeMounts"]


def test_a_secret_of_variables_is_the_environment_of_the_download(make_model: Make, subject_for: Any) -> None:
    configuration = Configuration(initializer_env_secret="everybodys")
    default = _init(make_model, subject_for, configuration)["initContainers"][0]
    own = _init(make_model, subject_for, configuration, envSecretRefName="mine")["initContainers"][0]
    assert default["envFrom"] == [{"secretRef": {"name": "everybodys"}}]
    assert own["envFrom"] == [{"secretRef": {"name": "mine"}}]


def test_the_config_map_may_name_other_keys() -> None:
    said = {"s3": {"s3AccessKeyIDName": "id", "s3SecretAccessKeyName": "key", "s3Endpoint": "e"}, "gcs": {}}
    keys = with_config_map(Configuration(), {"credentials": json.dumps(said)}).credential_keys
    found = granted([{"metadata": {"name": "s"}, "data": {"id": "", "key": ""}}], keys)
    assert _env({"env": found.env})["AWS_SECRET_ACCESS_KEY"] == {"name": "s", "key": "key"}
    assert _env({"env": found.env})["AWS_ENDPOINT_URL"] == "https://e"


def test_accounts_are_those_of_all_nodes_and_explainers() -> None:
    child = {"name": "b", "modelUri": "s3://b", "serviceAccountName": "two"}
    graph = {"name": "a", "modelUri": "gs://a", "children": [child, {"name": "c"}]}
    spec = {"predictors": [{"graph": graph, "explainer": {"modelUri": "s3://e", "serviceAccountName": "three"}}]}
    assert accounts(spec) == {"default", "two", "three"}
    assert accounts({"predictors": [None, {"graph": 3, "explainer": []}]}) == frozenset()


class Reader:
    """An API server with one account; counts what it is asked."""

    def __init__(self, found: dict[str, Any]) -> None:
        self.found, self.asked = found, 0

    async def get(self, resource: Resource, namespace: str, name: str) -> Any:
        self.asked += 1
        if f"{resource.plural}/{name}" not in self.found:
            raise NotFoundError(404, "NotFound", name)
        return self.found[f"{resource.plural}/{name}"]


async def test_an_account_is_read_once_a_minute_and_what_is_missing_gives_nothing(make_model: Make) -> None:
    reader = Reader(
        {"serviceaccounts/default": {"secrets": [{"name": "bucket"}, {"name": "gone"}]}, "secrets/bucket": S3}
    )
    known: Any = Accounts(reader)  # type: ignore[arg-type]
    raw = make_model(uri="s3://models/iris")
    first = await known.configuration(raw, Configuration(), NOW)
    assert first.grants["default"].env
    assert (await known.configuration(raw, Configuration(), NOW + timedelta(seconds=59))) == first
    assert reader.asked == 3
    reader.found.clear()
    later = await known.configuration(raw, Configuration(), NOW + FRESH_FOR)
    assert later == replace(first, grants={})
