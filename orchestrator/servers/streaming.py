"""A topic as a door: messages are read, the graph answers, and the answers are written to another topic."""

import asyncio
import contextlib
import logging
from collections.abc import Collection, Mapping
from functools import partial
from math import inf
from time import perf_counter

from orchestrator.clients import broker
from orchestrator.engine import Engine
from orchestrator.errors import OrchestratorError, SettingsError
from orchestrator.protocols.payload import Form
from orchestrator.servers import records
from orchestrator.servers.answering import LOOK_SECONDS, Answering
from orchestrator.servers.house import House
from orchestrator.servers.progress import Part, Progress
from orchestrator.servers.records import Answer, Record
from orchestrator.topics import Topics

log = logging.getLogger(__name__)

_COMMIT_SECONDS = 5.0
_LAST_WORDS_SECONDS = 5.0
_NAME = "seldon_api_executor_kafka_{}"


class _BrokerError(OrchestratorError):
    """The broker does not do what is asked of it."""

    reason = "KAFKA"


class Streaming:
    """Reads and answers as one member of the group, from `start` to `close`.

    A message counts as read when its answer, or why there is none, is acknowledged: whatever ends before, it is read
    again. Nothing is taken while all workers are busy.

    Args:
        topics: what to read and write.
        house: the graph, and what is counted.
        engines: what answers, by the form of the message; their answers are whole.
    """

    def __init__(self, topics: Topics, house: House, engines: Mapping[Form, Engine]) -> None:
        self._topics = topics
        self._house = house
        self._answering = Answering(house, engines, protobuf=topics.protobuf)
        self._progress = Progress()
        self._free = asyncio.Semaphore(topics.workers)
        self._working: set[asyncio.Task[None]] = set()
        self._advanced = asyncio.Event()
        self._consumer: broker.Consumer | None = None
        self._producer: broker.Producer | None = None
        self._renewing = asyncio.Lock()
        self._reading: asyncio.Task[None] | None = None
        self._committing: asyncio.Task[None] | None = None
        self._ending = False
        self._trouble = "not connected yet"
        self.counts = {"read": 0, "answered": 0, "refused": 0, "dropped": 0}
        for name, said in (
            ("read", "Messages taken from the topic"),
            ("answered", "Answers that the broker acknowledged"),
            ("refused", "Messages whose answer says why there is none"),
            ("dropped", "Messages of which the topic takes not even that"),
        ):
            count = partial(self.counts.__getitem__, name)
            house.metrics.add_counter(_NAME.format(f"messages_{name}_total"), said, count)
        house.metrics.add_gauge(_NAME.format("lag"), "Messages of our partitions that are not answered", self._lag)

    def start(self) -> None:
        """Begin to read, as soon as the nodes and the broker can be reached."""
        self._reading = asyncio.create_task(self._read())
        self._committing = asyncio.create_task(self._commit_on())

    def failure(self) -> str:
        """Why it never began to read; nothing once it did. What serves requests goes on without its broker."""
        return f"kafka at {self._topics.brokers}: {self._trouble}" if self._trouble else ""

    async def leave_off(self) -> None:
        """Take no more messages."""
        self._ending = True
        await _ended(self._reading)

    async def close(self, within: float) -> bool:
        """Let the messages under way be answered, and leave. Says whether all were within `within` seconds."""
        await self.leave_off()
        working = set(self._working)
        late: set[asyncio.Task[None]] = set()
        if working:
            _, late = await asyncio.wait(working, timeout=within)
        for task in late:
            await _ended(task)
        if late:
            log.warning("%d messages were not answered after %.3g s; others will read them again", len(late), within)
        await _ended(self._committing)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(within, _LAST_WORDS_SECONDS) or 0.5):
                await self._commit()
        for client in (self._consumer, self._producer):
            if client is not None:
                await broker.ended(client, _LAST_WORDS_SECONDS)
        self._consumer = self._producer = None
        return not late

    # ------------------------------------------------------------ reading

    async def _read(self) -> None:
        await self._answering.nodes_are_back(inf)
        pauses = broker.pauses()
        while True:
            try:
                await self._connect()
                pauses = broker.pauses()
                await self._take()
            except (SettingsError, *broker.TROUBLE) as error:
                self._say(error)
            except Exception as error:  # nobody would read on for us
                log.exception("reading %r failed", self._topics.source)
                self._say(error)
            await self._disconnect()
            await asyncio.sleep(next(pauses))

    async def _connect(self) -> None:
        if self._producer is None:
            made = broker.producer(self._topics, self._house.max_body)
            await broker.started(made)
            self._producer = made
        consumer = broker.consumer(self._topics, self._leaving, self._house.request_timeout)
        await broker.started(consumer)
        self._consumer = consumer
        self._trouble = ""
        log.info("reading %r as %r, answering to %r", self._topics.source, self._topics.group, self._topics.target)

    async def _disconnect(self) -> None:
        consumer, self._consumer = self._consumer, None
        self._progress.forget(list(self._progress.parts))
        if consumer is not None:
            await broker.ended(consumer, _LAST_WORDS_SECONDS)

    async def _take(self) -> None:
        while True:
            await self._free.acquire()
            try:
                record = await self._next()
            except BaseException:
                self._free.release()
                raise
            self.counts["read"] += 1
            part = self._progress.taken(record.partition, record.offset)
            task = asyncio.create_task(self._work(record, part))
            self._working.add(task)
            task.add_done_callback(self._done)

    async def _next(self) -> Record:
        assert self._consumer is not None
        try:
            found: Record = await self._consumer.getone()
        except broker.UNREADABLE:
            passed = await broker.pass_over(self._consumer)
            if passed is None:
                raise
            part, offset = passed
            return records.Unreadable(part.topic, part.partition, offset)
        return found

    def _done(self, task: asyncio.Task[None]) -> None:
        self._working.discard(task)
        self._free.release()

    async def _leaving(self, partitions: Collection[int]) -> None:
        """Others get these partitions: what is under way is answered and committed first, if it does not take long."""
        end = perf_counter() + _COMMIT_SECONDS
        while self._progress.under_way(partitions) and perf_counter() < end:
            await asyncio.wait(set(self._working), timeout=end - perf_counter(), return_when=asyncio.FIRST_COMPLETED)
        await self._commit()
        self._progress.forget(partitions)

    # ------------------------------------------------------------ answering

    async def _work(self, record: Record, part: Part) -> None:
        self._house.load.in_flight += 1
        try:
            for outcome, answer in await self._answering.answers(record):
                if await self._written(answer):
                    self.counts[outcome] += 1
                    break
            else:
                self.counts["dropped"] += 1
                log.error("%s/%d/%d: the topic takes no answer", record.topic, record.partition, record.offset)
        finally:
            self._house.load.in_flight -= 1
        self._progress.ended(part, record.offset)
        self._advanced.set()

    async def _written(self, answer: Answer) -> bool:
        """Write until it is acknowledged; says whether the topic takes it."""
        for pause in broker.pauses():
            try:
                assert self._producer is not None
                headers = list(answer.headers)
                await self._producer.send_and_wait(self._topics.target, answer.value, answer.key, headers=headers)
            except broker.TOO_LONG:
                return False
            except broker.TROUBLE as error:
                self._say(error)
                await self._renew()
                await asyncio.sleep(pause)
            else:
                return True
        raise AssertionError("pauses have no end")

    async def _renew(self) -> None:
        """Put another producer in the place of one that has given up for good."""
        dead = self._producer
        if dead is None or broker.alive(dead):
            return
        async with self._renewing:
            if self._producer is not dead:
                return
            made = broker.producer(self._topics, self._house.max_body)
            try:
                await broker.started(made)
            except broker.TROUBLE as error:
                self._say(error)
                return
            self._producer = made
        await broker.ended(dead, _LAST_WORDS_SECONDS)

    # ------------------------------------------------------------ committing

    async def _commit_on(self) -> None:
        while True:
            await self._advanced.wait()
            self._advanced.clear()
            if self._topics.at_intervals:
                await asyncio.sleep(_COMMIT_SECONDS)
            if not await self._commit():
                self._advanced.set()
                await asyncio.sleep(LOOK_SECONDS)

    async def _commit(self) -> bool:
        """Say how far we are. False when it has to be said again."""
        consumer, offsets = self._consumer, self._progress.to_commit()
        if consumer is None or not offsets:
            return True
        ours = {each: offsets[each.partition] for each in consumer.assignment() if each.partition in offsets}
        try:
            if ours:
                await consumer.commit(ours)
        except broker.TROUBLE as error:
            self._say(error)
            return False
        except Exception:
            log.exception("committing to %r failed", self._topics.source)
            return False
        self._progress.committed(offsets)
        return True

    def _lag(self) -> float:
        consumer = self._consumer
        if consumer is None:
            return 0.0
        ends = {each.partition: consumer.highwater(each) for each in consumer.assignment()}
        parts = self._progress.parts
        return sum(max(0, (end or 0) - parts[number].answered) for number, end in ends.items() if number in parts)

    def _say(self, error: Exception) -> None:
        text = str(error) or type(error).__name__
        if self._trouble:
            self._trouble = text
        self._house.tell(_BrokerError(f"{self._topics.brokers}: {text}"), b"to kafka")


async def _ended(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
        await asyncio.wait({task})
