"""The orchestrator's gRPC doors. Messages that only pass through are never decoded."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from time import perf_counter

from orchestrator.clients.comparer import Comparer, is_copy
from orchestrator.clients.context import PUID, Context, passed_on
from orchestrator.clients.counterpart import MARK, Called
from orchestrator.clients.tracing import Tracing
from orchestrator.engine import Engine
from orchestrator.errors import OrchestratorError
from orchestrator.http2.exchange import Call, Unary
from orchestrator.http2.status import RpcError, Status
from orchestrator.protocols.payload import Form, Kind, Payload, Protobuf
from orchestrator.room import Hold
from orchestrator.servers.house import House
from orchestrator.servers.statuses import told
from orchestrator.telemetry.metrics import Codes

Serve = Callable[[bytes, Context], Awaitable[bytes]]

MODELS_ALONE = ("classify", "regress", "multi-inference")


class _UnservedError(OrchestratorError):
    status = 501
    reason = "NOT_SERVED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Engines:
    """The walks of the graph: for predictions, and for what TensorFlow's models alone are asked."""

    predict: Engine
    others: dict[str, Engine]


class RpcDoors:
    """Which method leads where."""

    def __init__(self, house: House, engines: Engines) -> None:
        self._house = house
        self._engines = engines
        self.draining = False
        serves: dict[str, Serve] = {
            "predict": self._predict,
            "feedback": self._feed_back,
            "live": self._live,
            "ready": self._ready,
            "server-metadata": self._server_metadata,
            "graph-metadata": self._graph_metadata,
            "metadata": self._metadata,
            "status": self._status,
            **{verb: partial(self._asked_alone, verb) for verb in MODELS_ALONE},
        }
        counted = {"predict", "feedback", *MODELS_ALONE}
        if house.tracing is not None:
            for method, door in house.codec.grpc.doors.items():
                if door in counted:
                    serves[door] = partial(self._traced, serves[door], house.tracing, method)
        self.methods = {}
        for method, door in house.codec.grpc.doors.items():
            codes, serve = house.metrics.served(method, "unary"), serves[door]
            if door == "predict":
                self.methods[method] = self._predictions(method, codes, serve)
            else:
                self.methods[method] = self._measured(codes, serve, part=1 if door in counted else 0)

    def _predictions(self, method: str, codes: Codes, serve: Serve) -> Unary:
        """A comparison's are counted apart; copies that belong to the sample are compared after their answers."""
        served = self._measured(codes, serve)
        aside = self._measured(self._house.metrics.served("comparisons", "unary"), self._predicted, part=2)
        comparer, compared = self._house.comparer, served
        if comparer is not None and comparer.over_grpc:
            compared = self._measured(codes, partial(self._compared, serve, comparer, method))
        else:
            comparer = None

        def handle(body: bytes, call: Call) -> Awaitable[bytes]:
            if MARK in [key for key, _ in call.metadata]:
                return aside.serve(body, call)
            if comparer is not None and is_copy(call.authority.encode("latin-1")) and comparer.takes():
                return compared.serve(body, call)
            return served.serve(body, call)

        return Unary(handle, served.refused)

    def _measured(self, codes: Codes, serve: Serve, *, part: int = 1) -> Unary:
        """Count what is served; it is refused where the `part`th of the calls that may be is under way (0: never)."""
        house, load = self._house, self._house.load
        identity, most, limited = house.identity, house.request_timeout, part > 0

        async def handle(body: bytes, call: Call) -> bytes:
            begun, puid = perf_counter(), ""
            if limited and part * load.in_flight >= load.limit:
                load.refused += 1
                codes.observe("UNAVAILABLE", 0.0)
                raise RpcError(Status.UNAVAILABLE, "too many requests at a time")
            load.in_flight += limited
            code, context = "CANCELLED", None
            try:
                metadata = call.metadata
                puid = _puid(metadata) or identity().decode()
                left = call.left  # None for a client without a deadline
                deadline = begun + (most if left is None or left > most else left)
                context = Context(None, deadline, {} if house.routing and limited else None, passed_on(metadata, puid))
                context.hold = call.hold if call.hold is not None else Hold(house.room)
                call.initial = ((PUID, puid),)
                answer = await serve(body, context)
                code = "OK"
            except OrchestratorError as error:
                refusal = told(error)
                code = refusal.status.name
                house.tell(error, puid.encode("latin-1", "replace"))
                raise refusal from error
            except asyncio.CancelledError:
                raise
            except Exception:
                code = "INTERNAL"
                raise
            finally:
                load.in_flight -= limited
                if context is not None and context.hold is not None:
                    context.hold.close()
                codes.observe(code, perf_counter() - begun)
            return answer

        return Unary(handle, lambda status: codes.observe(status.name, 0.0))

    async def _traced(self, serve: Serve, tracing: Tracing, method: str, body: bytes, context: Context) -> bytes:
        return await tracing.served(method, context, lambda: serve(body, context))

    # ------------------------------------------------------------ the graph

    async def _predict(self, body: bytes, context: Context) -> bytes:
        house = self._house
        answer = await self._walked(body, context)
        if house.predictions is not None:
            house.predictions.offer(partial(house.codec.outcome, answer))
        return answer.body

    async def _predicted(self, body: bytes, context: Context) -> bytes:
        """Answer a comparison: what models answer is not counted once more, and no trace is made."""
        return (await self._walked(body, context)).body

    async def _walked(self, body: bytes, context: Context) -> Payload:
        house = self._house
        node, context.model = house.addressed(house.codec.grpc.model("predict", body))
        answer = await self._engines.predict.predict(Protobuf(body, Kind.REQUEST), context, node)
        return answer if context.routing is None else house.codec.with_routing(answer, context.routing)

    async def _compared(self, serve: Serve, comparer: Comparer, method: str, body: bytes, context: Context) -> bytes:
        asked = Called(method, context.metadata, Protobuf(body, Kind.REQUEST))
        try:
            answer = await serve(body, context)
        except OrchestratorError:
            comparer.offer(asked, None)
            raise
        comparer.offer(asked, Protobuf(answer))
        return answer

    async def _asked_alone(self, verb: str, body: bytes, context: Context) -> bytes:
        engine = self._engines.others.get(verb)
        if engine is None:
            raise _UnservedError(f"{verb} is for a graph of one model; this one has more nodes, which take Predict")
        return (await engine.predict(Protobuf(body), context)).body

    async def _feed_back(self, body: bytes, context: Context) -> bytes:
        feedback = Protobuf(body, Kind.REQUEST)
        answer = await self._engines.predict.feedback(feedback, context)
        return b"" if answer is feedback else answer.body

    # ------------------------------------------------------------ about the graph

    async def _live(self, body: bytes, context: Context) -> bytes:
        return self._house.codec.grpc.said("live", True)

    async def ready(self) -> bool:
        """Whether every node can be reached, and we are not about to end."""
        return not self.draining and not await self._house.about.probe.failures()

    async def _ready(self, body: bytes, context: Context) -> bytes:
        return self._house.codec.grpc.said("ready", await self.ready())

    async def _server_metadata(self, body: bytes, context: Context) -> bytes:
        return self._house.codec.grpc.said("server-metadata", self._house.codec.rest.pages["/v2"])

    async def _graph_metadata(self, body: bytes, context: Context) -> bytes:
        found = await self._house.about.graph_metadata(context, Form.PROTO)
        return self._house.codec.grpc.said("graph-metadata", found)

    async def _metadata(self, body: bytes, context: Context) -> bytes:
        about = self._house.about
        name = self._house.codec.grpc.model("metadata", body)
        if about.names_graph(name):
            return await self._graph_metadata(body, context)
        return (await about.metadata(about.node(name), context, Form.PROTO)).body

    async def _status(self, body: bytes, context: Context) -> bytes:
        about = self._house.about
        name = self._house.codec.grpc.model("status", body)
        if about.names_graph(name):
            return self._house.codec.grpc.status_from_json({"ready": await self.ready()})
        return (await about.status(about.node(name), context, Form.PROTO)).body


def _puid(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    for key, value in metadata:
        if key == PUID and isinstance(value, str):
            return value
    return ""
