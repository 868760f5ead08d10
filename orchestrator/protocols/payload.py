"""A body on its way between client and nodes, as the bytes it came in."""

import zlib
from enum import Enum
from typing import ClassVar

from orchestrator.errors import BadPayloadError
from orchestrator.flow import Flow

JSON = b"application/json"
PROTOBUF = b"application/x-protobuf"


class Form(Enum):
    """How a message is written: as it travels over REST, or over gRPC."""

    JSON = "REST"
    PROTO = "GRPC"


class Kind(Enum):
    """What a message is, where a form writes the two differently."""

    REQUEST = "request"
    REPLY = "reply"


class Payload:
    """A body with what is needed to hand it on: its type and how it is compressed (`Content-Encoding`).

    A long body that nobody looks at has a `flow` instead of bytes.
    """

    __slots__ = ("body", "content_type", "encoding", "flow")

    form: ClassVar[Form] = Form.JSON

    def __init__(self, body: bytes, content_type: bytes = JSON, encoding: bytes = b"") -> None:
        self.body = body
        self.content_type = content_type
        self.encoding = encoding
        self.flow: Flow | None = None

    def plain(self, limit: int = 256 * 1024 * 1024) -> bytes:
        """The body without its compression.

        Raises:
            BadPayloadError: the compression is unknown or broken, or the body is longer than `limit` bytes without it.
        """
        encoding = self.encoding.strip().lower()
        if encoding in {b"", b"identity"}:
            return self.body
        if encoding in {b"gzip", b"x-gzip"}:
            return _inflate(self.body, 16 + zlib.MAX_WBITS, limit)
        if encoding == b"deflate":
            raw = len(self.body) < 2 or (self.body[0] * 256 + self.body[1]) % 31 != 0
            return _inflate(self.body, -zlib.MAX_WBITS if raw else zlib.MAX_WBITS, limit)
        raise BadPayloadError(
            f"Content-Encoding {encoding.decode('latin-1')!r} is not known; use gzip, deflate or none"
        )


class Protobuf(Payload):
    """A message as gRPC carries it."""

    __slots__ = ("kind",)

    form = Form.PROTO

    def __init__(self, body: bytes, kind: Kind = Kind.REPLY) -> None:
        super().__init__(body, PROTOBUF)
        self.kind = kind


def _inflate(body: bytes, window: int, limit: int) -> bytes:
    inflater = zlib.decompressobj(window)
    try:
        plain = inflater.decompress(body, limit + 1)
    except zlib.error as error:
        raise BadPayloadError(f"the compressed body is broken: {error}") from error
    if len(plain) > limit:
        raise BadPayloadError(f"the body is longer than {limit} bytes when decompressed")
    if not inflater.eof:
        raise BadPayloadError("the compressed body ends too early")
    return plain
