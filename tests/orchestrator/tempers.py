"""What nodes do on purpose, for the tests to start them with."""

import asyncio

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


async def whole_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    return head + await reader.readexactly(length)


def answering(data: bytes, *, close: bool = True):
    async def script(reader, writer):
        while True:
            await whole_request(reader)
            writer.write(data)
            await writer.drain()
            if close:
                return

    return script


async def hanging(reader, writer):
    await reader.read()
