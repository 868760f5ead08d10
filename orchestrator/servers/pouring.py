"""An answer whose body flows, piece by piece, as fast as its client reads."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from orchestrator.flow import LAST_CHUNK, chunk
from orchestrator.servers.message import Response, framing, head

log = logging.getLogger(__name__)


async def poured(
    transport: asyncio.Transport,
    response: Response,
    drained: Callable[[], Awaitable[None]],
    *,
    keep_alive: bool,
    old: bool = False,
) -> bool:
    """Send head and body, and say whether all of it went out. A client that leaves cancels it.

    Args:
        transport: the client's.
        response: with a flow.
        drained: waits until the client can take more.
        keep_alive: whether the connection stays.
        old: the client speaks HTTP/1.0, which has no chunks: the end of the connection is the end of the body.
    """
    flow = response.flow
    assert flow is not None
    chunked = framing(response).startswith(b"Transfer-Encoding")
    start = head(response, keep_alive=keep_alive)
    if old and chunked:
        chunked = False
        start = start.replace(framing(response), b"")
    failure: BaseException | None = None
    try:
        transport.write(start)
        while pieces := await flow.take():
            transport.writelines(chunk(pieces) if chunked else pieces)
            await drained()
        if chunked:
            transport.write(LAST_CHUNK)
    except asyncio.CancelledError as error:
        failure = error
        raise
    except Exception as error:  # noqa: BLE001 — the head is out: whatever it is, all that is left is to cut off
        failure = error
        log.warning("an answer was cut off: %s", error)
    finally:
        flow.drop()
        if response.sent is not None:
            response.sent(failure)
        whole = failure is None
        failure = None  # it knows this frame, and with it the body
    return whole
