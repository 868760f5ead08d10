"""A reply that is on its way, as the next node's request: its tensors have another name there, and pass as they are."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from orchestrator.errors import BadPayloadError, OverloadedError
from orchestrator.protocols import jsontext
from orchestrator.protocols.members import Members, Text
from orchestrator.room import UNCOUNTED

UNDECIDED = 64 * 1024
"""Bytes at the beginning of a reply within which it has to show what it is, to be handed on piece by piece."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """How a reply becomes a request. The first of the names below that it has says which of the two it is.

    Args:
        answered: the name of the tensors in a reply.
        asked: their name in a request.
        requests: names by which what a node answers is a request already, and goes on as it is.
        kept: what else of a reply is in the request.
    """

    answered: str
    asked: str
    requests: frozenset[str]
    kept: tuple[str, ...] = ()

    def said_by(self, names: Iterable[str]) -> str:
        """The first of `answered` and `requests` among the members of a message, or nothing."""
        return next((name for name in names if name == self.answered or name in self.requests), "")

    def said_at_first(self, head: bytes) -> str:
        """The same of a message of which only the beginning is here."""
        members = Members()
        try:
            return self.said_by([members.name for text, _ in members.texts(head) if text is Text.NAME])
        except BadPayloadError:
            return ""


class Turning:
    """Turns a reply that comes in pieces. All but the tensors is kept until its end, and then read.

    Args:
        turn: how.
        room: whether there is room for so many bytes more, of what is kept.
    """

    def __init__(self, turn: Turn, room: Callable[[int], bool] = lambda _: True) -> None:
        self._turn = turn
        self._room = room
        self._members = Members()
        self._beside = bytearray()  # the reply, with 0 for its tensors
        self._passes = False  # the tensors do
        self._begun = False

    def __call__(self, piece: bytes) -> bytes:
        """What of the request the next piece gives.

        Raises:
            BadPayloadError: it cannot be turned.
            OverloadedError: there is no room for what is beside the tensors.
        """
        out: list[bytes] = []
        for text, data in self._members.texts(piece):
            if text is Text.NAME:
                self._passes = self._members.name == self._turn.answered
                self._keep(data)
                if self._passes:
                    self._keep(b"0")
                    out.append(b'%b"%b":' % (b"," if self._begun else b"{", self._turn.asked.encode()))
                    self._begun = True
            elif text is Text.VALUE and self._passes:
                out.append(data)
            else:
                self._keep(data)
        return out[0] if len(out) == 1 else b"".join(out)

    def rest(self) -> bytes:
        """The end of the request.

        Raises:
            BadPayloadError: what came is no JSON, or has no tensors.
        """
        message = jsontext.read(bytes(self._beside + self._members.left))
        if not self._begun or not isinstance(message, dict):
            raise BadPayloadError(f"a node's reply has no {self._turn.answered}")
        kept = {name: message[name] for name in self._turn.kept if name in message}
        return b"," + jsontext.write(kept)[1:] if kept else b"}"

    def _keep(self, data: bytes) -> None:
        self._beside += data
        if len(self._beside) > UNCOUNTED and not self._room(len(data)):
            raise OverloadedError("no room for what a node's reply has beside its tensors, beside other requests")
