"""Flags, environment, annotations and hosts: what the orchestrator is told at its start."""

import argparse
import base64
import json
import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.application import Application
from orchestrator.clients import hosts
from orchestrator.clients.hosts import Hosts
from orchestrator.errors import SettingsError
from orchestrator.golang import boolean, duration
from orchestrator.podinfo import REST_TIMEOUT, parse, timeout
from orchestrator.settings import read

NEEDED = ["--sdep", "s", "--namespace", "n", "--predictor", "p"]
PREDICTOR = base64.b64encode(json.dumps({"name": "p", "graph": {"name": "m"}}).encode()).decode()
ENDPOINT = {"service_host": "localhost", "httpPort": 9000}
SERVED = base64.b64encode(
    json.dumps({"name": "p", "graph": {"name": "m", "type": "MODEL", "endpoint": ENDPOINT}}).encode()
).decode()
ENVIRONMENT = {"ENGINE_PREDICTOR": PREDICTOR, "SELDON_PODINFO_PATH": "/nowhere"}


def test_the_operators_command_line_is_taken():
    line = (
        "--sdep iris --namespace ml --predictor default --http_port 8000 --grpc_port 5001 --protocol seldon "
        "--transport rest --prometheus_path /prometheus --server_type rpc --log_work_buffer_size 1000 "
        "--log_write_timeout_ms 2000 --full_health_checks=false"
    )

    settings = read(line.split(), ENVIRONMENT)

    assert (settings.deployment, settings.namespace, settings.predictor_name) == ("iris", "ml", "default")
    assert (settings.http_port, settings.prometheus_path, settings.full_health_checks) == (8000, "/prometheus", False)
    assert settings.predictor == {"name": "p", "graph": {"name": "m"}}
    assert settings.graceful_timeout == 15.0


def test_gos_single_dash_and_bare_booleans_are_taken():
    settings = read(["-sdep=s", "-namespace", "n", "-predictor", "p", "--full_health_checks", "-debug"], ENVIRONMENT)

    assert settings.full_health_checks is True
    assert settings.log_level == "DEBUG"


def test_every_flag_of_upstream_is_taken():
    line = (
        "--config c.yaml --hostname h --http_port 1 --grpc_port 2 --protocol tensorflow --transport grpc "
        "--prometheus_path /p --server_type kafka --full_health_checks --graceful_timeout 20s --shutdown_delay 3s "
        "--logger_workers 3 --log_work_buffer_size 4 --log_write_timeout_ms 500 --log_kafka_broker b:9092 "
        "--log_kafka_topic t --kafka_broker b:9092 --kafka_input_topic i --kafka_output_topic o "
        "--kafka_full_graph false --kafka_workers 5 --kafka_auto_commit false --log_level WARN"
    )

    settings = read([*NEEDED, *line.split()], ENVIRONMENT)

    assert (settings.hostname, settings.http_port, settings.grpc_port) == ("h", 1, 2)
    assert (settings.protocol, settings.prometheus_path, settings.full_health_checks) == ("tensorflow", "/p", True)
    assert (settings.graceful_timeout, settings.shutdown_delay) == (20.0, 3.0)
    assert (settings.log_workers, settings.log_queue, settings.log_timeout, settings.log_level) == (3, 4, 0.5, "WARN")
    assert settings.topics is not None
    assert (settings.topics.workers, settings.topics.at_intervals, settings.topics.protobuf) == (5, False, True)


def test_what_is_not_said_is_as_upstream_has_it():
    settings = read(NEEDED, ENVIRONMENT)

    assert (settings.http_port, settings.grpc_port, settings.prometheus_path) == (8080, 5000, "/metrics")
    assert (settings.protocol, settings.hostname, settings.full_health_checks) == ("seldon", "localhost", False)
    assert (settings.graceful_timeout, settings.shutdown_delay, settings.node_timeout) == (15.0, 0.0, None)
    assert (settings.log_workers, settings.log_queue, settings.log_timeout) == (10, 10000, 2.0)
    assert (settings.origins, settings.log_level, settings.node_retries) == ("*", "INFO", 0)


def test_the_environment_says_the_host_and_the_log_level():
    said = {**ENVIRONMENT, "POD_NAME": "iris-0", "SELDON_LOG_LEVEL": "ERROR"}

    assert (read(NEEDED, said).hostname, read(NEEDED, said).log_level) == ("iris-0", "ERROR")
    assert read(NEEDED, {**said, "SELDON_DEBUG": "true"}).log_level == "DEBUG"
    assert read([*NEEDED, "--hostname=h", "--log_level=INFO"], said).hostname == "h"
    assert read([*NEEDED, "--log_level=INFO"], said).log_level == "INFO"


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "ENGINE_PREDICTOR is not set"),
        ({"ENGINE_PREDICTOR": "###"}, "ENGINE_PREDICTOR: not valid"),
        ({"ENGINE_PREDICTOR": base64.b64encode(b"no json").decode()}, "ENGINE_PREDICTOR: not valid"),
        ({"ENGINE_PREDICTOR": base64.b64encode(b"[]").decode()}, "JSON object"),
    ],
)
def test_a_predictor_that_cannot_be_read_is_said(environment, words):
    with pytest.raises(SettingsError, match=words):
        read(NEEDED, {"SELDON_PODINFO_PATH": "/nowhere", **environment})


def test_another_server_type_is_refused():
    with pytest.raises(SettingsError, match="--server_type: 'mq' is not served; expected rpc or kafka"):
        read([*NEEDED, "--server_type", "mq"], ENVIRONMENT)


def test_topics_are_read_with_kafka_alone():
    said = [*NEEDED, "--kafka_broker=b:9092", "--kafka_input_topic=i", "--kafka_output_topic=o"]

    found = read([*said, "--server_type", "kafka"], ENVIRONMENT).topics

    assert found is not None
    assert (found.brokers, found.source, found.target, found.group) == ("b:9092", "i", "o", "p.s.n")
    assert read([*said, "--server_type", "rpc"], ENVIRONMENT).topics is None


def test_a_package_that_is_missing_is_named_with_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "orchestrator.servers.streaming", None)
    said = ["--kafka_broker=b:9092", "--kafka_input_topic=i", "--kafka_output_topic=o", "--server_type=kafka"]

    with pytest.raises(SettingsError, match=r"install seldon-rollouts\[kafka\]"):
        Application(read([*NEEDED, *said], {**ENVIRONMENT, "ENGINE_PREDICTOR": SERVED}))


@pytest.mark.parametrize(
    ("value", "routing"), [(None, None), ("", None), ("1", True), ("true", True), ("false", False)]
)
def test_routing_injection_can_be_forced_either_way(value, routing):
    environment = ENVIRONMENT if value is None else {**ENVIRONMENT, "SELDON_ENABLE_ROUTING_INJECTION": value}

    assert read(NEEDED, environment).routing is routing


def test_a_predictor_is_found_in_a_file_by_its_name(tmp_path):
    file = tmp_path / "s.yaml"
    file.write_text("kind: Other\n---\nspec: {predictors: [{name: x}, {name: p, graph: {name: m}}]}\n")

    settings = read([*NEEDED, "--file", str(file)], {})

    assert (settings.predictor, settings.from_file) == ({"name": "p", "graph": {"name": "m"}}, True)


@pytest.mark.parametrize(
    ("text", "words"),
    [("spec: {predictors: [{name: x}, {name: y}]}", "it has x, y"), ("a: [", "cannot be read"), ("[]", "no predictor")],
)
def test_a_file_without_the_predictor_says_what_it_has(tmp_path, text, words):
    file = tmp_path / "s.yaml"
    file.write_text(text)

    with pytest.raises(SettingsError, match=words):
        read([*NEEDED, "--file", str(file)], {})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("15s", 15), ("1m30s", 90), ("500ms", 0.5), ("0", 0), ("0s", 0), ("1.5h", 5400), ("2us", 2e-6), (".5s", 0.5)],
)
def test_durations_are_read_as_go_does(text, seconds):
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "15", "s", "15 s", "-1s", "1d", "15s!", "s15"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="duration"):
        duration(text)


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--http_port", "65536"),
        ("--grpc_port", "-1"),
        ("--max_requests", "0"),
        ("--max_body", "-1"),
        ("--max_body", "1_000"),
        ("--max_bodies", "0"),
        ("--node_retries", "9" * 5000),
        ("--breaker_failures", "1.5"),
        ("--prometheus_path", "metrics"),
    ],
)
def test_what_a_flag_cannot_be_is_said_with_its_name(flag, value, capsys):
    with pytest.raises(SystemExit) as ended:
        read([*NEEDED, flag, value], ENVIRONMENT)

    assert ended.value.code == 2
    assert f"argument {flag}" in (said := capsys.readouterr().err)
    assert "is not valid; expected a" in said


@pytest.mark.parametrize(
    ("arguments", "written", "expected"),
    [
        ([], "", 2 << 20),
        (["--workers", "4"], "", 1 << 19),
        ([], "7", 7),
        (["--max_bodies", "9"], "7", 9),
    ],
)
def test_bodies_have_half_of_the_containers_memory_unless_told_otherwise(monkeypatch, arguments, written, expected):
    monkeypatch.setattr("orchestrator.settings.memory_limit", lambda: 4 << 20)
    environment = {**ENVIRONMENT, "SELDON_MAX_BODIES": written}

    assert read([*NEEDED, *arguments], environment).max_bodies == expected


def test_bodies_have_a_gibibyte_where_the_container_has_no_limit(monkeypatch):
    monkeypatch.setattr("orchestrator.settings.memory_limit", lambda: None)

    assert read(NEEDED, ENVIRONMENT).max_bodies == 1 << 30


def test_a_wrong_number_of_bytes_for_bodies_is_said_with_its_variable():
    with pytest.raises(
        SettingsError, match="SELDON_MAX_BODIES: '1Gi' is not valid; expected a whole number, 1 or more"
    ):
        read(NEEDED, {**ENVIRONMENT, "SELDON_MAX_BODIES": "1Gi"})


def test_what_is_no_boolean_is_refused():
    with pytest.raises(argparse.ArgumentTypeError, match="boolean"):
        boolean("maybe")


def test_annotations_may_hold_anything_and_broken_lines_are_passed_over():
    text = 'a="1"\nb="x=y=z"\nc="quote \\" and \\\\ and \\n"\n\nnothing\n=x\nd=bare\ne="go \\x41"\n'

    assert parse(text) == {"a": "1", "b": "x=y=z", "c": 'quote " and \\ and \n', "d": "bare", "e": "go \\x41"}


@given(st.dictionaries(st.from_regex(r"[a-z./-]{1,20}", fullmatch=True), st.text()))
def test_annotations_as_kubernetes_writes_them_are_read_back(annotations):
    text = "\n".join(f"{key}={json.dumps(value)}" for key, value in annotations.items())

    assert parse(text) == annotations


@pytest.mark.parametrize(("value", "seconds"), [("3000", 3.0), ("0.5", 0.0005)])
def test_the_rest_timeout_is_in_milliseconds(value, seconds):
    assert timeout({"seldon.io/rest-timeout": value}, REST_TIMEOUT) == seconds


@pytest.mark.parametrize("value", ["", "3s", "0", "-1", "inf", "nan"])
def test_a_rest_timeout_that_is_none_is_said(value):
    with pytest.raises(SettingsError, match="rest-timeout"):
        timeout({"seldon.io/rest-timeout": value}, REST_TIMEOUT)


@pytest.mark.parametrize(
    ("bind", "address"),
    [("127.0.0.9", "127.0.0.9"), ("0.0.0.0", "localhost"), ("", "localhost"), ("::", "localhost"), ("::1", "::1")],
)
def test_localhost_is_the_address_that_we_bind_unless_that_is_a_wildcard(bind, address):
    assert Hosts(bind).address("localhost") == address


def test_the_hosts_file_comes_before_the_resolver_and_is_read_again_when_it_changes(tmp_path):
    file = tmp_path / "hosts"
    known = Hosts("127.0.0.1", file)
    assert known.address("svc.ns") == "svc.ns"

    file.write_text("# all\n127.0.1.1 svc.ns.svc.cluster.local svc.ns  # two names\n127.0.1.2 svc.ns\nbroken\n")
    first = known.address("SVC.ns.")
    file.write_text("127.0.1.3 svc.ns\n")
    os.utime(file, (1, 1))
    second = known.address("svc.ns")
    file.unlink()

    assert (first, second, known.address("svc.ns")) == ("127.0.1.1", "127.0.1.3", "svc.ns")


@given(st.text())
def test_any_text_is_a_hosts_file(text):
    assert all(name and address for name, address in hosts.parse(text).items())
