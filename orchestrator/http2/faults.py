"""What a peer can do wrong in HTTP/2 (RFC 9113), and the code that it is told."""

from enum import IntEnum


class Code(IntEnum):
    """Error codes of RST_STREAM and GOAWAY (RFC 9113, 7)."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11
    INADEQUATE_SECURITY = 12
    HTTP_1_1_REQUIRED = 13

    @classmethod
    def of(cls, number: int) -> "Code":
        """The code of a number; one that is not known is an internal error, as the RFC allows."""
        return cls(number) if number <= cls.HTTP_1_1_REQUIRED else cls.INTERNAL_ERROR


class Http2Error(Exception):
    """The peer broke the rules of the connection, which has to end."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code


class StreamError(Exception):
    """The peer broke the rules of one stream; the others go on."""

    def __init__(self, stream: int, code: Code) -> None:
        super().__init__(f"stream {stream}: {code.name}")
        self.stream = stream
        self.code = code
