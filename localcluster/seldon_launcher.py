"""Serves a class by seldon-core's own wrapper, on one address: `python seldon_launcher.py module.Class`.

It runs in seldon-core's environment, so it imports nothing of ours. The wrapper's own program binds every address of
the machine and leaves its processes behind when it is ended; this one binds `SELDON_BIND_ADDRESS` and is one process.
"""

import argparse
import importlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

CASTS: dict[str, Callable[[Any], Any]] = {
    "INT": int,
    "FLOAT": float,
    "DOUBLE": float,
    "STRING": str,
    "BOOL": lambda value: str(value).lower() in {"y", "yes", "t", "true", "on", "1"},
}


def main() -> None:
    """Serve REST, gRPC and metrics until SIGTERM."""
    parser = argparse.ArgumentParser(description="Serves a class by seldon-core's wrapper")
    parser.add_argument("interface", help="module.Class, or a module with a class of its own name")
    parser.add_argument("--import-path", action="append", default=[])
    parser.add_argument("--service-type", default="MODEL")
    flags, _ = parser.parse_known_args()
    sys.path[:0] = flags.import_path
    wrapper = importlib.import_module("seldon_core.wrapper")
    metrics_module = importlib.import_module("seldon_core.metrics")
    model = load(flags.interface, parameters(os.environ.get("PREDICTIVE_UNIT_PARAMETERS") or "[]"))
    metrics = metrics_module.SeldonMetrics()
    address = os.environ.get("SELDON_BIND_ADDRESS") or "127.0.0.1"
    remote = wrapper.get_grpc_server(model, metrics, trace_interceptor=None, num_threads=4)
    remote.add_insecure_port(f"{address}:{port('GRPC', 5000)}")
    remote.start()
    serve(wrapper.get_metrics_microservice(metrics), address, port("METRICS", 6000))
    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())
    server = serve(wrapper.get_rest_microservice(model, metrics), address, port("HTTP", 9000))
    done.wait()
    server.shutdown()
    remote.stop(5).wait()


def serve(app: Any, address: str, number: int) -> Any:
    """Answer requests of a WSGI application in threads of a thread."""
    serving = importlib.import_module("werkzeug.serving")

    class Quiet(serving.WSGIRequestHandler):  # type: ignore[misc,name-defined]  # known only in its own environment
        protocol_version = "HTTP/1.1"

        def log_request(self, *_: Any) -> None:
            """One line for each request is too much."""

    server = serving.make_server(address, number, app, threaded=True, request_handler=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def port(kind: str, default: int) -> int:
    """A port out of the wrapper's environment."""
    return int(os.environ.get(f"PREDICTIVE_UNIT_{kind}_SERVICE_PORT") or default)


def parameters(text: str) -> dict[str, Any]:
    """Typed constructor arguments out of the wrapper's JSON list."""
    return {entry["name"]: CASTS[entry.get("type", "STRING")](entry["value"]) for entry in json.loads(text)}


def load(interface: str, arguments: dict[str, Any]) -> Any:
    """The user's object, loaded. Raises ImportError, AttributeError, and what its constructor raises."""
    module, _, name = interface.rpartition(".")
    owner = importlib.import_module(module or name)
    model = getattr(owner, name)(**arguments)
    if hasattr(model, "load"):
        model.load()
    return model


if __name__ == "__main__":
    main()
