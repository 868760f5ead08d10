"""Who asks (bearer tokens) and whether they may (RBAC over the stored roles and bindings)."""

import csv
import hmac
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from localcluster.apiserver.history import History

JsonObject = dict[str, Any]

AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
MASTERS = "system:masters"
_PUBLIC_PATHS = ("/healthz", "/livez", "/readyz", "/version", "/version/")
_DISCOVERY_PREFIXES = ("/api", "/apis", "/openapi", *_PUBLIC_PATHS)
_RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True, slots=True)
class User:
    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, list[str]] = field(default_factory=dict)

    def as_json(self) -> JsonObject:
        shown: JsonObject = {"username": self.name, "groups": list(self.groups)}
        if self.uid:
            shown["uid"] = self.uid
        return shown


ANONYMOUS = User("system:anonymous", (UNAUTHENTICATED,))


def admin(name: str = "admin") -> User:
    return User(name, (MASTERS, AUTHENTICATED))


@dataclass(frozen=True, slots=True)
class Issued:
    """Whose a token is that was issued for a time, and whether it holds."""

    user: User
    holds: Callable[[], bool]


class Tokens:
    """Bearer tokens and whose they are: those of a file, and those that were issued."""

    def __init__(self, users: Mapping[str, User], issued: Mapping[bytes, Issued]) -> None:
        self._users = {token.encode(): user for token, user in users.items()}
        self._issued = issued

    def user(self, token: str) -> User | None:
        given = token.encode()
        found: User | None = None
        for known, user in self._users.items():
            if hmac.compare_digest(known, given):
                found = user
        for known, issued in self._issued.items():
            if hmac.compare_digest(known, given) and issued.holds():
                found = issued.user
        return found


def read_tokens(text: str) -> dict[str, User]:
    """A token file as kube-apiserver reads it: `token,user,uid,"group1,group2"` a line. Raises ValueError."""
    users: dict[str, User] = {}
    for number, row in enumerate(csv.reader(io.StringIO(text)), start=1):
        if not row or row[0].startswith("#"):
            continue
        if len(row) < 3 or not row[0] or not row[1]:
            raise ValueError(f"token file, line {number}: expected token,user,uid[,groups], got {len(row)} columns")
        groups = tuple(filter(None, (group.strip() for group in row[3].split(",")))) if len(row) > 3 else ()
        users[row[0]] = User(row[1], (*groups, AUTHENTICATED), row[2])
    return users


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """One question. `path` is set for paths that are no resources; `namespace` "" is the whole cluster."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""


class Rbac:
    """Answers by the stored Roles, ClusterRoles and their bindings; `system:masters` may do everything."""

    def __init__(self, history: History) -> None:
        self._history = history

    def allows(self, user: User, access: Access) -> bool:
        if MASTERS in user.groups or _always(user, access):
            return True
        return any(_rule_allows(rule, access) for rule in self.rules(user, access.namespace))

    def rules(self, user: User, namespace: str) -> Iterator[JsonObject]:
        """Every rule that holds for a user in a namespace ("": only those of the whole cluster)."""
        for entry in self._history.entries(f"clusterrolebindings.{_RBAC}").values():
            if _names(entry.object.get("subjects"), user, ""):
                yield from self._role(entry.object["roleRef"], "")
        if not namespace:
            return
        for (where, _), entry in self._history.entries(f"rolebindings.{_RBAC}").items():
            if where == namespace and _names(entry.object.get("subjects"), user, where):
                yield from self._role(entry.object["roleRef"], where)

    def _role(self, ref: JsonObject, namespace: str) -> Iterator[JsonObject]:
        cluster = ref["kind"] == "ClusterRole"
        collection = f"{'clusterroles' if cluster else 'roles'}.{_RBAC}"
        entry = self._history.get(collection, ("" if cluster else namespace, ref["name"]))
        if entry is not None:
            yield from entry.object.get("rules") or ()


def _always(user: User, access: Access) -> bool:
    """What everybody may: health and version; whoever is known: discovery and questions about oneself."""
    if access.path:
        if access.verb != "get":
            return False
        if access.path in _PUBLIC_PATHS or access.path.startswith(("/livez/", "/readyz/", "/healthz/")):
            return True
        return AUTHENTICATED in user.groups and access.path.startswith(_DISCOVERY_PREFIXES)
    if AUTHENTICATED not in user.groups or access.verb != "create":
        return False
    return (access.group, access.resource) in {
        ("authorization.k8s.io", "selfsubjectaccessreviews"),
        ("authorization.k8s.io", "selfsubjectrulesreviews"),
        ("authentication.k8s.io", "selfsubjectreviews"),
    }


def _names(subjects: Iterable[JsonObject] | None, user: User, namespace: str) -> bool:
    for subject in subjects or ():
        match subject["kind"]:
            case "User" if subject["name"] == user.name:
                return True
            case "Group" if subject["name"] in user.groups:
                return True
            case "ServiceAccount":
                where = subject.get("namespace") or namespace
                if user.name == f"system:serviceaccount:{where}:{subject['name']}":
                    return True
            case _:
                continue
    return False


def _rule_allows(rule: JsonObject, access: Access) -> bool:
    if not _has(rule.get("verbs"), access.verb):
        return False
    if access.path:
        return any(
            pattern in ("*", access.path) or (pattern.endswith("*") and access.path.startswith(pattern[:-1]))
            for pattern in rule.get("nonResourceURLs") or ()
        )
    names = rule.get("resourceNames") or ()
    if names and access.name not in names:
        return False
    return _has(rule.get("apiGroups"), access.group) and _has_resource(rule.get("resources") or (), access)


def _has(allowed: Iterable[str] | None, wanted: str) -> bool:
    words = tuple(allowed or ())
    return "*" in words or wanted in words


def _has_resource(allowed: Iterable[str], access: Access) -> bool:
    full = f"{access.resource}/{access.subresource}" if access.subresource else access.resource
    return any(word in ("*", full) or (access.subresource and word == f"*/{access.subresource}") for word in allowed)
