"""The rendered schemas, and a small engine for their rules."""

from collections.abc import Callable, Iterator
from typing import Any

import cel
import jsonschema_rs
import pytest

from controller.api.crds import KINDS, definition
from controller.api.deployment import SeldonDeploymentSpec

Json = Any


def rules_broken(schema: dict[str, Json], value: Json) -> list[str]:
    """Return the messages of the rules that a value breaks, at every level."""
    broken = []
    for rule in schema.get("x-kubernetes-validations", ()):
        if "oldSelf" in rule["rule"]:  # of a change; this is a new object
            continue
        context = cel.Context()
        context.add_function("sum", sum)  # of Kubernetes' list library
        context.add_variable("self", value)
        if not cel.evaluate(rule["rule"], context):
            broken.append(rule["message"])
    if isinstance(value, dict):
        for key, item in value.items():
            below = schema.get("properties", {}).get(key, schema.get("additionalProperties", {}))
            broken += rules_broken(below, item)
    if isinstance(value, list):
        for item in value:
            broken += rules_broken(schema.get("items", {}), item)
    return broken


class Served:
    """One kind as the API serves it in its stored version."""

    def __init__(self, crd: dict[str, Json], model: Any) -> None:
        self.crd = crd
        self.model = model
        self.version = next(version for version in crd["spec"]["versions"] if version["storage"])
        self.schema: dict[str, Json] = self.version["schema"]["openAPIV3Schema"]
        self._validator = jsonschema_rs.Draft4Validator(self.schema)  # as OpenAPI 3.0: exclusive limits are flags

    def errors(self, value: Json) -> list[str]:
        """Return what the schema and its rules have against an object."""
        found = [
            f"{'.'.join(map(str, error.instance_path))}: {error.message}"
            for error in self._validator.iter_errors(value)
        ]
        return found or rules_broken(self.schema, value)

    def parse(self, value: dict[str, Json]) -> Any:
        """Read an object's spec and status with the model, and a rollout's template with that of a SeldonDeployment."""
        found = self.model.model_validate({key: value[key] for key in ("spec", "status") if key in value})
        if template := getattr(found.spec, "template", None):
            SeldonDeploymentSpec.model_validate(template.spec)
        return found


SERVED = {kind.name: Served(definition(kind), kind.model) for kind in KINDS}


@pytest.fixture(params=sorted(SERVED))
def served(request: pytest.FixtureRequest) -> Served:
    """Each of our kinds in turn."""
    return SERVED[request.param]


@pytest.fixture
def kinds() -> dict[str, Served]:
    """All our kinds by name."""
    return SERVED


@pytest.fixture
def levels() -> Callable[[dict[str, Json]], Iterator[tuple[str, dict[str, Json]]]]:
    """Walk every level of a schema with its path."""

    def walk(schema: dict[str, Json], path: str = "") -> Iterator[tuple[str, dict[str, Json]]]:
        yield path, schema
        for key, below in schema.get("properties", {}).items():
            yield from walk(below, f"{path}.{key}")
        if isinstance(schema.get("additionalProperties"), dict):
            yield from walk(schema["additionalProperties"], f"{path}{{}}")
        if "items" in schema:
            yield from walk(schema["items"], f"{path}[]")

    return walk
