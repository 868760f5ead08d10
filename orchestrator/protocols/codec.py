"""What the engine asks of a protocol."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from orchestrator.protocols.outcome import Outcome
from orchestrator.protocols.payload import Payload


class Codec(Protocol):
    """One data-plane protocol over REST. Bodies that it cannot read are a BadPayloadError or a BadRouteError."""

    name: str
    predict_paths: Sequence[str]  # of the orchestrator's own doors, without a model's name in them
    feedback_paths: Sequence[str]
    ready_paths: Sequence[str]
    metadata_paths: Sequence[str]
    sends_feedback: bool  # whether nodes are told of feedback
    pages: Mapping[str, Any]  # static pages: path to JSON

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

    def outcome(self, reply: Payload) -> Outcome:
        """The classes, scores and outliers in the graph's answer, for the prediction metrics."""
