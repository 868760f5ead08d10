"""What an orchestrator ever needed for a long body is a small part of it."""

import asyncio
import base64
import contextlib
import json
import os
import re
import sys
from pathlib import Path

import pytest
from longbodies import MIB, PATH, SIZE, head, node_head


@pytest.fixture
async def memory_of():
    """Start a whole orchestrator for a node; gives its port and the greatest memory that it has had, in bytes."""
    started = []

    async def start(graph, port, protocol="seldon"):
        predictor = base64.b64encode(json.dumps({"name": "p", "graph": graph}).encode()).decode()
        ports = f"--http_port {port} --grpc_port 0"
        line = f"-m orchestrator --sdep s --namespace n --predictor p {ports} --protocol {protocol}"
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *line.split(),
            stderr=asyncio.subprocess.DEVNULL,
            env={**os.environ, "ENGINE_PREDICTOR": predictor, "SELDON_PODINFO_PATH": "/nowhere"},
        )
        started.append(process)
        for _ in range(400):
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            await asyncio.sleep(0.025)
        status = Path(f"/proc/{process.pid}/status")
        return lambda: int(re.search(r"VmHWM:\s+(\d+)", status.read_text())[1]) * 1024

    yield start
    for process in started:
        process.kill()
        await process.wait()


async def test_memory_does_not_grow_with_the_body(raw_node, memory_of, make_unit, free_ports, wire):
    """Echoes a body through the program: what it ever needed is a small part of that."""

    async def echo(reader, writer):
        await node_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n" % SIZE)
        left = SIZE
        while left:
            data = await reader.read(MIB)
            left -= len(data)
            writer.write(data)
            await writer.drain()

    (port,) = free_ports(1)
    memory = await memory_of(make_unit("m", await raw_node(echo)), port)
    reader, writer = await wire(port).connect()
    before = memory()

    async def send():
        writer.write(head(b"Content-Length: %d" % SIZE))
        for at in range(SIZE // MIB):
            writer.write(bytes([at]) * MIB)
            await writer.drain()

    sending = asyncio.create_task(send())
    await reader.readuntil(b"\r\n\r\n")
    for at in range(SIZE // MIB):
        assert await reader.readexactly(MIB) == bytes([at]) * MIB
    await sending
    writer.close()

    assert (memory() - before) / SIZE < 0.2


NUMBERS = b"0.5,-1e9," * 29_000  # a quarter of a MiB


@pytest.mark.parametrize(
    ("protocol", "path", "answered", "asked"),
    [
        ("v2", b"/v2/models/infer", b"outputs", b"inputs"),
        ("tensorflow", b"/v1/models:predict", b"predictions", b"instances"),
    ],
)
async def test_memory_does_not_grow_with_what_one_node_asks_the_next(
    raw_node, memory_of, make_unit, free_ports, wire, protocol, path, answered, asked
):
    """A small request, a long answer, which the next node is asked and answers, and the client reads."""
    times = SIZE // len(NUMBERS)
    long = (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b'{"%b":[' % answered)

    async def first(reader, writer):
        await node_head(reader)
        writer.write(long[0] + b"%x\r\n%b\r\n" % (len(long[1]), long[1]))
        for _ in range(times):
            writer.write(b"%x\r\n%b\r\n" % (len(NUMBERS), NUMBERS))
            await writer.drain()
        writer.write(b"3\r\n1]}\r\n0\r\n\r\n")

    async def second(reader, writer):
        await node_head(reader)
        size = int(await reader.readline(), 16)
        begin = b'{"%b":[' % asked
        assert await reader.readexactly(len(begin)) == begin
        writer.write(long[0] + b"%x\r\n%b\r\n" % (len(long[1]), long[1]))
        size -= len(begin)
        while True:
            writer.write(b"%x\r\n%b\r\n" % (size, await reader.readexactly(size)))
            await reader.readline()
            size = int(await reader.readline(), 16)
            if not size:
                break
            await writer.drain()
        writer.write(b"0\r\n\r\n")

    graph = make_unit("a", await raw_node(first), "TRANSFORMER", [make_unit("b", await raw_node(second))])
    (port,) = free_ports(1)
    memory = await memory_of(graph, port, protocol)
    reader, writer = await wire(port).connect()
    before = memory()
    writer.write(head(b"Content-Length: 2").replace(PATH, path) + b"{}")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
    seen = b""
    found = 0
    while size := int(await reader.readline(), 16):
        data = (await reader.readexactly(size + 2))[:-2]
        found += len(data)
        seen = (seen + data)[-64:]
    writer.close()

    assert found == len(long[1]) + times * len(NUMBERS) + 3
    assert seen == (NUMBERS + b"1]}")[-64:]
    assert (memory() - before) / SIZE < 0.2
