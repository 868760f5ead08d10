"""The messages of the gRPC protocols and of Prometheus, from the `.proto` files beside this one.

They live in a pool of their own: a model's class may bring generated code of the same names (tensorflow, tritonclient),
which protobuf refuses to have twice in its default pool.
"""

from importlib.resources import files
from typing import Any

from google.protobuf import any_pb2, descriptor_pool, empty_pb2, message_factory, struct_pb2, wrappers_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from orchestrator.protos.reader import read

FOLDER = "orchestrator/protos"
PACKAGES = {
    "seldon.protos": "seldon",
    "inference": "inference",
    "tensorflow.serving": "serving",
    "tensorflow": "tensor",
    "io.prometheus.client": "metrics",
}
"""The packages, and the names of their files."""
_OURS = frozenset(f"{FOLDER}/{name}.proto" for name in PACKAGES.values())
_GOOGLES = {module.DESCRIPTOR.name: module.DESCRIPTOR for module in (any_pb2, empty_pb2, struct_pb2, wrappers_pb2)}


class _Files:
    """Reads a file when something in it is asked for, once: most orchestrators need few of them."""

    def __init__(self) -> None:
        self._read: set[str] = set()

    def FindFileByName(self, name: str) -> FileDescriptorProto:  # noqa: N802 — protobuf calls it so
        found = FileDescriptorProto()
        if name in _GOOGLES:
            _GOOGLES[name].CopyToProto(found)
            return found
        if name not in _OURS:  # a client that asks for reflection may say any path
            raise KeyError(name)
        self._read.add(name)
        path = files(__package__) / name.removeprefix(f"{FOLDER}/")
        return read(path.read_text(encoding="utf-8"), name)

    def FindFileContainingSymbol(self, symbol: str) -> FileDescriptorProto:  # noqa: N802
        package = symbol
        while package := package.rpartition(".")[0]:
            name = f"{FOLDER}/{PACKAGES.get(package)}.proto"
            if package in PACKAGES and name not in self._read:  # else the pool has it, and no such symbol
                return self.FindFileByName(name)
        raise KeyError(symbol)


pool = descriptor_pool.DescriptorPool(_Files())


def message(name: str) -> Any:
    """The class of a message, by its full name such as `seldon.protos.SeldonMessage`. Raises KeyError for none."""
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
