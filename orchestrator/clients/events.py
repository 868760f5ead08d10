"""Payloads as CloudEvents 1.0: what is said of each, however it travels, by the names of Seldon Core's logging."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

REQUEST, RESPONSE = "io.seldon.serving.inference.request", "io.seldon.serving.inference.response"
FEEDBACK = "io.seldon.serving.feedback"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where the events are from: what all of them have in common."""

    source: str
    deployment: str
    namespace: str
    predictor: str
    protocol: str

    def extensions(self) -> Iterator[tuple[str, str]]:
        """The extension attributes, by their names."""
        yield "inferenceservicename", self.deployment
        yield "namespace", self.namespace
        yield "endpoint", self.predictor
        yield "protocol", self.protocol

    def attributes(self) -> Iterator[tuple[str, str]]:
        """All attributes, by their names."""
        yield "specversion", "1.0"
        yield "source", self.source
        yield from self.extensions()


@dataclass(frozen=True, slots=True)
class Event:
    """One payload, readable: without its compression, messages of gRPC as JSON."""

    kind: str
    node: str
    puid: str
    id: str
    time: str
    body: bytes
    content_type: bytes

    def attributes(self) -> Iterator[tuple[str, str]]:
        """What it has of its own, by the attributes' names."""
        yield "id", self.id
        yield "type", self.kind
        yield "time", self.time
        yield "modelid", self.node
        yield "requestid", self.puid


class Sink(Protocol):
    """Where events go."""

    async def take(self, event: Event) -> None:
        """Hand an event over. Raises NodeError or TimeoutError when it was not taken."""
        ...


class Sinks(Protocol):
    """The places where nodes log."""

    at_a_time: int
    """Events that are being handed over at once."""

    def of(self, url: str, node: str) -> Sink:
        """The place of a node whose `logger` has this url. Raises SettingsError when there is none."""
        ...

    def start(self) -> None:
        """Begin to connect, where that is done ahead."""
        ...

    async def close(self) -> None:
        """Leave all connections."""
        ...
