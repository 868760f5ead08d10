"""Walks the graph for each request."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from orchestrator.clients.node import Call, Context
from orchestrator.graph import routing
from orchestrator.graph.node import BuiltIn, Graph, Method, Node
from orchestrator.protocols.codec import Codec
from orchestrator.protocols.payload import Payload

Caller = Callable[[Node, str], Call]  # the node and one of the codec's verbs
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A node with its calls made ready."""

    node: Node
    down: Call | None
    route: Call | None
    aggregate: Call | None
    up: Call | None
    feedback: Call | None
    children: tuple["Step", ...]


class Engine:
    """Runs one graph in one protocol.

    Args:
        graph: the checked graph.
        codec: the protocol.
        call: makes the call of a verb to a node.
        draw: gives numbers that are uniform in [0, 1), for the routers that draw.
    """

    def __init__(self, graph: Graph, codec: Codec, call: Caller, draw: Callable[[], float]) -> None:
        self._codec = codec
        self._draw = draw
        self._root = _prepared(graph.root, call, feedback=codec.sends_feedback)

    def predict(self, payload: Payload, context: Context) -> Coroutine[Any, Any, Payload]:
        """The graph's answer. Context's `routing`, if it is a dict, is filled with the way that was taken.

        Raises:
            OrchestratorError: there is no answer.
        """
        return self._walk(self._root, payload, context, first=True)

    async def feedback(self, payload: Payload, context: Context) -> Payload:
        """Tell the nodes that the routing in the feedback names: children first. Gives the root's reply, or what came.

        Raises:
            OrchestratorError: a node did not take it.
        """
        taken = self._codec.routing_of_feedback(payload)
        return await self._feed_back(self._root, payload, context, taken)

    async def _walk(self, step: Step, payload: Payload, context: Context, *, first: bool = False) -> Payload:
        codec = self._codec
        node = step.node
        if step.down is not None:
            payload = await step.down(payload if first else codec.chained(payload), context)
            first = False
        elif node.built_in is BuiltIn.SIMPLE_MODEL:
            payload = codec.simple_model()
            first = False
        if step.children:
            payload = await self._descend(step, payload, context, first=first)
            first = False
        elif context.routing is not None:
            context.routing[node.name] = routing.ALL
        if step.up is not None:
            payload = await step.up(payload if first else codec.chained(payload), context)
        return payload

    async def _descend(self, step: Step, payload: Payload, context: Context, *, first: bool) -> Payload:
        node = step.node
        if step.route is None:
            route = routing.drawn(node, self._draw())
        else:
            reply = await step.route(payload if first else self._codec.chained(payload), context)
            route = routing.checked(node, self._codec.route(reply))
        if context.routing is not None:
            context.routing[node.name] = route
        if route == routing.STOP:
            return payload
        chosen = step.children if route == routing.ALL else (step.children[route],)
        answers = await all_of([self._walk(child, payload, context, first=first) for child in chosen])
        if step.aggregate is not None:
            return await step.aggregate(self._codec.joined(answers), context)
        if node.built_in is BuiltIn.AVERAGE_COMBINER:
            return self._codec.averaged(answers)
        return answers[0]

    async def _feed_back(self, step: Step, payload: Payload, context: Context, taken: dict[str, int]) -> Payload:
        answer = payload
        if step.children:
            route = routing.checked(step.node, taken.get(step.node.name, routing.ALL))
            chosen = step.children if route == routing.ALL else step.children[route : route + 1] if route >= 0 else ()
            await all_of([self._feed_back(child, payload, context, taken) for child in chosen])
        if step.feedback is not None:
            answer = await step.feedback(payload, context)
        return answer


async def all_of(calls: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Every result, in order. When some fail, the first in order is raised, after all have ended."""
    if len(calls) == 1:
        return [await calls[0]]
    results = await asyncio.gather(*calls, return_exceptions=True)
    answers: list[T] = []
    for result in results:
        if isinstance(result, BaseException):
            raise result
        answers.append(result)
    return answers


def _prepared(node: Node, call: Caller, *, feedback: bool) -> Step:
    methods = node.methods
    down = "predict" if Method.PREDICT in methods else "transform-input"
    return Step(
        node=node,
        down=call(node, down) if methods & {Method.PREDICT, Method.TRANSFORM_INPUT} else None,
        route=call(node, "route") if Method.ROUTE in methods and node.children else None,
        aggregate=call(node, "aggregate") if Method.AGGREGATE in methods else None,
        up=call(node, "transform-output") if Method.TRANSFORM_OUTPUT in methods else None,
        feedback=call(node, "send-feedback") if feedback and Method.SEND_FEEDBACK in methods else None,
        children=tuple(_prepared(child, call, feedback=feedback) for child in node.children),
    )
