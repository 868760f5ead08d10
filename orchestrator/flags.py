"""The command line's flags, by upstream's names."""

import argparse
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from orchestrator.golang import boolean, duration


def whole(least: int, most: int = sys.maxsize) -> Callable[[str], int]:
    """What reads a whole number of `least` to `most`."""

    def read(text: str) -> int:
        if re.fullmatch(r"-?[0-9]{1,19}", text) and least <= int(text) <= most:
            return int(text)
        limit = "or more" if most == sys.maxsize else f"to {most}"
        raise argparse.ArgumentTypeError(f"{text!r} is not valid; expected a whole number, {least} {limit}")

    return read


def path(text: str) -> str:
    """A path of a page."""
    if text.startswith("/"):
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is not valid; expected a path that begins with /")


def parser() -> argparse.ArgumentParser:
    """What reads the command line; each flag has one dash or two, as Go programs take them."""
    made = argparse.ArgumentParser(
        prog="python -m orchestrator", allow_abbrev=False, description="Serves the inference graph of one predictor."
    )
    for name, options in {**_FLAGS, **{name: _flag(text, nargs="?") for name, text in _OF_TOPICS.items()}}.items():
        made.add_argument(f"--{name}", f"-{name}", **options)
    return made


def _flag(text: str, **options: Any) -> Mapping[str, Any]:
    return {"help": text, **options}


def _switch(text: str, *, default: bool | None = False) -> Mapping[str, Any]:
    return _flag(text, type=boolean, nargs="?", const=True, default=default)


_PORT = whole(0, 65535)
_FLAGS = {
    "sdep": _flag("name of the SeldonDeployment", required=True),
    "namespace": _flag("its namespace", required=True),
    "predictor": _flag("name of the predictor to serve", required=True),
    "http_port": _flag("REST port (0 picks one)", type=_PORT, default=8080),
    "grpc_port": _flag("gRPC port (0 picks one)", type=_PORT, default=5000),
    "protocol": _flag("seldon, v2, kfserving or tensorflow", default="seldon"),
    "file": _flag("YAML or JSON of a SeldonDeployment, instead of ENGINE_PREDICTOR", type=Path),
    "hostname": _flag("name of this host", default=""),
    "prometheus_path": _flag("path of the metrics page", type=path, default="/metrics"),
    "native_histograms": _switch(
        "native histograms beside the classic ones, for scrapers that ask for them (SELDON_NATIVE_HISTOGRAMS)",
        default=None,
    ),
    "server_type": _flag("rpc, or kafka: topics are served, too", default="rpc"),
    "full_health_checks": _switch("ask nodes over HTTP for readiness, instead of connecting only"),
    "graceful_timeout": _flag("longest time for requests to finish after SIGTERM", type=duration, default=15.0),
    "shutdown_delay": _flag("time between SIGTERM and taking no more connections", type=duration, default=0.0),
    "request_timeout": _flag("longest time of a whole request (0: no limit)", type=duration, default=300.0),
    "node_retries": _flag("further tries of a call without an answer; never of feedback", type=whole(0), default=0),
    "breaker_failures": _flag(
        "calls in a row without an answer; then the node is left alone (0: off)", type=whole(0), default=0
    ),
    "breaker_time": _flag("how long a node is left alone before a call tries it again", type=duration, default=5.0),
    "workers": _flag("processes on the same ports, for as many cores (SELDON_WORKERS, 1)", type=int),
    "max_requests": _flag(
        "requests at a time of each worker; further ones get 503 with Retry-After", type=whole(1), default=1024
    ),
    "max_body": _flag("longest body in bytes, of requests and of answers", type=whole(1), default=256 * 1024 * 1024),
    "max_bodies": _flag(
        "bytes of long bodies that all requests of a worker keep whole together; further ones get 503 with "
        "Retry-After (SELDON_MAX_BODIES; unset: half of the container's memory shared by the workers, or 1 GiB)",
        type=whole(1),
    ),
    "logger_workers": _flag("posts of logged payloads at a time", type=int, default=10),
    "log_work_buffer_size": _flag("logged payloads that wait; further ones are dropped", type=int, default=10000),
    "log_write_timeout_ms": _flag("longest time for one post of a logged payload", type=int, default=2000),
    "log_level": _flag("DEBUG, INFO, WARN or ERROR (SELDON_LOG_LEVEL)", default=""),
    "debug": _switch("the same as --log_level DEBUG"),
}
# Without a default, and most of them variables as well; they mean something with --server_type kafka or a log topic.
_OF_TOPICS = {
    "log_kafka_broker": "host:port of where payloads are logged, instead of posting them (LOGGER_KAFKA_BROKER)",
    "log_kafka_topic": "the topic for logged payloads (LOGGER_KAFKA_TOPIC, seldon)",
    "transport": "rest or grpc; with kafka: whether all messages are protobuf",
    "kafka_broker": "host:port, several separated by commas (KAFKA_BROKER)",
    "kafka_input_topic": "the topic to read (KAFKA_INPUT_TOPIC)",
    "kafka_output_topic": "the topic for answers (KAFKA_OUTPUT_TOPIC)",
    "kafka_full_graph": "only false: nodes are called over REST or gRPC (KAFKA_FULL_GRAPH)",
    "kafka_workers": "messages at a time (KAFKA_WORKERS, 4)",
    "kafka_auto_commit": "commit every 5 s, or with each answer (KAFKA_AUTO_COMMIT, true)",
    "config": argparse.SUPPRESS,  # taken so that upstream's manifests work; there is nothing to set here
}
