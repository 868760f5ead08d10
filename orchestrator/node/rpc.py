"""The node's gRPC doors, by the services of the Seldon Core Python wrapper. A class sees the same as over REST."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from orchestrator import protos
from orchestrator.errors import BadPayloadError
from orchestrator.http2.exchange import Call, Unary
from orchestrator.http2.status import RpcError, Status
from orchestrator.node.errors import NodeRuntimeError, as_answer
from orchestrator.node.payload import encoded
from orchestrator.node.service import Service
from orchestrator.protocols import jsontext
from orchestrator.protocols.parsing import parsed
from orchestrator.protocols.seldon_proto import (
    Feedback,
    SeldonMessage,
    SeldonProto,
    as_dict,
    as_message,
    feedback_as_dict,
)

log = logging.getLogger(__name__)

SERVICES = tuple(
    f"seldon.protos.{name}"
    for name in ("Generic", "Model", "Router", "Transformer", "OutputTransformer", "Combiner", "Seldon")
)
_List = protos.message("seldon.protos.SeldonMessageList")
_READERS: Mapping[str, Callable[[bytes], Any]] = {
    "SeldonMessage": lambda body: as_dict(parsed(SeldonMessage, body)),
    "SeldonMessageList": lambda body: [as_dict(one) for one in parsed(_List, body).seldonMessages],
    "Feedback": lambda body: feedback_as_dict(parsed(Feedback, body)),
    "SeldonModelMetadataRequest": lambda _: None,
}
_VERBS = {
    "Predict": "predict",
    "TransformInput": "transform-input",
    "TransformOutput": "transform-output",
    "Route": "route",
    "Aggregate": "aggregate",
    "SendFeedback": "send-feedback",
    "Metadata": "metadata",
    "ModelMetadata": "metadata",
}
_CODES = {
    400: Status.INVALID_ARGUMENT, 404: Status.NOT_FOUND, 501: Status.UNIMPLEMENTED,
    503: Status.UNAVAILABLE,
}  # fmt: skip
_LONGEST = 2048  # details travel as a header, of which there may be 8 KiB in all


class RpcDoors:
    """Which method leads to which verb of the unit."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.methods: dict[str, Unary] = {}
        for name in SERVICES:
            for method in protos.pool.FindServiceByName(name).methods:
                verb = _VERBS.get(method.name)
                if verb is not None:
                    self.methods[f"/{name}/{method.name}"] = self._handler(verb, _READERS[method.input_type.name])

    def _handler(self, verb: str, read: Callable[[bytes], Any]) -> Unary:
        write = _metadata if verb == "metadata" else _message
        call = self._service.verb(verb)

        async def handle(body: bytes, _: Call) -> bytes:
            try:
                answer: bytes = await self._service.submit(lambda: write(call(read(body))))
            except asyncio.CancelledError:
                raise
            except BadPayloadError as error:
                raise RpcError(Status.INVALID_ARGUMENT, str(error)[:_LONGEST]) from error
            except Exception as error:  # whatever a model raises is an answer
                status, _ = as_answer(error)
                if status >= 500 and not isinstance(error, NodeRuntimeError):
                    log.exception("the model failed")
                info = getattr(error, "info", None) or str(error) or type(error).__name__
                raise RpcError(_CODES.get(status, Status.UNKNOWN), str(info)[:_LONGEST]) from error
            return answer

        return Unary(handle)


def _message(reply: Any) -> bytes:
    try:
        message = as_message(reply)
    except BadPayloadError:
        message = as_message(jsontext.read(encoded(reply)))  # arrays and their numbers, wherever they are
    return bytes(message.SerializeToString())


def _metadata(reply: Any) -> bytes:
    return SeldonProto().metadata_from_json(reply)
