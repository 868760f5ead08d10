"""Every row of Seldon Core v1's contract is shown: its fields are served, and the tests that are named exist."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deployment.complaints import SUFFERED
from tests.deployment.contract_rows import CREATED, DEFINITION, TOLD, UNIT
from tests.deployment.orchestrator_rows import EXECUTOR, UNITS_OF_THE_EXECUTOR

ROOT = Path(__file__).parents[2]
ROWS = {
    **DEFINITION, **CREATED, **EXECUTOR, **TOLD, **UNITS_OF_THE_EXECUTOR, **UNIT,
    **{f"7 {row}": shown for row, shown in SUFFERED.items()},
}  # fmt: skip
SECTIONS = (
    *("1", "1.1", "1.2", "1.3", "1.4", "1.5", "1.6", "1.7", "1.8", "1.9"),
    *("2.1", "2.2", "2.3", "2.4", "2.5", "2.6", "2.7", "2.9", "2.10", "2.11"),
    *[f"3.{part}" for part in range(1, 16)],
    *("4.1", "4.2", "4.3", "4.4", "4.5", "4.6", "6.2", "6.3", "6.4", "7"),
)
FIELDS = {
    "spec": "name predictors protocol transport replicas serverType annotations oauth_key oauth_secret",
    "spec.predictors[]": "name graph componentSpecs replicas annotations labels engineResources svcOrchSpec traffic "
    "shadow explainer ssl progressDeadlineSeconds",
    "spec.predictors[].svcOrchSpec": "resources env replicas",
    "spec.predictors[].ssl": "certSecretName",
    "spec.predictors[].graph": "name children type implementation methods endpoint parameters modelUri "
    "serviceAccountName envSecretRefName storageInitializerImage logger",
    "spec.predictors[].graph.endpoint": "service_host service_port type httpPort grpcPort",
    "spec.predictors[].graph.parameters[]": "name value type",
    "spec.predictors[].graph.logger": "url mode",
    "spec.predictors[].explainer": "type modelUri serviceAccountName containerSpec config endpoint envSecretRefName "
    "storageInitializerImage replicas initParameters",
    "spec.predictors[].componentSpecs[]": "metadata spec replicas hpaSpec kedaSpec pdbSpec",
    "spec.predictors[].componentSpecs[].hpaSpec": "minReplicas maxReplicas metrics metricsv2",
    "spec.predictors[].componentSpecs[].kedaSpec": "pollingInterval cooldownPeriod minReplicaCount maxReplicaCount "
    "idleReplicaCount advanced triggers fallback",
    "spec.predictors[].componentSpecs[].pdbSpec": "minAvailable maxUnavailable",
    "status": "state description replicas deploymentStatus serviceStatus address conditions annotations "
    "observedGeneration",
    "status.deploymentStatus.*": "name status description replicas availableReplicas explainerFor",
    "status.serviceStatus.*": "svcName httpEndpoint grpcEndpoint explainerFor",
    "status.address": "url",
}
"""The fields of section 1, by where they stand."""


@cache
def _source(file: str) -> str:
    return (ROOT / file if file.startswith("e2e/") else ROOT / "tests" / file).read_text()


@cache
def _versions() -> dict[str, Any]:
    text = (ROOT / "crds" / "machinelearning.seldon.io_seldondeployments.yaml").read_text()
    return {each["name"]: each["schema"]["openAPIV3Schema"] for each in yaml.safe_load(text)["spec"]["versions"]}


def _at(schema: dict[str, Any], path: str) -> dict[str, Any]:
    for step in path.split("."):
        schema = schema["additionalProperties"] if step == "*" else schema["properties"][step.removesuffix("[]")]
        schema = schema["items"] if step.endswith("[]") else schema
    found: dict[str, Any] = schema["properties"]
    return found


@pytest.mark.parametrize("row", ROWS)
def test_a_row_is_shown_by_tests_that_exist(row: str) -> None:
    assert ROWS[row]
    for shown in ROWS[row]:
        file, name = shown.split("::")
        assert re.search(rf"^(async )?def {name}\(", _source(file), re.MULTILINE), shown


def test_every_section_has_rows() -> None:
    assert {row.split(" ")[0] for row in ROWS} == set(SECTIONS)
    assert [int(row.split(" ")[0]) for row in SUFFERED] == list(range(1, 19))


@pytest.mark.parametrize("place", FIELDS)
def test_every_field_of_the_contract_is_served_in_every_version(place: str) -> None:
    for version, schema in _versions().items():
        missing = set(FIELDS[place].split()) - _at(schema, place).keys()
        assert not missing, f"{version}: {place} lacks {sorted(missing)}"
