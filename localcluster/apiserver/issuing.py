"""Tokens of service accounts: issued for a time, known to this process alone, good as long as the account is there."""

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from localcluster.apiserver import errors
from localcluster.apiserver.auth import AUTHENTICATED, Issued, User
from localcluster.apiserver.store import Store
from localcluster.times import stamp

JsonObject = dict[str, Any]

AUDIENCE = "https://kubernetes.default.svc"
_DEFAULT, _SHORTEST, _LONGEST = 3600, 600, 2**32
"""Seconds, as kube-apiserver has them."""


class Issuing:
    """Issues tokens. What it issued is forgotten when the server ends."""

    def __init__(self, store: Store, known: dict[bytes, Issued]) -> None:
        self._store = store
        self._known = known

    def answer(self, account: JsonObject, request: JsonObject) -> JsonObject:
        """Return a TokenRequest for an account with its token. Raises ApiError."""
        spec = request.get("spec") or {}
        seconds = spec.get("expirationSeconds") or _DEFAULT
        meta = account["metadata"]
        _check(meta["name"], seconds, spec.get("audiences") or [AUDIENCE])
        ends = self._store.time() + timedelta(seconds=seconds)
        token = secrets.token_hex(24)
        self._forget_old()
        self._known[token.encode()] = Issued(_user(meta), self._standing(meta, ends))
        made = {"audiences": [AUDIENCE], "expirationSeconds": seconds, "boundObjectRef": spec.get("boundObjectRef")}
        return {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "metadata": {"name": meta["name"], "namespace": meta["namespace"], "creationTimestamp": self._store.now()},
            "spec": made,
            "status": {"token": token, "expirationTimestamp": stamp(ends)},
        }

    def _standing(self, meta: JsonObject, ends: datetime) -> Callable[[], bool]:
        kind, where = self._store.kind("v1", "ServiceAccount"), (meta["namespace"], meta["name"])

        def holds() -> bool:
            found = self._store.find(kind, *where)
            return self._store.time() < ends and found is not None and found["metadata"]["uid"] == meta["uid"]

        return holds

    def _forget_old(self) -> None:
        for token in [token for token, issued in self._known.items() if not issued.holds()]:
            del self._known[token]


def _check(name: str, seconds: int, audiences: list[str]) -> None:
    causes = []
    if seconds < _SHORTEST:
        causes.append(_wrong("spec.expirationSeconds", seconds, "may not specify a duration less than 10 minutes"))
    if seconds > _LONGEST:
        causes.append(_wrong("spec.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds"))
    if audiences != [AUDIENCE]:
        causes.append(_wrong("spec.audiences", audiences, f"this server issues tokens for {AUDIENCE} alone"))
    if causes:
        raise errors.invalid("authentication.k8s.io", "TokenRequest", name, causes)


def _wrong(field: str, value: object, why: str) -> errors.Cause:
    return errors.Cause("FieldValueInvalid", f"Invalid value: {value}: {why}", field)


def _user(meta: JsonObject) -> User:
    namespace = meta["namespace"]
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED)
    return User(f"system:serviceaccount:{namespace}:{meta['name']}", groups, meta["uid"])
