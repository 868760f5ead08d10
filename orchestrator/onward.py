"""From one node to the next, while the one before is still answering."""

from orchestrator.errors import OverloadedError
from orchestrator.flow import Flow
from orchestrator.protocols.codec import Rest
from orchestrator.protocols.payload import Payload
from orchestrator.protocols.turning import UNDECIDED, Turning
from orchestrator.room import PIECE, Hold


async def onward(rest: Rest, reply: Payload, hold: Hold | None) -> Payload:
    """A reply whose body flows as the next node's request, which flows too where it can be made piece by piece.

    It cannot where it is compressed, has tensors' bytes behind its JSON, or does not say early what it is: then it is
    read whole first, within the room that there is for such bodies.

    Raises:
        BadPayloadError: it cannot be made a request.
        OverloadedError: there is no room for it.
        NodeError: it did not come whole.
    """
    turn, flow = rest.turn, reply.flow
    if turn is None or flow is None:
        return reply
    if reply.encoding.strip().lower() in {b"", b"identity"} and not reply.split:
        said = turn.said_at_first(await flow.glimpse(UNDECIDED))
        if said == turn.answered:
            flow.turn(Turning(turn, (lambda _: True) if hold is None else hold.take))
            request = Payload(b"")
            request.flow = flow
            return request
        if said:
            return reply
    reply.body = await _whole(flow, hold)
    reply.flow = None
    return rest.chained(reply)


async def _whole(flow: Flow, hold: Hold | None) -> bytes:
    found: list[bytes] = []
    while pieces := await flow.take():
        if hold is not None and not hold.take(sum(map(len, pieces)) + PIECE * len(pieces)):
            raise OverloadedError("no room for a node's answer beside those of other requests")
        found += pieces
    return b"".join(found)
