"""The program itself: what ends it at its start, and how it ends when it is told to."""

import asyncio
import signal

import pytest
from programs import answers, engine, programs


@pytest.fixture
async def program():
    """Start `python -m orchestrator`; killed with the test if it still runs."""
    async with programs() as start:
        yield start


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        ([], {"ENGINE_PREDICTOR": ""}, "ENGINE_PREDICTOR is not set"),
        ([], {"ENGINE_PREDICTOR": engine({"name": "m"})}, "graph.endpoint.service_host: None is not valid"),
        (["--protocol", "smoke"], {"ENGINE_PREDICTOR": engine({})}, "--protocol: 'smoke' is not served"),
        (["--file", "/nowhere.yaml"], {}, "--file: '/nowhere.yaml' cannot be read"),
    ],
)
async def test_what_cannot_be_run_is_said_in_one_line_and_ends_with_status_2(program, arguments, environment, words):
    process = await program(*arguments, **environment)

    _, text = await asyncio.wait_for(process.communicate(), 20)

    assert process.returncode == 2
    assert words in text.decode()
    assert "Traceback" not in text.decode()


async def test_a_port_that_is_taken_ends_with_status_1(program, node, make_unit):
    taken = await node()
    process = await program("--http_port", str(taken.port), ENGINE_PREDICTOR=engine(make_unit("m", taken.port)))

    _, text = await asyncio.wait_for(process.communicate(), 20)

    assert process.returncode == 1
    assert "cannot listen" in text.decode()


async def test_a_grpc_port_that_is_taken_ends_with_status_1(program, node, make_unit):
    taken = await node()
    ports = ("--http_port", "0", "--grpc_port", str(taken.port))
    process = await program(*ports, ENGINE_PREDICTOR=engine(make_unit("m", taken.port)))

    _, text = await asyncio.wait_for(process.communicate(), 20)

    assert process.returncode == 1
    assert "cannot listen: gRPC" in text.decode()


@pytest.fixture
async def hanging(program, raw_node, make_unit, free_ports, wire):
    """An orchestrator whose node answers only when it is released; a request is under way."""
    release, arrived = asyncio.Event(), asyncio.Event()

    async def wait(reader, writer):
        if await reader.read(100_000):
            arrived.set()
            await release.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    port = free_ports(1)[0]
    graph = make_unit("m", await raw_node(wait))
    process = await program("--http_port", str(port), "--graceful_timeout", "2s", ENGINE_PREDICTOR=engine(graph))
    client = wire(port)
    await answers(client)
    request = asyncio.create_task(client.predict({}))
    await asyncio.wait_for(arrived.wait(), 5)
    yield process, client, request, release
    request.cancel()
    await client.close()


async def test_at_sigterm_the_request_under_way_is_finished_and_the_status_is_0(hanging):
    process, _, request, release = hanging

    process.send_signal(signal.SIGTERM)
    await asyncio.sleep(0.1)
    release.set()
    answer = await request

    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert await asyncio.wait_for(process.wait(), 10) == 0


async def test_a_request_that_does_not_end_is_cut_off_after_the_graceful_time(hanging):
    process, client, request, _ = hanging

    process.send_signal(signal.SIGTERM)
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await request

    assert await asyncio.wait_for(process.wait(), 10) == 1
    with pytest.raises(OSError, match=r"(?i)connect"):
        await client.connect()


async def test_a_second_signal_ends_it_at_once(hanging):
    process, *_ = hanging

    process.send_signal(signal.SIGTERM)
    await asyncio.sleep(0.1)
    process.send_signal(signal.SIGTERM)

    assert await asyncio.wait_for(process.wait(), 1.5) == -signal.SIGTERM
