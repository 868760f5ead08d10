"""Flags and environment, by upstream's names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator import predictor
from orchestrator.container import memory_limit
from orchestrator.errors import SettingsError
from orchestrator.flags import parser, whole
from orchestrator.golang import FALSE, TRUE, boolean, variable
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that the orchestrator is told at its start. Times in seconds, sizes in bytes."""

    deployment: str
    public_name: str
    """What users call the deployment: the rollout whose revision it is, else its own name."""
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


def read(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Settings from the command line and the environment.

    Raises:
        SettingsError: something is missing or cannot be used; the message names it.
        SystemExit: from argparse, for flags that it refuses.
    """
    flags = parser().parse_args(arguments)
    if flags.server_type not in {"rpc", "kafka"}:
        raise SettingsError(f"--server_type: {flags.server_type!r} is not served; expected rpc or kafka")
    group = f"{flags.predictor}.{flags.sdep}.{flags.namespace}"  # upstream's, so that its offsets count
    annotations = load(Path(environment.get("SELDON_PODINFO_PATH") or "/etc/podinfo/annotations"))
    hosts = environment.get("SELDON_HOSTS_FILE")
    certificates = environment.get("SELDON_CERT_MOUNT_PATH")
    authorities = environment.get("SELDON_NODE_CA_FILE")
    injection = environment.get("SELDON_ENABLE_ROUTING_INJECTION")
    level = "DEBUG" if flags.debug or environment.get("SELDON_DEBUG", "").lower() in TRUE else flags.log_level
    served = predictor.from_file(flags.file, flags.predictor) if flags.file else predictor.from_environment(environment)
    workers = _workers(flags.workers, environment)
    own = served.get("annotations")
    annotations = {**(own if isinstance(own, dict) else {}), **annotations}
    return Settings(
        deployment=flags.sdep,
        public_name=environment.get("SELDON_ROLLOUT") or flags.sdep,
        namespace=flags.namespace,
        predictor_name=flags.predictor,
        predictor=served,
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
    return variable("SELDON_MAX_BODIES", written, whole(1))


def _native_histograms(flag: bool | None, environment: Mapping[str, str]) -> bool:
    if flag is not None:
        return flag
    return variable("SELDON_NATIVE_HISTOGRAMS", environment.get("SELDON_NATIVE_HISTOGRAMS") or "false", boolean)
