"""Puts the orchestrator together, runs it, and lets it end well."""

import asyncio
import gc
import logging
import signal
import ssl
from collections.abc import Callable
from math import inf
from random import Random, SystemRandom

from orchestrator.clients.hosts import Hosts
from orchestrator.clients.node import Call
from orchestrator.clients.pool import Pool
from orchestrator.engine import Engine
from orchestrator.errors import SettingsError
from orchestrator.graph.node import Node
from orchestrator.graph.parse import parse
from orchestrator.identity import uuids
from orchestrator.protocols.codec import Codec
from orchestrator.protocols.openinference import OpenInference
from orchestrator.protocols.seldon import Seldon
from orchestrator.protocols.tensorflow import TensorFlow
from orchestrator.readiness import Probe
from orchestrator.servers.doors import Doors, House
from orchestrator.servers.http import Server
from orchestrator.servers.limits import Limits
from orchestrator.servers.openapi import Documents, documents
from orchestrator.settings import Settings
from orchestrator.telemetry.metrics import Identity, Metrics
from orchestrator.telemetry.predictions import Predictions

log = logging.getLogger(__name__)

_CODECS: dict[str, Callable[[], Codec]] = {"seldon": Seldon, "v2": OpenInference, "tensorflow": TensorFlow}
_FIRST_PORT = 9000


class Application:
    """The orchestrator of one predictor.

    Raises:
        SettingsError: it cannot be put together from these settings.
        GraphError: the graph cannot be run.
    """

    def __init__(self, settings: Settings, chance: Random | None = None) -> None:
        self._settings = settings
        codec = _CODECS.get(settings.protocol)
        if codec is None:
            raise SettingsError(f"--protocol: {settings.protocol!r} is not served; expected {', '.join(_CODECS)}")
        self.graph = parse(settings.predictor, first_port=_FIRST_PORT if settings.from_file else None)
        predictor = self.graph.predictor or settings.predictor_name
        self.metrics = Metrics(Identity(settings.deployment, predictor, self.graph.version))
        chance = chance or Random(SystemRandom().getrandbits(128))
        self._calls = Calls(settings, codec(), self.metrics)
        self.doors = Doors(self._house(codec(), chance))
        self.server = Server(self.doors, Limits(body_bytes=settings.max_body))

    def _house(self, codec: Codec, chance: Random) -> House:
        settings, graph = self._settings, self.graph
        wanted = settings.prediction_metrics
        called = tuple(node for node in graph.nodes.values() if node.host)
        cors = b"Access-Control-Allow-Origin: %b\r\n" % settings.origins.encode()
        if settings.allowed_headers:
            cors += b"Access-Control-Allow-Headers: %b\r\n" % settings.allowed_headers.encode()
        return House(
            deployment=settings.deployment,
            namespace=settings.namespace,
            graph=graph,
            codec=codec,
            engine=Engine(graph, codec, self._calls, chance.random),
            metrics=self.metrics,
            probe=Probe(called, self._calls.hosts, self._status if settings.full_health_checks else None),
            call=self._calls,
            identity=uuids(chance),
            documents=documents(settings.namespace, settings.deployment) if codec.name == "seldon" else Documents({}),
            prometheus_path=settings.prometheus_path,
            routing=graph.routes if settings.routing is None else settings.routing,
            request_timeout=settings.request_timeout,
            max_requests=settings.max_requests,
            cors=cors,
            # A reply that another node or we must read may not come compressed.
            drop=frozenset() if len(graph.nodes) == 1 and wanted is None else frozenset({b"accept-encoding"}),
            predictions=None if wanted is None else Predictions(self.metrics.identity, wanted, chance.random),
        )

    def _status(self, node: Node) -> Call:
        return self._calls(node, "ready")

    async def start(self) -> int:
        """Listen, and return the port."""
        settings = self._settings
        tls = _tls(settings) if settings.certificates else None
        port = await self.server.listen(settings.bind, settings.http_port, tls)
        gc.collect()
        gc.freeze()  # what lives from the start on need not be looked at in every collection
        log.info("%s: %d nodes, %s on %s:%d", settings.deployment, len(self.graph.nodes), "REST", settings.bind, port)
        return port

    async def stop(self) -> bool:
        """Turn readiness off, wait as told, let requests finish. Says whether all did."""
        settings = self._settings
        self.doors.draining = True
        self.server.start_draining()
        await asyncio.sleep(settings.shutdown_delay)
        clean = await self.server.close(settings.graceful_timeout)
        self._calls.close()
        return clean


class Calls:
    """Makes the calls to nodes: one pool for each address, one call for each node and verb."""

    def __init__(self, settings: Settings, codec: Codec, metrics: Metrics) -> None:
        self.hosts = Hosts(settings.bind, settings.hosts_file)
        self._settings = settings
        self._codec = codec
        self._metrics = metrics
        self._pools: dict[tuple[str, int], Pool] = {}
        self._made: dict[tuple[str, str], Call] = {}

    def __call__(self, node: Node, verb: str) -> Call:
        """The call of a verb to a node."""
        made = self._made.get((node.name, verb))
        if made is None:
            made = self._made[node.name, verb] = self._make(node, verb)
        return made

    def _make(self, node: Node, verb: str) -> Call:
        address = (node.host, node.port)
        pool = self._pools.get(address)
        if pool is None:
            settings = self._settings
            pool = Pool(node.name, address, self.hosts, size=settings.max_requests, limit=settings.max_body)
            self._pools[address] = pool
        path = self._codec.path(verb, node.name)
        method = "GET" if verb in {"status", "metadata", "ready"} else "POST"
        return Call(
            pool,
            self._metrics.called(node, path, method.lower()),
            method=method,
            path=path,
            authority=f"{node.host}:{node.port}",
            within=self._settings.node_timeout or inf,
            again=verb != "send-feedback",
        )

    def close(self) -> None:
        """Close all idle connections to nodes."""
        for pool in self._pools.values():
            pool.close()


def _tls(settings: Settings) -> ssl.SSLContext:
    folder = settings.certificates
    assert folder is not None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"SELDON_CERT_MOUNT_PATH: {str(folder)!r} has no tls.crt and tls.key to use: {error}"
        ) from error
    return context


async def run(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit status: 0, or 1 when requests had to be cut off."""
    application = Application(settings)
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    await application.start()
    await asked.wait()
    log.info("asked to end: no longer ready, %d requests under way", application.doors.in_flight)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.remove_signal_handler(number)  # the second time means now
    return 0 if await application.stop() else 1
