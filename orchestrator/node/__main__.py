"""Serves a Python class as a node of a graph: `python -m orchestrator.node module.Class`."""

import asyncio
import logging
import os
import sys
from collections.abc import Sequence

from orchestrator.node import runtime, settings
from orchestrator.node.errors import StartError

_LEVELS = {"WARN": "WARNING", "ERROR": "ERROR", "INFO": "INFO", "DEBUG": "DEBUG", "WARNING": "WARNING"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a node. Returns the exit status: 2 when the class or the settings cannot be used."""
    logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        wanted = settings.read(sys.argv[1:] if arguments is None else arguments, os.environ)
        logging.getLogger().setLevel(_LEVELS.get(wanted.log_level.upper(), "INFO"))
        code = _run(wanted)
    except StartError as error:
        logging.getLogger("orchestrator.node").error("%s", error)
        return 2
    except OSError as error:
        logging.getLogger("orchestrator.node").error("cannot start: %s", error)
        return 1
    if code:
        # A method that does not come back would keep its thread, and so the process, for ever.
        logging.shutdown()
        os._exit(code)
    return code


def _run(wanted: settings.Settings) -> int:
    try:
        import uvloop
    except ImportError:  # there is none for this system; the standard loop is slower and serves as well
        return asyncio.run(runtime.run(wanted))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(runtime.run(wanted))


if __name__ == "__main__":
    sys.exit(main())
