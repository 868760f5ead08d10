"""What the tests of long bodies say to a door, and read from it and as a node."""

import asyncio
import contextlib
import random

MIB = 1 << 20
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
PATH = b"/api/v1.0/predictions"
LONG = random.Random(7).randbytes(3 * MIB)
SIZE = 64 * MIB


def head(*lines: bytes) -> bytes:
    return b"\r\n".join([b"POST %b HTTP/1.1" % PATH, b"Host: x", *lines, b"", b""])


def chunked(data: bytes, size: int) -> bytes:
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join([b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces]) + b"0\r\n\r\n"


async def node_head(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


async def unchunked(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int(await reader.readline(), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readline()
    return body


async def forever(reader, writer):
    await asyncio.Event().wait()


async def dead_end(reader: asyncio.StreamReader) -> bytes:
    """What comes until the connection ends, however it does."""
    found = b""
    with contextlib.suppress(ConnectionError):
        while data := await asyncio.wait_for(reader.read(1 << 16), 10):
            found += data
    return found


def count(code: int) -> str:
    name = 'seldon_api_executor_server_requests_seconds_count{deployment_name="iris",predictor_name="main",'
    return f'{name}predictor_version="v1",service="predictions",method="post",code="{code}"}}'
