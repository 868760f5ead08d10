"""Discovery: which groups, versions and resources are served, in the classic and in the aggregated form."""

from typing import Any

from localcluster.apiserver.kinds import Kind, Kinds, priority

JsonObject = dict[str, Any]

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
VERSION: JsonObject = {
    "major": "1",
    "minor": "32",
    "gitVersion": "v1.32.4+seldon-rollouts-local",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "cpython",
    "platform": "linux/amd64",
}
_SUBRESOURCE_KINDS = {
    "eviction": ("policy", "v1", "Eviction"),
    "binding": ("", "v1", "Binding"),
    "token": ("authentication.k8s.io", "v1", "TokenRequest"),
    "log": ("", "v1", "Pod"),
    "finalize": ("", "v1", "Namespace"),
}
_SUBRESOURCE_VERBS = {"log": ("get",), "finalize": ("update",)}


def api_versions(address: str) -> JsonObject:
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    }


def group_list(kinds: Kinds) -> JsonObject:
    groups = [_group(name, versions) for name, versions in sorted(kinds.groups().items()) if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def group(kinds: Kinds, name: str) -> JsonObject | None:
    versions = kinds.groups().get(name)
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)} if name and versions else None


def _group(name: str, versions: list[str]) -> JsonObject:
    shown = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": shown, "preferredVersion": shown[0]}


def resource_list(kinds: Kinds, name: str, version: str) -> JsonObject | None:
    found = kinds.at(name, version)
    if not found:
        return None
    resources: list[JsonObject] = []
    for kind in sorted(found, key=lambda kind: kind.plural):
        resources.append(_resource(kind))
        resources.extend(_subresource(kind, sub) for sub in subresources(kind))
    group_version = f"{name}/{version}" if name else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}


def subresources(kind: Kind) -> list[str]:
    found = [*kind.connects]
    if kind.scale is not None:
        found.append("scale")
    if kind.status:
        found.append("status")
    return sorted(found)


def _resource(kind: Kind) -> JsonObject:
    shown: JsonObject = {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": sorted(kind.verbs),
    }
    return shown | _also_called(kind)


def _also_called(kind: Kind) -> JsonObject:
    names = {"shortNames": kind.short_names, "categories": kind.categories}
    return {field: list(found) for field, found in names.items() if found}


def _subresource(kind: Kind, name: str) -> JsonObject:
    group_, version, kind_name = _subresource_kind(kind, name)
    shown: JsonObject = {
        "name": f"{kind.plural}/{name}",
        "singularName": "",
        "namespaced": kind.namespaced,
        "kind": kind_name,
    }
    if (group_, version) != (kind.group, kind.version):
        shown |= {"group": group_, "version": version}
    shown["verbs"] = list(_subresource_verbs(name))
    return shown


def _subresource_kind(kind: Kind, name: str) -> tuple[str, str, str]:
    if name == "scale":
        return ("autoscaling", "v1", "Scale")
    return _SUBRESOURCE_KINDS.get(name, (kind.group, kind.version, kind.kind))


def _subresource_verbs(name: str) -> tuple[str, ...]:
    if name in ("status", "scale"):
        return ("get", "patch", "update")
    return _SUBRESOURCE_VERBS.get(name, ("create",))


def aggregated(kinds: Kinds, *, core: bool) -> JsonObject:
    """The one document from which new clients learn everything: `/api` has the core group, `/apis` the others."""
    groups = []
    for name, versions in sorted(kinds.groups().items()):
        if core == (name == ""):
            shown = [_aggregated_version(kinds, name, version) for version in versions]
            groups.append({"metadata": {"name": name} if name else {}, "versions": shown})
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": groups}


def _aggregated_version(kinds: Kinds, name: str, version: str) -> JsonObject:
    found = sorted(kinds.at(name, version), key=lambda kind: (kind.plural, priority(kind.version)))
    return {"version": version, "resources": [_aggregated_resource(kind) for kind in found], "freshness": "Current"}


def _aggregated_resource(kind: Kind) -> JsonObject:
    shown: JsonObject = {
        "resource": kind.plural,
        "responseKind": _response_kind(kind, (kind.group, kind.version, kind.kind)),
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": sorted(kind.verbs),
    }
    shown |= _also_called(kind)
    found = subresources(kind)
    if found:
        shown["subresources"] = [
            {
                "subresource": name,
                "responseKind": _response_kind(kind, _subresource_kind(kind, name)),
                "verbs": list(_subresource_verbs(name)),
            }
            for name in found
        ]
    return shown


def _response_kind(kind: Kind, shown: tuple[str, str, str]) -> JsonObject:
    """A built-in kind of the group and version around it leaves both out, as kube-apiserver does."""
    own = not kind.custom and shown[:2] == (kind.group, kind.version)
    return {"group": "" if own else shown[0], "version": "" if own else shown[1], "kind": shown[2]}
