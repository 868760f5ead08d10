"""What the engine asks of a protocol, and of each of its two forms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from orchestrator.protocols.outcome import Outcome
from orchestrator.protocols.payload import Form, Kind, Payload, Protobuf
from orchestrator.protocols.turning import Turn


class Rest(Protocol):
    """A protocol over REST. Bodies that it cannot read are a BadPayloadError or a BadRouteError."""

    name: str
    predict_paths: Sequence[str]  # of the orchestrator's own doors, without a model's name in them
    feedback_paths: Sequence[str]
    ready_paths: Sequence[str]
    metadata_paths: Sequence[str]
    sends_feedback: bool  # whether nodes are told of feedback
    pages: Mapping[str, Any]  # static pages: path to JSON

    @property
    def turn(self) -> Turn | None:
        """How a node's reply becomes the next one's request; None where it is one as it is."""

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

    def reward_of_feedback(self, feedback: Payload) -> float:
        """What the feedback says that the answer was worth."""

    def with_routing(self, reply: Payload, routing: Mapping[str, int]) -> Payload:
        """The reply with the routes that the request took, where the protocol has a place for them."""

    def outcome(self, reply: Payload) -> Outcome:
        """The classes, scores and outliers in the graph's answer, for the prediction metrics."""

    def content(self, reply: Payload) -> Any:
        """What the graph says in its answer, without what is about the answer."""


class WithoutFeedback:
    """What a protocol over REST says that has neither feedback nor a place for the routes a request took."""

    sends_feedback = False

    def routing_of_feedback(self, feedback: Payload) -> dict[str, int]:
        """The protocol has no feedback."""
        return {}

    def reward_of_feedback(self, feedback: Payload) -> float:
        """The protocol has no feedback."""
        return 0.0

    def with_routing(self, reply: Payload, routing: Mapping[str, int]) -> Payload:
        """The protocol has no place for it."""
        return reply


class Grpc(Protocol):
    """A protocol over gRPC, and the way between its messages and JSON. What cannot be read is a BadPayloadError."""

    services: Sequence[str]  # the services of the orchestrator's own doors
    doors: Mapping[str, str]  # the full name of a door's method to what it does
    methods: Mapping[str, str]  # a node's verb to the full name of its method

    def model(self, door: str, body: bytes) -> str:
        """The name of the model that a request is for; nothing where it names none."""

    def said(self, door: str, value: Any) -> bytes:
        """The answer of a door that is about the graph: whether it is `live` or `ready`, or its metadata."""

    def named(self, body: bytes, node: str) -> bytes:
        """A request with the node's name for its model."""

    def asked(self, verb: str, node: str) -> bytes:
        """The request for a node's metadata or status."""

    def chained(self, reply: Protobuf) -> Protobuf:
        """One node's reply as the next one's request."""

    def turned(self, payload: Protobuf, kind: Kind) -> Protobuf:
        """The message as a request or as a reply."""

    def joined(self, replies: Sequence[Protobuf], names: Sequence[str]) -> Protobuf:
        """The replies of the children of these names as a combiner's request."""

    def with_routing(self, reply: Protobuf, routing: Mapping[str, int]) -> Protobuf:
        """The reply with the routes that the request took, where the protocol has a place for them."""

    def to_json(self, payload: Protobuf) -> Payload:
        """A message as REST has it."""

    def from_json(self, payload: Payload, kind: Kind) -> Protobuf:
        """A message of REST as gRPC has it."""

    def answer_like(self, asked: Protobuf, answer: Protobuf) -> Protobuf:
        """An answer that came from JSON, with its tensors written as its client writes them."""

    def metadata_to_json(self, body: bytes) -> dict[str, Any]:
        """A node's metadata as REST has them."""

    def metadata_from_json(self, metadata: Mapping[str, Any]) -> bytes:
        """A node's metadata of REST as gRPC has them."""

    def status_to_json(self, body: bytes) -> dict[str, Any]:
        """A node's status as REST has it."""

    def status_from_json(self, status: Mapping[str, Any]) -> bytes:
        """A node's status of REST as gRPC has it."""


@runtime_checkable
class FeedbackForms(Protocol):
    """A protocol that has feedback over gRPC."""

    def feedback_to_json(self, payload: Protobuf) -> Payload:
        """A feedback as REST has it."""

    def feedback_from_json(self, payload: Payload) -> Protobuf:
        """A feedback of REST as gRPC has it."""


@dataclass(frozen=True, slots=True)
class Codec:
    """A protocol in both forms. A message changes its form only where it must: at a border, or to be looked into."""

    rest: Rest
    grpc: Grpc

    def request(self, payload: Payload, form: Form, *, chained: bool) -> Payload:
        """What a node takes: the client's own request, or (`chained`) what another node answered."""
        if payload.form is form:
            if not chained:
                return payload
            return self.grpc.chained(payload) if isinstance(payload, Protobuf) else self.rest.chained(payload)
        if isinstance(payload, Protobuf):
            found = self.grpc.to_json(payload)
            return self.rest.chained(found) if chained else found
        return self.grpc.from_json(self.rest.chained(payload) if chained else payload, Kind.REQUEST)

    def answer(self, payload: Payload, form: Form) -> Payload:
        """What a door of that form answers."""
        if isinstance(payload, Protobuf):
            return self.grpc.turned(payload, Kind.REPLY) if form is Form.PROTO else self.grpc.to_json(payload)
        return payload if form is Form.JSON else self.grpc.from_json(payload, Kind.REPLY)

    def answer_like(self, asked: Payload, answer: Payload) -> Payload:
        """An answer that has come over a border, as the client of that request reads it."""
        if isinstance(asked, Protobuf) and isinstance(answer, Protobuf):
            return self.grpc.answer_like(asked, answer)
        return answer

    def feedback(self, payload: Payload, form: Form) -> Payload:
        """A feedback as a node takes it."""
        if payload.form is form:
            return payload
        forms = self.grpc
        if not isinstance(forms, FeedbackForms):
            return payload
        return forms.feedback_to_json(payload) if isinstance(payload, Protobuf) else forms.feedback_from_json(payload)

    def route(self, reply: Payload) -> int:
        """The number in a router's reply."""
        return self.rest.route(self.answer(reply, Form.JSON))

    def joined(self, replies: Sequence[Payload], names: Sequence[str], form: Form) -> Payload:
        """The replies of the children of these names as a combiner's request."""
        answers = [self.answer(reply, form) for reply in replies]
        if form is Form.JSON:
            return self.rest.joined(answers)
        return self.grpc.joined([one for one in answers if isinstance(one, Protobuf)], names)

    def averaged(self, replies: Sequence[Payload]) -> Payload:
        """What the built-in AVERAGE_COMBINER answers."""
        return self.rest.averaged([self.answer(reply, Form.JSON) for reply in replies])

    def routing_of_feedback(self, feedback: Payload) -> dict[str, int]:
        """The routes that the request took, as the feedback has them."""
        return self.rest.routing_of_feedback(self.feedback(feedback, Form.JSON))

    def reward_of_feedback(self, feedback: Payload) -> float:
        """What the feedback says that the answer was worth."""
        return self.rest.reward_of_feedback(self.feedback(feedback, Form.JSON))

    def with_routing(self, reply: Payload, routing: Mapping[str, int]) -> Payload:
        """The reply with the routes that the request took, where the protocol has a place for them."""
        if isinstance(reply, Protobuf):
            return self.grpc.with_routing(reply, routing)
        return self.rest.with_routing(reply, routing)

    def outcome(self, reply: Payload) -> Outcome:
        """The classes, scores and outliers in the graph's answer."""
        return self.rest.outcome(self.answer(reply, Form.JSON))

    def content(self, reply: Payload) -> Any:
        """What the graph says in its answer, without what is about the answer."""
        return self.rest.content(self.answer(reply, Form.JSON))
