"""The service orchestrator: `python -m orchestrator --sdep NAME --namespace NS --predictor P`."""

import asyncio
import gc
import logging
import os
import socket
import sys
from collections.abc import Sequence

from orchestrator import settings
from orchestrator.errors import OrchestratorError, SettingsError
from orchestrator.graph.node import LEARNING
from orchestrator.graph.parse import parse
from orchestrator.workers.ports import reserved
from orchestrator.workers.supervisor import Supervisor
from orchestrator.workers.worker import own_end

_LEVELS = {"WARN": "WARNING", "ERROR": "ERROR", "INFO": "INFO", "DEBUG": "DEBUG", "WARNING": "WARNING"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the orchestrator. Returns the exit status: 2 for settings or a graph that cannot be used."""
    logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        wanted = settings.read(arguments, os.environ)
        logging.getLogger().setLevel(_LEVELS.get(wanted.log_level.upper(), "INFO"))
        end = own_end(os.environ)
        return _serve(wanted, end) if wanted.workers == 1 or end is not None else _supervise(wanted, arguments)
    except OrchestratorError as error:
        logging.getLogger("orchestrator").error("%s", error)
        return 2
    except OSError as error:
        logging.getLogger("orchestrator").error("cannot listen: %s", error)
        return 1


def _serve(wanted: settings.Settings, end: socket.socket | None) -> int:
    gc.disable()  # of what is loaded nothing is garbage; the application enables it when it has started
    from orchestrator import application  # the supervisor has no use for it, and it is large

    try:
        import uvloop
    except ImportError:  # there is none for this system; the standard loop is slower and serves as well
        return asyncio.run(application.run(wanted, end))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(application.run(wanted, end))


def _supervise(wanted: settings.Settings, arguments: Sequence[str]) -> int:
    learning = [
        node.name for node in parse(wanted.predictor, first_port=9000).nodes.values() if node.built_in in LEARNING
    ]
    if learning:
        raise SettingsError(
            f"--workers: {wanted.workers} is not valid for a graph with the router {learning[0]!r}, which learns: "
            "what it knows lives in one process; expected 1"
        )
    with reserved(wanted.bind, wanted.http_port) as rest, reserved(wanted.bind, wanted.grpc_port) as rpc:
        ports = ("--http_port", str(rest.getsockname()[1]), "--grpc_port", str(rpc.getsockname()[1]))
        return asyncio.run(Supervisor(wanted.workers, (*arguments, *ports)).run())


if __name__ == "__main__":
    sys.exit(main())
