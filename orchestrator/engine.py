"""Walks the graph for each request."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from orchestrator.bandits import Bandit
from orchestrator.clients.context import Context
from orchestrator.clients.node import NodeCall
from orchestrator.clients.payloadlog import NodeLog
from orchestrator.graph import routing
from orchestrator.graph.node import BuiltIn, Graph, Method, Node
from orchestrator.onward import onward
from orchestrator.protocols.codec import Codec
from orchestrator.protocols.payload import Form, Payload

Caller = Callable[[Node, str, Form], NodeCall]  # the node, one of the codec's verbs, and the form that is preferred
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A node with its calls made ready."""

    node: Node
    down: NodeCall | None
    route: NodeCall | None
    aggregate: NodeCall | None
    up: NodeCall | None
    feedback: NodeCall | None
    log: NodeLog | None
    children: tuple["Step", ...]


class Engine:
    """Runs one graph in one protocol.

    Args:
        graph: the checked graph.
        codec: the protocol.
        call: makes the call of a verb to a node.
        draw: gives numbers that are uniform in [0, 1), for the routers that draw.
        bandits: the routers that learn, by the names of their nodes.
        form: of the door that the requests come through. Nodes that serve both forms are called in it.
        verb: what models are asked for.
        logs: gives what logs a node's payloads, if that is wanted.
        passing: makes the calls whose long answers may flow, since nobody looks at them; None when somebody does.
    """

    def __init__(
        self,
        graph: Graph,
        codec: Codec,
        call: Caller,
        draw: Callable[[], float],
        bandits: Mapping[str, Bandit],
        form: Form = Form.JSON,
        verb: str = "predict",
        passing: Caller | None = None,
        logs: Callable[[Node], NodeLog | None] = lambda _: None,
    ) -> None:
        self._codec = codec
        self._draw = draw
        self._bandits = bandits
        self._form = form
        self._logs = logs
        self._steps: dict[str, Step] = {}
        self._between = passing  # what lets a long answer flow from one node to the next, both over REST
        self._root = self._prepared(graph.root, call, verb, passing)
        self._all_speak = form is Form.JSON and not any(_others(step, form) for step in self._steps.values())

    def predict(self, payload: Payload, context: Context, node: str = "") -> Coroutine[Any, Any, Payload]:
        """The answer of the graph, or of a node and what is below it.

        Context's `routing`, if it is a dict, is filled with the way that was taken.

        Raises:
            OrchestratorError: there is no answer.
        """
        walk = self._walk(self._steps[node] if node else self._root, payload, context, first=True)
        return walk if self._all_speak else self._answered(walk, payload)

    def flows(self, node: str) -> bool:
        """Whether a request to the graph, or to a node of it, goes to one node over REST and nobody looks at it."""
        down = (self._steps.get(node) or self._root).down
        logged = any(step.log is not None for step in self._steps.values())
        return self._form is Form.JSON and down is not None and down.form is Form.JSON and not logged

    async def _answered(self, walk: Coroutine[Any, Any, Payload], asked: Payload) -> Payload:
        found = await walk
        answer = self._codec.answer(found, self._form)
        return answer if answer.form is found.form else self._codec.answer_like(asked, answer)

    async def feedback(self, payload: Payload, context: Context) -> Payload:
        """Tell the nodes that the routing in the feedback names: children first. Gives the root's reply, or what came.

        Raises:
            OrchestratorError: a node did not take it.
        """
        taken = self._codec.routing_of_feedback(payload)
        answer = await self._feed_back(self._root, payload, context, taken)
        return answer if answer is payload else self._codec.answer(answer, self._form)

    async def _walk(self, step: Step, payload: Payload, context: Context, *, first: bool = False) -> Payload:
        codec = self._codec
        node = step.node
        if step.log is not None:
            step.log.request(payload, context)
        if step.down is not None:
            payload = await self._handed(step.down, payload, context, first)
            first = False
        elif node.built_in is BuiltIn.SIMPLE_MODEL:
            payload = codec.rest.simple_model()
            first = False
        if step.children:
            payload = await self._descend(step, payload, context, first=first)
            first = False
        elif context.routing is not None:
            context.routing[node.name] = routing.ALL
        if step.up is not None:
            payload = await self._handed(step.up, payload, context, first)
        if step.log is not None:
            step.log.response(payload, context)
        return payload

    async def _handed(self, call: NodeCall, payload: Payload, context: Context, first: bool) -> Payload:
        """Call a node with what came, or with what another one answers, which may still be on its way.

        What the node does not read of another one's answer is let go, so that the other one is not held up for ever.
        """
        flow, codec = payload.flow, self._codec
        if flow is None or first:
            return await call(codec.request(payload, call.form, chained=not first), context)
        answer = None
        try:
            answer = await call(await onward(codec.rest, payload, context.hold), context)
        finally:
            if answer is None or answer.flow is None:
                flow.drop()
            else:
                answer.flow.when_ended(lambda _: flow.drop())
        return answer

    async def _descend(self, step: Step, payload: Payload, context: Context, *, first: bool) -> Payload:
        node = step.node
        if step.route is None:
            bandit = self._bandits.get(node.name) if self._bandits else None
            route = routing.drawn(node, self._draw()) if bandit is None else bandit.choose()
        else:
            reply = await step.route(self._codec.request(payload, step.route.form, chained=not first), context)
            route = routing.checked(node, self._codec.route(reply))
        if context.routing is not None:
            context.routing[node.name] = route
        if route == routing.STOP:
            return payload
        chosen = step.children if route == routing.ALL else (step.children[route],)
        answers = await all_of([self._walk(child, payload, context, first=first) for child in chosen])
        if step.aggregate is not None:
            names = [child.node.name for child in chosen]
            return await step.aggregate(self._codec.joined(answers, names, step.aggregate.form), context)
        if node.built_in is BuiltIn.AVERAGE_COMBINER:
            return self._codec.averaged(answers)
        return answers[0]

    async def _feed_back(self, step: Step, payload: Payload, context: Context, taken: dict[str, int]) -> Payload:
        answer = payload
        if step.children:
            route = routing.checked(step.node, taken.get(step.node.name, routing.ALL))
            bandit = self._bandits.get(step.node.name)
            if bandit is not None and route >= 0:
                bandit.learn(route, self._codec.reward_of_feedback(payload))
            chosen = step.children if route == routing.ALL else step.children[route : route + 1] if route >= 0 else ()
            await all_of([self._feed_back(child, payload, context, taken) for child in chosen])
        if step.feedback is not None:
            answer = await step.feedback(self._codec.feedback(payload, step.feedback.form), context)
        if step.log is not None:
            step.log.feedback(payload, context)
        return answer

    def _prepared(self, node: Node, call: Caller, verb: str, passing: Caller | None) -> Step:
        methods, form = node.methods, self._form
        down = verb if Method.PREDICT in methods else "transform-input"
        feedback = self._codec.rest.sends_feedback and Method.SEND_FEEDBACK in methods
        joins, turns = Method.AGGREGATE in methods, Method.TRANSFORM_OUTPUT in methods
        one = not joins and len(node.children) == 1 and node.built_in is None
        # Whose long answers may flow: what goes to the child as it is, and what goes to transform-output or else out.
        onward = self._between if one and Method.ROUTE not in methods and _takes_at_once(node.children[0]) else None
        inward = (self._between if node.port else None) if turns else passing
        ends = (onward if node.children else inward) or call
        step = self._steps[node.name] = Step(
            node=node,
            down=ends(node, down, form) if methods & {Method.PREDICT, Method.TRANSFORM_INPUT} else None,
            route=call(node, "route", form) if Method.ROUTE in methods and node.children else None,
            aggregate=(inward or call)(node, "aggregate", form) if joins else None,
            up=(passing or call)(node, "transform-output", form) if turns else None,
            feedback=call(node, "send-feedback", form) if feedback else None,
            log=self._logs(node),
            children=tuple(self._prepared(child, call, verb, inward if one else None) for child in node.children),
        )
        return step


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


def _takes_at_once(node: Node) -> bool:
    """Whether a node is called with what comes to it, over REST, and nothing else looks at that."""
    return bool(node.port) and node.built_in is None and bool(node.methods & {Method.PREDICT, Method.TRANSFORM_INPUT})


def _others(step: Step, form: Form) -> bool:
    """Whether a node is called in another form than the door's."""
    calls = (step.down, step.route, step.aggregate, step.up)
    return any(call is not None and call.form is not form for call in calls)
