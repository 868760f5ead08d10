"""The orchestrator's REST doors: which path leads where, and what every answer carries."""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from time import perf_counter
from typing import Any

import orjson

from orchestrator.clients.comparer import Comparer, is_copy
from orchestrator.clients.context import PUID, Context, handed_on
from orchestrator.clients.counterpart import MARK, Asked
from orchestrator.clients.node import NodeStatusError
from orchestrator.clients.tracing import Tracing
from orchestrator.errors import OrchestratorError, OverloadedError
from orchestrator.protocols import jsontext, seldon
from orchestrator.protocols.payload import JSON, OCTETS, SPLIT, Form, Payload, split_length
from orchestrator.room import Hold
from orchestrator.servers.house import House
from orchestrator.servers.message import TEXT, Request, Response
from orchestrator.telemetry import delimited
from orchestrator.telemetry.exposition import CONTENT_TYPE, text
from orchestrator.telemetry.families import Shown
from orchestrator.telemetry.metrics import Codes
from orchestrator.telemetry.predictions import Predictions

Answer = Response | Coroutine[Any, Any, Response]
Door = Callable[[Request], Answer]
Serve = Callable[..., Coroutine[Any, Any, Payload]]  # the payload, its context, and the node to start at

_COMPARISON = MARK.encode()
CLIENT_LEFT = 499  # the `code` of a request whose client did not wait for the answer
_BUSY = seldon.failure(503, "too many requests at a time", "OVERLOADED")


class Doors:
    """Answers requests. `draining` turns readiness off."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.draining = False
        self._load = house.load
        self.in_flight = 0
        self.refused = 0
        self.predictions = house.predictions
        metrics = house.metrics
        metrics.add_gauge(
            "seldon_api_executor_requests_in_flight", "Predictions and feedback under way", lambda: self._load.in_flight
        )
        metrics.add_counter(
            "seldon_api_executor_requests_refused_total",
            "Requests refused by --max_requests",
            lambda: self._load.refused,
        )
        metrics.add_gauge(
            "seldon_api_executor_body_bytes_held", "Bytes of bodies that are kept whole", lambda: house.room.held
        )
        metrics.add_counter(
            "seldon_api_executor_bodies_refused_total", "Bodies refused by --max_bodies", lambda: house.room.refused
        )
        self._predictions = metrics.served("predictions", "post")
        self._comparisons = metrics.served("comparisons", "post")
        self._feedback = metrics.served("feedback", "post")
        self._status = metrics.served("status", "get")
        self._metadata = metrics.served("metadata", "get")
        self._serve: Serve = self._routed if house.routing else house.engine.predict
        self._aside = self._serve  # for comparisons, which nobody counts or traces
        if house.comparer is not None:
            metrics.add(house.comparer)
        if house.predictions is not None:
            metrics.add(house.predictions)
            self._serve = partial(self._watched, self._serve, house.predictions)
        self._feeds: Serve = self._fed_back
        if house.tracing is not None:
            self._serve = partial(self._traced, self._serve, house.tracing, "predictions")
            self._feeds = partial(self._traced, self._fed_back, house.tracing, "feedback")
        self._doors: dict[bytes, tuple[bytes, Door]] = self._table()

    def _table(self) -> dict[bytes, tuple[bytes, Door]]:
        house, codec = self._house, self._house.codec.rest
        doors: dict[bytes, tuple[bytes, Door]] = {
            b"/live": (b"GET", self._page(TEXT, lambda: b"live")),
            b"/ready": (b"GET", self._ready),
            house.prometheus_path.encode(): (b"GET", self._metrics),
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

    def flows(self, request: Request) -> bool:
        """Whether a request may be handed over before its body is whole: nobody here will look at that."""
        if request.method != b"POST":
            return False
        found = self._doors.get(request.path)
        if found is not None:
            return found[1] == self._predict and self._house.engine.flows("")
        addressed = self._house.codec.rest.addressed(request.path.decode("latin-1"))
        return addressed is not None and addressed[0] == "predict" and self._house.engine.flows(addressed[1])

    def _elsewhere(self, request: Request) -> Answer:
        found = self._house.codec.rest.addressed(request.path.decode("latin-1"))
        if found is None:
            return self._failure(request, 404, f"no such path: {request.path.decode('latin-1')}", "NOT_FOUND")
        verb, name = found
        if verb == "predict":
            return self._predict(request, name) if request.method == b"POST" else self._other_method(request, b"POST")
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

    def _predict(self, request: Request, name: str = "") -> Answer:
        if request.header(_COMPARISON):
            return self._compared_with(request, name)
        serve = partial(self._named, self._serve, name) if name else self._serve
        comparer = self._house.comparer
        if comparer is not None and is_copy(request.header(b"host")) and comparer.takes():
            request.headers = [each for each in request.headers if each[0] != b"accept-encoding"]
            serve = partial(self._compared, serve, comparer, request)
        return self._measured(request, self._predictions, serve)

    def _compared_with(self, request: Request, name: str) -> Answer:
        """Answer a comparison: counted apart, and the first that is refused when there is much to do."""
        if 2 * self._load.in_flight >= self._load.limit:
            return self._busy(request, self._comparisons)
        serve = partial(self._named, self._aside, name) if name else self._aside
        return self._measured(request, self._comparisons, serve)

    async def _compared(
        self, serve: Serve, comparer: Comparer, request: Request, payload: Payload, context: Context
    ) -> Payload:
        asked = Asked(request.target, request.headers, payload, context.said(PUID).encode("latin-1"))
        try:
            answer = await serve(payload, context)
        except OrchestratorError:
            comparer.offer(asked, None)
            raise
        comparer.offer(asked, answer)
        return answer

    async def _named(self, serve: Serve, name: str, payload: Payload, context: Context) -> Payload:
        node, context.model = self._house.addressed(name)
        return await serve(payload, context, node)

    def _feed_back(self, request: Request) -> Answer:
        return self._measured(request, self._feedback, self._feeds)

    async def _measured(self, request: Request, codes: Codes, serve: Serve) -> Response:
        if self._load.in_flight >= self._load.limit:
            return self._busy(request, codes)
        self._load.in_flight += 1
        begun = perf_counter()
        code = CLIENT_LEFT
        puid = request.header(b"seldon-puid") or self._house.identity()
        payload = Payload(request.body, request.header(b"content-type") or JSON, request.header(b"content-encoding"))
        payload.flow, payload.longest = request.flow, self._house.max_body
        headers = request.headers
        if self._house.drop or request.hop:
            headers = [item for item in headers if item[0] not in self._house.drop and item[0] not in request.hop]
        context = Context(handed_on(headers, puid), begun + self._house.request_timeout)
        context.hold = request.hold = request.hold or Hold(self._house.room)
        flows = False
        try:
            payload.split = split_length(request.header(SPLIT))
            response = self._response(request, 200, await serve(payload, context), puid)
            code = 200
            if response.flow is not None:
                flows = True
                response.sent = partial(self._sent, codes, begun)
        except NodeStatusError as error:
            code = error.status
            response = self._response(request, code, error.reply.payload, puid)
        except OrchestratorError as error:
            code = error.status
            self._house.tell(error, puid)
            response = self._failure(request, code, str(error), error.reason, puid)
            if isinstance(error, OverloadedError):
                response.headers += b"Retry-After: 1\r\n"
        except Exception:
            code = 500  # the server answers it
            raise
        finally:
            if not flows:
                self._load.in_flight -= 1
                codes.observe(code, perf_counter() - begun)
        return response

    def _sent(self, codes: Codes, begun: float, failure: BaseException | None) -> None:
        """An answer that flowed has ended: well, by its client's leaving, or by its node's."""
        self._load.in_flight -= 1
        code = 200 if failure is None else 500 if isinstance(failure, OrchestratorError) else CLIENT_LEFT
        codes.observe(code, perf_counter() - begun)

    def _busy(self, request: Request, codes: Codes) -> Response:
        self._load.refused += 1
        codes.observe(503, 0.0)
        response = self._response(request, 503, Payload(_BUSY))
        response.headers += b"Retry-After: 1\r\n"
        return response

    async def _routed(self, payload: Payload, context: Context, node: str = "") -> Payload:
        house = self._house
        context.routing = {}
        answer = await house.engine.predict(payload, context, node)
        return house.codec.with_routing(answer, context.routing)

    async def _watched(
        self, serve: Serve, seen: Predictions, payload: Payload, context: Context, node: str = ""
    ) -> Payload:
        answer = await serve(payload, context, node)
        seen.offer(partial(self._house.codec.outcome, answer))
        return answer

    async def _traced(
        self, serve: Serve, tracing: Tracing, name: str, payload: Payload, context: Context, node: str = ""
    ) -> Payload:
        more = (node,) if node else ()
        return await tracing.served(name, context, lambda: serve(payload, context, *more))

    async def _fed_back(self, payload: Payload, context: Context) -> Payload:
        return await self._house.engine.feedback(payload, context)

    # ------------------------------------------------------------ about the graph

    def _metrics(self, request: Request) -> Answer:
        if self._house.total is None:
            return self._exposed(request, self._house.metrics.shown())
        return self._exposed_all(request, self._house.total)

    async def _exposed_all(self, request: Request, total: Callable[[], Awaitable[list[Shown]]]) -> Response:
        try:
            return self._exposed(request, await total())
        except OrchestratorError as error:
            return self._failure(request, error.status, str(error), error.reason)

    def _exposed(self, request: Request, shown: list[Shown]) -> Response:
        house = self._house
        if house.native_histograms and delimited.asked_for(request.header(b"accept")):
            return Response(200, delimited.messages(shown), delimited.CONTENT_TYPE, headers=house.cors)
        return Response(200, text(shown), CONTENT_TYPE, headers=house.cors)

    async def _ready(self, request: Request) -> Response:
        failures = ["shutting down"] if self.draining else await self._house.about.probe.failures()
        if failures:
            return self._failure(request, 503, "; ".join(failures), "NOT_READY")
        return self._response(request, 200, Payload(b"{}"))

    async def _ask(self, request: Request, verb: str, name: str) -> Response:
        """Hand a node's own status or metadata on."""
        about = self._house.about
        if about.names_graph(name):
            return await (self._ready(request) if verb == "status" else self._graph_metadata(request))
        ask, codes = (about.status, self._status) if verb == "status" else (about.metadata, self._metadata)
        return await self._about(request, codes, lambda context: ask(about.node(name), context, Form.JSON))

    async def _graph_metadata(self, request: Request) -> Response:
        async def told(context: Context) -> Payload:
            return Payload(jsontext.write(await self._house.about.graph_metadata(context, Form.JSON)))

        return await self._about(request, self._metadata, told)

    async def _about(self, request: Request, codes: Codes, ask: Callable[[Context], Awaitable[Payload]]) -> Response:
        begun = perf_counter()
        puid = request.header(b"seldon-puid") or self._house.identity()
        try:
            answer = await ask(Context(handed_on([], puid), begun + self._house.request_timeout))
            response = self._response(request, 200, answer)
        except NodeStatusError as error:
            response = self._response(request, error.status, error.reply.payload)
        except OrchestratorError as error:
            response = self._failure(request, error.status, str(error), error.reason)
        codes.observe(response.status, perf_counter() - begun)
        return response

    # ------------------------------------------------------------ answers

    def _failure(self, request: Request, status: int, info: str, reason: str, puid: bytes = b"") -> Response:
        return self._response(request, status, Payload(seldon.failure(status, info, reason)), puid)

    def _response(self, request: Request, status: int, payload: Payload, puid: bytes = b"") -> Response:
        puid = puid or request.header(b"seldon-puid") or self._house.identity()
        headers = b"Seldon-Puid: %b\r\n%b" % (puid, self._house.cors)
        body = payload.body
        as_it_is = payload.split or payload.content_type == OCTETS
        if payload.encoding:
            headers += b"Content-Encoding: %b\r\n" % payload.encoding
            as_it_is = True
        elif not as_it_is:
            body = jsontext.escaped(body)
        if payload.split:
            headers += b"Inference-Header-Content-Length: %d\r\n" % payload.split
        if request.header(b"ce-specversion"):
            headers += self._cloud_event(request, puid)
        response = Response(status, body, payload.content_type or JSON, headers=headers)
        if payload.flow is not None:
            response.flow = payload.flow
            if not as_it_is:
                payload.flow.turn(jsontext.Escaping())
        return response

    def _cloud_event(self, request: Request, puid: bytes) -> bytes:
        house = self._house
        source = f"seldon.{house.deployment}"
        return b"CE-Id: %b\r\nCE-Specversion: 0.3\r\nCE-Path: %b\r\nCE-Type: %b\r\nCE-Source: %b\r\n" % (
            puid,
            request.path,
            f"{source}.{house.namespace}.response".encode(),
            source.encode(),
        )
