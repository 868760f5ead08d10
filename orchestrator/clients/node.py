"""Calls to a graph node: the request's head, the measure of it, and what counts as an answer."""

from collections.abc import Callable
from functools import partial
from math import inf
from time import perf_counter
from typing import Protocol

from orchestrator.clients.context import Context
from orchestrator.clients.pool import Pool
from orchestrator.clients.reading import Reply
from orchestrator.errors import DeadlineError, NodeError
from orchestrator.flow import Flow
from orchestrator.protocols.payload import Form, Payload
from orchestrator.telemetry.metrics import Codes

NO_CODE = 0  # the `code` of a call that had no answer


class NodeStatusError(NodeError):
    """The node answered with another status than 200; the answer is the client's as it is."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"status {reply.status}")
        self.reply = reply
        self.status = reply.status


class NodeCall(Protocol):
    """One kind of call to one node, over REST or gRPC."""

    form: Form

    async def __call__(self, payload: Payload | None, context: Context) -> Payload:
        """Send a payload in `form` (or none) and give the answer. Raises NodeError or DeadlineError."""


def seconds_left(context: Context, within: float, now: float) -> float:
    """The seconds that a call may take. Raises DeadlineError when the request's time is over."""
    left = context.deadline - now
    if left >= within:
        return within
    if left <= 0:
        raise DeadlineError("the request's time was over before the graph had done")
    return left


class Call:
    """One kind of call to one node over REST, such as POST /predict.

    `path` gives the path for another model's name than the node's own, which is the empty one. With `flows` a long
    answer is given when its body is still on its way.
    """

    __slots__ = ("_again", "_codes", "_flows", "_opening", "_path", "_pool", "_start", "_within")

    form = Form.JSON

    def __init__(
        self,
        pool: Pool,
        codes: Codes,
        *,
        method: str,
        path: Callable[[str], str],
        authority: str,
        within: float = inf,
        again: bool = True,
        flows: bool = False,
    ) -> None:
        self._pool = pool
        self._codes = codes
        self._path = path
        self._opening = (method, authority)
        self._start = self._line("")
        self._within = within
        self._again = again
        self._flows = flows

    def _line(self, model: str) -> bytes:
        method, authority = self._opening
        return f"{method} {self._path(model)} HTTP/1.1\r\nHost: {authority}\r\n".encode()

    async def __call__(self, payload: Payload | None, context: Context) -> Payload:
        """Send a payload (or none) and give the answer.

        Raises:
            NodeStatusError: the node answered with another status than 200.
            NodeError: it did not answer.
            DeadlineError: the request's time is over.
            OverloadedError: there is no room for the answer beside those of other requests.
        """
        begun = perf_counter()
        within = seconds_left(context, self._within, begun)
        start = self._line(context.model) if context.model else self._start
        flow = None
        if payload is None:
            head, body = b"%b%b\r\n" % (start, context.headers), b""
        else:
            body, flow = payload.body, payload.flow
            head = b"%b%bContent-Type: %b\r\n%b%b\r\n" % (
                start,
                context.headers,
                payload.content_type,
                _about(payload) if payload.encoding or payload.split else b"",
                b"Content-Length: %d\r\n" % len(body) if flow is None else _framing(flow),
            )
        code, answer = NO_CODE, None
        try:
            reply = await self._pool.request(
                head, body, within=within, again=self._again, flow=flow, flows=self._flows, hold=context.hold
            )
            code, answer = reply.status, reply.payload.flow
        finally:
            if answer is None:
                self._codes.observe(code, perf_counter() - begun)
        if answer is not None:
            answer.when_ended(partial(self._ended, begun))
        elif code != 200:
            raise NodeStatusError(reply)
        return reply.payload

    def _ended(self, begun: float, error: Exception | None) -> None:
        self._codes.observe(NO_CODE if isinstance(error, NodeError) else 200, perf_counter() - begun)


def _about(payload: Payload) -> bytes:
    encoding = b"Content-Encoding: %b\r\n" % payload.encoding if payload.encoding else b""
    return encoding + (b"Inference-Header-Content-Length: %d\r\n" % payload.split if payload.split else b"")


def _framing(flow: Flow) -> bytes:
    if flow.length is None:
        return b"Transfer-Encoding: chunked\r\n"
    return b"Content-Length: %d\r\n" % flow.length
