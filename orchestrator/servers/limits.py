"""How much, and how long, a client may take."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sizes in bytes, times in seconds."""

    head_bytes: int = 64 * 1024  # request line and headers; also the framing between two pieces of a chunked body
    body_bytes: int = 256 * 1024 * 1024
    head_seconds: float = 10.0  # from a request's first byte to the end of its headers
    body_seconds: float = 30.0  # between two pieces of a body
    idle_seconds: float = 65.0  # between requests; above the 60 s after which the mesh gives its connections up
    write_seconds: float = 60.0  # for a client to take some of an answer that does not fit its window
    linger_seconds: float = 2.0  # reading on after a refusal, so that the client gets to read it
    pipelined: int = 32  # requests that one connection may send ahead of their answers
