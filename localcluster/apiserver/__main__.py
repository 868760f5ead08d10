"""`python -m localcluster.apiserver`: the API server as a process."""

import argparse
import asyncio
import contextlib
import gc
import logging
import signal
import sys
import tempfile
from pathlib import Path

from localcluster.apiserver import certificates
from localcluster.apiserver.server import Server, Settings, admin_token


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m localcluster.apiserver", description="A Kubernetes API server for one machine."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 takes a free one (default)")
    parser.add_argument(
        "--data-dir", type=Path, help="folder that keeps the objects over restarts (default: nothing is kept)"
    )
    parser.add_argument(
        "--kubeconfig", type=Path, help="where to write the administrator's kubeconfig, once the server answers"
    )
    parser.add_argument("--log-dir", type=Path, help="folder of the pods' logs: <namespace>/<pod>/<container>.log")
    parser.add_argument("--tokens", type=Path, help='file of further users, a line each: token,user,uid,"group,group"')
    parser.add_argument("--plain-http", action="store_true", help="no TLS; kubectl sends no token then and is refused")
    parser.add_argument(
        "--exit-with-stdin", action="store_true", help="end when standard input is closed: the parent has gone"
    )
    return parser.parse_args(argv)


async def _run(arguments: argparse.Namespace) -> None:
    with contextlib.ExitStack() as stack:
        folder = arguments.data_dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="apiserver-")))
        certificate = None if arguments.plain_http else certificates.ensure(folder)
        settings = Settings(
            host=arguments.host,
            port=arguments.port,
            data_dir=arguments.data_dir,
            kubeconfig=arguments.kubeconfig,
            log_dir=arguments.log_dir,
            tokens=arguments.tokens,
            plain_http=arguments.plain_http,
        )
        server = Server(settings, certificate, admin_token(arguments.data_dir))
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopped.set)
        await server.start()
        print(server.url, flush=True)  # noqa: T201 - the address is this program's output
        if arguments.exit_with_stdin:
            await _watch_stdin(stopped)
        await stopped.wait()
        await server.stop()


async def _watch_stdin(stopped: asyncio.Event) -> None:
    """Sets `stopped` when the other end of standard input is closed."""
    loop = asyncio.get_running_loop()

    class Lifeline(asyncio.Protocol):
        def connection_lost(self, error: Exception | None) -> None:
            stopped.set()

    await loop.connect_read_pipe(Lifeline, sys.stdin)


def main(argv: list[str] | None = None) -> int:
    arguments = _arguments(argv)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # What is kept is kept for long, and answers are made and dropped without cycles.
    gc.set_threshold(50_000, 20, 100)
    try:
        import uvloop
    except ImportError:
        runner = asyncio.Runner()
    else:
        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    try:
        with runner:
            runner.run(_run(arguments))
    except (OSError, RuntimeError, ValueError) as error:
        print(f"apiserver: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
