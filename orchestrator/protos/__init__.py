"""The messages of the gRPC protocols and of Prometheus, from the `.proto` files beside this one.

They live in a pool of their own: a model's class may bring generated code of the same names (tensorflow, tritonclient),
which protobuf refuses to have twice in its default pool.
"""

from importlib.resources import files
from typing import Any

from google.protobuf import any_pb2, descriptor_pool, empty_pb2, message_factory, struct_pb2, wrappers_pb2

from orchestrator.protos.reader import read

FOLDER = "orchestrator/protos"
NAMES = ("tensor", "seldon", "inference", "serving", "metrics")

pool = descriptor_pool.DescriptorPool()
for _module in (any_pb2, empty_pb2, struct_pb2, wrappers_pb2):
    pool.AddSerializedFile(_module.DESCRIPTOR.serialized_pb)
for _name in NAMES:
    _text = (files(__package__) / f"{_name}.proto").read_text(encoding="utf-8")
    pool.AddSerializedFile(read(_text, f"{FOLDER}/{_name}.proto").SerializeToString())


def message(name: str) -> Any:
    """The class of a message, by its full name such as `seldon.protos.SeldonMessage`. Raises KeyError for none."""
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
