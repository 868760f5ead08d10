"""From a request to an answer: who asks, may they, what is it about. The one place where errors become responses."""

import logging
from collections.abc import Awaitable
from typing import Any

import orjson

from localcluster.apiserver import discovery, errors, openapi
from localcluster.apiserver.admission import Admission
from localcluster.apiserver.asked import object_of
from localcluster.apiserver.auth import ANONYMOUS, AUTHENTICATED, Access, Rbac, Tokens, User
from localcluster.apiserver.connects import Connects
from localcluster.apiserver.http import Request, Response, Stream
from localcluster.apiserver.kinds import Kind
from localcluster.apiserver.resources import Resources
from localcluster.apiserver.reviews import Reviews
from localcluster.apiserver.store import Store
from localcluster.apiserver.target import Target, parse
from localcluster.apiserver.webhooks import Hook

JsonObject = dict[str, Any]

_LOG = logging.getLogger(__name__)
_HEALTH = ("/healthz", "/livez", "/readyz", "/livez/ping", "/readyz/ping", "/healthz/ping")


class Application:
    """The handler that the HTTP server calls. `tokens` None: whoever asks is an administrator."""

    def __init__(self, resources: Resources, *, tokens: Tokens, rbac: Rbac, connects: Connects, address: str) -> None:
        self._resources = resources
        self._store: Store = resources.store
        self._tokens = tokens
        self._rbac = rbac
        self._connects = connects
        self._admission = Admission(resources)
        self._reviews = Reviews(tokens, rbac)
        self._documents = openapi.Documents(self._store.kinds)
        self._address = address

    def __call__(self, request: Request) -> Response | Awaitable[Response | Stream] | Stream:
        try:
            return self._answer(request)
        except errors.ApiError as error:
            return _failed(error)
        except Exception as error:  # noqa: BLE001 - logged, and the client is told
            _LOG.exception("%s %s failed", request.method, request.path)
            return _failed(errors.internal(str(error)))

    def _answer(self, request: Request) -> Response | Awaitable[Response | Stream] | Stream:
        user = self._user(request)
        target = parse(request, self._store.kinds)
        self._authorize(user, request, target)
        if target is None:
            return self._path(request)
        if target.kind is None:
            raise errors.no_such_path()
        if target.kind.verbs == ("create",):
            return self._review(request, target, user)
        if target.subresource in target.kind.connects:
            return self._connects.answer(request, target, target.kind)
        hooks = self._admission.concerned(target.kind, target)
        if hooks:
            return self._admitted(request, target, target.kind, user, hooks)
        return self._resources.answer(request, target, target.kind)

    async def _admitted(
        self, request: Request, target: Target, kind: Kind, user: User, hooks: list[Hook]
    ) -> Response | Stream:
        try:
            return await self._admission.answer(request, target, kind, user, hooks)
        except errors.ApiError as error:
            return _failed(error)

    def _user(self, request: Request) -> User:
        header = request.headers.get("authorization", "")
        if not header:
            return ANONYMOUS
        scheme, _, token = header.partition(" ")
        user = self._tokens.user(token.strip()) if scheme.lower() == "bearer" else None
        if user is None:
            raise errors.unauthorized()
        wanted = request.headers.get("impersonate-user")
        return user if wanted is None else self._impersonated(user, wanted, request)

    def _impersonated(self, user: User, wanted: str, request: Request) -> User:
        """Who a user wants to be taken for. Raises ApiError 403 unless both the user and the groups are allowed."""
        groups = tuple(filter(None, request.headers.get("impersonate-group", "").split(",")))
        for resource, names in (("users", (wanted,)), ("groups", groups)):
            for name in names:
                if not self._rbac.allows(user, Access(verb="impersonate", resource=resource, name=name)):
                    why = f'User "{user.name}" cannot impersonate resource "{resource}"'
                    raise errors.forbidden("", resource, name, why)
        return User(wanted, (*groups, AUTHENTICATED) if wanted != ANONYMOUS.name else groups)

    def _authorize(self, user: User, request: Request, target: Target | None) -> None:
        if target is None:
            access = Access(verb=request.method.lower(), path=request.path)
            if not self._rbac.allows(user, access):
                raise errors.forbidden("", "", "", f'User "{user.name}" cannot {access.verb} path "{request.path}"')
            return
        access = Access(
            verb=target.verb,
            group=target.group,
            resource=target.plural,
            subresource=target.subresource,
            namespace=target.namespace or "",
            name=target.name,
        )
        if not self._rbac.allows(user, access):
            raise errors.forbidden(target.group, target.plural, target.name, _refusal(user, access))

    def _review(self, request: Request, target: Target, user: User) -> Response:
        if target.verb != "create" or target.kind is None:
            raise errors.method_not_allowed(target.group, target.plural)
        body = object_of(request)
        return _json(self._reviews.answer(target.kind, body, user, target.namespace or ""), 201)

    def _path(self, request: Request) -> Response:
        path = request.path.rstrip("/") or "/"
        if request.method not in ("GET", "HEAD"):
            raise errors.ApiError(
                405, "MethodNotAllowed", "the server does not allow this method on the requested resource"
            )
        if path in _HEALTH:
            return Response(200, b"ok", "text/plain; charset=utf-8")
        if path == "/version":
            return _json(discovery.VERSION)
        found = self._discovered(path, request.headers.get("accept", ""))
        if found is not None:
            return found
        document = self._documents.answer(path, request.headers)
        if document is not None:
            return document
        if path == "/":
            return _json({"paths": self._paths()})
        raise errors.no_such_path()

    def _discovered(self, path: str, accept: str) -> Response | None:
        kinds = self._store.kinds
        parts = path.strip("/").split("/")
        if (
            path in ("/api", "/apis")
            and "as=APIGroupDiscoveryList" in accept
            and "v=v2;" in accept.replace(",", ";") + ";"
        ):
            return Response(200, orjson.dumps(discovery.aggregated(kinds, core=path == "/api")), discovery.AGGREGATED)
        found: JsonObject | None
        match parts:
            case ["api"]:
                found = discovery.api_versions(self._address)
            case ["apis"]:
                found = discovery.group_list(kinds)
            case ["api", version]:
                found = discovery.resource_list(kinds, "", version)
            case ["apis", group]:
                found = discovery.group(kinds, group)
            case ["apis", group, version]:
                found = discovery.resource_list(kinds, group, version)
            case _:
                return None
        if found is None:
            raise errors.no_such_path()
        return _json(found)

    def _paths(self) -> list[str]:
        groups = self._store.kinds.groups()
        versions = [f"/apis/{group}/{version}" for group, found in groups.items() if group for version in found]
        return [
            "/api",
            "/api/v1",
            "/apis",
            *sorted(versions),
            "/healthz",
            "/livez",
            "/openapi/v2",
            "/openapi/v3",
            "/readyz",
            "/version",
        ]


def _json(obj: JsonObject, code: int = 200) -> Response:
    return Response(code, orjson.dumps(obj))


def _failed(error: errors.ApiError) -> Response:
    headers: tuple[tuple[str, str], ...] = ()
    seconds = (error.details or {}).get("retryAfterSeconds")
    if seconds:
        headers = (("Retry-After", str(seconds)),)
    return Response(error.code, orjson.dumps(error.status()), headers=headers)


def _refusal(user: User, access: Access) -> str:
    resource = f"{access.resource}/{access.subresource}" if access.subresource else access.resource
    where = f'in the namespace "{access.namespace}"' if access.namespace else "at the cluster scope"
    return f'User "{user.name}" cannot {access.verb} resource "{resource}" in API group "{access.group}" {where}'
