"""The kinds that are asked and not stored: who is this token, may that user do this?"""

from typing import Any

from localcluster.apiserver.auth import Access, Rbac, Tokens, User
from localcluster.apiserver.kinds import Kind

JsonObject = dict[str, Any]


class Reviews:
    def __init__(self, tokens: Tokens, rbac: Rbac) -> None:
        self._tokens = tokens
        self._rbac = rbac

    def answer(self, kind: Kind, review: JsonObject, user: User, namespace: str) -> JsonObject:
        """The review with its `status`."""
        spec = review.get("spec") or {}
        match kind.kind:
            case "TokenReview":
                status = self._token(spec.get("token", ""))
            case "SelfSubjectReview":
                status = {"userInfo": user.as_json()}
            case "SelfSubjectAccessReview":
                status = self._access(spec, user)
            case "SelfSubjectRulesReview":
                status = self._rules(user, spec.get("namespace", ""))
            case _:
                groups = tuple(spec.get("groups") or ())
                status = self._access(spec, User(spec.get("user", ""), groups), namespace)
        metadata = {**(review.get("metadata") or {}), "creationTimestamp": None}
        return {**review, "kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata, "status": status}

    def _token(self, token: str) -> JsonObject:
        user = self._tokens.user(token)
        if user is None:
            return {"user": {}, "error": "invalid bearer token"}
        return {"authenticated": True, "user": user.as_json()}

    def _access(self, spec: JsonObject, user: User, namespace: str = "") -> JsonObject:
        resource, other = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
        if resource is not None:
            access = Access(
                verb=resource.get("verb", ""),
                group=resource.get("group", ""),
                resource=resource.get("resource", ""),
                subresource=resource.get("subresource", ""),
                namespace=namespace or resource.get("namespace", ""),
                name=resource.get("name", ""),
            )
        else:
            access = Access(verb=(other or {}).get("verb", ""), path=(other or {}).get("path", "/"))
        allowed = self._rbac.allows(user, access)
        return (
            {"allowed": True}
            if allowed
            else {"allowed": False, "reason": "no role that is bound to the user allows it"}
        )

    def _rules(self, user: User, namespace: str) -> JsonObject:
        resources: list[JsonObject] = []
        paths: list[JsonObject] = []
        if "system:masters" in user.groups:
            resources.append({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]})
            paths.append({"verbs": ["*"], "nonResourceURLs": ["*"]})
        for rule in self._rbac.rules(user, namespace):
            (paths if rule.get("nonResourceURLs") else resources).append(rule)
        return {"resourceRules": resources, "nonResourceRules": paths, "incomplete": False}
