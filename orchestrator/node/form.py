"""Messages that come as multipart/form-data, field by field."""

import base64
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

from orchestrator.node.errors import NodeRuntimeError
from orchestrator.protocols import jsontext


def fields(content_type: str, body: bytes) -> dict[str, Any]:
    """A message whose keys are the form's fields: strData as text, binData as bytes, all others as JSON.

    Raises:
        NodeRuntimeError: the form cannot be read.
        BadPayloadError: a field is no JSON.
    """
    form = BytesParser(EmailMessage, policy=HTTP).parsebytes(
        b"Content-Type: " + content_type.encode("latin-1") + b"\r\n\r\n" + body
    )
    if not form.is_multipart():
        raise NodeRuntimeError("the form has no parts that can be told apart by its boundary")
    message: dict[str, Any] = {}
    for part in form.iter_parts():
        name = part.get_param("name", header="content-disposition")
        decoded = part.get_payload(decode=True)
        value = decoded if isinstance(decoded, bytes) else b""
        if name == "strData":
            message[name] = value.decode("utf-8", errors="replace")
        elif name == "binData":
            message[name] = base64.b64encode(value).decode("ascii")
        elif name:
            message[str(name)] = jsontext.read(value)
    return message
