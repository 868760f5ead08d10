"""`python -m localcluster.mesh`: run the mesh for the cluster of a kubeconfig."""

import argparse
import asyncio
import contextlib
import gc
import logging
import signal
import sys
from dataclasses import replace
from pathlib import Path

from localcluster.client import ApiClient
from localcluster.kubeconfig import KubeconfigError
from localcluster.mesh.shell import Mesh, Places, claim_octet
from localcluster.programs import MissingProgramError, find_envoy
from localcluster.supervise import ProgramError


def main() -> int:
    """Parse the arguments and work until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m localcluster.mesh", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True, help="the cluster to follow")
    parser.add_argument(
        "--data-dir", type=Path, required=True, help="where Envoy's files, its log and the hosts file lie"
    )
    parser.add_argument("--gateway-port", type=int, required=True, help="port of the ingress gateway on 127.0.0.1")
    parser.add_argument("--admin-port", type=int, required=True, help="port of Envoy's admin page on 127.0.0.1")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    # Rendering makes and drops large documents without cycles: collecting them often is most of its time.
    gc.set_threshold(200_000, 20, 100)
    places = Places(
        data_dir=arguments.data_dir.absolute(), gateway_port=arguments.gateway_port, admin_port=arguments.admin_port
    )
    try:
        octet, claim = claim_octet(places.addresses_file)
        with claim:
            asyncio.run(_serve(arguments.kubeconfig, replace(places, envoy=find_envoy(), octet=octet)))
    except (KubeconfigError, MissingProgramError, ProgramError, OSError) as error:
        logging.getLogger("localcluster.mesh").error("%s", error)
        return 1
    return 0


async def _serve(kubeconfig: Path, places: Places) -> None:
    async with ApiClient.from_kubeconfig(kubeconfig) as client:
        work = asyncio.create_task(Mesh(client, places).run())
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, work.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await work


if __name__ == "__main__":
    sys.exit(main())
