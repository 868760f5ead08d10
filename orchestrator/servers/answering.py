"""What a message of a topic is answered with: the graph's answer, or why there is none."""

import asyncio
import logging
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import chain
from time import perf_counter

from orchestrator.clients.context import Context, handed_on
from orchestrator.engine import Engine
from orchestrator.errors import OrchestratorError
from orchestrator.protocols.payload import Form, Payload, Protobuf
from orchestrator.servers import records
from orchestrator.servers.house import House
from orchestrator.servers.records import Answer, Record

log = logging.getLogger(__name__)

TRIES = 3
"""How often a message is handed to nodes that went away: a message that ends them must not end them for ever."""
_AWAY = frozenset({"NODE_UNREACHABLE", "CIRCUIT_OPEN"})
LOOK_SECONDS = 0.5


class Answering:
    """Asks the graph, and waits for nodes that went away.

    Args:
        house: the graph, and what is counted.
        engines: what answers, by the form of the message; their answers are whole.
        protobuf: whether every message is protobuf.
    """

    def __init__(self, house: House, engines: Mapping[Form, Engine], *, protobuf: bool) -> None:
        self._house, self._engines, self._protobuf = house, engines, protobuf
        self._codes = house.metrics.served("predictions", "kafka")

    async def answers(self, record: Record) -> Iterator[tuple[str, Answer]]:
        """The answer, and what is written instead where the topic does not take one of that length."""
        begun, code = perf_counter(), 500
        puid = records.puid(record) or self._house.identity()
        try:
            found = await self._asked(record, puid, begun + self._house.request_timeout)
            code = 200
        except OrchestratorError as error:
            code = error.status
            self._house.tell(error, puid)
            return _refusals(record, puid, error)
        except Exception:
            log.exception("message %s failed", puid.decode("latin-1"))
            return _refusals(record, puid, OrchestratorError("internal error"))
        finally:
            self._codes.observe(code, perf_counter() - begun)
        too_long = records.TooLongError(f"the topic takes no answer of {len(found.body)} bytes")
        return chain([("answered", records.answer(record, puid, found))], _refusals(record, puid, too_long))

    async def _asked(self, record: Record, puid: bytes, deadline: float) -> Payload:
        """Ask the graph, again when its nodes went away and came back."""
        house = self._house
        for left in reversed(range(TRIES)):
            payload = records.payload(record, longest=house.max_body, protobuf=self._protobuf)
            context = Context(handed_on(records.headers(record), puid), deadline)
            try:
                if house.tracing is None:
                    return await self._predicted(payload, context)
                return await house.tracing.served("predictions", context, partial(self._predicted, payload, context))
            except OrchestratorError as error:
                if not (error.reason in _AWAY and left and await self.nodes_are_back(deadline)):
                    raise
        raise AssertionError("the last try gives or raises")

    async def _predicted(self, payload: Payload, context: Context) -> Payload:
        house, node = self._house, ""
        if isinstance(payload, Protobuf):
            node, context.model = house.addressed(house.codec.grpc.model("predict", payload.body))
        if house.routing:
            context.routing = {}
        answer = await self._engines[payload.form].predict(payload, context, node)
        if context.routing is not None:
            answer = house.codec.with_routing(answer, context.routing)
        if house.predictions is not None:
            house.predictions.offer(partial(house.codec.outcome, answer))
        return answer

    async def nodes_are_back(self, deadline: float) -> bool:
        """Wait for all nodes to be reached; says whether they are before the time is over."""
        while perf_counter() < deadline:
            if not await self._house.about.probe.nodes_that_fail():
                return True
            await asyncio.sleep(LOOK_SECONDS)
        return False


def _refusals(record: Record, puid: bytes, error: OrchestratorError) -> Iterator[tuple[str, Answer]]:
    yield "refused", records.refusal(record, puid, error)
    yield "refused", records.refusal(record, puid, error, bare=True)
