"""A container's environment: values, references into the pod, ConfigMaps and Secrets, and $(NAME) in other values."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from localcluster.objects import Object

Lookup = Callable[[str, str], Object | None]
"""(plural, name) in the pod's namespace."""
REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_.\-][\w.\-]*)\)")
ANNOTATION = re.compile(r"metadata\.(annotations|labels)\['(.+)'\]")


class ConfigError(Exception):
    """A container cannot be started as it is written; the message names the field and what is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What references can point to."""

    pod: Object
    address: str
    lookup: Lookup


def variables(container: Mapping[str, Any], facts: Facts) -> dict[str, str]:
    """The environment that a container asks for. Raises ConfigError."""
    found: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        found |= _all_of(source, facts)
    for entry in container.get("env") or ():
        if "valueFrom" in entry:
            value = _referenced(entry["name"], entry["valueFrom"], container, facts)
            if value is None:
                continue
        else:
            value = expand(entry.get("value") or "", found)
        found[entry["name"]] = value
    return found


def expand(text: str, known: Mapping[str, str]) -> str:
    """Replace $(NAME) by a known variable; unknown ones stay, and $$ is a dollar sign."""

    def replacement(found: re.Match[str]) -> str:
        name = found.group(1)
        return "$" if name is None else known.get(name, found.group())

    return REFERENCE.sub(replacement, text)


def field(path: str, facts: Facts) -> str:
    """A field of the pod by its downward API path. Raises ConfigError for a path that the API does not offer."""
    meta, spec = facts.pod["metadata"], facts.pod["spec"]
    if found := ANNOTATION.fullmatch(path):
        return str((meta.get(found.group(1)) or {}).get(found.group(2), ""))
    if path in ("metadata.annotations", "metadata.labels"):
        return formatted(meta.get(path.removeprefix("metadata.")) or {})
    simple: dict[str, Callable[[], object]] = {
        "metadata.name": lambda: meta["name"],
        "metadata.namespace": lambda: meta["namespace"],
        "metadata.uid": lambda: meta["uid"],
        "spec.nodeName": lambda: spec.get("nodeName", ""),
        "spec.serviceAccountName": lambda: spec.get("serviceAccountName") or "default",
        "status.podIP": lambda: facts.address,
        "status.podIPs": lambda: facts.address,
        "status.hostIP": lambda: "127.0.0.1",
        "status.hostIPs": lambda: "127.0.0.1",
    }
    if path not in simple:
        raise ConfigError(f"fieldRef {path!r} is not one of {', '.join(sorted(simple))}, metadata.labels, annotations")
    return str(simple[path]())


def formatted(pairs: Mapping[str, str]) -> str:
    """Labels or annotations as the lines of a downward API file: `key="escaped value"`, sorted by key."""
    return "\n".join(f"{key}={_quoted(pairs[key])}" for key in sorted(pairs))


def resource(reference: Mapping[str, Any], container: Mapping[str, Any]) -> str:
    """A resourceFieldRef: a container's request or limit in units of its divisor, rounded up; 0 when it has none."""
    side, _, name = str(reference.get("resource", "")).partition(".")
    quantity = ((container.get("resources") or {}).get(side) or {}).get(name)
    divisor = quantity_of(str(reference.get("divisor") or "1")) or 1.0
    return str(-int(-quantity_of(str(quantity)) // divisor)) if quantity is not None else "0"


def quantity_of(text: str) -> float:
    """A Kubernetes quantity (`500m`, `1Gi`, `2`) as a number. Raises ConfigError."""
    found = re.fullmatch(r"([0-9.]+)([numkMGTPE]|[KMGTPE]i|e[0-9]+|)", text)
    if not found:
        raise ConfigError(f"{text!r} is not a quantity such as 500m, 2 or 1Gi")
    number, suffix = found.groups()
    if suffix.endswith("i"):
        return float(number) * float(1024 ** ("KMGTPE".index(suffix[0].upper()) + 1))
    powers = {"": 0, "n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
    return float(number) * 10.0 ** (int(suffix[1:]) if suffix[:1] == "e" else powers[suffix])


def content(obj: Object, key: str) -> bytes | None:
    """One entry of a ConfigMap or a Secret."""
    if key in (obj.get("data") or {}):
        text: str = obj["data"][key]
        return base64.b64decode(text) if obj["kind"] == "Secret" else text.encode()
    if key in (obj.get("binaryData") or {}):
        return base64.b64decode(obj["binaryData"][key])
    return None


def keys(obj: Object) -> list[str]:
    """All entries of a ConfigMap or a Secret."""
    return sorted({**(obj.get("data") or {}), **(obj.get("binaryData") or {})})


def _quoted(text: str) -> str:
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return '"' + "".join(escapes.get(letter, letter) for letter in text) + '"'


def _all_of(source: Mapping[str, Any], facts: Facts) -> dict[str, str]:
    prefix = source.get("prefix") or ""
    for field_name, plural in (("configMapRef", "configmaps"), ("secretRef", "secrets")):
        if field_name not in source:
            continue
        reference = source[field_name]
        obj = facts.lookup(plural, reference["name"])
        if obj is None:
            if reference.get("optional"):
                return {}
            raise ConfigError(f"envFrom: {plural[:-1]} {reference['name']!r} does not exist")
        return {prefix + key: (content(obj, key) or b"").decode(errors="replace") for key in keys(obj)}
    return {}


def _referenced(name: str, source: Mapping[str, Any], container: Mapping[str, Any], facts: Facts) -> str | None:
    if "fieldRef" in source:
        return field(source["fieldRef"]["fieldPath"], facts)
    if "resourceFieldRef" in source:
        return resource(source["resourceFieldRef"], container)
    for field_name, plural in (("configMapKeyRef", "configmaps"), ("secretKeyRef", "secrets")):
        if field_name in source:
            return _entry(name, plural, source[field_name], facts)
    raise ConfigError(f"env {name}: valueFrom has none of fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef")


def _entry(name: str, plural: str, reference: Mapping[str, Any], facts: Facts) -> str | None:
    obj = facts.lookup(plural, reference["name"])
    value = content(obj, reference["key"]) if obj is not None else None
    if value is not None:
        return value.decode(errors="replace")
    if reference.get("optional"):
        return None
    missing = "does not exist" if obj is None else f"has no key {reference['key']!r}"
    raise ConfigError(f"env {name}: {plural[:-1]} {reference['name']!r} {missing}")
