"""Requests and answers of nodes as CloudEvents, for whoever wants to see them: beside the requests, never before."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from time import time

from orchestrator.clients.context import PUID, Context
from orchestrator.clients.events import FEEDBACK, REQUEST, RESPONSE, Event, Sink, Sinks
from orchestrator.errors import BadPayloadError, NodeError
from orchestrator.graph.node import Logger, Node
from orchestrator.protocols.codec import Codec
from orchestrator.protocols.payload import Form, Payload, Protobuf

log = logging.getLogger(__name__)

SKIP = "seldon-skip-logging"
_SKIPS = frozenset({"true", "on", "1"})
_MOST_BYTES = 64 * 1024 * 1024  # of bodies that wait or are under way


@dataclass(frozen=True, slots=True)
class _Waiting:
    kind: str
    node: str
    puid: str
    at: float
    payload: Payload
    sink: Sink


class PayloadLog:
    """A bounded queue and the workers that empty it. What does not fit is dropped and counted.

    Args:
        codec: of the graph; messages of gRPC are logged as JSON.
        identity: gives the events' ids.
        sinks: where events go.
        most: events that wait.
    """

    def __init__(self, codec: Codec, identity: Callable[[], bytes], sinks: Sinks, *, most: int) -> None:
        self._codec = codec
        self._identity = identity
        self._sinks = sinks
        self._most = most
        self._queue: deque[_Waiting] = deque()
        self._bytes = 0
        self._workers: set[asyncio.Task[None]] = set()
        self.sent = self.dropped = self.failed = 0

    def of(self, node: Node) -> "NodeLog | None":
        """What logs a node's payloads; None for a node that is not logged. Raises SettingsError for a bad url."""
        if node.logger is None:
            return None
        return NodeLog(self, node.name, node.logger, self._sinks.of(node.logger.url, node.name))

    def start(self) -> None:
        """Begin to connect."""
        self._sinks.start()

    def offer(self, kind: str, node: str, payload: Payload, context: Context, sink: Sink) -> None:
        """Log an event soon, or drop it."""
        size = len(payload.body)
        if len(self._queue) >= self._most or self._bytes + size > _MOST_BYTES:
            self.dropped += 1
            return
        self._bytes += size
        self._queue.append(_Waiting(kind, node, context.said(PUID), time(), payload, sink))
        if len(self._workers) < self._sinks.at_a_time:
            worker = asyncio.get_running_loop().create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)

    @property
    def waiting(self) -> int:
        """Events that are not under way yet."""
        return len(self._queue)

    async def close(self, within: float) -> None:
        """Log what waits, for `within` seconds at most."""
        if self._workers:
            await asyncio.wait(self._workers, timeout=within)
        self.dropped += len(self._queue)
        self._queue.clear()
        for worker in tuple(self._workers):
            worker.cancel()
        await self._sinks.close()

    async def _work(self) -> None:
        while self._queue:
            waiting = self._queue.popleft()
            try:
                await waiting.sink.take(self._event(waiting))
                self.sent += 1
            except (NodeError, TimeoutError) as error:
                self.failed += 1
                log.debug("a payload of node %r was not logged: %s", waiting.node, error)
            finally:
                self._bytes -= len(waiting.payload.body)

    def _event(self, waiting: _Waiting) -> Event:
        body, content_type = self._readable(waiting.payload, waiting.kind)
        at = datetime.fromtimestamp(waiting.at, UTC).isoformat()
        return Event(waiting.kind, waiting.node, waiting.puid, self._identity().decode(), at, body, content_type)

    def _readable(self, payload: Payload, kind: str) -> tuple[bytes, bytes]:
        try:
            if kind == FEEDBACK:
                payload = self._codec.feedback(payload, Form.JSON)
            elif isinstance(payload, Protobuf):
                payload = self._codec.grpc.to_json(payload)
            return payload.plain(), payload.content_type
        except BadPayloadError:
            return payload.body, payload.content_type


class NodeLog:
    """Logs what one node is asked and what it answers."""

    def __init__(self, queue: PayloadLog, node: str, logger: Logger, sink: Sink) -> None:
        self._queue = queue
        self._node = node
        self._sink = sink
        self._requests = logger.mode in {"all", "request"}
        self._responses = logger.mode in {"all", "response"}

    def request(self, payload: Payload, context: Context) -> None:
        """What came to the node."""
        if self._requests:
            self._offer(REQUEST, payload, context)

    def response(self, payload: Payload, context: Context) -> None:
        """What the node, and all below it, made of that."""
        if self._responses:
            self._offer(RESPONSE, payload, context)

    def feedback(self, payload: Payload, context: Context) -> None:
        """Feedback that concerns the node."""
        if self._responses:
            self._offer(FEEDBACK, payload, context)

    def _offer(self, kind: str, payload: Payload, context: Context) -> None:
        if context.said(SKIP).lower() not in _SKIPS:
            self._queue.offer(kind, self._node, payload, context, self._sink)


def metrics(queue: PayloadLog) -> Mapping[str, tuple[str, str, Callable[[], float]]]:
    """The queue's metrics: name to kind, text and value."""
    prefix = "seldon_api_executor_payload_log"
    return {
        f"{prefix}_waiting": ("gauge", "Payloads that wait to be logged", lambda: queue.waiting),
        f"{prefix}_sent_total": ("counter", "Payloads that were logged", lambda: queue.sent),
        f"{prefix}_dropped_total": ("counter", "Payloads that did not fit the queue", lambda: queue.dropped),
        f"{prefix}_failed_total": ("counter", "Payloads that were not taken", lambda: queue.failed),
    }
