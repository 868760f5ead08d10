"""Clients of a Kafka broker. Imported where topics are served alone: the package is optional, and not small."""

import asyncio
import contextlib
import os
import ssl
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from typing import Any, TypeAlias

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from orchestrator.errors import SettingsError
from orchestrator.topics import Security, Topics

TOO_LONG = (MessageSizeTooLargeError, RecordListTooLargeError)
TROUBLE = (KafkaError, OSError)
UNREADABLE = UnicodeDecodeError
"""What reading raises for a message with a header whose name is not UTF-8: it says neither which one nor where."""
_SESSION = 6_000
_METADATA = 30_000  # until a topic that is made late, or a partition that is added, is seen
_POLL = 300_000
_HEADERS = 64 * 1024  # of a message, with its key
_LONGEST_POLL = 86_400_000
_SEARCH_SECONDS = 5.0
_GRACE_SECONDS = 1.0
_LEAST_SECONDS = 2.0  # for a connection
_BATCH = 128 * 1024
_LONGEST_EVENT = 65 * 1024 * 1024

Consumer: TypeAlias = Any  # the package has no types
Producer: TypeAlias = Any


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, leaving: Callable[[Collection[int]], Awaitable[None]]) -> None:
        self._leaving = leaving

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        await self._leaving({each.partition for each in revoked})

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Nothing to prepare: what is read starts at what was committed."""


def consumer(topics: Topics, leaving: Callable[[Collection[int]], Awaitable[None]], patience: float) -> Consumer:
    """A member of the group, not started.

    Args:
        topics: what to read, and from where.
        leaving: is waited for with the partitions that others are about to get.
        patience: seconds that all workers may be busy without a message being taken.
    """
    made = AIOKafkaConsumer(
        **_of(topics),
        group_id=topics.group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        session_timeout_ms=_SESSION,
        heartbeat_interval_ms=_SESSION // 3,
        max_poll_interval_ms=int(min(max(_POLL, 2000 * patience), _LONGEST_POLL)),
        metadata_max_age_ms=_METADATA,
    )
    made.subscribe([topics.source], listener=_Listener(leaving))
    return made


def producer(topics: Topics, longest: int) -> Producer:
    """What writes answers of `longest` bytes at most, not started: acknowledged by all replicas in sync."""
    most = longest + _HEADERS
    return AIOKafkaProducer(**_of(topics), acks="all", max_request_size=most, metadata_max_age_ms=_METADATA)


def log_producer(connection: dict[str, Any], within: float) -> Producer:
    """What writes events, not started: acknowledged by the partition's leader.

    Args:
        connection: how the broker is reached.
        within: seconds after which a message is given up that the broker did not take.
    """
    return AIOKafkaProducer(
        **connection,
        max_request_size=_LONGEST_EVENT,  # the broker has limits of its own
        max_batch_size=_BATCH,
        request_timeout_ms=int(1000 * max(within, _LEAST_SECONDS)),
        metadata_max_age_ms=_METADATA,
    )


async def started(client: Consumer | Producer) -> None:
    """Start a client. When it cannot be, or nobody waits for it any more, nothing of it is left open.

    The package drops a connection that it is making when it is cancelled in the middle, so that is waited for.
    """
    starting = asyncio.ensure_future(client.start())
    try:
        await asyncio.shield(starting)
    except BaseException:
        await asyncio.wait({starting}, timeout=_GRACE_SECONDS)
        starting.cancel()
        await asyncio.wait({starting})
        await ended(client, _GRACE_SECONDS)
        raise


async def ended(client: Consumer | Producer, within: float) -> None:
    """Stop a client. What it still does after `within` seconds is cut off, its connections too."""
    try:
        await asyncio.wait_for(client.stop(), within)
    except (TimeoutError, *TROUBLE):
        with contextlib.suppress(TimeoutError, *TROUBLE):
            await asyncio.wait_for(_cut(vars(client)), _GRACE_SECONDS)


async def _cut(own: Mapping[str, Any]) -> None:
    sender, fetcher = own.get("_sender"), own.get("_fetcher")
    if sender is not None and sender.sender_task is not None:
        sender.sender_task.cancel()
    if fetcher is not None:
        await fetcher.close()
    await (own.get("client") or own["_client"]).close()


def alive(producer: Producer) -> bool:
    """Whether what it is given is still sent: the package gives up for good at answers that it does not understand."""
    task = vars(producer)["_sender"].sender_task
    return task is not None and not task.done()


def pauses(longest: float = 10.0) -> Iterator[float]:
    """Seconds to wait between tries, without end."""
    pause = 0.2
    while True:
        yield pause
        pause = min(longest, 2 * pause)


async def pass_over(consumer: Consumer) -> tuple[TopicPartition, int] | None:
    """Go on behind the first message that cannot be read.

    Messages are read in the batches in which they were written, each from its beginning: what stands behind such a one
    in its batch cannot be read either, and is passed over by the next calls.

    Args:
        consumer: one that has just raised UNREADABLE.

    Returns:
        Where: a partition, and the offset that was passed over; None when all partitions can be read.
    """
    for part in sorted(consumer.assignment()):
        offset = await consumer.position(part)
        if (consumer.highwater(part) or 0) <= offset:
            continue
        try:
            async with asyncio.timeout(_SEARCH_SECONDS):
                record = await consumer.getone(part)
        except TimeoutError:
            continue
        except UNREADABLE:
            consumer.seek(part, offset + 1)
            return part, offset
        consumer.seek(part, record.offset)  # this one can be read, and is not taken yet
    return None


def _of(topics: Topics) -> dict[str, Any]:
    return connection(topics.brokers, topics.group, topics.security)


def connection(brokers: str, name: str, security: Security) -> dict[str, Any]:
    """How a client of that name reaches the broker. Raises SettingsError for certificates that cannot be used."""
    said: dict[str, Any] = {
        "bootstrap_servers": brokers.split(","),
        "client_id": name,
        "security_protocol": security.protocol,
    }
    if security.encrypted:
        said["ssl_context"] = _context(security)
    if security.protocol.startswith("SASL"):
        said["sasl_mechanism"] = security.mechanism
        said["sasl_plain_username"] = security.username
        said["sasl_plain_password"] = security.password
    return said


def _context(security: Security) -> ssl.SSLContext:
    """Whom to trust and what to show. Raises SettingsError when the certificates cannot be used."""
    try:
        authority = {"cafile": security.authority_file or None, "cadata": security.authority or None}
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, **authority)
        password = security.key_password or None
        if security.certificate:
            _show(context, security, password)
        elif security.certificate_file:
            context.load_cert_chain(security.certificate_file, security.key_file, password)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise SettingsError(f"KAFKA_SSL_*: the certificates cannot be used: {error}") from error
    return context


def _show(context: ssl.SSLContext, security: Security, password: str | None) -> None:
    """Load a certificate that is no file: OpenSSL reads files alone, so it gets one that is in no folder."""
    with os.fdopen(os.memfd_create("certificate"), "wb") as file:
        file.write(f"{security.certificate.strip()}\n{security.key.strip()}\n".encode())
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{file.fileno()}", password=password)
