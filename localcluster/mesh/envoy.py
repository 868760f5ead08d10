"""Envoy's process, and its opinion on routes that it refused."""

import asyncio
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from localcluster.mesh.listeners import http_filters
from localcluster.mesh.names import GATEWAY_ROUTES
from localcluster.mesh.policies import ENVOY
from localcluster.supervise import Program

REASON = re.compile(r"(?:error initializing config[^:]*|Proto constraint validation failed|error)\S*[: ]+(.*)")


def envoy_program(binary: str, config: Path, *, admin_port: int, concurrency: int = 1) -> Program:
    """Envoy as a program to keep running. Two of them run side by side without asking for a base id."""
    argv = (binary, "-c", str(config), "--concurrency", str(concurrency), "--disable-hot-restart")
    return Program(
        name="envoy",
        argv=(
            *argv,
            "--log-level",
            "warning",
            "--component-log-level",
            "misc:error",
            "--drain-time-s",
            "1",
            "--file-flush-interval-msec",
            "1000",
        ),
        ready_url=f"http://127.0.0.1:{admin_port}/ready",
        stop_timeout=5.0,
    )


async def refusal(binary: str, routes: list[Mapping[str, Any]]) -> str:
    """Why Envoy refuses these routes; empty if it takes them. Asks a second Envoy in its validation mode."""
    table = {
        "name": GATEWAY_ROUTES,
        "validate_clusters": False,
        "virtual_hosts": [{"name": "*", "domains": ["*"], "routes": routes}],
    }
    manager = {
        "@type": f"{ENVOY}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "check",
        "route_config": table,
        "http_filters": http_filters(),
    }
    listener = {
        "name": "check",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "check.json"
        config.write_bytes(orjson.dumps({"static_resources": {"listeners": [listener]}}))
        process = await asyncio.create_subprocess_exec(
            binary, "--mode", "validate", "-c", str(config), "--log-level", "error",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await process.communicate()
    if process.returncode == 0:
        return ""
    lines = [line for line in said.decode(errors="replace").splitlines() if line.strip()]
    found = next((match.group(1) for line in lines if (match := REASON.search(line))), "")
    return found or (lines[-1] if lines else f"envoy --mode validate ended with {process.returncode}")
