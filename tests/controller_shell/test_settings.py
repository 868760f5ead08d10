"""Flags over environment over defaults, and a clear error for each value that cannot be used."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from controller.settings import Settings, SettingsError, parse_settings


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
