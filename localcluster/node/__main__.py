"""`python -m localcluster.node`: the workloads and the node of a local cluster, in one process."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import aiohttp

from localcluster import images, runtimes
from localcluster.client import ApiClient
from localcluster.events import Recorder
from localcluster.kubeconfig import KubeconfigError
from localcluster.node.addresses import NoAddressError
from localcluster.node.agent import Agent
from localcluster.node.drain import Drain
from localcluster.node.records import Records
from localcluster.node.room import NodeRoom, Settings
from localcluster.objects import ApiError
from localcluster.workloads.collector import Collector
from localcluster.workloads.controller import Workloads

log = logging.getLogger("localcluster.node")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m localcluster.node", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True, metavar="FILE")
    parser.add_argument("--data-dir", type=Path, required=True, metavar="DIR", help="volumes, addresses, records")
    parser.add_argument("--log-dir", type=Path, metavar="DIR", help="default: <data-dir>/logs")
    parser.add_argument("--hosts-file", type=Path, metavar="FILE", help="SELDON_HOSTS_FILE; default: <data-dir>/hosts")
    parser.add_argument("--images", type=Path, metavar="FILE", help="YAML: image name to a list of words")
    parser.add_argument("--import-path", action="append", default=[], metavar="DIR", help="PYTHONPATH of containers")
    parser.add_argument(
        "--storage-root", type=Path, metavar="DIR", help="stands in for buckets: gs://b/p is DIR/gs/b/p"
    )
    parser.add_argument("--runtime", choices=[*runtimes.RUNTIMES], help="model servers in an environment of their own")
    parser.add_argument("--runtimes", type=Path, metavar="DIR", help="their environments; default: <data-dir>/runtimes")
    parser.add_argument(
        "--collect-garbage", action="store_true", help="do what kube-controller-manager does after a deletion"
    )
    parser.add_argument("--node-name", default="local")
    parser.add_argument("--log-level", default="INFO", choices=["DEBUG", "INFO", "WARNING", "ERROR"])
    return parser.parse_args(arguments)


def settings_of(options: argparse.Namespace) -> Settings:
    """The node's settings from its command line. Raises CatalogueError, RuntimeSetupError."""
    catalogue = images.Catalogue.default()
    if options.runtime:
        catalogue = catalogue.extended(
            runtimes.prepare(options.runtime, (options.runtimes or options.data_dir / "runtimes").resolve())
        )
    if options.images is not None:
        catalogue = catalogue.extended(images.read(options.images))
    return Settings(
        data_dir=options.data_dir.resolve(),
        log_dir=(options.log_dir or options.data_dir / "logs").resolve(),
        hosts_file=(options.hosts_file or options.data_dir / "hosts").resolve(),
        node_name=options.node_name,
        import_path=tuple(str(Path(folder).resolve()) for folder in options.import_path),
        storage_root=str(options.storage_root.resolve()) if options.storage_root else "",
        catalogue=catalogue,
    )


async def run(settings: Settings, client: ApiClient, ended: asyncio.Event, *, collect_garbage: bool = False) -> None:
    """Run until `ended` is set, or our parent dies; `collect_garbage` is for a server that does not do it itself."""
    records = Records(settings.data_dir / "processes.json")
    if left := await asyncio.to_thread(records.recover):
        log.info("ended %d process sessions of an earlier run", left)
    records.open()
    workloads, collector = Workloads(client), Collector(client)
    timeout = aiohttp.ClientTimeout(total=None)
    connector = aiohttp.TCPConnector(limit=0, force_close=True, ssl=False)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as http:
        recorder = Recorder(client, "local-node", settings.node_name)
        room = NodeRoom(settings=settings, client=client, recorder=recorder, records=records, http=http)
        agent = Agent(room, Drain(workloads.caches["endpointslices"].objects).wait)
        try:
            await _reachable(client, ended)
            if not ended.is_set():
                await workloads.start()
                await agent.start()
                if collect_garbage:
                    await collector.start()
                log.info("node %s runs pods of %s", settings.node_name, client.server)
            await _until(ended)
        finally:
            await agent.stop()
            await collector.stop()
            await workloads.stop()
            await recorder.close()
            records.close()


async def _reachable(client: ApiClient, ended: asyncio.Event) -> None:
    """Wait for the API server to come up."""
    while not ended.is_set():
        try:
            await client.request("GET", "/api/v1")
        except ApiError as error:
            level = logging.DEBUG if error.status == 0 else logging.WARNING
            log.log(level, "waiting for the API server: %s", error)
            await asyncio.sleep(0.1 if error.status == 0 else 2)
        else:
            return


async def _until(ended: asyncio.Event) -> None:
    """Return when told to, or when the process that started us is gone."""
    parent = os.getppid()
    while not ended.is_set() and os.getppid() == parent:
        try:
            await asyncio.wait_for(ended.wait(), 0.5)
        except TimeoutError:
            continue


async def serve(settings: Settings, kubeconfig: Path, *, collect_garbage: bool = False) -> None:
    """Run until SIGTERM or SIGINT."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    async with ApiClient.from_kubeconfig(kubeconfig) as client:
        await run(settings, client, ended, collect_garbage=collect_garbage)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0, or 2 when it cannot start as told."""
    options = parse(arguments)
    logging.basicConfig(level=options.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        asyncio.run(serve(settings_of(options), options.kubeconfig, collect_garbage=options.collect_garbage))
    except (images.CatalogueError, runtimes.RuntimeSetupError, KubeconfigError, NoAddressError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
