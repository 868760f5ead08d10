"""A server that stores the definitions takes them as they are, without a warning.

A real one (`KUBEBUILDER_ASSETS`) also estimates what every rule may cost at most, and refuses those over its budget.
"""

from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import yaml

from localcluster.testserver import running_server

ROOT = Path(__file__).parents[2]
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
FILES = sorted([*(ROOT / "crds").glob("*.yaml"), *(ROOT / "localcluster" / "istio_crds").glob("*.yaml")])

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def session() -> Any:
    async with running_server() as server, server.session() as made:
        yield made


def _definition(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(file.read_text())
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
async def test_a_definition_is_taken_without_a_warning(session: aiohttp.ClientSession, file: Path) -> None:
    definition = _definition(file)
    async with session.post(DEFINITIONS, params={"fieldValidation": "Strict"}, json=definition) as answer:
        told, warnings = await answer.json(), answer.headers.getall("Warning", [])
    assert (answer.status, told.get("message", "")) == (201, "")
    assert warnings == []
