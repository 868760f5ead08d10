"""Long bodies: what a MiB costs on its way. Client and nodes are plain sockets, so that it is not they who are slow."""

import contextlib
import re
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.programs import (
    PATH,
    cpu_seconds,
    envoy_command,
    free_port,
    orchestrator,
    proxy_config,
    started,
    wait_open,
)

_AT_LEAST = 300  # MiB of each case

# A node that takes bodies; with "answers" it gives a v2 reply of the same length back, else two bytes.
_NODE = """
import socket, sys, threading
HEAD = b"HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n"
BEFORE, AFTER = b'{"model_name":"a","outputs":[{"name":"x","datatype":"FP32","shape":[-1],"data":[1', b"]}]}"
def serve(taken):
    view = memoryview(bytearray(1 << 18))
    with taken:
        taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            head = b""
            while b"\\r\\n\\r\\n" not in head:
                count = taken.recv_into(view)
                if not count:
                    return
                head += view[:count]
            start, _, rest = head.partition(b"\\r\\n\\r\\n")
            said = start.lower().partition(b"content-length:")[2].partition(b"\\r")[0]
            length, came, tail = int(said or 0), len(rest), rest[-5:]
            chunked = b"transfer-encoding: chunked" in start.lower()
            while tail != b"0\\r\\n\\r\\n" if chunked else came < length:
                count = taken.recv_into(view)
                if not count:
                    return
                came += count
                if chunked:
                    tail = (tail + view[max(0, count - 5):count])[-5:]
            body = b"{}"
            if sys.argv[2] == "answers":
                body = BEFORE + b",1" * ((came - len(BEFORE) - len(AFTER)) // 2) + AFTER
            taken.sendall(HEAD % len(body))
            taken.sendall(body)
listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """What was measured. `cpu` in microseconds for a MiB, of what is measured; `peak` in MiB."""

    case: str
    target: str
    throughput: float  # MiB/s
    rate: float  # requests/s
    cpu: float | None = None
    peak: float | None = None
    errors: int = 0


def big_bodies(folder: Path, sizes: Sequence[int]) -> Iterator[Passed]:
    """Bodies of some MiB to a node that drops them: straight, through Envoy, through us; and through a v2 chain of two.

    In the chain the first node answers with as many bytes as it was asked with, which the second one drops, so that
    each MiB is handed on twice.
    """
    port, proxy, other = free_port(), free_port(), free_port()
    with _node(port, "drops"), _node(other, "answers"):
        for size in sizes:
            yield _through("direct", f"{size} MiB body", PATH, None, port, size)
        with started(envoy_command(proxy_config(proxy, port), folder, "big"), 0) as envoy:
            wait_open(proxy, envoy)
            for size in sizes:
                yield _through("envoy", f"{size} MiB body", PATH, envoy.pid, proxy, size)
        with orchestrator(_unit("m", port)) as (process, front, _):
            for size in sizes:
                yield _through("ours", f"{size} MiB body", PATH, process.pid, front, size)
        graph = {**_unit("a", other), "children": [_unit("b", port)]}
        with orchestrator(graph, protocol="v2") as (process, front, _):
            for size in sizes:
                yield _through("ours", f"{size} MiB, v2 chain", "/v2/models/infer", process.pid, front, size, hops=2)


@contextlib.contextmanager
def _node(port: int, what: str) -> Iterator[None]:
    with started([sys.executable, "-c", _NODE, str(port), what], 1) as process:
        wait_open(port, process)
        yield


def _unit(name: str, port: int) -> dict[str, Any]:
    return {"name": name, "type": "MODEL", "endpoint": {"service_host": "localhost", "service_port": port}}


def _through(target: str, case: str, path: str, pid: int | None, port: int, size: int, hops: int = 1) -> Passed:
    text = b'{"inputs":[{"name":"x","datatype":"FP32","shape":[-1],"data":[' + b"1," * (size << 19)
    body = memoryview(text[: size << 20])
    head = b"POST %b HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    rounds = max(3, _AT_LEAST // size)
    errors = 0
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        before, begun = cpu_seconds(pid) if pid else 0.0, time.perf_counter()
        for _ in range(rounds):
            client.sendall(head % (path.encode(), len(body)))
            client.sendall(body)
            answer = b""
            while b"\r\n\r\n{}" not in answer:
                piece = client.recv(65536)
                if not piece:
                    raise SystemExit(f"{case} through {target}: {answer.decode(errors='replace')}")
                answer += piece
            errors += b" 200 " not in answer[:16]
        took = time.perf_counter() - begun
    moved = rounds * size
    peak = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()) if pid else None
    return Passed(
        case=case,
        target=target,
        throughput=moved / took,
        rate=rounds / took,
        cpu=(cpu_seconds(pid) - before) / (moved * hops) * 1e6 if pid else None,
        peak=int(peak[1]) / 1024 if peak else None,
        errors=errors,
    )
