"""gRPC's reflection: clients that have no `.proto` files learn the protocol from the server.

Loaded when it is first asked for: its messages, and the standard services', come from packages of their own.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_health.v1 import health_pb2  # noqa: F401 — its file is in protobuf's default pool then
from grpc_reflection.v1alpha import reflection_pb2

from orchestrator import protos
from orchestrator.http2.exchange import Call
from orchestrator.http2.status import RpcError, Status

_Answer = reflection_pb2.ServerReflectionResponse


def _found(name: str, *arguments: Any) -> Any:
    """What a pool finds: ours, or protobuf's default one. Raises KeyError."""
    try:
        return getattr(protos.pool, name)(*arguments)
    except KeyError:
        return getattr(descriptor_pool.Default(), name)(*arguments)


def _extension(asked: Any) -> Any:
    kind = _found("FindMessageTypeByName", asked.containing_type)
    return _found("FindExtensionByNumber", kind, asked.extension_number).file


def _numbers(name: str) -> Any:
    kind = _found("FindMessageTypeByName", name)
    numbers = sorted(one.number for one in _found("FindAllExtensions", kind))
    return {"all_extension_numbers_response": {"base_type_name": name, "extension_number": numbers}}


_FILES: dict[str, Callable[[Any], Any]] = {
    "file_by_filename": lambda name: _found("FindFileByName", name),
    "file_containing_symbol": lambda name: _found("FindFileContainingSymbol", name),
    "file_containing_extension": _extension,
}


def _told(file: Any) -> dict[str, Any]:
    """A file and all that it imports."""
    files: dict[str, Any] = {}
    rest = [file]
    while rest:
        one = rest.pop()
        if one.name not in files:
            files[one.name] = one
            rest += one.dependencies
    written = []
    for one in files.values():
        proto = descriptor_pb2.FileDescriptorProto()
        one.CopyToProto(proto)
        written.append(proto.SerializeToString())
    return {"file_descriptor_response": {"file_descriptor_proto": written}}


def answered(request: Any, services: Sequence[str]) -> Any:
    """The answer to one request."""
    asked = request.WhichOneof("message_request")
    try:
        if asked == "list_services":
            told: dict[str, Any] = {
                "list_services_response": {"service": [{"name": name} for name in sorted(services)]}
            }
        elif asked == "all_extension_numbers_of_type":
            told = _numbers(request.all_extension_numbers_of_type)
        elif asked in _FILES:
            told = _told(_FILES[asked](getattr(request, asked)))
        else:
            told = {"error_response": {"error_code": Status.INVALID_ARGUMENT, "error_message": "nothing is asked for"}}
    except KeyError:
        told = {"error_response": {"error_code": Status.NOT_FOUND, "error_message": "there is no such thing here"}}
    return _Answer(original_request=request, valid_host=request.host, **told)


async def reflected(messages: AsyncIterator[bytes], _: Call, services: Sequence[str]) -> AsyncIterator[bytes]:
    """The answers to requests as they come."""
    async for message in messages:
        try:
            request = reflection_pb2.ServerReflectionRequest.FromString(message)
        except Exception as error:
            raise RpcError(Status.INVALID_ARGUMENT, f"this is no ServerReflectionRequest: {error}") from error
        yield answered(request, services).SerializeToString()
