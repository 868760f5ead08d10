"""The orchestrator's REST doors: which path leads where, and what every answer carries."""

import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Any

import orjson

from orchestrator.clients.node import Call, Context, NodeStatusError, handed_on
from orchestrator.engine import Engine, all_of
from orchestrator.errors import OrchestratorError
from orchestrator.graph.metadata import describe
from orchestrator.graph.node import Graph, Node
from orchestrator.protocols import seldon
from orchestrator.protocols.codec import Codec
from orchestrator.protocols.payload import JSON, Payload
from orchestrator.readiness import Probe
from orchestrator.servers.message import TEXT, Request, Response
from orchestrator.servers.openapi import Documents
from orchestrator.telemetry.exposition import CONTENT_TYPE
from orchestrator.telemetry.metrics import Codes, Metrics
from orchestrator.telemetry.predictions import Predictions

log = logging.getLogger(__name__)

Answer = Response | Coroutine[Any, Any, Response]
Door = Callable[[Request], Answer]

CLIENT_LEFT = 499  # the `code` of a request whose client did not wait for the answer
_BUSY = seldon.failure(503, "too many requests at a time", "OVERLOADED")


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What the doors lead to."""

    deployment: str
    namespace: str
    graph: Graph
    codec: Codec
    engine: Engine
    metrics: Metrics
    probe: Probe
    call: Callable[[Node, str], Call]
    identity: Callable[[], bytes]
    documents: Documents
    prometheus_path: str
    routing: bool
    request_timeout: float
    max_requests: int
    cors: bytes
    drop: frozenset[bytes] = field(default_factory=frozenset)
    predictions: Predictions | None = None


class Doors:
    """Answers requests. `draining` turns readiness off."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.draining = False
        self.in_flight = 0
        self.refused = 0
        self.predictions = house.predictions
        self._told: dict[str, float] = {}  # kind of failure to when it was last logged
        metrics = house.metrics
        metrics.add_gauge(
            "seldon_api_executor_requests_in_flight", "Predictions and feedback under way", lambda: self.in_flight
        )
        metrics.add_counter(
            "seldon_api_executor_requests_refused_total", "Requests refused by --max_requests", lambda: self.refused
        )
        self._predictions = metrics.served("predictions", "post")
        self._feedback = metrics.served("feedback", "post")
        self._status = metrics.served("status", "get")
        self._metadata = metrics.served("metadata", "get")
        self._serve = self._routed if house.routing else house.engine.predict
        if house.predictions is not None:
            metrics.add(house.predictions)
            self._serve = partial(self._watched, self._serve, house.predictions)
        self._doors: dict[bytes, tuple[bytes, Door]] = self._table()

    def _table(self) -> dict[bytes, tuple[bytes, Door]]:
        house, codec = self._house, self._house.codec
        doors: dict[bytes, tuple[bytes, Door]] = {
            b"/live": (b"GET", self._page(TEXT, lambda: b"live")),
            b"/ready": (b"GET", self._ready),
            house.prometheus_path.encode(): (b"GET", self._page(CONTENT_TYPE, house.metrics.text)),
        }
        paths: tuple[tuple[Sequence[str], bytes, Door], ...] = (
            (codec.predict_paths, b"POST", self._predict),
            (codec.feedback_paths, b"POST", self._feed_back),
            (codec.ready_paths, b"GET", self._ready),
            (codec.metadata_paths, b"GET", self._graph_metadata),
        )
        doors.update({path.encode(): (method, door) for found, method, door in paths for path in found})
        for path, (content_type, body) in house.documents.pages.items():
            doors[path.encode()] = (b"GET", self._page(content_type, body.strip))
        for path, value in codec.pages.items():
            doors[path.encode()] = (b"GET", self._page(JSON, partial(orjson.dumps, value)))
        return doors

    def _page(self, content_type: bytes, body: Callable[[], bytes]) -> Door:
        return lambda _: Response(200, body(), content_type, headers=self._house.cors)

    def __call__(self, request: Request) -> Answer:
        """Answer one request."""
        found = self._doors.get(request.path)
        if found is None:
            return self._elsewhere(request)
        if request.method == found[0]:
            return found[1](request)
        return self._other_method(request, found[0])

    def _elsewhere(self, request: Request) -> Answer:
        found = self._house.codec.addressed(request.path.decode("latin-1"))
        if found is None:
            return self._failure(request, 404, f"no such path: {request.path.decode('latin-1')}", "NOT_FOUND")
        verb, name = found
        if verb == "predict":
            return self._predict(request) if request.method == b"POST" else self._other_method(request, b"POST")
        if request.method != b"GET":
            return self._other_method(request, b"GET")
        return self._ask(request, verb, name)

    def _other_method(self, request: Request, allowed: bytes) -> Response:
        if request.method == b"OPTIONS":
            return self._response(request, 200, Payload(b"", b""))
        response = self._failure(request, 405, f"{request.path.decode('latin-1')} takes {allowed.decode()}", "METHOD")
        response.headers += b"Allow: %b, OPTIONS\r\n" % allowed
        return response

    # ------------------------------------------------------------ the graph

    def _predict(self, request: Request) -> Answer:
        return self._measured(request, self._predictions, self._serve)

    def _feed_back(self, request: Request) -> Answer:
        return self._measured(request, self._feedback, self._fed_back)

    async def _measured(
        self, request: Request, codes: Codes, serve: Callable[[Payload, Context], Coroutine[Any, Any, Payload]]
    ) -> Response:
        if self.in_flight >= self._house.max_requests:
            return self._busy(request, codes)
        self.in_flight += 1
        begun = perf_counter()
        code = CLIENT_LEFT
        puid = request.header(b"seldon-puid") or self._house.identity()
        payload = Payload(request.body, request.header(b"content-type") or JSON, request.header(b"content-encoding"))
        headers = request.headers
        if self._house.drop:
            headers = [item for item in headers if item[0] not in self._house.drop]
        context = Context(handed_on(headers, puid), begun + self._house.request_timeout)
        try:
            response = self._response(request, 200, await serve(payload, context), puid)
            code = 200
        except NodeStatusError as error:
            code = error.status
            response = self._response(request, code, error.reply.payload, puid)
        except OrchestratorError as error:
            code = error.status
            self._tell(error, puid, begun)
            response = self._failure(request, code, str(error), error.reason, puid)
        finally:
            self.in_flight -= 1
            codes.observe(code, perf_counter() - begun)
        return response

    def _tell(self, error: OrchestratorError, puid: bytes, now: float) -> None:
        """Log a failure; of each kind one a second, since a node that is away fails every request."""
        if now - self._told.get(error.reason, -1.0) >= 1.0:
            self._told[error.reason] = now
            log.warning("request %s: %s", puid.decode("latin-1"), error)

    def _busy(self, request: Request, codes: Codes) -> Response:
        self.refused += 1
        codes.observe(503, 0.0)
        response = self._response(request, 503, Payload(_BUSY))
        response.headers += b"Retry-After: 1\r\n"
        return response

    async def _routed(self, payload: Payload, context: Context) -> Payload:
        house = self._house
        context.routing = {}
        answer = await house.engine.predict(payload, context)
        return house.codec.with_routing(answer, context.routing)

    async def _watched(
        self,
        serve: Callable[[Payload, Context], Coroutine[Any, Any, Payload]],
        seen: Predictions,
        payload: Payload,
        context: Context,
    ) -> Payload:
        answer = await serve(payload, context)
        seen.offer(partial(self._house.codec.outcome, answer))
        return answer

    async def _fed_back(self, payload: Payload, context: Context) -> Payload:
        return await self._house.engine.feedback(payload, context)

    # ------------------------------------------------------------ about the graph

    async def _ready(self, request: Request) -> Response:
        failures = ["shutting down"] if self.draining else await self._house.probe.failures()
        if failures:
            return self._failure(request, 503, "; ".join(failures), "NOT_READY")
        return self._response(request, 200, Payload(b"{}"))

    async def _ask(self, request: Request, verb: str, name: str) -> Response:
        """Hand a node's own status or metadata on."""
        node = self._house.graph.nodes.get(name)
        if node is None and name in {self._house.graph.predictor, self._house.deployment}:
            return await (self._ready(request) if verb == "status" else self._graph_metadata(request))
        begun = perf_counter()
        codes = self._status if verb == "status" else self._metadata
        if node is None:
            known = ", ".join(self._house.graph.nodes)
            response = self._failure(request, 404, f"no node {name!r} in the graph; it has {known}", "NO_SUCH_NODE")
        elif not node.host:
            response = self._response(request, 200, Payload(orjson.dumps({"name": name})))
        else:
            try:
                answer = await self._house.call(node, verb)(None, self._own_context(request))
                response = self._response(request, 200, answer)
            except NodeStatusError as error:
                response = self._response(request, error.status, error.reply.payload)
            except OrchestratorError as error:
                response = self._failure(request, error.status, str(error), error.reason)
        codes.observe(response.status, perf_counter() - begun)
        return response

    async def _graph_metadata(self, request: Request) -> Response:
        begun = perf_counter()
        house = self._house
        called = [node for node in house.graph.nodes.values() if node.host]
        try:
            answers = await all_of([house.call(node, "metadata")(None, self._own_context(request)) for node in called])
            said = [seldon.read(answer.plain()) for answer in answers]
            found = {node.name: own if isinstance(own, dict) else {} for node, own in zip(called, said, strict=True)}
            response = self._response(request, 200, Payload(seldon.write(describe(house.graph, found))))
        except NodeStatusError as error:
            response = self._response(request, error.status, error.reply.payload)
        except OrchestratorError as error:
            response = self._failure(request, error.status, str(error), error.reason)
        self._metadata.observe(response.status, perf_counter() - begun)
        return response

    def _own_context(self, request: Request) -> Context:
        puid = request.header(b"seldon-puid") or self._house.identity()
        return Context(handed_on([], puid), perf_counter() + self._house.request_timeout)

    # ------------------------------------------------------------ answers

    def _failure(self, request: Request, status: int, info: str, reason: str, puid: bytes = b"") -> Response:
        return self._response(request, status, Payload(seldon.failure(status, info, reason)), puid)

    def _response(self, request: Request, status: int, payload: Payload, puid: bytes = b"") -> Response:
        puid = puid or request.header(b"seldon-puid") or self._house.identity()
        headers = b"Seldon-Puid: %b\r\n%b" % (puid, self._house.cors)
        body = payload.body
        if payload.encoding:
            headers += b"Content-Encoding: %b\r\n" % payload.encoding
        elif payload.content_type != b"application/octet-stream":
            body = seldon.escaped(body)
        if request.header(b"ce-specversion"):
            headers += self._cloud_event(request, puid)
        return Response(status, body, payload.content_type or JSON, headers=headers)

    def _cloud_event(self, request: Request, puid: bytes) -> bytes:
        house = self._house
        source = f"seldon.{house.deployment}"
        return b"CE-Id: %b\r\nCE-Specversion: 0.3\r\nCE-Path: %b\r\nCE-Type: %b\r\nCE-Source: %b\r\n" % (
            puid,
            request.path,
            f"{source}.{house.namespace}.response".encode(),
            source.encode(),
        )
