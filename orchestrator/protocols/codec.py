"""What the engine asks of a protocol."""

from collections.abc import Mapping, Sequence
from typing import Protocol
from urllib.parse import unquote

from orchestrator.protocols import seldon
from orchestrator.protocols.payload import Payload


class Codec(Protocol):
    """One data-plane protocol over REST. Bodies that it cannot read are a BadPayloadError or a BadRouteError."""

    name: str
    predict_paths: Sequence[str]  # of the orchestrator's own doors, without a model's name in them
    feedback_paths: Sequence[str]
    ready_paths: Sequence[str]
    metadata_paths: Sequence[str]

    def addressed(self, path: str) -> tuple[str, str] | None:
        """The verb (predict, status or metadata) and the model's name in the path of a door, or None for no door."""

    def path(self, verb: str, node: str) -> str:
        """Where a node takes a verb: predict, transform-input, transform-output, route, aggregate, send-feedback,
        status, ready or metadata.
        """

    def chained(self, reply: Payload) -> Payload:
        """One node's reply as the next one's request."""

    def route(self, reply: Payload) -> int:
        """The number in a router's reply."""

    def joined(self, replies: Sequence[Payload]) -> Payload:
        """The children's replies as a combiner's request."""

    def simple_model(self) -> Payload:
        """What the built-in SIMPLE_MODEL answers."""

    def averaged(self, replies: Sequence[Payload]) -> Payload:
        """What the built-in AVERAGE_COMBINER answers."""

    def routing_of_feedback(self, feedback: Payload) -> dict[str, int]:
        """The routes that the request took, as the feedback has them."""

    def with_routing(self, reply: Payload, routing: Mapping[str, int]) -> Payload:
        """The reply with the routes that the request took, where the protocol has a place for them."""


class Seldon:
    """The Seldon protocol."""

    name = "seldon"
    predict_paths: Sequence[str] = ("/api/v1.0/predictions", "/api/v0.1/predictions")
    feedback_paths: Sequence[str] = ("/api/v1.0/feedback", "/api/v0.1/feedback")
    ready_paths: Sequence[str] = ("/api/v1.0/status", "/api/v1.0/health/status")
    metadata_paths: Sequence[str] = ("/api/v1.0/metadata",)
    _PATHS: Mapping[str, str] = {"status": "/health/status", "ready": "/api/v1.0/health/status"}

    def addressed(self, path: str) -> tuple[str, str] | None:
        """`/api/v1.0/status/{node}` and `/api/v1.0/metadata/{node}`."""
        match path.split("/"):
            case ["", "api", "v0.1" | "v1.0", "status" | "metadata" as verb, node] if node:
                return verb, unquote(node)
        return None

    def path(self, verb: str, node: str) -> str:
        """Every verb has its own path, the same for all nodes."""
        return self._PATHS.get(verb, f"/{verb}")

    def chained(self, reply: Payload) -> Payload:
        """Replies and requests are the same message."""
        return reply

    def route(self, reply: Payload) -> int:
        """`data.ndarray[0]`, or its other forms."""
        return seldon.route(reply.plain())

    def joined(self, replies: Sequence[Payload]) -> Payload:
        """A JSON array."""
        return seldon.joined(replies)

    def simple_model(self) -> Payload:
        """Three classes, as upstream's."""
        return seldon.simple_model()

    def averaged(self, replies: Sequence[Payload]) -> Payload:
        """The element-wise mean."""
        return seldon.averaged(replies)

    def routing_of_feedback(self, feedback: Payload) -> dict[str, int]:
        """`response.meta.routing`."""
        return seldon.routing_of_feedback(feedback.plain())

    def with_routing(self, reply: Payload, routing: Mapping[str, int]) -> Payload:
        """In `meta.routing`."""
        return Payload(seldon.with_routing(reply.plain(), routing), reply.content_type)
