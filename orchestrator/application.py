"""Puts the orchestrator together, runs it, and lets it end well."""

import asyncio
import gc
import logging
import signal
import socket
from collections.abc import Callable
from functools import partial
from random import Random, SystemRandom
from typing import TYPE_CHECKING

from orchestrator import heap
from orchestrator.bandits import bandits
from orchestrator.clients.calls import Calls
from orchestrator.clients.comparer import AT_A_TIME, Comparer, Sample
from orchestrator.clients.counterpart import LONGEST_ANSWER, Counterpart
from orchestrator.clients.events import Origin, Sinks
from orchestrator.clients.node import NodeCall
from orchestrator.clients.payloadlog import PayloadLog
from orchestrator.clients.payloadlog import metrics as payload_metrics
from orchestrator.clients.pool import Pool
from orchestrator.clients.posting import Posts
from orchestrator.clients.tracing import configured
from orchestrator.clients.trust import Trust
from orchestrator.engine import Engine
from orchestrator.errors import SettingsError
from orchestrator.graph.node import Node
from orchestrator.graph.parse import parse
from orchestrator.http2.channel import Channel, Target
from orchestrator.identity import uuids
from orchestrator.podinfo import Compared
from orchestrator.protocols.codec import Codec
from orchestrator.protocols.payload import Form
from orchestrator.readiness import Probe
from orchestrator.room import Room
from orchestrator.servers.about import About
from orchestrator.servers.certificates import Certificates
from orchestrator.servers.doors import Doors
from orchestrator.servers.house import House
from orchestrator.servers.http import Server
from orchestrator.servers.limits import Limits, Load, Teller
from orchestrator.servers.openapi import documents
from orchestrator.servers.rpc import MODELS_ALONE, Engines, RpcDoors
from orchestrator.servers.rpcserver import RpcServer
from orchestrator.settings import Settings
from orchestrator.telemetry.families import Shown
from orchestrator.telemetry.metrics import Identity, Metrics
from orchestrator.telemetry.predictions import Predictions
from orchestrator.topics import LogTopic, Topics
from orchestrator.workers.worker import Worker

if TYPE_CHECKING:
    from orchestrator.servers.streaming import Streaming

log = logging.getLogger(__name__)


def _seldon() -> Codec:
    from orchestrator.protocols.seldon import Seldon
    from orchestrator.protocols.seldon_proto import SeldonProto

    return Codec(Seldon(), SeldonProto())


def _v2() -> Codec:
    from orchestrator.protocols.openinference import OpenInference
    from orchestrator.protocols.openinference_proto import OpenInferenceProto

    return Codec(OpenInference(), OpenInferenceProto())


def _tensorflow() -> Codec:
    from orchestrator.protocols.tensorflow import TensorFlow
    from orchestrator.protocols.tensorflow_proto import TensorFlowProto

    return Codec(TensorFlow(), TensorFlowProto())


_CODECS = {"seldon": _seldon, "v2": _v2, "tensorflow": _tensorflow}  # of which one is loaded
_FIRST_PORT = 9000


class Application:
    """The orchestrator of one predictor; with `end`, the socket to their supervisor, as one of several workers.

    Raises:
        SettingsError: it cannot be put together from these settings.
        GraphError: the graph cannot be run.
    """

    def __init__(self, settings: Settings, chance: Random | None = None, end: socket.socket | None = None) -> None:
        self._settings = settings
        self._end = end
        self._worker: Worker | None = None
        self._streaming: Streaming | None = None
        codec = _CODECS.get(settings.protocol)
        if codec is None:
            raise SettingsError(f"--protocol: {settings.protocol!r} is not served; expected {', '.join(_CODECS)}")
        self.graph = parse(settings.predictor, first_port=_FIRST_PORT if settings.from_file else None)
        predictor = self.graph.predictor or settings.predictor_name
        identity = Identity(settings.deployment, predictor, self.graph.version)
        self.metrics = Metrics(identity, fine=settings.native_histograms)
        chance = chance or Random(SystemRandom().getrandbits(128))
        self._codec = codec()
        self.tracing = configured(settings.environment)
        self._calls = Calls(settings, self._codec, self.metrics, self.tracing)
        self.bandits = bandits(self.graph, chance)
        self.payload_log = self._payload_log(chance)
        self.comparer = self._comparer(chance)
        house = self._house(chance)
        self.load = house.load
        self.doors = Doors(house)
        self.room = house.room
        self.server = Server(self.doors, Limits(body_bytes=settings.max_body), self.doors.flows, house.room)
        self.rpc_doors = self._rpc_doors(house, chance)
        if settings.topics is not None:
            self._streaming = self._streamed(settings.topics, house, chance)
        services = self._codec.grpc.services
        doors = self.rpc_doors
        self.rpc = RpcServer(doors.methods, doors.ready, services, settings.max_message, house.room)

    def _house(self, chance: Random) -> House:
        settings, graph, codec = self._settings, self.graph, self._codec
        wanted = settings.prediction_metrics
        called = tuple(node for node in graph.nodes.values() if node.host)
        cors = b"Access-Control-Allow-Origin: %b\r\n" % settings.origins.encode()
        if settings.allowed_headers:
            cors += b"Access-Control-Allow-Headers: %b\r\n" % settings.allowed_headers.encode()
        status = self._status if settings.full_health_checks else None
        probe = Probe(called, self._calls.hosts, status, self._calls.greet, self._unread)
        routing = graph.routes if settings.routing is None else settings.routing
        logged = any(node.logger for node in graph.nodes.values())
        passing = None if routing or logged or wanted is not None else self._calls.passing
        return House(
            deployment=settings.deployment,
            namespace=settings.namespace,
            graph=graph,
            codec=codec,
            engine=Engine(
                graph, codec, self._calls, chance.random, self.bandits, passing=passing, logs=self.payload_log.of
            ),
            metrics=self.metrics,
            about=About(frozenset({settings.deployment, settings.public_name}), graph, codec, self._calls, probe),
            load=Load(settings.max_requests),
            room=Room(settings.max_bodies),
            identity=uuids(chance),
            documents=documents(codec.rest.name, settings.namespace, settings.public_name),
            prometheus_path=settings.prometheus_path,
            native_histograms=settings.native_histograms,
            routing=routing,
            request_timeout=settings.request_timeout,
            max_body=settings.max_body,
            cors=cors,
            tell=Teller(),
            # A reply that another node or we must read may not come compressed.
            drop=frozenset() if len(graph.nodes) == 1 and wanted is None else frozenset({b"accept-encoding"}),
            comparer=self.comparer,
            tracing=self.tracing,
            total=None if self._end is None else self._total,
            predictions=None if wanted is None else Predictions(self.metrics.identity, wanted, chance.random),
        )

    def _comparer(self, chance: Random) -> Comparer | None:
        settings, wanted = self._settings, self._settings.compared
        if wanted is None:
            return None
        sample = Sample(wanted.share, wanted.per_second / settings.workers, chance.random)
        return Comparer(self._counterpart(wanted), wanted.tolerance, self.metrics.identity, self._codec, sample)

    def _counterpart(self, wanted: Compared) -> Counterpart:
        trust, hosts = Trust(self._settings.node_authorities), self._calls.hosts
        host, port, secure = wanted.rest
        tls = trust.context() if secure else None
        pool = Pool("compared with", (host, port), hosts, size=AT_A_TIME, limit=LONGEST_ANSWER, tls=tls)
        channel = None
        if wanted.grpc is not None:
            called, number, secure = wanted.grpc
            tls = trust.context("h2") if secure else None
            channel = Channel(Target(called, number, lambda: hosts.address(called), tls), LONGEST_ANSWER)
        return Counterpart(f"{host}:{port}".encode(), pool, channel)

    def _payload_log(self, chance: Random) -> PayloadLog:
        settings = self._settings
        origin = Origin(
            source=f"http://{settings.hostname}:{settings.http_port}/",
            deployment=settings.deployment,
            namespace=settings.namespace,
            predictor=self.metrics.identity.predictor,
            protocol=settings.protocol,
        )
        logged = any(node.logger for node in self.graph.nodes.values())
        sinks = self._log_topic(origin, settings.log_topic) if settings.log_topic and logged else self._posts(origin)
        queue = PayloadLog(self._codec, uuids(chance), sinks, most=settings.log_queue)
        if logged:
            self.metrics.add_all(payload_metrics(queue))
        return queue

    def _posts(self, origin: Origin) -> Sinks:
        settings = self._settings
        return Posts(
            origin,
            endpoint=settings.log_endpoint,
            hosts=self._calls.hosts,
            at_a_time=settings.log_workers,
            within=settings.log_timeout,
        )

    def _log_topic(self, origin: Origin, topic: LogTopic) -> Sinks:
        try:
            from orchestrator.clients.logtopic import TopicLog
        except ModuleNotFoundError as error:
            raise SettingsError(
                f"LOGGER_KAFKA_BROKER: needs {error.name}, which is not installed; install seldon-rollouts[kafka]"
            ) from error
        return TopicLog(origin, topic, posts=self._settings.log_workers, within=self._settings.log_timeout)

    def _engine(self, chance: Random, form: Form, verb: str = "predict") -> Engine:
        logs, draw = self.payload_log.of, chance.random
        return Engine(self.graph, self._codec, self._calls, draw, self.bandits, form, verb, logs=logs)

    def _streamed(self, topics: Topics, house: House, chance: Random) -> "Streaming":
        try:
            from orchestrator.servers.streaming import Streaming
        except ModuleNotFoundError as error:
            raise SettingsError(
                f"--server_type: 'kafka' needs {error.name}, which is not installed; install seldon-rollouts[kafka]"
            ) from error
        return Streaming(topics, house, {form: self._engine(chance, form) for form in Form})

    def _unread(self) -> str:
        return "" if self._streaming is None else self._streaming.failure()

    def _rpc_doors(self, house: House, chance: Random) -> RpcDoors:
        engine = partial(self._engine, chance, Form.PROTO)
        alone = len(self.graph.nodes) == 1 and self.graph.root.grpc_port and "classify" in self._codec.grpc.methods
        others = {verb: engine(verb) for verb in MODELS_ALONE} if alone else {}
        return RpcDoors(house, Engines(predict=engine("predict"), others=others))

    def _status(self, node: Node) -> NodeCall:
        return self._calls(node, "ready", Form.JSON)

    async def _total(self) -> list[Shown]:
        assert self._worker is not None
        return await self._worker.total()

    async def start(self, alone: Callable[[], None] = lambda: None) -> int:
        """Listen, and return the port for REST. `alone` is called when a worker's supervisor is gone."""
        settings, together = self._settings, self._end is not None
        if self._end is not None:
            self._worker = await Worker.over(self._end, self.metrics.shown, alone)
        folder = settings.certificates
        tls = Certificates(folder) if folder else None
        self.grpc_port = await self.rpc.listen(settings.bind, settings.grpc_port, tls, together=together)
        context = Certificates(folder).context() if folder else None
        port = await self.server.listen(settings.bind, settings.http_port, context, together=together)
        gc.collect()
        gc.freeze()  # what lives from the start on need not be looked at in every collection
        gc.enable()
        log.info(
            "%s: %d nodes, REST on %s:%d, gRPC on port %d",
            settings.deployment,
            len(self.graph.nodes),
            settings.bind,
            port,
            self.grpc_port,
        )
        self.payload_log.start()
        if self._streaming is not None:
            self._streaming.start()
        if self._worker is not None:
            self._worker.started()
        return port

    async def stop(self) -> bool:
        """Turn readiness off, wait as told, let requests finish. Says whether all did."""
        settings = self._settings
        self.doors.draining = self.rpc_doors.draining = True
        self.server.start_draining()
        if self._streaming is not None:
            await self._streaming.leave_off()
        await asyncio.sleep(settings.shutdown_delay)
        clean = all(await self._close_doors(settings.graceful_timeout))
        await self._leave_comparisons()
        await self.payload_log.close(settings.log_timeout)
        if self.tracing is not None:
            await self.tracing.close()
        await self._calls.close()
        if self._worker is not None:
            await self._worker.close()
        return clean

    async def _close_doors(self, within: float) -> list[bool]:
        doors = (self.server, self.rpc, self._streaming)
        return await asyncio.gather(*[door.close(within) for door in doors if door is not None])

    async def _leave_comparisons(self) -> None:
        if self.comparer is not None:
            await self.comparer.close()

    async def abort(self) -> None:
        """End at once, whatever is under way."""
        await self._close_doors(0.0)
        await self._leave_comparisons()
        await self.payload_log.close(0.0)
        if self.tracing is not None:
            await self.tracing.close()
        await self._calls.close()


async def run(settings: Settings, end: socket.socket | None = None) -> int:
    """Serve until SIGTERM or SIGINT, or until the supervisor at the other end is gone.

    Returns the exit status: 0, or 1 when requests had to be cut off.
    """
    application = Application(settings, end=end)
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    await application.start(alone=asked.set)
    heap.keep()  # when it listens: it takes some milliseconds
    await asked.wait()
    log.info("asked to end: no longer ready, %d requests under way", application.load.in_flight)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.remove_signal_handler(number)  # the second time means now
    return 0 if await application.stop() else 1
