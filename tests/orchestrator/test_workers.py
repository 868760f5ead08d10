"""Several processes on the same ports, counted as one."""

import asyncio
import contextlib
import os
import signal
import socket
from pathlib import Path

import grpc.aio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from programs import answers, children, engine, programs

from orchestrator import protos
from orchestrator.telemetry.counting import Family
from orchestrator.telemetry.families import Shown, added, lasting, single
from orchestrator.workers.ports import reserved
from orchestrator.workers.restarts import Restarts

Message = protos.message("seldon.protos.SeldonMessage")
PREDICTIONS = (
    'seldon_api_executor_server_requests_seconds_count{deployment_name="s",predictor_name="p",predictor_version="",'
    'service="predictions",method="post",code="200"}'
)
CALLS = (
    'seldon_api_executor_server_requests_seconds_count{deployment_name="s",predictor_name="p",predictor_version="",'
    'service="/seldon.protos.Seldon/Predict",method="unary",code="OK"}'
)
MODEL = {"name": "m", "implementation": "SIMPLE_MODEL"}


@pytest.fixture
async def team(wire, free_ports):
    """Start a supervisor and workers on free ports: its process, a client of REST, and the port of gRPC."""
    clients = []

    async def start(*arguments, graph=MODEL):
        port, rpc = free_ports(2)
        flags = ("--http_port", str(port), "--grpc_port", str(rpc), "--prometheus_path", "/metrics", *arguments)
        process = await program(*flags, ENGINE_PREDICTOR=engine(graph))
        clients.append(wire(port))
        await answers(clients[-1])
        return process, clients[-1], rpc

    async with programs() as program:
        yield start
        for client in clients:
            await client.close()


async def workers(process, count, *, without=()):
    """The process ids of so many workers, once they run."""
    async with asyncio.timeout(20):
        while len(found := [pid for pid in children(process.pid) if pid not in without]) != count:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return found


async def counted(client, name):
    """A metric's value once two workers listen, and every one of them tells."""
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):  # it was a worker that died
                metrics = await client.metrics()
                if metrics.get("seldon_api_executor_workers") == 2:
                    return metrics.get(name, 0.0)
            await asyncio.sleep(0.02)


async def refused(client):
    """Wait until no worker takes a connection any more."""
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await client.connect()
            except ConnectionRefusedError:
                return
            writer.close()
            await asyncio.sleep(0.02)


async def test_whichever_worker_is_asked_the_counts_are_of_all_over_rest_and_grpc(team):
    process, client, rpc = await team("--workers", "2")
    await counted(client, PREDICTIONS)
    for _ in range(20):
        assert (await client.predict({})).status == 200
    for _ in range(20):
        options = [("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{rpc}", options) as channel:
            await channel.unary_unary("/seldon.protos.Seldon/Predict")(b"", timeout=10)

    scrapes = [await client.metrics() for _ in range(6)]

    assert [one[PREDICTIONS] for one in scrapes] == [20] * 6
    assert [one[CALLS] for one in scrapes] == [20] * 6
    assert len(await workers(process, 2)) == 2


async def test_a_worker_that_dies_is_started_again_and_what_it_counted_stays(team):
    process, client, _ = await team("--workers", "2")
    await counted(client, PREDICTIONS)
    for _ in range(20):
        await client.predict({})
    assert await counted(client, PREDICTIONS) == 20
    first, second = await workers(process, 2)

    os.kill(first, signal.SIGKILL)
    await workers(process, 2, without=(first,))
    again = await counted(client, PREDICTIONS)

    assert again == 20
    assert (await client.metrics())["seldon_api_executor_worker_restarts_total"] == 1
    assert second in children(process.pid)


async def test_at_sigterm_all_workers_finish_and_the_status_is_0(team, raw_node, make_unit):
    release = asyncio.Event()
    arrived = asyncio.Semaphore(0)

    async def wait(reader, writer):
        while await reader.readuntil(b"\r\n\r\n{}"):
            arrived.release()
            await release.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    process, client, _ = await team("--workers", "2", graph=make_unit("m", await raw_node(wait)))
    await counted(client, PREDICTIONS)
    requests = [asyncio.create_task(client.predict({})) for _ in range(8)]
    for _ in requests:
        await asyncio.wait_for(arrived.acquire(), 5)

    process.send_signal(signal.SIGTERM)
    await refused(client)
    release.set()
    found = await asyncio.gather(*requests)

    assert [(one.status, one.headers["connection"]) for one in found] == [(200, "close")] * 8
    assert await asyncio.wait_for(process.wait(), 10) == 0


async def test_workers_without_their_supervisor_end(team):
    process, client, _ = await team("--workers", "2")
    await counted(client, PREDICTIONS)
    pids = await workers(process, 2)

    process.kill()
    await process.wait()

    async with asyncio.timeout(10):
        while any(_runs(pid) for pid in pids):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def _runs(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.mark.parametrize(
    ("arguments", "graph", "words"),
    [
        (
            ["--workers", "2"],
            {"name": "r", "implementation": "EPSILON_GREEDY", "children": [MODEL]},
            "--workers: 2 is not valid for a graph with the router 'r', which learns",
        ),
        (["--workers", "0"], MODEL, "--workers: '0' is not valid; expected the number of processes, 1 to 64"),
        (["--workers", "2", "--protocol", "smoke"], MODEL, "--protocol: 'smoke' is not served"),
    ],
)
async def test_what_no_workers_can_run_is_said_and_ends_with_status_2(arguments, graph, words):
    async with programs() as program:
        process = await program("--http_port", "0", *arguments, ENGINE_PREDICTOR=engine(graph))
        _, said = await asyncio.wait_for(process.communicate(), 20)

    assert process.returncode == 2
    assert words in said.decode()
    assert "Traceback" not in said.decode()


def test_a_port_that_somebody_has_is_not_shared():
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()

        with pytest.raises(OSError, match=r"(?i)in use"):
            reserved("127.0.0.1", taken.getsockname()[1])


def test_a_worker_that_dies_again_and_again_waits_longer_and_longer():
    restarts = Restarts()

    assert [restarts.after(1.0) for _ in range(9)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]
    assert restarts.after(60.0) == 0.1


observed = st.lists(st.tuples(st.sampled_from(["200", "500"]), st.sampled_from([0.25, 0.5, 2.0, 20.0])), max_size=20)


def _shown(observations):
    family = Family("f", "text", ("code",), (0.3, 1.0), summary="s")
    for code, value in observations:
        family.child(code).observe(value)
    return list(family.shown())


def _values(shown):
    return {(one.name, labels): value for one in shown for labels, value in one.series.items()}


@given(st.lists(observed, min_size=1, max_size=4))
def test_added_histograms_are_those_of_one_that_saw_everything(several):
    together = added([_shown(one) for one in several])

    assert _values(together) == _values(_shown([each for one in several for each in one]))


def test_gauges_are_added_a_start_is_the_first_and_of_the_dead_only_counts_stay():
    one = [single("up", "t", "gauge", 2.0), single("process_start_time_seconds", "t", "gauge", 9.0)]
    other = [single("up", "t", "gauge", 3.0), single("process_start_time_seconds", "t", "gauge", 8.0)]
    counter = Shown("c_total", "t", "counter", {(("a", "1"),): 4.0})

    assert list(_values(added([one, other])).values()) == [5.0, 8.0]
    assert lasting([*one, counter]) == [counter]
