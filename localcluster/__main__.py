"""`python -m localcluster up|status|down`: a local cluster without any controller in it."""

import argparse
import asyncio
import logging
import sys
from pathlib import Path

from localcluster import control
from localcluster.cluster import ClusterError, LocalCluster, Options
from localcluster.state import Addresses


def main() -> int:
    """Parse the arguments and do what they say. The exit code is 1 after an error, and for `status` of nothing."""
    arguments = _arguments()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        match arguments.verb:
            case "up" if arguments.detach:
                return asyncio.run(_detach(arguments.data_dir.absolute()))
            case "up":
                return asyncio.run(_up(arguments))
            case "status":
                return asyncio.run(_status(arguments.data_dir.absolute()))
            case _:
                ended = asyncio.run(control.down(arguments.data_dir.absolute()))
                sys.stdout.write("ended\n" if ended else "nothing runs there\n")
                return 0
    except ClusterError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m localcluster", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, says in (("up", "start a cluster"), ("status", "say what runs"), ("down", "end it")):
        one = verbs.add_parser(verb, help=says)
        one.add_argument(
            "--data-dir", type=Path, default=Path(".local/cluster"), help="its folder (default .local/cluster)"
        )
        if verb == "up":
            one.add_argument("--detach", action="store_true", help="return when it is ready, and leave it running")
            one.add_argument("--keep-data", action="store_true", help="keep objects and metrics when it ends")
            one.add_argument(
                "--crds", type=Path, action="append", default=[], help="definitions to install: file or folder"
            )
            one.add_argument("--api-server", choices=("embedded", "real"), default="embedded", help="whose API server")
            one.add_argument(
                "--gateway-port", type=int, default=0, help="port of the ingress gateway (default: a free one)"
            )
    return parser.parse_args()


async def _up(arguments: argparse.Namespace) -> int:
    options = Options(
        crds=tuple(arguments.crds),
        api_server=arguments.api_server,
        gateway_port=arguments.gateway_port,
        keep_data=arguments.keep_data,
    )
    await control.serve(LocalCluster(arguments.data_dir, options), _say)
    return 0


def _say(at: Addresses) -> None:
    sys.stdout.write(control.described(at))
    sys.stdout.flush()


async def _detach(data_dir: Path) -> int:
    argv = [sys.executable, "-m", "localcluster", *(word for word in sys.argv[1:] if word != "--detach")]
    found = await control.detach(argv, data_dir)
    _say(found.addresses)
    return 0


async def _status(data_dir: Path) -> int:
    found = await control.status(data_dir)
    if found is None:
        sys.stdout.write(f"no local cluster runs in {data_dir}\n")
        return 1
    held, health = found
    sys.stdout.write(f"{held.phase}, supervised by process {held.pid}\n{control.described(held.addresses)}")
    for each in health:
        says = "ready" if each.ready else "not ready" if each.pid else "not running"
        sys.stdout.write(f"  {each.name:<12} {says:<12} {each.pid or ''}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
