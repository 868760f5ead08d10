"""The calls to nodes: where each goes, over what, and what is counted of it."""

from math import inf
from time import perf_counter

from orchestrator.clients.greeting import greet, greet_over_grpc
from orchestrator.clients.guard import Breaker, Guarded
from orchestrator.clients.hosts import Hosts
from orchestrator.clients.node import Call, NodeCall
from orchestrator.clients.pool import Pool
from orchestrator.clients.rpc import RpcCall
from orchestrator.clients.tracing import Traced, Tracing
from orchestrator.clients.trust import Trust
from orchestrator.graph.node import Node
from orchestrator.http2.channel import Channel, Target
from orchestrator.protocols.codec import Codec
from orchestrator.protocols.payload import Form
from orchestrator.settings import Settings
from orchestrator.telemetry.metrics import Metrics


class Calls:
    """Makes the calls to nodes: one pool or channel for each address, one call for each node, verb and form."""

    def __init__(self, settings: Settings, codec: Codec, metrics: Metrics, tracing: Tracing | None) -> None:
        self._tracing = tracing
        self.hosts = Hosts(settings.bind, settings.hosts_file)
        self._settings = settings
        self._codec = codec
        self._metrics = metrics
        self._pools: dict[tuple[str, int], Pool] = {}
        self._channels: dict[tuple[str, int], Channel] = {}
        self._breakers: dict[tuple[str, int], Breaker] = {}
        self._made: dict[tuple[str, str, Form, bool], NodeCall] = {}
        name = "seldon_api_executor_node_{}"
        pools = self._pools
        metrics.add_gauge(
            name.format("connections"),
            "Connections to nodes over REST",
            lambda: sum([pool.connections for pool in pools.values()]),
        )
        metrics.add_gauge(
            name.format("calls_waiting"),
            "Calls that wait for a connection to their node",
            lambda: sum([pool.waiting for pool in pools.values()]),
        )
        self._trust = Trust(settings.node_authorities)

    def passing(self, node: Node, verb: str, form: Form) -> NodeCall:
        """The same call; a long answer to it is given when its body is still on its way."""
        return self(node, verb, form, flows=True)

    def __call__(self, node: Node, verb: str, form: Form, *, flows: bool = False) -> NodeCall:
        """The call of a verb to a node: in that form, if the node serves it."""
        if form is Form.PROTO and not node.grpc_port:
            form = Form.JSON
        elif form is Form.JSON and not node.port:
            form = Form.PROTO
        made = self._made.get((node.name, verb, form, flows))
        if made is None:
            call = self._rest(node, verb, flows=flows) if form is Form.JSON else self._grpc(node, verb)
            made = self._guarded(call, node, verb)
            if self._tracing is not None:
                made = Traced(made, node, self._span(node, verb, call.form), self._tracing)
            self._made[node.name, verb, form, flows] = made
        return made

    def _span(self, node: Node, verb: str, form: Form) -> str:
        return self._codec.rest.path(verb, node.name) if form is Form.JSON else self._codec.grpc.methods[verb]

    def _guarded(self, call: NodeCall, node: Node, verb: str) -> NodeCall:
        settings = self._settings
        if verb == "ready" or not (settings.node_retries or settings.breaker_failures):
            return call
        address = (node.host, node.port if call.form is Form.JSON else node.grpc_port)
        breaker = self._breakers.get(address)
        if breaker is None:
            breaker = self._breakers[address] = Breaker(settings.breaker_failures or inf, settings.breaker_time)
        retries = 0 if verb == "send-feedback" else settings.node_retries
        return Guarded(call, node.name, breaker, retries, perf_counter)

    async def greet(self, node: Node) -> None:
        """The first word to a node, uncounted. Raises NodeError when nobody is there who answers."""
        if node.port:
            await greet(self._pool(node), f"{node.host}:{node.port}")
        else:
            await greet_over_grpc(self._channel(node))

    def _pool(self, node: Node) -> Pool:
        address = (node.host, node.port)
        pool = self._pools.get(address)
        if pool is None:
            settings = self._settings
            tls = self._trust.context() if node.tls else None
            pool = Pool(node.name, address, self.hosts, size=settings.max_requests, limit=settings.max_body, tls=tls)
            self._pools[address] = pool
        return pool

    def _rest(self, node: Node, verb: str, *, flows: bool) -> NodeCall:
        path = self._codec.rest.path
        method = "GET" if verb in {"status", "metadata", "ready"} else "POST"
        return Call(
            self._pool(node),
            self._metrics.called(node, path(verb, node.name), method.lower()),
            method=method,
            path=lambda model: path(verb, model or node.name),
            authority=f"{node.host}:{node.port}",
            within=self._settings.node_timeout or inf,
            again=verb != "send-feedback",
            flows=flows,
        )

    def _channel(self, node: Node) -> Channel:
        address = (node.host, node.grpc_port)
        channel = self._channels.get(address)
        if channel is None:
            tls = self._trust.context("h2") if node.tls else None
            target = Target(*address, lambda: self.hosts.address(node.host), tls)
            channel = Channel(target, self._settings.max_message)
            self._channels[address] = channel
        return channel

    def _grpc(self, node: Node, verb: str) -> NodeCall:
        codec = self._codec.grpc
        method = codec.methods[verb]
        return RpcCall(
            self._channel(node),
            self._metrics.called(node, method, "unary"),
            name=f"node {node.name!r} at {node.host}:{node.grpc_port}",
            method=method,
            named=lambda body, model: codec.named(body, model or node.name),
            asks=codec.asked(verb, node.name) if verb in {"status", "metadata"} else b"",
            within=self._settings.grpc_node_timeout or inf,
        )

    async def close(self) -> None:
        """Close all connections to nodes that are idle."""
        for pool in self._pools.values():
            pool.close()
        for channel in self._channels.values():
            await channel.close()
