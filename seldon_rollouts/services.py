"""Services: the addresses that rollouts, templates and runs ask, held against the Services of the same files. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from seldon_rollouts.documents import Document
from seldon_rollouts.joined import Found, Path

_FIELDS = ("url", "address", "tokenUrl")
_HOST = re.compile(r"(?P<name>[a-z0-9-]+)(\.(?P<namespace>[a-z0-9-]+)(?P<svc>\.svc(\.[a-z0-9.-]+)?)?)?")
_PORTS = {"http": 80, "https": 443}


def asked(document: Document, others: Sequence[Document]) -> Iterator[Found]:
    """Look for the Service behind every address of a document that means one.

    A host means a Service when the files have its namespace, or it ends in `.svc`; without a namespace it is looked for
    beside whoever asks, which is the controller.
    """
    services = {(_namespace(one), one.name): _ports(one.object) for one in others if one.kind == "Service"}
    spec = document.object.get("spec") or {}
    for path, address in _addresses({key: value for key, value in spec.items() if key != "template"}, ("spec",)):
        if services and (said := _wrong(address, services)) is not None:
            yield Found(path, said[0], warning=said[1])


def _wrong(address: str, services: Mapping[tuple[str, str], frozenset[int]]) -> tuple[str, bool] | None:
    """Say what is wrong with an address, and whether it is only a warning."""
    try:
        parts = urlsplit(address)
        if "{{" in parts.netloc:
            return None
        port = parts.port or _PORTS.get(parts.scheme, 80)
    except ValueError as error:
        return f"{address!r}: {error}", False
    match = _HOST.fullmatch(parts.hostname or "")
    if match is None:
        return None
    name, namespace = match["name"], match["namespace"]
    if namespace is None:
        there = sorted(where for where, each in services if each == name and where)
        said = f"{address!r} names no namespace: the controller would look in its own; write {name}."
        return (said + there[0], True) if there else None
    if not (match["svc"] or namespace in {where for where, _ in services}):
        return None
    ports = services.get((namespace, name))
    if ports is None:
        known = ", ".join(sorted(f"{where}/{each}" for where, each in services))
        return f"{address!r}: Service {namespace}/{name} is not in these files; they have {known}", True
    if ports and port not in ports:
        return f"{address!r}: Service {namespace}/{name} has no port {port}; it has {_list(ports)}", False
    return None


def _addresses(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, dict):
        for key, below in value.items():
            if key in _FIELDS and isinstance(below, str) and below:
                yield (*path, key), below
            yield from _addresses(below, (*path, key))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from _addresses(below, (*path, index))


def _ports(service: Mapping[str, Any]) -> frozenset[int]:
    ports = (service.get("spec") or {}).get("ports") or ()
    return frozenset(int(each["port"]) for each in ports if isinstance(each, dict) and str(each.get("port")).isdigit())


def _list(ports: frozenset[int]) -> str:
    return ", ".join(map(str, sorted(ports)))


def _namespace(document: Document) -> str:
    return str((document.object.get("metadata") or {}).get("namespace") or "")
