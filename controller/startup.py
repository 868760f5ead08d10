"""How the settings come in: flags over environment over defaults."""

import argparse
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from controller.errors import plain
from controller.settings import VERSION, Settings, SettingsError

ENV_PREFIX = "SELDON_ROLLOUTS_"
_OLD_ENV = {
    "namespaces": "WATCH_NAMESPACE",
    "operator_namespace": "POD_NAMESPACE",
    "istio_gateway": "ISTIO_GATEWAY",
    "orchestrator_image": "RELATED_IMAGE_EXECUTOR EXECUTOR_CONTAINER_IMAGE_AND_VERSION",
    "initializer_image": "RELATED_IMAGE_STORAGE_INITIALIZER",
    "explainer_image": "RELATED_IMAGE_EXPLAINER",
    "sklearn_server_image": "RELATED_IMAGE_SKLEARNSERVER",
    "xgboost_server_image": "RELATED_IMAGE_XGBOOSTSERVER",
    "mlflow_server_image": "RELATED_IMAGE_MLFLOWSERVER",
    "tensorflow_image": "RELATED_IMAGE_TENSORFLOW",
    "tensorflow_proxy_image": "RELATED_IMAGE_TFPROXY",
    "executor_http_port": "EXECUTOR_SERVER_PORT",
    "executor_grpc_port": "EXECUTOR_SERVER_GRPC_PORT",
    "executor_metrics_port_name": "EXECUTOR_SERVER_METRICS_PORT_NAME",
    "node_metrics_port_name": "PREDICTIVE_UNIT_METRICS_PORT_NAME",
    "metrics_path": "EXECUTOR_PROMETHEUS_PATH",
    "executor_user": "EXECUTOR_CONTAINER_USER",
    "default_user": "DEFAULT_USER_ID",
    "executor_pull_policy": "EXECUTOR_CONTAINER_IMAGE_PULL_POLICY",
    "executor_cpu_request": "EXECUTOR_DEFAULT_CPU_REQUEST",
    "executor_cpu_limit": "EXECUTOR_DEFAULT_CPU_LIMIT",
    "executor_memory_request": "EXECUTOR_DEFAULT_MEMORY_REQUEST",
    "executor_memory_limit": "EXECUTOR_DEFAULT_MEMORY_LIMIT",
    "first_http_port": "PREDICTIVE_UNIT_HTTP_SERVICE_PORT",
    "first_grpc_port": "PREDICTIVE_UNIT_GRPC_SERVICE_PORT",
    "orchestrator_service_account": "EXECUTOR_CONTAINER_SERVICE_ACCOUNT_NAME",
    "full_health_checks": "EXECUTOR_FULL_HEALTH_CHECKS",
    "initializer_env_secret": "PREDICTIVE_UNIT_DEFAULT_ENV_SECRET_REF_NAME",
    "request_logger_endpoint": "EXECUTOR_REQUEST_LOGGER_DEFAULT_ENDPOINT",
    "request_logger_queue_size": "EXECUTOR_REQUEST_LOGGER_WORK_QUEUE_SIZE",
    "request_logger_write_timeout_ms": "EXECUTOR_REQUEST_LOGGER_WRITE_TIMEOUT_MS",
    "istio": "ISTIO_ENABLED",
    "istio_tls_mode": "ISTIO_TLS_MODE",
    "deployment_name_as_prefix": "DEPLOYMENT_NAME_AS_PREFIX",
    "controller_id": "CONTROLLER_ID",
}
"""Names that Seldon Core v1's operator reads, so that its manifests go on to work; of two the first one wins."""
_FLAGS = {
    "istio_gateway": ("--gateway", "--istio-gateway"),
    "namespaces": ("--watch-namespaces", "--namespace"),
    "leader_elect": ("--leader-elect", "--enable-leader-election"),
}


def _flags(name: str) -> tuple[str, ...]:
    return _FLAGS.get(name, ("--" + name.replace("_", "-"),))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="seldon-rollouts-controller",
        description="Reconciles SeldonDeployments and SeldonRollouts.",
        epilog=f"Each flag may also be a variable: --log-level is {ENV_PREFIX}LOG_LEVEL.",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    for name, info in Settings.model_fields.items():
        flags = _flags(name)
        default = "" if info.default in (None, (), "") else f" (default {_shown(info.default)})"
        text = ((info.description or "") + default).replace("%", "%%")
        if info.annotation is bool:
            parser.add_argument(*flags, dest=name, help=text, action=argparse.BooleanOptionalAction)
        else:
            parser.add_argument(*flags, dest=name, help=text, metavar="X")
    parser.add_argument("--version", action="version", version=VERSION)
    return parser


def _shown(value: object) -> str:
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    return ",".join(sorted(value)) if isinstance(value, frozenset) else str(value)


def _from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for name in Settings.model_fields:
        flags = (flag.removeprefix("--").replace("-", "_") for flag in _flags(name))
        variables = [ENV_PREFIX + flag.upper() for flag in (*flags, name)] + _OLD_ENV.get(name, "").split()
        value = next((environment[one] for one in variables if environment.get(one)), "")
        if value:
            found[name] = value
    return found


def parse_settings(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Read flags and environment.

    Raises:
        SettingsError: a value cannot be used; the text names the flag, the value and what would be right.
        SystemExit: `--help`, `--version` or an unknown flag.
    """
    given: dict[str, Any] = _from_environment(environment) | vars(_parser().parse_args(list(arguments)))
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        problems = []
        for problem in error.errors():
            name = str(problem["loc"][0]) if problem["loc"] else ""
            flag = _flags(name)[0] if name else "settings"
            said = plain(str(problem["msg"]))
            shown = f" {given[name]!r}" if name in given else ""
            problems.append(f"{flag}{shown}: {said}")
        raise SettingsError("; ".join(problems)) from None
