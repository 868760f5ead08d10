"""The protobuf messages of the seldon protocol that tests send."""

from orchestrator import protos

Message = protos.message("seldon.protos.SeldonMessage")
MessageList = protos.message("seldon.protos.SeldonMessageList")
Feedback = protos.message("seldon.protos.Feedback")
SELDON = "/seldon.protos.Seldon/"


def tensor(*values):
    """One row of numbers."""
    message = Message()
    message.data.tensor.shape[:] = [1, len(values)]
    message.data.tensor.values[:] = values
    return message
