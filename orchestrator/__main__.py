"""The service orchestrator: `python -m orchestrator --sdep NAME --namespace NS --predictor P`."""

import asyncio
import logging
import os
import sys
from collections.abc import Sequence

from orchestrator import application, settings
from orchestrator.errors import OrchestratorError

_LEVELS = {"WARN": "WARNING", "ERROR": "ERROR", "INFO": "INFO", "DEBUG": "DEBUG", "WARNING": "WARNING"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the orchestrator. Returns the exit status: 2 for settings or a graph that cannot be used."""
    logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        wanted = settings.read(sys.argv[1:] if arguments is None else arguments, os.environ)
        logging.getLogger().setLevel(_LEVELS.get(wanted.log_level.upper(), "INFO"))
        return _run(wanted)
    except OrchestratorError as error:
        logging.getLogger("orchestrator").error("%s", error)
        return 2
    except OSError as error:
        logging.getLogger("orchestrator").error("cannot listen: %s", error)
        return 1


def _run(wanted: settings.Settings) -> int:
    try:
        import uvloop
    except ImportError:  # there is none for this system; the standard loop is slower and serves as well
        return asyncio.run(application.run(wanted))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(application.run(wanted))


if __name__ == "__main__":
    sys.exit(main())
