"""The binary tensor extension of the v2 protocol over REST: a JSON head, and behind it the tensors' bytes.

They stand one after the other, as long as each tensor's `binary_data_size` says.

https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/protocol/extension_binary_data.html
"""

from typing import Any

from orchestrator.errors import BadPayloadError
from orchestrator.protocols import jsontext, tensors
from orchestrator.protocols.payload import OCTETS, Payload

_SIZE = "binary_data_size"
ASKS = "binary_data_output"
"""A request's parameter that asks for binary tensors in the answer."""


def parts(payload: Payload) -> tuple[Any, bytes]:
    """The message in the head, and the bytes behind it.

    Raises:
        BadPayloadError: the head is longer than the body, or no JSON.
    """
    body = payload.plain()
    if payload.split > len(body):
        raise BadPayloadError(
            f"Inference-Header-Content-Length: {payload.split} is more than the body's {len(body)} bytes"
        )
    if not payload.split:
        return jsontext.read(body), b""
    return jsontext.read(body[: payload.split]), body[payload.split :]


def together(message: Any, tail: bytes) -> Payload:
    """A message and the bytes of its tensors as one body."""
    head = jsontext.write(message)
    return Payload(head + tail, OCTETS, split=len(head)) if tail else Payload(head)


def message(payload: Payload) -> Any:
    """The message with all tensors as JSON.

    Raises:
        BadPayloadError: the bytes are not those that the head tells of.
    """
    found, tail = parts(payload)
    if not payload.split or not isinstance(found, dict):
        return found
    at = 0
    for side in ("inputs", "outputs"):
        written = found.get(side)
        places: list[Any] = written if isinstance(written, list) else []
        for index, tensor in enumerate(places):
            if (
                isinstance(tensor, dict)
                and isinstance(tensor.get("parameters"), dict)
                and _SIZE in tensor["parameters"]
            ):
                size = tensor["parameters"][_SIZE]
                if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= len(tail) - at:
                    raise BadPayloadError(
                        f"{side}[{index}]: {_SIZE} {size!r} is not within the {len(tail)} binary bytes"
                    )
                places[index] = _written(tensor, tail[at : at + size])
                at += size
    if at != len(tail):
        raise BadPayloadError(f"the tensors have {at} binary bytes, the body has {len(tail)}")
    return found


def _written(tensor: dict[str, Any], raw: bytes) -> dict[str, Any]:
    values = tensors.decoded(raw, str(tensor.get("datatype")))
    try:
        data = [value.decode() if isinstance(value, bytes) else value for value in values]
    except UnicodeDecodeError:
        raise BadPayloadError("a BYTES tensor that is no text has no form in JSON") from None
    more = {key: value for key, value in tensor["parameters"].items() if key != _SIZE}
    kept = {key: value for key, value in tensor.items() if key != "parameters"}
    return {**kept, **({"parameters": more} if more else {}), "data": data}
