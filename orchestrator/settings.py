"""Flags and environment, by upstream's names."""

import argparse
import base64
import binascii
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from orchestrator.container import memory_limit
from orchestrator.errors import SettingsError
from orchestrator.golang import FALSE, TRUE, boolean, duration
from orchestrator.podinfo import (
    GRPC_TIMEOUT,
    REST_TIMEOUT,
    Compared,
    PredictionMetrics,
    compared,
    grpc_max_message,
    load,
    prediction_metrics,
    timeout,
)
from orchestrator.topics import LogTopic, Topics, log_topic, topics

_MOST_WORKERS = 64
_BODIES = 1024 * 1024 * 1024  # where the container has no limit of which this could be a share

# Flags of upstream that are taken so that its manifests work, and that have nothing to set here.
_WITHOUT_EFFECT = ("config",)
# Flags of upstream that say something of Kafka, most of them with --server_type kafka; most are variables as well.
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
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that the orchestrator is told at its start. Times in seconds, sizes in bytes."""

    deployment: str
    namespace: str
    predictor_name: str
    predictor: Mapping[str, Any]
    from_file: bool
    protocol: str
    bind: str
    http_port: int
    grpc_port: int
    prometheus_path: str
    native_histograms: bool
    full_health_checks: bool
    graceful_timeout: float
    shutdown_delay: float
    node_timeout: float | None
    grpc_node_timeout: float | None
    request_timeout: float
    node_retries: int
    breaker_failures: int  # 0: no circuit is ever opened
    breaker_time: float
    workers: int
    max_requests: int
    max_body: int
    max_bodies: int  # of one worker
    max_message: int
    routing: bool | None  # None: on for graphs that route
    hosts_file: Path | None
    certificates: Path | None
    node_authorities: Path | None  # who vouches for nodes that are called with TLS; None: whom the system trusts
    origins: str
    allowed_headers: str
    topics: Topics | None
    prediction_metrics: PredictionMetrics | None
    compared: Compared | None
    hostname: str
    log_endpoint: str  # of payloads whose node does not say where they go
    log_topic: LogTopic | None  # where all payloads go, if there is one
    log_workers: int
    log_queue: int
    log_timeout: float
    environment: Mapping[str, str]  # for tracing, whose variables are OpenTelemetry's
    log_level: str


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


_PORT = whole(0, 65535)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m orchestrator", allow_abbrev=False, description="Serves the inference graph of one predictor."
    )

    def flag(name: str, **options: Any) -> None:
        parser.add_argument(f"--{name}", f"-{name}", **options)

    def switch(name: str, **options: Any) -> None:
        flag(name, type=boolean, nargs="?", const=True, **{"default": False, **options})

    flag("sdep", required=True, help="name of the SeldonDeployment")
    flag("namespace", required=True, help="its namespace")
    flag("predictor", required=True, help="name of the predictor to serve")
    flag("http_port", type=_PORT, default=8080, help="REST port (0 picks one)")
    flag("grpc_port", type=_PORT, default=5000, help="gRPC port (0 picks one)")
    flag("protocol", default="seldon", help="seldon, v2, kfserving or tensorflow")
    flag("file", type=Path, help="YAML or JSON of a SeldonDeployment, instead of ENGINE_PREDICTOR")
    flag("hostname", default="", help="name of this host")
    flag("prometheus_path", type=path, default="/metrics", help="path of the metrics page")
    switch(
        "native_histograms",
        default=None,
        help="native histograms beside the classic ones, for scrapers that ask for them (SELDON_NATIVE_HISTOGRAMS)",
    )
    flag("server_type", default="rpc", help="rpc, or kafka: topics are served, too")
    switch("full_health_checks", help="ask nodes over HTTP for readiness, instead of connecting only")
    flag("graceful_timeout", type=duration, default=15.0, help="longest time for requests to finish after SIGTERM")
    flag("shutdown_delay", type=duration, default=0.0, help="time between SIGTERM and taking no more connections")
    flag("request_timeout", type=duration, default=300.0, help="longest time of a whole request (0: no limit)")
    flag(
        "node_retries",
        type=whole(0),
        default=0,
        help="further tries of a call without an answer; never of feedback",
    )
    flag(
        "breaker_failures",
        type=whole(0),
        default=0,
        help="calls in a row without an answer; then the node is left alone (0: off)",
    )
    flag(
        "breaker_time",
        type=duration,
        default=5.0,
        help="how long a node is left alone before a call tries it again",
    )
    flag(
        "workers",
        type=int,
        default=None,
        help="processes on the same ports, for as many cores (SELDON_WORKERS, 1)",
    )
    _most(flag)
    flag("logger_workers", type=int, default=10, help="posts of logged payloads at a time")
    flag("log_work_buffer_size", type=int, default=10000, help="logged payloads that wait; further ones are dropped")
    flag("log_write_timeout_ms", type=int, default=2000, help="longest time for one post of a logged payload")
    flag("log_level", default="", help="DEBUG, INFO, WARN or ERROR (SELDON_LOG_LEVEL)")
    switch("debug", help="the same as --log_level DEBUG")
    for name, text in _OF_TOPICS.items():
        flag(name, nargs="?", help=text)
    for name in _WITHOUT_EFFECT:
        flag(name, nargs="?", help=argparse.SUPPRESS)
    return parser


def _most(flag: Callable[..., None]) -> None:
    """The flags of how much may be kept and be under way."""
    flag(
        "max_requests",
        type=whole(1),
        default=1024,
        help="requests at a time of each worker; further ones get 503 with Retry-After",
    )
    flag("max_body", type=whole(1), default=256 * 1024 * 1024, help="longest body in bytes, of requests and of answers")
    flag(
        "max_bodies",
        type=whole(1),
        default=None,
        help="bytes of long bodies that all requests of a worker keep whole together; further ones get 503 with "
        "Retry-After (SELDON_MAX_BODIES; unset: half of the container's memory shared by the workers, or 1 GiB)",
    )


def read(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Settings from the command line and the environment.

    Raises:
        SettingsError: something is missing or cannot be used; the message names it.
        SystemExit: from argparse, for flags that it refuses.
    """
    flags = _parser().parse_args(arguments)
    if flags.server_type not in {"rpc", "kafka"}:
        raise SettingsError(f"--server_type: {flags.server_type!r} is not served; expected rpc or kafka")
    group = f"{flags.predictor}.{flags.sdep}.{flags.namespace}"  # upstream's, so that its offsets count
    annotations = load(Path(environment.get("SELDON_PODINFO_PATH") or "/etc/podinfo/annotations"))
    hosts = environment.get("SELDON_HOSTS_FILE")
    certificates = environment.get("SELDON_CERT_MOUNT_PATH")
    authorities = environment.get("SELDON_NODE_CA_FILE")
    injection = environment.get("SELDON_ENABLE_ROUTING_INJECTION")
    level = "DEBUG" if flags.debug or environment.get("SELDON_DEBUG", "").lower() in TRUE else flags.log_level
    predictor = _from_file(flags.file, flags.predictor) if flags.file else _from_environment(environment)
    workers = _workers(flags.workers, environment)
    own = predictor.get("annotations")
    annotations = {**(own if isinstance(own, dict) else {}), **annotations}
    return Settings(
        deployment=flags.sdep,
        namespace=flags.namespace,
        predictor_name=flags.predictor,
        predictor=predictor,
        from_file=flags.file is not None,
        protocol="v2" if flags.protocol == "kfserving" else flags.protocol or "seldon",
        bind=environment.get("SELDON_BIND_ADDRESS") or "127.0.0.1",
        http_port=flags.http_port,
        grpc_port=flags.grpc_port,
        prometheus_path=flags.prometheus_path,
        native_histograms=_native_histograms(flags.native_histograms, environment),
        full_health_checks=flags.full_health_checks,
        graceful_timeout=flags.graceful_timeout,
        shutdown_delay=flags.shutdown_delay,
        node_timeout=timeout(annotations, REST_TIMEOUT),
        grpc_node_timeout=timeout(annotations, GRPC_TIMEOUT),
        request_timeout=flags.request_timeout or float("inf"),
        node_retries=flags.node_retries,
        breaker_failures=flags.breaker_failures,
        breaker_time=flags.breaker_time,
        workers=workers,
        max_requests=flags.max_requests,
        max_body=flags.max_body,
        max_bodies=_max_bodies(flags.max_bodies, environment, workers),
        max_message=grpc_max_message(annotations) or min(flags.max_body, 2**31 - 1),
        routing=None if not injection else injection.lower() not in FALSE,
        hosts_file=Path(hosts) if hosts else None,
        certificates=Path(certificates) if certificates else None,
        node_authorities=Path(authorities) if authorities else None,
        origins=environment.get("CORS_ALLOWED_ORIGINS") or "*",
        allowed_headers=environment.get("CORS_ALLOWED_HEADERS") or "",
        prediction_metrics=prediction_metrics(annotations),
        compared=compared(annotations),
        hostname=flags.hostname or environment.get("POD_NAME") or "localhost",
        log_endpoint=environment.get("REQUEST_LOGGER_DEFAULT_ENDPOINT") or "",
        log_topic=log_topic(vars(flags), environment),
        log_workers=max(1, flags.logger_workers),
        log_queue=max(0, flags.log_work_buffer_size),
        log_timeout=max(1, flags.log_write_timeout_ms) / 1000,
        environment=dict(environment),
        topics=topics(vars(flags), environment, group) if flags.server_type == "kafka" else None,
        log_level=level or environment.get("SELDON_LOG_LEVEL") or "INFO",
    )


def _workers(flag: int | None, environment: Mapping[str, str]) -> int:
    written = environment.get("SELDON_WORKERS") or "1" if flag is None else str(flag)
    name = "SELDON_WORKERS" if flag is None else "--workers"
    if not (written.isascii() and written.isdigit() and 1 <= int(written) <= _MOST_WORKERS):
        raise SettingsError(f"{name}: {written!r} is not valid; expected the number of processes, 1 to {_MOST_WORKERS}")
    return int(written)


def _max_bodies(flag: int | None, environment: Mapping[str, str], workers: int) -> int:
    written = environment.get("SELDON_MAX_BODIES")
    if flag is not None or not written:
        limit = memory_limit()
        return flag or (_BODIES if limit is None else max(1, limit // (2 * workers)))
    try:
        return whole(1)(written)
    except argparse.ArgumentTypeError as error:
        raise SettingsError(f"SELDON_MAX_BODIES: {error} of bytes") from None


def _native_histograms(flag: bool | None, environment: Mapping[str, str]) -> bool:
    if flag is not None:
        return flag
    try:
        return boolean(environment.get("SELDON_NATIVE_HISTOGRAMS") or "false")
    except argparse.ArgumentTypeError as error:
        raise SettingsError(f"SELDON_NATIVE_HISTOGRAMS: {error}") from None


def _from_environment(environment: Mapping[str, str]) -> Mapping[str, Any]:
    text = environment.get("ENGINE_PREDICTOR")
    if not text:
        raise SettingsError("ENGINE_PREDICTOR is not set and no --file is given: there is no graph to serve")
    try:
        predictor = orjson.loads(base64.b64decode(text, validate=True))
    except (binascii.Error, orjson.JSONDecodeError) as error:
        raise SettingsError(
            f"ENGINE_PREDICTOR: not valid; expected the base64 of a predictor's JSON: {error}"
        ) from None
    if not isinstance(predictor, dict):
        raise SettingsError("ENGINE_PREDICTOR: not valid; expected the base64 of a JSON object")
    return predictor


def _from_file(path: Path, name: str) -> Mapping[str, Any]:
    import yaml

    try:
        documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"--file: {str(path)!r} cannot be read: {error}") from error
    names: list[str] = []
    for document in documents:
        spec = document.get("spec") if isinstance(document, dict) else None
        for predictor in (spec.get("predictors") or []) if isinstance(spec, dict) else []:
            if isinstance(predictor, dict):
                if predictor.get("name") == name:
                    return predictor
                names.append(str(predictor.get("name")))
    raise SettingsError(f"--predictor: {name!r} is not in {str(path)!r}; it has {', '.join(names) or 'no predictor'}")
