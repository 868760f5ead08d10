"""What is rendered for every sample, asked of KEDA's and Istio's own definitions: no field unknown, no value refused.

`TRUE_CRDS` names a folder with their YAML, which is not ours to keep here:
`config/crd/bases/keda.sh_scaledobjects.yaml` of `github.com/kedacore/keda`, and
`kubernetes/customresourcedefinitions.gen.yaml` of `github.com/istio/api`.
"""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.deployment.configuration import Configuration
from controller.deployment.defaults import complete
from controller.deployment.observe import WRITTEN
from controller.deployment.render import render
from controller.deployment.subject import Subject
from controller.deployment.validation import parse
from localcluster.client import ApiClient
from localcluster.objects import ApiError, path_of
from localcluster.testserver import running_server

ROOT = Path(__file__).parents[3]
FOLDER = os.environ.get("TRUE_CRDS", "")
pytestmark = pytest.mark.skipif(not FOLDER, reason="TRUE_CRDS names no folder with the CRDs of KEDA and Istio")


def _rendered() -> list[tuple[str, dict[str, Any]]]:
    folders = (ROOT / "manifests" / "samples", ROOT / "tests" / "deployment" / "samples")
    found = []
    for path in (each for folder in folders for each in sorted(folder.glob("*.yaml"))):
        for raw in yaml.safe_load_all(path.read_text()):
            if (raw or {}).get("kind") != "SeldonDeployment":
                continue
            subject = parse({**raw, "metadata": {**raw["metadata"], "namespace": "default", "uid": "1"}})
            assert isinstance(subject, Subject), f"{path.name}: {subject}"
            found += [
                (path.name, each) for each in render(complete(subject, Configuration()), Configuration()).objects()
            ]
    return found


async def _refusal(client: ApiClient, obj: dict[str, Any]) -> str:
    """Return the words with which the server refuses an object, or a field of it; nothing is stored."""
    resource = WRITTEN[obj["kind"]]
    path = path_of(obj["apiVersion"], resource.plural, namespace="default", name=obj["metadata"]["name"])
    asked = {"fieldManager": "test", "force": "true", "fieldValidation": "Strict", "dryRun": "All"}
    try:
        await client.request("PATCH", path, params=asked, body=obj, content_type="application/apply-patch+yaml")
    except ApiError as error:
        return str(error)
    return ""


async def test_what_is_rendered_for_the_samples_is_what_their_definitions_say() -> None:
    objects = _rendered()
    kinds = {each["kind"] for _, each in objects}
    assert kinds >= {"ScaledObject", "VirtualService", "DestinationRule", "AuthorizationPolicy", "PeerAuthentication"}
    refused = {}
    async with (
        running_server(crds=[Path(FOLDER)]) as server,
        ApiClient.from_kubeconfig(server.kubeconfig_path) as client,
    ):
        for name, each in objects:
            if words := await _refusal(client, each):
                refused[name, each["kind"], each["metadata"]["name"]] = words
        wrong = next(dict(each) for _, each in objects if each["kind"] == "ScaledObject")
        wrong["spec"] = {**wrong["spec"], "maxReplicas": 3}
        assert "maxReplicas" in await _refusal(client, wrong), "these definitions refuse what they do not know"
    assert refused == {}
