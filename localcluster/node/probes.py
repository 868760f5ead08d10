"""Probes: how a container is asked whether it has started, is ready, is alive, and what the answers add up to."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import aiohttp

Kind = Literal["startup", "readiness", "liveness"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A probe with its timings, in seconds, and Kubernetes' defaults."""

    handler: Mapping[str, Any]
    initial_delay: float = 0.0
    period: float = 10.0
    timeout: float = 1.0
    successes: int = 1
    failures: int = 3
    grace: float | None = None

    @classmethod
    def parse(cls, spec: Mapping[str, Any] | None) -> Probe | None:
        """The probe of a container's field, None when there is none."""
        if not spec:
            return None
        return cls(
            handler=spec,
            initial_delay=float(spec.get("initialDelaySeconds") or 0),
            period=float(spec.get("periodSeconds") or 10),
            timeout=float(spec.get("timeoutSeconds") or 1),
            successes=int(spec.get("successThreshold") or 1),
            failures=int(spec.get("failureThreshold") or 3),
            grace=spec.get("terminationGracePeriodSeconds"),
        )


@dataclass(frozen=True, slots=True)
class Tally:
    """Answers in a row. `verdict` is True after enough successes, False after enough failures, else what it was."""

    verdict: bool | None = None
    row: int = 0
    """Successes in a row when positive, failures in a row when negative."""

    def after(self, success: bool, probe: Probe) -> Tally:
        """The tally with one more answer."""
        row = max(self.row, 0) + 1 if success else min(self.row, 0) - 1
        if row >= probe.successes:
            return Tally(True, row)
        return Tally(False, row) if -row >= probe.failures else Tally(self.verdict, row)


class Target(Protocol):
    """What a probe asks: a container's address and ports, and a way to run a command in its place."""

    address: str
    container: Mapping[str, Any]

    async def execute(self, words: list[str]) -> tuple[int, str]:
        """Run a command as the container would: exit code and output."""
        ...


async def ask(probe: Probe, target: Target, session: aiohttp.ClientSession) -> str:
    """Ask once: the empty string when all is well, else what went wrong."""
    handler = probe.handler
    try:
        async with asyncio.timeout(probe.timeout):
            if "httpGet" in handler:
                return await _http(handler["httpGet"], target, session)
            if "tcpSocket" in handler:
                return await _connect(target, handler["tcpSocket"])
            if "grpc" in handler:
                # Only the connection is checked: the health service of gRPC is not called.
                return await _connect(target, handler["grpc"])
            if "exec" in handler:
                code, output = await target.execute(list(handler["exec"]["command"]))
                return "" if code == 0 else f"exit code {code}: {output[-300:]}"
    except TimeoutError:
        return f"no answer within {probe.timeout:g} s"
    return f"the probe has none of httpGet, tcpSocket, grpc, exec: {sorted(handler)}"


def port_number(port: int | str, container: Mapping[str, Any]) -> int:
    """A port by number or by its name in the container. Raises ValueError."""
    if isinstance(port, int) or str(port).isdigit():
        return int(port)
    for entry in container.get("ports") or ():
        if entry.get("name") == port:
            return int(entry["containerPort"])
    raise ValueError(f"container {container['name']!r} has no port named {port!r}")


async def request(handler: Mapping[str, Any], target: Target, session: aiohttp.ClientSession) -> tuple[int, str]:
    """The GET of an `httpGet` handler: status and body. Raises ValueError, aiohttp.ClientError, OSError."""
    port = port_number(handler["port"], target.container)
    scheme = str(handler.get("scheme") or "HTTP").lower()
    path = str(handler.get("path") or "/")
    url = f"{scheme}://{handler.get('host') or target.address}:{port}{path if path.startswith('/') else '/' + path}"
    headers = {entry["name"]: entry["value"] for entry in handler.get("httpHeaders") or ()}
    headers.setdefault("User-Agent", "kube-probe/local")
    async with session.get(url, headers=headers, ssl=False, allow_redirects=False) as answer:
        return answer.status, (await answer.content.read(300)).decode(errors="replace")


async def _http(handler: Mapping[str, Any], target: Target, session: aiohttp.ClientSession) -> str:
    try:
        status, body = await request(handler, target, session)
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return str(error) or type(error).__name__
    return "" if 200 <= status < 400 else f"HTTP status {status}: {body.strip()[:200]}"


async def _connect(target: Target, handler: Mapping[str, Any]) -> str:
    try:
        port = port_number(handler["port"], target.container)
        _, writer = await asyncio.open_connection(handler.get("host") or target.address, port)
    except (OSError, ValueError) as error:
        return str(error)
    writer.close()
    return ""
