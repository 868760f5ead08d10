"""Flags over environment over defaults, and a clear error for each value that cannot be used."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from controller.settings import Settings, SettingsError
from controller.startup import parse_settings


def test_the_defaults_are_safe() -> None:
    settings = parse_settings([], {})
    assert settings.listen_address == ("127.0.0.1", 8080)
    assert settings.tick == timedelta(seconds=10)
    assert settings.controllers == {"operator", "rollout", "analysis"}
    assert settings.istio_gateway == "istio-system/seldon-gateway"
    assert settings.namespaces == ()
    assert settings.namespace is None
    assert not settings.leader_elect


def test_flags_go_before_the_environment_and_that_before_the_defaults() -> None:
    environment = {"SELDON_ROLLOUTS_WORKERS": "3", "SELDON_ROLLOUTS_TICK": "1m30s"}
    settings = parse_settings(["--workers", "5", "--namespace", "ml", "--leader-elect"], environment)
    assert (settings.workers, settings.tick, settings.namespace) == (5, timedelta(seconds=90), "ml")
    assert settings.leader_elect
    assert not parse_settings(["--no-leader-elect"], {"SELDON_ROLLOUTS_LEADER_ELECT": "true"}).leader_elect


def test_the_variables_of_seldon_cores_operator_still_count() -> None:
    environment = {
        "WATCH_NAMESPACE": "a,b",
        "POD_NAMESPACE": "seldon",
        "ISTIO_GATEWAY": "mesh/gate",
        "EXECUTOR_CONTAINER_USER": "1000",
        "ISTIO_ENABLED": "false",
        "ISTIO_TLS_MODE": "ISTIO_MUTUAL",
        "DEPLOYMENT_NAME_AS_PREFIX": "true",
        "CONTROLLER_ID": "mine",
        "DEFAULT_USER_ID": "1001",
        "EXECUTOR_CONTAINER_IMAGE_PULL_POLICY": "Always",
        "EXECUTOR_DEFAULT_CPU_REQUEST": "100m",
        "EXECUTOR_DEFAULT_MEMORY_LIMIT": "1Gi",
        "PREDICTIVE_UNIT_HTTP_SERVICE_PORT": "9100",
    }
    settings = parse_settings([], environment)
    assert (settings.default_user, settings.executor_pull_policy, settings.first_http_port) == (1001, "Always", 9100)
    assert (settings.executor_cpu_request, settings.executor_memory_limit) == ("100m", "1Gi")
    assert (settings.istio, settings.istio_tls_mode, settings.deployment_name_as_prefix) == (
        False,
        "ISTIO_MUTUAL",
        True,
    )
    assert settings.controller_id == "mine"
    assert settings.namespaces == ("a", "b")
    assert (settings.operator_namespace, settings.istio_gateway, settings.executor_user) == (
        "seldon",
        "mesh/gate",
        1000,
    )
    assert parse_settings([], environment | {"SELDON_ROLLOUTS_EXECUTOR_USER": "7"}).executor_user == 7


def test_of_two_variables_of_seldon_cores_operator_the_first_one_wins() -> None:
    images = {"EXECUTOR_CONTAINER_IMAGE_AND_VERSION": "mine:1", "RELATED_IMAGE_EXECUTOR": "certified:1"}
    assert parse_settings([], images).orchestrator_image == "certified:1"
    assert parse_settings([], images | {"RELATED_IMAGE_EXECUTOR": ""}).orchestrator_image == "mine:1"
    assert parse_settings(["--orchestrator-image", "own:1"], images).orchestrator_image == "own:1"


@pytest.mark.parametrize(
    ("variable", "name", "value"),
    [
        ("RELATED_IMAGE_STORAGE_INITIALIZER", "initializer_image", "init:1"),
        ("RELATED_IMAGE_EXPLAINER", "explainer_image", "alibi:1"),
        ("RELATED_IMAGE_SKLEARNSERVER", "sklearn_server_image", "sk:1"),
        ("RELATED_IMAGE_XGBOOSTSERVER", "xgboost_server_image", "xg:1"),
        ("RELATED_IMAGE_MLFLOWSERVER", "mlflow_server_image", "ml:1"),
        ("RELATED_IMAGE_TENSORFLOW", "tensorflow_image", "tf:1"),
        ("RELATED_IMAGE_TFPROXY", "tensorflow_proxy_image", "proxy:1"),
        ("EXECUTOR_SERVER_PORT", "executor_http_port", 8100),
        ("EXECUTOR_SERVER_GRPC_PORT", "executor_grpc_port", 5101),
        ("EXECUTOR_SERVER_METRICS_PORT_NAME", "executor_metrics_port_name", "http-metrics"),
        ("EXECUTOR_PROMETHEUS_PATH", "metrics_path", "/metrics"),
        ("EXECUTOR_REQUEST_LOGGER_WORK_QUEUE_SIZE", "request_logger_queue_size", 5),
        ("EXECUTOR_REQUEST_LOGGER_WRITE_TIMEOUT_MS", "request_logger_write_timeout_ms", 7),
        ("PREDICTIVE_UNIT_METRICS_PORT_NAME", "node_metrics_port_name", "prom"),
    ],
)
def test_each_variable_of_seldon_cores_operator_sets_one_thing(variable: str, name: str, value: object) -> None:
    changed = parse_settings([], {variable: str(value)}).model_dump()
    usual = parse_settings([], {}).model_dump()
    assert {key: each for key, each in changed.items() if each != usual[key]} == {name: value}


@pytest.mark.parametrize("name", ["NAMESPACE", "WATCH_NAMESPACES", "NAMESPACES"])
def test_a_flag_may_be_a_variable_by_any_of_its_names(name: str) -> None:
    assert parse_settings([], {f"SELDON_ROLLOUTS_{name}": "ml"}).namespaces == ("ml",)
    assert parse_settings([], {f"SELDON_ROLLOUTS_{name}": ""}).namespaces == ()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--workers", "0"], r"--workers '0'.*greater than or equal to 1"),
        (["--tick", "soon"], r"--tick 'soon'.*duration such as 30s"),
        (["--controllers", "operator,other"], r"--controllers.*'operator', 'rollout' or 'analysis'"),
        (["--controllers", ""], r"--controllers"),
        (["--watch-namespaces", "Bad_Name"], r"--watch-namespaces 'Bad_Name'.*lower-case"),
        (["--listen", "8080"], r"--listen '8080'"),
        (["--executor-metrics-port-name", "http"], r"--executor-metrics-port-name 'http'.*other than http and grpc"),
        (["--node-metrics-port-name", "x" * 16], r"--node-metrics-port-name.*at most 15 characters"),
        (["--metrics-path", "metrics"], r"--metrics-path 'metrics'"),
        (["--executor-http-port", "9000"], r"executor_http_port: 9000 is first_http_port already"),
        (["--listen", "127.0.0.1:99999"], r"no valid port"),
        (["--prometheus-url", "prometheus:9090"], r"--prometheus-url"),
        (["--log-level", "loud"], r"--log-level 'loud'.*'debug'"),
        (["--lease-deadline", "20s"], r"lease_retry < lease_deadline < lease_duration"),
        (["--gateway", "a/b/c"], r"--gateway 'a/b/c'"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_what_would_be_right(arguments: list[str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        parse_settings(arguments, {})


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(SettingsError, match=r"--workers.*--log-level|--log-level.*--workers"):
        parse_settings(["--workers", "0", "--log-level", "loud"], {})


def test_settings_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().workers = 3  # type: ignore[misc]  # that is the point


def test_help_names_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_settings(["--help"], {})
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    flags = {"istio_gateway": "--gateway", "namespaces": "--watch-namespaces"}
    for name in Settings.model_fields:
        assert flags.get(name, "--" + name.replace("_", "-")) in shown
