"""What a node is told at its start, by the wrapper's environment."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from orchestrator.errors import GraphError, SettingsError
from orchestrator.graph.node import Value
from orchestrator.graph.parse import split_image, typed
from orchestrator.node.errors import StartError
from orchestrator.podinfo import grpc_max_message, load


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A node's settings. `parameters` are the class' keyword arguments; without a `grpc_port` there is no gRPC."""

    interface: str
    bind: str
    http_port: int
    grpc_port: int | None
    max_message: int
    metrics_port: int
    metrics_path: str
    threads: int
    graceful_timeout: float
    name: str
    image: str
    parameters: Mapping[str, Value] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    log_level: str


def read(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Settings from the command line and the environment.

    Raises:
        StartError: something cannot be used; the message names it.
        SystemExit: from argparse, for flags that it refuses.
    """
    parser = argparse.ArgumentParser(
        prog="python -m orchestrator.node", description="Serves a Python class as a node of an inference graph."
    )
    parser.add_argument("interface", help="the class: module.Class, or a module with a class of its own name")
    parser.add_argument("--service-type", default="MODEL", help="MODEL, ROUTER, ...; every route is always there")
    parser.add_argument("--http-port", type=int, default=_port(environment, "HTTP_SERVICE_PORT", 9000))
    parser.add_argument("--grpc-port", type=int, default=_port(environment, "GRPC_SERVICE_PORT", 5000))
    parser.add_argument("--metrics-port", type=int, default=_port(environment, "METRICS_SERVICE_PORT", 6000))
    parser.add_argument("--parameters", default=environment.get("PREDICTIVE_UNIT_PARAMETERS") or "[]")
    parser.add_argument("--graceful-timeout", type=float, default=15.0, help="seconds for requests to finish")
    parser.add_argument("--log-level", default=environment.get("SELDON_LOG_LEVEL") or "INFO")
    parser.add_argument("--workers", help=argparse.SUPPRESS)
    flags = parser.parse_args(arguments)
    image = environment.get("PREDICTIVE_UNIT_IMAGE") or ""
    return Settings(
        interface=flags.interface,
        bind=environment.get("SELDON_BIND_ADDRESS") or "127.0.0.1",
        http_port=flags.http_port,
        grpc_port=flags.grpc_port if _number(environment, "GRPC_WORKERS", 1) else None,
        max_message=_max_message(environment),
        metrics_port=flags.metrics_port,
        metrics_path=environment.get("PREDICTIVE_UNIT_METRICS_ENDPOINT") or "/metrics",
        threads=max(1, _number(environment, "GUNICORN_THREADS", 1)),
        graceful_timeout=flags.graceful_timeout,
        name=environment.get("PREDICTIVE_UNIT_ID") or "",
        image=image,
        parameters=parameters(flags.parameters),
        metadata=_metadata(environment.get("MODEL_METADATA") or ""),
        labels=_labels(environment, image),
        log_level=flags.log_level,
    )


def parameters(text: str) -> dict[str, Value]:
    """Keyword arguments from the JSON list of name, value and type in PREDICTIVE_UNIT_PARAMETERS.

    Raises:
        StartError: it is no such list.
    """
    try:
        items = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise StartError(f"PREDICTIVE_UNIT_PARAMETERS: {text!r} is no JSON: {error}") from None
    if not isinstance(items, list):
        raise StartError(f"PREDICTIVE_UNIT_PARAMETERS: {text!r} is not valid; expected a list")
    found: dict[str, Value] = {}
    for at, item in enumerate(items):
        where = f"PREDICTIVE_UNIT_PARAMETERS[{at}]"
        if not isinstance(item, dict) or not isinstance(item.get("name"), str):
            raise StartError(f"{where}: {item!r} is not valid; expected an object with name, value and type")
        try:
            found[item["name"]] = typed(item.get("value"), str(item.get("type") or "STRING"), where)
        except GraphError as error:
            raise StartError(str(error)) from None
    return found


def _metadata(text: str) -> dict[str, Any]:
    if not text.strip():
        return {}
    import yaml  # rarely needed: not worth its memory otherwise

    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise StartError(f"MODEL_METADATA: cannot be read as YAML: {error}") from None
    if not isinstance(found, dict):
        raise StartError(f"MODEL_METADATA: {text!r} is not valid; expected an object")
    return found


def _labels(environment: Mapping[str, str], image: str) -> dict[str, str]:
    try:
        predictor = orjson.loads(environment.get("PREDICTOR_LABELS") or "{}")
    except orjson.JSONDecodeError:
        predictor = {}
    name, version = split_image(image)
    deployment = environment.get("SELDON_DEPLOYMENT_ID") or ""
    return {
        "deployment_name": deployment,
        "predictor_name": environment.get("PREDICTOR_ID") or "",
        "predictor_version": str(predictor.get("version", "")) if isinstance(predictor, dict) else "",
        "model_name": environment.get("PREDICTIVE_UNIT_ID") or "",
        "model_image": name,
        "model_version": version,
        "seldon_deployment_name": deployment,
        "image_name": name,
        "image_version": version,
        "worker_id": "0",
    }


def _max_message(environment: Mapping[str, str]) -> int:
    try:
        said = grpc_max_message(load(Path(environment.get("SELDON_PODINFO_PATH") or "/etc/podinfo/annotations")))
    except SettingsError as error:
        raise StartError(str(error)) from None
    return said or 256 * 1024 * 1024


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    legacy = _number(environment, "PREDICTIVE_UNIT_SERVICE_PORT", default) if name.startswith("HTTP") else default
    return _number(environment, f"PREDICTIVE_UNIT_{name}", legacy)


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name)
    if not text:
        return default
    if not text.isdecimal():
        raise StartError(f"{name}: {text!r} is not valid; expected a whole number")
    return int(text)
