"""The first word to a node: whether somebody answers who is not a proxy that has nobody behind it."""

from orchestrator.clients.pool import Pool
from orchestrator.errors import NodeError, NodeReplyError, NodeTimeoutError
from orchestrator.http2.channel import Channel
from orchestrator.http2.status import RpcError, Status

SECONDS = 0.5
_PROXYS_OWN = frozenset({502, 503, 504})
_HEALTH = "/grpc.health.v1.Health/Check"


async def greet(pool: Pool, authority: str) -> None:
    """Ask a node for `/` over REST. Any answer will do, also a 404 or one that is no HTTP, and so will silence.

    A proxy of a mesh takes the connection for a node that is not there yet, and then says 503 or hangs up at once.
    A node that is slow says nothing within `SECONDS`: that it took the connection has to be enough.

    Raises:
        NodeError: nobody was there, or a proxy that says so.
    """
    head = f"GET / HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n".encode()
    try:
        reply = await pool.request(head, b"", within=SECONDS, again=True)
    except (NodeReplyError, NodeTimeoutError):
        return
    if reply.status in _PROXYS_OWN:
        raise NodeError(f"a proxy answers {reply.status} in its place")


async def greet_over_grpc(channel: Channel) -> None:
    """Ask a node for its health over gRPC: as `greet`, where any status but UNAVAILABLE is an answer of its own.

    Raises:
        NodeError: nobody was there, or a proxy that says so.
    """
    try:
        await channel.call(_HEALTH, b"", within=SECONDS)
    except RpcError as error:
        if error.status is Status.UNAVAILABLE:
            await channel.look_again()
            raise NodeError(f"UNAVAILABLE: {error.details}") from error
