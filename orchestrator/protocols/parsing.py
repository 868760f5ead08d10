"""Reading a message of whichever protocol over gRPC."""

from typing import Any

from google.protobuf.message import DecodeError

from orchestrator.errors import BadPayloadError


def parsed(kind: Any, body: bytes) -> Any:
    """The message in some bytes. Raises BadPayloadError when there is none."""
    try:
        return kind.FromString(body)
    except DecodeError as error:
        raise BadPayloadError(f"the bytes are no {kind.DESCRIPTOR.full_name}: {error}") from None
