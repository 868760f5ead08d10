"""Calls to a graph node: the request's head, the measure of it, and what counts as an answer."""

from math import inf
from time import perf_counter

from orchestrator.clients.connection import Reply
from orchestrator.clients.pool import Pool
from orchestrator.errors import DeadlineError, NodeError
from orchestrator.protocols.payload import Payload
from orchestrator.telemetry.metrics import Codes

NO_CODE = 0  # the `code` of a call that had no answer

# Not handed on: what belongs to one connection (RFC 9110, 7.6.1), and what we write ourselves.
_OURS = frozenset(
    {
        b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate", b"proxy-authorization", b"te",
        b"trailer", b"transfer-encoding", b"upgrade", b"http2-settings", b"expect", b"host", b"content-length",
        b"content-type", b"content-encoding", b"seldon-puid",
    }
)  # fmt: skip


class NodeStatusError(NodeError):
    """The node answered with another status than 200; the answer is the client's as it is."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"status {reply.status}")
        self.reply = reply
        self.status = reply.status


class Context:
    """What goes along with one request through the graph."""

    __slots__ = ("deadline", "headers", "routing")

    def __init__(self, headers: bytes, deadline: float = inf, routing: dict[str, int] | None = None) -> None:
        self.headers = headers
        self.deadline = deadline
        self.routing = routing


def handed_on(headers: list[tuple[bytes, bytes]], puid: bytes) -> bytes:
    """The client's headers that nodes get too, and the request's id."""
    lines = [b"%b: %b\r\n" % item for item in headers if item[0] not in _OURS]
    lines.append(b"Seldon-Puid: %b\r\n" % puid)
    return b"".join(lines)


class Call:
    """One kind of call to one node, such as POST /predict."""

    __slots__ = ("_again", "_codes", "_pool", "_start", "_within")

    def __init__(
        self,
        pool: Pool,
        codes: Codes,
        *,
        method: str,
        path: str,
        authority: str,
        within: float = inf,
        again: bool = True,
    ) -> None:
        self._pool = pool
        self._codes = codes
        self._start = f"{method} {path} HTTP/1.1\r\nHost: {authority}\r\n".encode()
        self._within = within
        self._again = again

    async def __call__(self, payload: Payload | None, context: Context) -> Payload:
        """Send a payload (or none) and give the answer.

        Raises:
            NodeStatusError: the node answered with another status than 200.
            NodeError: it did not answer.
            DeadlineError: the request's time is over.
        """
        begun = perf_counter()
        within = self._within
        if context.deadline - begun < within:
            within = context.deadline - begun
            if within <= 0:
                raise DeadlineError("the request's time was over before the graph had done")
        if payload is None:
            head, body = b"%b%b\r\n" % (self._start, context.headers), b""
        else:
            body = payload.body
            head = b"%b%bContent-Type: %b\r\n%bContent-Length: %d\r\n\r\n" % (
                self._start,
                context.headers,
                payload.content_type,
                b"Content-Encoding: %b\r\n" % payload.encoding if payload.encoding else b"",
                len(body),
            )
        code = NO_CODE
        try:
            reply = await self._pool.request(head, body, within=within, again=self._again)
            code = reply.status
        finally:
            self._codes.observe(code, perf_counter() - begun)
        if code != 200:
            raise NodeStatusError(reply)
        return reply.payload
