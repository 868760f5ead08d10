"""Routing: where a rollout's requests come in, whose VirtualService splits them, and whether users stay."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from controller.api.meta import ApiModel, Duration

REVISION_HEADER = "seldon-revision"
"""On every answer: the hash of the revision that gave it. On feedback and on requests to explainers it is honoured."""
_GATEWAY = r"^((\.|[a-z0-9]([-a-z0-9]*[a-z0-9])?)/)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"


def _gateway(value: str) -> str:
    if not re.fullmatch(_GATEWAY, value) or len(value) > MAX_GATEWAY:
        raise ValueError("expected mesh, or the name of a Gateway: name, or namespace/name")
    return value


MAX_GATEWAY = 317
"""A namespace, a slash and a name."""
GatewayName = Annotated[
    str,
    AfterValidator(_gateway),
    WithJsonSchema({"type": "string", "pattern": _GATEWAY, "maxLength": MAX_GATEWAY}),
]
RouteName = Annotated[str, Field(min_length=1, max_length=253)]


class OwnVirtualService(ApiModel):
    """A VirtualService of your own, in the rollout's namespace. Of it, only the named routes are changed.

    In each of them the destinations and their weights are written, and copies to the rollout's revisions; in front of
    it stand the header routes and the routes of users who stay. All else stays as it is.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]
    """The VirtualService. Before the first revision serves, its routes lead to a host with the rollout's name."""
    routes: Annotated[tuple[RouteName, ...], Field(max_length=20)] = ()
    """The names of its HTTP routes that carry REST requests. How they match and rewrite is yours."""
    grpc_routes: Annotated[tuple[RouteName, ...], Field(max_length=20)] = ()
    """The names of its HTTP routes that carry gRPC requests."""

    @model_validator(mode="after")
    def _named(self) -> "OwnVirtualService":
        if not (self.routes or self.grpc_routes):
            raise ValueError("a VirtualService of your own needs at least one name in routes or grpcRoutes")
        named = [*self.routes, *self.grpc_routes]
        if len(set(named)) < len(named):
            raise ValueError("a route is named once, in routes or in grpcRoutes")
        return self


class StickyCookie(ApiModel):
    """A cookie that the mesh sets, and a browser sends back."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][-A-Za-z0-9_]{0,62}$")] = "seldon-session"
    """The cookie."""
    ttl: Annotated[Duration, Field(ge=timedelta(seconds=1))] = Field(default="1h", validate_default=True)
    """How long after the last answer it is kept."""
    path: Annotated[str, Field(pattern=r"^/[^;\s]*$", max_length=1024)] | None = None
    """The paths that it is for; the rollout's own when absent, or all in a VirtualService of your own."""


class Sticky(ApiModel):
    """A user stays with the revision that answered first, while its weight allows: exactly one of its fields."""

    cookie: StickyCookie | None = None
    """For browsers. REST only."""
    header: Annotated[str, Field(pattern=r"^[a-z0-9][-a-z0-9_]{0,62}$")] | None = None
    """For clients that send back, with each request, what they last got in this header; gRPC metadata, too."""

    @model_validator(mode="after")
    def _exactly_one(self) -> "Sticky":
        if (self.cookie is None) == (self.header is None):
            raise ValueError("sticky has exactly one of cookie, header")
        if self.header == REVISION_HEADER:
            raise ValueError("seldon-revision names the revision on every answer; take another, such as seldon-session")
        return self


class Routing(ApiModel):
    """The VirtualService that splits the traffic."""

    hosts: Annotated[tuple[str, ...], Field(max_length=100)] = ()
    """Hosts it answers for; the controller's setting when empty."""
    gateways: Annotated[tuple[GatewayName, ...], Field(max_length=100)] = ()
    """Istio gateways, or `mesh`; the controller's setting when empty."""
    virtual_service: OwnVirtualService | None = None
    """One of your own, instead of the rollout's. Not beside hosts and gateways."""
    sticky: Sticky | None = None
    """Keep each user with one revision. The judge's promise is for requests split at random, not for users."""

    @model_validator(mode="after")
    def _one_place(self) -> "Routing":
        if self.virtual_service is not None and (self.hosts or self.gateways):
            raise ValueError("hosts and gateways stand in the VirtualService of your own, not beside it")
        return self
