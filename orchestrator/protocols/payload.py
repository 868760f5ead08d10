"""A body on its way between client and nodes, as the bytes it came in."""

import zlib
from enum import Enum
from typing import ClassVar

from orchestrator.errors import BadPayloadError
from orchestrator.flow import Flow

JSON = b"application/json"
PROTOBUF = b"application/x-protobuf"
OCTETS = b"application/octet-stream"
_LONGEST = 256 * 1024 * 1024
_MEMBERS = 64  # of a gzip file: what is behind one is copied for the next


SPLIT = b"inference-header-content-length"
"""The header that says where the JSON of a v2 message ends and its tensors' bytes begin."""


def split_length(value: bytes) -> int:
    """The number in that header, 0 for none. Raises BadPayloadError for what is no length."""
    if not value:
        return 0
    if not value.isdigit() or len(value) > 15:
        raise BadPayloadError(
            f"Inference-Header-Content-Length: {value.decode('latin-1')!r} is not valid; expected bytes"
        )
    return int(value)


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

    A long body that nobody looks at has a `flow` instead of bytes. `split` is how many of the bytes are JSON when
    tensors' bytes are behind that, else 0. `longest` is how many bytes it may have when it is decompressed.
    """

    __slots__ = ("body", "content_type", "encoding", "flow", "longest", "split")

    form: ClassVar[Form] = Form.JSON

    def __init__(self, body: bytes, content_type: bytes = JSON, encoding: bytes = b"", *, split: int = 0) -> None:
        self.body = body
        self.content_type = content_type
        self.encoding = encoding
        self.flow: Flow | None = None
        self.longest = _LONGEST
        self.split = split

    def plain(self) -> bytes:
        """The body without its compression.

        Raises:
            BadPayloadError: the compression is unknown or broken, or the body is longer than `longest` without it.
        """
        encoding = self.encoding.strip().lower()
        if encoding in {b"", b"identity"}:
            return self.body
        if encoding in {b"gzip", b"x-gzip"}:
            return _inflate(self.body, 16 + zlib.MAX_WBITS, self.longest, _MEMBERS)
        if encoding == b"deflate":
            raw = len(self.body) < 2 or (self.body[0] * 256 + self.body[1]) % 31 != 0
            return _inflate(self.body, -zlib.MAX_WBITS if raw else zlib.MAX_WBITS, self.longest)
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


def _inflate(body: bytes, window: int, limit: int, members: int = 1) -> bytes:
    parts: list[bytes] = []
    for _ in range(members):
        inflater = zlib.decompressobj(window)
        try:
            parts.append(inflater.decompress(body, limit + 1))
        except zlib.error as error:
            raise BadPayloadError(f"the compressed body is broken: {error}") from error
        limit -= len(parts[-1])
        if limit < 0:
            raise BadPayloadError("the body is longer than it may be when decompressed")
        if not inflater.eof:
            raise BadPayloadError("the compressed body ends too early")
        body = inflater.unused_data
        if not body:
            return b"".join(parts)
    raise BadPayloadError(f"the compressed body has {len(body)} bytes behind its end")
