"""Events that are written to a topic: CloudEvents in Kafka's binary mode, with Seldon Core's headers beside theirs.

Imported where payloads are logged to a topic alone: the broker's client is an optional package.
"""

import asyncio
import logging

from orchestrator.clients import broker
from orchestrator.clients.events import Event, Origin
from orchestrator.errors import NodeError
from orchestrator.topics import LogTopic

log = logging.getLogger(__name__)

_LAST_WORDS_SECONDS = 5.0
_OF_A_BATCH = 100
Headers = list[tuple[str, bytes]]


class TopicLog:
    """One topic for the events of all nodes. It connects by itself, again and again until the broker is there.

    A request's events have its id as their key, so that they are in one partition, in order.

    Args:
        origin: what all events have in common.
        topic: where events go.
        posts: messages under way at a time, in hundreds: the client sends them in batches.
        within: seconds for one message, from its turn to the broker's word that it has it.

    Raises:
        SettingsError: the certificates cannot be used.
    """

    def __init__(self, origin: Origin, topic: LogTopic, *, posts: int, within: float) -> None:
        self.at_a_time = _OF_A_BATCH * posts
        self._topic = topic
        self._within = within
        name = f"{origin.predictor}.{origin.deployment}.{origin.namespace}-payloads"
        self._connection = broker.connection(topic.brokers, name, topic.security)
        common = [(f"ce_{name}", value.encode()) for name, value in origin.attributes()]
        self._common: Headers = [*common, *((name, value.encode()) for name, value in origin.extensions())]
        self._producer: broker.Producer | None = None
        self._ready = asyncio.Event()
        self._connecting: asyncio.Task[None] | None = None

    def of(self, _url: str, _node: str) -> "TopicLog":
        """The topic, whatever url a node has: as upstream has it."""
        return self

    def start(self) -> None:
        """Begin to connect."""
        if self._connecting is None or self._connecting.done():
            self._ready.clear()
            self._connecting = asyncio.get_running_loop().create_task(self._connect())

    async def take(self, event: Event) -> None:
        """Write it, and wait for the broker's word. Raises NodeError or TimeoutError."""
        async with asyncio.timeout(self._within):
            while (producer := self._producer) is None:  # another event may have found it dead meanwhile
                await self._ready.wait()
            try:
                key = event.puid.encode() or None
                await producer.send_and_wait(self._topic.name, event.body, key, headers=self._headers(event))
            except broker.TROUBLE as error:
                if not broker.alive(producer) and self._producer is producer:
                    self.start()
                raise NodeError(f"topic {self._topic.name!r}: {error}") from error

    async def close(self) -> None:
        """Leave the broker."""
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait({self._connecting})
        if self._producer is not None:
            await broker.ended(self._producer, _LAST_WORDS_SECONDS)

    def _headers(self, event: Event) -> Headers:
        own = [(f"ce_{name}", value.encode()) for name, value in event.attributes()]
        return [
            ("type", event.kind.encode()),
            ("content-type", event.content_type),
            ("modelid", event.node.encode()),
            ("requestid", event.puid.encode()),
            *own,
            *self._common,
        ]

    async def _connect(self) -> None:
        if self._producer is not None:
            await broker.ended(self._producer, _LAST_WORDS_SECONDS)
            self._producer = None
        pauses = broker.pauses()
        while self._producer is None:
            made = broker.log_producer(self._connection, self._within)
            try:
                await broker.started(made)
                self._producer = made
            except broker.TROUBLE as error:
                log.warning("payloads cannot be logged to kafka at %s yet: %s", self._topic.brokers, error)
                await asyncio.sleep(next(pauses))
        self._ready.set()
        log.info("payloads are logged to topic %r of kafka at %s", self._topic.name, self._topic.brokers)
