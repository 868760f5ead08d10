"""Requests and answers of nodes as CloudEvents, posted to whoever wants to see them: beside the requests, never before.

CloudEvents 1.0 in HTTP's binary mode, with the headers of Seldon Core's payload logging.
"""

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from time import time
from urllib.parse import urlsplit

from orchestrator.clients.context import PUID, Context
from orchestrator.clients.hosts import Hosts
from orchestrator.clients.pool import Pool
from orchestrator.errors import BadPayloadError, NodeError, SettingsError
from orchestrator.graph.node import Logger, Node
from orchestrator.protocols.codec import Codec
from orchestrator.protocols.payload import Form, Payload, Protobuf

log = logging.getLogger(__name__)

SKIP = "seldon-skip-logging"
_SKIPS = frozenset({"true", "on", "1"})
_MOST_BYTES = 64 * 1024 * 1024  # of bodies that wait
_LONGEST_REPLY = 1024 * 1024
_REQUEST, _RESPONSE = "io.seldon.serving.inference.request", "io.seldon.serving.inference.response"
_FEEDBACK = "io.seldon.serving.feedback"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where the events are from: what all of them have in common."""

    source: str
    deployment: str
    namespace: str
    predictor: str
    protocol: str

    def lines(self) -> bytes:
        """As header lines."""
        return (
            f"ce-specversion: 1.0\r\nce-source: {self.source}\r\nce-inferenceservicename: {self.deployment}\r\n"
            f"ce-namespace: {self.namespace}\r\nce-endpoint: {self.predictor}\r\nce-protocol: {self.protocol}\r\n"
        ).encode()


@dataclass(frozen=True, slots=True)
class _Event:
    kind: str
    node: str
    puid: str
    at: float
    payload: Payload
    sink: "_Sink"


@dataclass(frozen=True, slots=True)
class _Sink:
    """Where events are posted."""

    start: bytes
    pool: Pool


class PayloadLog:
    """A bounded queue and the workers that empty it. What does not fit is dropped and counted.

    Args:
        origin: what all events have in common.
        codec: of the graph; messages of gRPC are logged as JSON.
        identity: gives the events' ids.
        endpoint: where events go whose node does not say.
        hosts: finds addresses.
        workers: posts at a time.
        most: events that wait.
        within: seconds for one post.
    """

    def __init__(
        self,
        origin: Origin,
        codec: Codec,
        identity: Callable[[], bytes],
        *,
        endpoint: str,
        hosts: Hosts,
        workers: int,
        most: int,
        within: float,
    ) -> None:
        self._common = origin.lines()
        self._codec = codec
        self._identity = identity
        self._endpoint = endpoint
        self._hosts = hosts
        self._most_workers = workers
        self._most = most
        self._within = within
        self._queue: deque[_Event] = deque()
        self._bytes = 0
        self._sinks: dict[str, _Sink] = {}
        self._workers: set[asyncio.Task[None]] = set()
        self.sent = self.dropped = self.failed = 0

    def of(self, node: Node) -> "NodeLog | None":
        """What logs a node's payloads; None for a node that is not logged. Raises SettingsError for a bad url."""
        if node.logger is None:
            return None
        return NodeLog(self, node.name, node.logger, self._sink(node.logger.url or self._endpoint, node.name))

    def offer(self, kind: str, node: str, payload: Payload, context: Context, sink: _Sink) -> None:
        """Post an event soon, or drop it."""
        size = len(payload.body)
        if len(self._queue) >= self._most or self._bytes + size > _MOST_BYTES:
            self.dropped += 1
            return
        self._bytes += size
        self._queue.append(_Event(kind, node, context.said(PUID), time(), payload, sink))
        if len(self._workers) < min(self._most_workers, len(self._queue)):
            worker = asyncio.get_running_loop().create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)

    @property
    def waiting(self) -> int:
        """Events that are not posted yet."""
        return len(self._queue)

    async def close(self, within: float) -> None:
        """Post what waits, for `within` seconds at most."""
        if self._workers:
            await asyncio.wait(self._workers, timeout=within)
        self.dropped += len(self._queue)
        self._queue.clear()
        for worker in tuple(self._workers):
            worker.cancel()
        for sink in self._sinks.values():
            sink.pool.close()

    async def _work(self) -> None:
        while self._queue:
            event = self._queue.popleft()
            self._bytes -= len(event.payload.body)
            try:
                await self._post(event)
                self.sent += 1
            except (NodeError, TimeoutError) as error:
                self.failed += 1
                log.debug("a payload of node %r was not logged: %s", event.node, error)

    async def _post(self, event: _Event) -> None:
        body, content_type = self._readable(event.payload, event.kind)
        at = datetime.fromtimestamp(event.at, UTC).isoformat()
        own = f"ce-type: {event.kind}\r\nce-modelid: {event.node}\r\nce-requestid: {event.puid}\r\nce-time: {at}\r\n"
        head = b"%b%bce-id: %b\r\n%bContent-Type: %b\r\nContent-Length: %d\r\n\r\n" % (
            event.sink.start,
            self._common,
            self._identity(),
            own.encode(),
            content_type,
            len(body),
        )
        async with asyncio.timeout(self._within):
            reply = await event.sink.pool.request(head, body, within=self._within, again=True)
        if not 200 <= reply.status < 300:
            raise NodeError(f"status {reply.status}")

    def _readable(self, payload: Payload, kind: str) -> tuple[bytes, bytes]:
        try:
            if kind == _FEEDBACK:
                payload = self._codec.feedback(payload, Form.JSON)
            elif isinstance(payload, Protobuf):
                payload = self._codec.grpc.to_json(payload)
            return payload.plain(), payload.content_type
        except BadPayloadError:
            return payload.body, payload.content_type

    def _sink(self, url: str, node: str) -> _Sink:
        found = self._sinks.get(url)
        if found is None:
            found = self._sinks[url] = self._opened(url, node)
        return found

    def _opened(self, url: str, node: str) -> _Sink:
        try:
            parts = urlsplit(url if "//" in url else f"http://{url}")
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            parts, port = urlsplit(""), 0
        if not parts.hostname or parts.scheme not in {"http", "https"}:
            raise SettingsError(
                f"logger of node {node!r}: {url!r} is not valid; expected a URL such as http://host/path, there or in "
                "REQUEST_LOGGER_DEFAULT_ENDPOINT"
            )
        tls = ssl.create_default_context() if parts.scheme == "https" else None
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        start = f"POST {path} HTTP/1.1\r\nHost: {parts.netloc.rpartition('@')[2]}\r\n".encode()
        address = (parts.hostname, port)
        pool = Pool("payload log", address, self._hosts, size=self._most_workers, limit=_LONGEST_REPLY, tls=tls)
        return _Sink(start, pool)


class NodeLog:
    """Logs what one node is asked and what it answers."""

    def __init__(self, queue: PayloadLog, node: str, logger: Logger, sink: _Sink) -> None:
        self._queue = queue
        self._node = node
        self._sink = sink
        self._requests = logger.mode in {"all", "request"}
        self._responses = logger.mode in {"all", "response"}

    def request(self, payload: Payload, context: Context) -> None:
        """What came to the node."""
        if self._requests:
            self._offer(_REQUEST, payload, context)

    def response(self, payload: Payload, context: Context) -> None:
        """What the node, and all below it, made of that."""
        if self._responses:
            self._offer(_RESPONSE, payload, context)

    def feedback(self, payload: Payload, context: Context) -> None:
        """Feedback that concerns the node."""
        if self._responses:
            self._offer(_FEEDBACK, payload, context)

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
