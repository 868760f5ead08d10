"""An API server for tests and measurements: ours, or a real kube-apiserver where `KUBEBUILDER_ASSETS` names one."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from localcluster import realserver
from localcluster.apiserver.process import RunningApiServer, describe, install, running_api_server
from localcluster.ports import free_ports
from localcluster.supervise import Supervised


def is_real() -> bool:
    """Whether `running_server` starts a real kube-apiserver."""
    return bool(os.environ.get(realserver.ASSETS))


@asynccontextmanager
async def running_server(
    crds: Sequence[Path] = (), *, tokens: Path | None = None, plain_http: bool = False
) -> AsyncIterator[RunningApiServer]:
    """A server on a free port with the CRDs of YAML files or folders, served; it ends with the block.

    A real server speaks TLS alone, whatever `plain_http` says: connect with `ssl_context()`, or by the kubeconfig.
    Raises MissingProgramError, ProgramError or RuntimeError with the server's own words when it does not start.
    """
    if is_real():
        async with _real(crds, tokens) as server:
            yield server
    else:
        async with running_api_server(crds=crds, tokens=tokens, plain_http=plain_http) as server:
            yield server


@asynccontextmanager
async def _real(crds: Sequence[Path], tokens: Path | None) -> AsyncIterator[RunningApiServer]:
    with tempfile.TemporaryDirectory(prefix="kube-apiserver-") as name:
        folder = Path(name)
        ports = free_ports(("api", "etcd", "peer"))
        programs = await asyncio.to_thread(
            realserver.programs,
            folder,
            port=ports["api"],
            etcd_port=ports["etcd"],
            etcd_peer_port=ports["peer"],
            tokens=tokens,
        )
        kubeconfig = folder / "kubeconfig"
        realserver.write_kubeconfig(folder, ports["api"], kubeconfig)
        async with AsyncExitStack() as stack:
            last = None
            for program in programs:
                last = Supervised(program, folder / f"{program.name}.log")
                stack.push_async_callback(last.stop)
                await last.start()
                await last.ready()
            assert last is not None
            server = describe(kubeconfig, last.pid or 0)
            await install(server, crds)
            yield server
