"""Custom resource definitions: from a stored CRD to served kinds."""

from collections.abc import Callable, Iterable
from typing import Any

from localcluster.apiserver.errors import Cause
from localcluster.apiserver.history import Event
from localcluster.apiserver.jsonpath import parse as parse_path
from localcluster.apiserver.kinds import Column, Kind, Kinds, Scale
from localcluster.apiserver.metadata import required, unsupported, wrong_value
from localcluster.apiserver.shape import custom as custom_shape
from localcluster.apiserver.validation import CustomRules

JsonObject = dict[str, Any]

COLLECTION = "customresourcedefinitions.apiextensions.k8s.io"
CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
_SELECTABLE = frozenset({"metadata.name", "metadata.namespace"})
_DEFAULT_COLUMNS = (Column("Age", ".metadata.creationTimestamp", type="date"),)


class DefinitionRules:
    """What is special about a CRD: its names are completed, and its schemas must compile."""

    def __init__(self, now: Callable[[], str]) -> None:
        self._now = now

    def default(self, new: JsonObject) -> None:
        spec = new.get("spec") or {}
        names = spec.get("names") or {}
        if names.get("kind"):
            names.setdefault("singular", names["kind"].lower())
            names.setdefault("listKind", names["kind"] + "List")
        spec.setdefault("conversion", {"strategy": "None"})
        status = new.setdefault("status", {})
        status["acceptedNames"] = dict(names)
        stored = [version["name"] for version in spec.get("versions") or () if version.get("storage")]
        status["storedVersions"] = sorted({*status.get("storedVersions", ()), *stored})
        if not status.get("conditions"):
            status["conditions"] = [
                _condition("NamesAccepted", "NoConflicts", "no conflicts found", self._now()),
                _condition("Established", "InitialNamesAccepted", "the initial names have been accepted", self._now()),
            ]

    def validate(self, new: JsonObject, old: JsonObject | None) -> Iterable[Cause]:
        spec = new.get("spec") or {}
        names = spec.get("names") or {}
        for name in ("plural", "kind"):
            if not names.get(name):
                yield required(f"spec.names.{name}")
        if not spec.get("group"):
            yield required("spec.group")
        wanted = f"{names.get('plural')}.{spec.get('group')}"
        if new["metadata"].get("name") != wanted:
            yield wrong_value("metadata.name", new["metadata"].get("name"), 'must be spec.names.plural+"."+spec.group')
        if spec.get("scope") not in ("Namespaced", "Cluster"):
            yield unsupported("spec.scope", spec.get("scope", ""), ("Cluster", "Namespaced"))
        versions = spec.get("versions") or []
        if sum(bool(version.get("storage")) for version in versions) != 1:
            yield wrong_value("spec.versions", "object", "must have exactly one version marked as storage version")
        if (spec.get("conversion") or {}).get("strategy") == "Webhook":
            yield unsupported("spec.conversion.strategy", "Webhook", ("None",))
        for at, version in enumerate(versions):
            yield from _check_version(version, f"spec.versions[{at}]")
        if old is not None:
            for name in ("group", "scope"):
                if spec.get(name) != old["spec"].get(name):
                    yield wrong_value(f"spec.{name}", spec.get(name), "field is immutable")


def _condition(type_: str, reason: str, message: str, now: str) -> JsonObject:
    return {"type": type_, "status": "True", "lastTransitionTime": now, "reason": reason, "message": message}


def _check_version(version: JsonObject, field: str) -> Iterable[Cause]:
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    if schema is None:
        yield required(f"{field}.schema.openAPIV3Schema", "schemas are required")
        return
    yield from _structural(schema, f"{field}.schema.openAPIV3Schema", root=True)
    try:
        CustomRules(schema)
    except ValueError as error:
        yield wrong_value(f"{field}.schema.openAPIV3Schema", "object", str(error))
    for at, column in enumerate(version.get("additionalPrinterColumns") or ()):
        try:
            parse_path(column.get("jsonPath", ""))
        except ValueError as error:
            yield wrong_value(
                f"{field}.additionalPrinterColumns[{at}].jsonPath", column.get("jsonPath", ""), str(error)
            )


def _structural(schema: JsonObject, field: str, *, root: bool = False) -> Iterable[Cause]:
    """Every place needs a type, unless it says that it is open."""
    open_ended = schema.get("x-kubernetes-int-or-string") or schema.get("x-kubernetes-preserve-unknown-fields")
    if not schema.get("type") and not open_ended:
        yield required(
            f"{field}.type",
            "must not be empty for specified object fields" if not root else "must not be empty at the root",
        )
    if schema.get("x-kubernetes-list-type") == "map" and not schema.get("x-kubernetes-list-map-keys"):
        yield required(f"{field}.x-kubernetes-list-map-keys", "must not be empty if x-kubernetes-list-type is map")
    for name, child in (schema.get("properties") or {}).items():
        if not (root and name == "metadata"):
            yield from _structural(child, f"{field}.properties[{name}]")
    if isinstance(schema.get("items"), dict):
        yield from _structural(schema["items"], f"{field}.items")
    elif schema.get("type") == "array":
        yield required(f"{field}.items", "must be specified")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from _structural(schema["additionalProperties"], f"{field}.additionalProperties")


def served(definition: JsonObject) -> list[Kind]:
    """The kinds that a valid CRD asks for, one for each served version."""
    spec = definition["spec"]
    names = spec["names"]
    stored = next(version["name"] for version in spec["versions"] if version["storage"])
    return [
        _kind(spec, names, version, f"{spec['group']}/{stored}")
        for version in spec["versions"]
        if version.get("served")
    ]


def _kind(spec: JsonObject, names: JsonObject, version: JsonObject, stored_version: str) -> Kind:
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    subresources = version.get("subresources") or {}
    fields = {field["jsonPath"].lstrip(".") for field in version.get("selectableFields") or ()}
    reversed_group = ".".join(reversed(spec["group"].split(".")))
    return Kind(
        group=spec["group"],
        version=version["name"],
        kind=names["kind"],
        plural=names["plural"],
        singular=names.get("singular") or names["kind"].lower(),
        namespaced=spec["scope"] == "Namespaced",
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        status="status" in subresources,
        scale=_scale(subresources.get("scale")),
        generations=True,
        selectable=_SELECTABLE | fields,
        shape=custom_shape(schema),
        rules=CustomRules(schema),
        columns=tuple(_column(column) for column in version.get("additionalPrinterColumns") or ()) or _DEFAULT_COLUMNS,
        definition=f"{reversed_group}.{version['name']}.{names['kind']}",
        schema=schema,
        custom=True,
        stored_version=stored_version,
    )


def _column(column: JsonObject) -> Column:
    return Column(
        name=column["name"],
        cell=column["jsonPath"],
        type=column["type"],
        priority=column.get("priority", 0),
        description=column.get("description", ""),
        format=column.get("format", ""),
    )


def _scale(scale: JsonObject | None) -> Scale | None:
    if scale is None:
        return None

    def path(name: str) -> tuple[str, ...]:
        return tuple(filter(None, scale.get(name, "").split(".")))

    return Scale(
        replicas=path("specReplicasPath"), observed=path("statusReplicasPath"), selector=path("labelSelectorPath")
    )


class Definitions:
    """Keeps the served kinds in step with the stored CRDs. A definition whose names another holds is not served."""

    def __init__(self, kinds: Kinds, ended: Callable[[str], None] | None = None) -> None:
        self._kinds = kinds
        self._served: dict[str, list[Kind]] = {}
        self._specs: dict[str, JsonObject] = {}
        self._ended = ended

    def happened(self, event: Event) -> None:
        if event.collection != COLLECTION:
            return
        if event.type == "DELETED":
            self._withdraw(event.key[1])
        else:
            self.serve(event.entry.object)

    def serve(self, definition: JsonObject) -> None:
        name = definition["metadata"]["name"]
        if self._specs.get(name) == definition["spec"]:
            return
        self._withdraw(name)
        self._served[name] = served(definition)
        self._specs[name] = definition["spec"]
        for kind in self._served[name]:
            self._kinds.add(kind)

    def _withdraw(self, name: str) -> None:
        for kind in self._served.pop(name, ()):
            self._kinds.remove(kind)
            if self._ended is not None:
                self._ended(kind.collection)
        self._specs.pop(name, None)
