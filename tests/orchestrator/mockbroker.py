"""A Kafka broker in this process (librdkafka's), and a wire to it that can be cut."""

import asyncio
import contextlib
import ctypes
import struct
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import confluent_kafka
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.producer import message_accumulator
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

HOST = b"127.0.0.1"


@contextlib.contextmanager
def mock_broker() -> Iterator[str]:
    """Run a broker; gives its address. Topics are made when they are asked for, with four partitions.

    It waits 10 ms for a group's first members, which only librdkafka's own functions can tell it. Of groups it knows
    too little for a second member.
    """
    (path,) = Path(confluent_kafka.__file__).parents[1].glob("confluent_kafka.libs/librdkafka*.so*")
    library = ctypes.CDLL(str(path))
    for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new"):
        getattr(library, name).restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    said = ctypes.create_string_buffer(512)
    conf = ctypes.c_void_p(library.rd_kafka_conf_new())
    keeper = ctypes.c_void_p(library.rd_kafka_new(0, conf, said, len(said)))
    assert keeper, said.value
    cluster = ctypes.c_void_p(library.rd_kafka_mock_cluster_new(keeper, 1))
    library.rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 10)
    try:
        yield library.rd_kafka_mock_cluster_bootstraps(cluster).decode()
    finally:
        library.rd_kafka_mock_cluster_destroy(cluster)
        library.rd_kafka_destroy(keeper)


class Wire:
    """Hands bytes on to a broker and back; the broker tells clients the wire's port instead of its own."""

    def __init__(self, broker: str) -> None:
        self._port = int(broker.rpartition(":")[2])
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    @property
    def address(self) -> str:
        """For clients."""
        return f"127.0.0.1:{self.port}"

    async def mend(self) -> None:
        """Take connections."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Take no connections, and end those that there are."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            below = await asyncio.open_connection("127.0.0.1", self._port)
            try:
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._up(reader, below[1]))
                    both.create_task(self._down(below[0], writer))
            except* (OSError, asyncio.IncompleteReadError):
                pass
            finally:
                below[1].transport.abort()
        writer.transport.abort()
        self._tasks.discard(task)

    async def _up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        raise ConnectionResetError

    async def _down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            size = await reader.readexactly(4)
            data = await reader.readexactly(*struct.unpack(">i", size))
            theirs, ours = (HOST + struct.pack(">i", port) for port in (self._port, self.port))
            writer.write(size + data.replace(theirs, ours))


class NoText(str):
    """A name whose bytes are not UTF-8, as producers in C can write it."""

    def encode(self, *_: Any) -> bytes:
        """The bytes."""
        return b"\xff\xfe"


async def ask_in_one_batch(broker: str, topic: str, partition: int, *messages: tuple[bytes, str]) -> None:
    """Write messages, each with the name of its header, as one batch. Only the package's Python writes a `NoText`."""
    producer = AIOKafkaProducer(bootstrap_servers=broker)
    await producer.start()
    try:
        with mock.patch.object(message_accumulator, "DefaultRecordBatchBuilder", _DefaultRecordBatchBuilderPy):
            batch = producer.create_batch()
            for value, name in messages:
                batch.append(key=b"k", value=value, timestamp=None, headers=[(name, b"1")])
            batch.close()
            await (await producer.send_batch(batch, topic, partition=partition))
    finally:
        await producer.stop()


class Client:
    """Writes questions to a topic and reads the answers of another."""

    def __init__(self, broker: str, source: str, target: str) -> None:
        self.source, self.target = source, target
        self._producer = AIOKafkaProducer(bootstrap_servers=broker, max_request_size=1 << 24)
        self._consumer = AIOKafkaConsumer(target, bootstrap_servers=broker, auto_offset_reset="earliest")
        self.answers: list[Any] = []
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to read answers."""
        await self._producer.start()
        await self._producer.partitions_for(self.source)
        await self._producer.partitions_for(self.target)
        await self._consumer.start()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for record in self._consumer:
            self.answers.append(record)

    async def ask(self, value: bytes | None, key: bytes | None = None, **more: Any) -> None:
        """Write one question."""
        await self._producer.send_and_wait(self.source, value, key, **more)

    async def committed(self, broker: str, group: str) -> list[int | None]:
        """From where a group would go on, by partition."""
        member = AIOKafkaConsumer(bootstrap_servers=broker, group_id=group, enable_auto_commit=False)
        await member.start()
        try:
            return [await member.committed(TopicPartition(self.source, number)) for number in range(4)]
        finally:
            await member.stop()

    async def stop(self) -> None:
        """Leave."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await self._consumer.stop()
        await self._producer.stop()


@contextlib.asynccontextmanager
async def client_of(broker: str, name: str) -> AsyncIterator[Client]:
    """A client of two topics of that name."""
    client = Client(broker, f"{name}-in", f"{name}-out")
    await client.start()
    try:
        yield client
    finally:
        await client.stop()
