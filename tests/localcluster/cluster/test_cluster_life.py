"""The whole cluster: up, used, hurt, and gone without a trace."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from localcluster import control, realserver, state
from localcluster.client import ApiClient
from localcluster.cluster import ClusterError, LocalCluster, Options
from localcluster.faults import Faults
from localcluster.furnish import GATEWAY
from localcluster.state import Addresses, State
from localcluster.supervise import Program
from localcluster.sweep import marked

CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: cups.example.org}
spec:
  group: example.org
  scope: Namespaced
  names: {kind: Cup, plural: cups, singular: cup}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""


def listening(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def gone(found: State) -> Callable[[], bool]:
    return lambda: not marked(found.id) and not any(listening(port) for port in found.ports.values())


async def up(folder: Path, *more: str) -> tuple[asyncio.subprocess.Process, State]:
    """A cluster in the foreground of another process, once it is ready."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "localcluster", "up", "--data-dir", str(folder), *more, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert b"kubeconfig" in await asyncio.wait_for(process.stdout.readline(), 60)
    found = state.read(folder)
    assert found is not None
    return process, found


async def test_a_cluster_is_furnished_answers_everywhere_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "cups.yaml").write_text(CRD)
    folder = tmp_path / "cluster"
    said: list[Addresses] = []

    def extra(at: Addresses) -> list[Program]:
        said.append(at)
        return [Program(name="controller", argv=("sleep", "300"))]

    cluster = LocalCluster(folder, Options(crds=(tmp_path / "cups.yaml",), extra=extra))
    async with cluster, ApiClient.from_kubeconfig(cluster.addresses.kubeconfig) as client:
        found = state.read(folder)
        gateway = await client.get("networking.istio.io/v1", "gateways", "seldon-gateway", namespace="istio-system")
        cups, _ = await client.list("example.org/v1", "cups", namespace="seldon-system")
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{cluster.addresses.gateway_url}/seldon/ml/nobody/") as answer:
                assert answer.status == 404
            async with session.get(f"{cluster.addresses.prometheus_url}/api/v1/query?query=1") as answer:
                assert (await answer.json())["status"] == "success"
        health = await control.status(folder)
    assert gateway["spec"]["servers"][0]["port"]["number"] == 80
    assert cups == []
    assert said == [cluster.addresses]
    assert health is not None
    assert {one.name for one in health[1]} == {"apiserver", "node", "mesh", "prometheus", "controller"}
    assert all(one.ready for one in health[1])
    assert found is not None
    assert gone(found)()
    assert sorted(path.name for path in folder.iterdir()) == [state.LOCK]


async def test_down_from_another_process_leaves_nothing(tmp_path: Path, until: Callable[..., Any]) -> None:
    process, found = await up(tmp_path)
    assert await control.down(tmp_path)
    assert await process.wait() == 0
    assert gone(found)()
    assert await control.status(tmp_path) is None
    assert not await control.down(tmp_path)


async def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    process, found = await up(tmp_path)
    process.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(process.wait(), 30) == 0
    assert gone(found)()


async def test_an_interrupt_while_it_starts_leaves_nothing(tmp_path: Path, until: Callable[..., Any]) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "localcluster", "up", "--data-dir", str(tmp_path)
    )
    found = await until(lambda: state.read(tmp_path))
    await until(lambda: marked(found.id))
    process.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(process.wait(), 30) == 0
    assert gone(found)()


async def test_a_supervisor_that_is_killed_leaves_nothing_running(tmp_path: Path, until: Callable[..., Any]) -> None:
    process, found = await up(tmp_path)
    process.kill()
    await process.wait()
    await until(gone(found))
    assert await control.status(tmp_path) is None
    assert await control.down(tmp_path)


async def test_kept_data_and_addresses_survive_a_restart(tmp_path: Path) -> None:
    options = Options(keep_data=True)
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kept"}}
    first = LocalCluster(tmp_path, options)
    async with first, ApiClient.from_kubeconfig(first.addresses.kubeconfig) as client:
        await client.create("v1", "namespaces", namespace)
    second = LocalCluster(tmp_path, options)
    async with second, ApiClient.from_kubeconfig(second.addresses.kubeconfig) as client:
        assert (await client.get("v1", "namespaces", "kept"))["metadata"]["name"] == "kept"
    assert first.addresses == second.addresses


async def test_a_detached_cluster_outlives_its_starter(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "localcluster", "up", "--data-dir", str(tmp_path)]
    found = await control.detach(argv, tmp_path)
    try:
        assert os.getsid(found.pid) == found.pid
        held = await control.status(tmp_path)
        assert held is not None
        assert held[0].phase == "Ready"
    finally:
        await control.down(tmp_path)
        await asyncio.to_thread(os.waitpid, found.pid, 0)
    assert gone(found)()


async def test_a_detached_cluster_ends_with_who_stops_waiting_for_it(tmp_path: Path, until: Callable[..., Any]) -> None:
    argv = [sys.executable, "-m", "localcluster", "up", "--data-dir", str(tmp_path)]
    waiting = asyncio.create_task(control.detach(argv, tmp_path))
    await until(lambda: (found := state.read(tmp_path)) is not None and bool(marked(found.id)))
    found = state.read(tmp_path)
    assert found is not None
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert gone(found)()
    assert not state.runs(tmp_path)


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[LocalCluster]:
    async with LocalCluster(tmp_path / "cluster") as one:
        yield one


async def test_every_program_that_is_killed_comes_back(cluster: LocalCluster, until: Callable[..., Any]) -> None:
    faults = Faults(cluster.data_dir)
    names = ("apiserver", "node", "mesh", "prometheus", "prometheus-server")
    before = {name: faults.kill(name) for name in names}

    async def back() -> bool:
        found = await control.status(cluster.data_dir)
        assert found is not None
        return all(one.ready and one.pid != before.get(one.name) for one in found[1])

    await until(back)

    async def answers() -> bool:
        async with ApiClient.from_kubeconfig(cluster.addresses.kubeconfig) as client:
            found = await client.get("networking.istio.io/v1", "gateways", "seldon-gateway", namespace="istio-system")
        return bool(found["metadata"]["name"] == GATEWAY["metadata"]["name"])

    await until(answers)


async def test_prometheus_can_be_cut_off_and_given_back(cluster: LocalCluster, until: Callable[..., Any]) -> None:
    faults = Faults(cluster.data_dir)
    port = int(cluster.addresses.prometheus_url.rpartition(":")[2])
    faults.cut_prometheus()
    await until(lambda: not listening(port))
    faults.restore_prometheus()
    await until(lambda: listening(port))


@pytest.mark.realserver
@pytest.mark.skipif(realserver.ASSETS not in os.environ, reason="KUBEBUILDER_ASSETS names no kube-apiserver")
async def test_a_cluster_with_a_real_api_server_is_furnished_and_leaves_nothing(tmp_path: Path) -> None:
    cluster = LocalCluster(tmp_path, Options(api_server="real"))
    async with cluster, ApiClient.from_kubeconfig(cluster.addresses.kubeconfig) as client:
        found = state.read(tmp_path)
        gateways, _ = await client.list("networking.istio.io/v1", "gateways", namespace="istio-system")
        health = await control.status(tmp_path)
    assert [gateway["metadata"]["name"] for gateway in gateways] == ["seldon-gateway"]
    assert health is not None
    assert {one.name for one in health[1] if one.ready} == {"etcd", "apiserver", "node", "mesh", "prometheus"}
    assert found is not None
    assert gone(found)()


async def test_a_second_cluster_in_the_same_folder_is_refused(cluster: LocalCluster) -> None:
    with pytest.raises(ClusterError, match="a local cluster runs in"):
        await LocalCluster(cluster.data_dir).up()


async def test_a_missing_program_is_said_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ClusterError, match="Prometheus is not on PATH"):
        await LocalCluster(tmp_path / "cluster").up()
    assert not (tmp_path / "cluster" / "logs").exists()


async def test_a_program_that_fails_ends_the_cluster_with_its_words(tmp_path: Path) -> None:
    broken = Program(
        name="controller",
        argv=(sys.executable, "-c", "print('no permission for leases'); raise SystemExit(1)"),
        ready_url="http://127.0.0.1:1/",
    )
    one = LocalCluster(tmp_path, Options(extra=lambda _: [broken]))
    with pytest.raises(ClusterError, match=r"(?s)controller keeps ending.*no permission for leases"):
        await one.up()
    assert not marked(one.id)


async def test_a_full_disk_is_told_with_its_folder_and_without_a_traceback(tmp_path: Path) -> None:
    failing = f"raise OSError({errno.ENOSPC}, {os.strerror(errno.ENOSPC)!r})"
    program = Program(name="full", argv=(sys.executable, "-c", failing), ready_url="http://127.0.0.1:1/")
    with pytest.raises(ClusterError) as refused:
        await LocalCluster(tmp_path, Options(extra=lambda _: [program])).up()
    assert str(refused.value) == (
        f"the local cluster did not start: there is no room left on the disk of {tmp_path}; free some, or name another "
        "folder (--data-dir)"
    )
