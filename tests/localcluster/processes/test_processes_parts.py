"""The parts below a pod: answers of probes added up, status in Kubernetes' words, volumes, sessions and their end."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcluster.node import guard, volumes
from localcluster.node.environment import ConfigError, Facts
from localcluster.node.probes import Probe, Tally, port_number
from localcluster.node.process import LOG_LIMIT, Command, Process, StartError, rotate, tail
from localcluster.node.records import Records
from localcluster.node.session import member, members
from localcluster.node.status import Running, Sight, View, Waiting, ended, pod_status

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
POD = {"metadata": {"name": "p", "namespace": "ml", "uid": "u"}, "spec": {"containers": [{"name": "c"}]}}
DONE, BROKEN, RUNS = ended(0, "", NOW, NOW), ended(2, "why", NOW, NOW), Running(NOW)
CHILD = "import time; time.sleep(300)"
FAMILY = (
    f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {CHILD!r}]); print('up', flush=True); {CHILD}"
)


@given(st.lists(st.booleans(), max_size=40), st.integers(1, 4), st.integers(1, 4))
def test_a_verdict_changes_only_after_enough_equal_answers_in_a_row(answers, successes, failures):
    probe, tally = Probe(handler={}, successes=successes, failures=failures), Tally()
    for index, answer in enumerate(answers):
        before, tally = tally.verdict, tally.after(answer, probe)
        needed = successes if answer else failures
        row = answers[max(0, index + 1 - needed) : index + 1]
        enough = len(row) == needed and all(one is answer for one in row)
        assert tally.verdict == (answer if enough else before)


def test_a_probe_has_the_defaults_of_kubernetes():
    probe = Probe.parse({"tcpSocket": {"port": 1}})
    assert (probe.initial_delay, probe.period, probe.timeout, probe.successes, probe.failures) == (0, 10, 1, 1, 3)
    assert Probe.parse(None) is None


def test_a_port_is_found_by_its_name():
    container = {"name": "c", "ports": [{"name": "http", "containerPort": 9000}]}
    assert port_number("http", container) == 9000
    with pytest.raises(ValueError, match="no port named 'grpc'"):
        port_number("grpc", container)


@pytest.mark.parametrize(
    ("policy", "init", "main", "phase"),
    [
        ("Always", [], [Waiting()], "Pending"),
        ("Always", [], [RUNS, Waiting()], "Pending"),
        ("Always", [], [RUNS, RUNS], "Running"),
        ("Always", [], [DONE], "Running"),
        ("Never", [], [DONE, RUNS], "Running"),
        ("Never", [], [DONE, DONE], "Succeeded"),
        ("Never", [], [DONE, BROKEN], "Failed"),
        ("OnFailure", [], [DONE], "Succeeded"),
        ("Always", [RUNS], [Waiting()], "Pending"),
        ("Always", [BROKEN], [Waiting()], "Pending"),
        ("Never", [BROKEN], [Waiting()], "Failed"),
        ("Never", [DONE], [DONE], "Succeeded"),
    ],
)
def test_the_phase_of_a_pod_follows_its_containers(policy, init, main, phase):
    sight = Sight(
        init=[View(name=f"i{index}", image="", state=state) for index, state in enumerate(init)],
        main=[View(name=f"c{index}", image="", state=state) for index, state in enumerate(main)],
        address="127.1.0.1",
        since=NOW,
        policy=policy,
    )
    assert pod_status(POD, sight, NOW)["phase"] == phase


def test_a_condition_keeps_its_time_until_it_changes_and_others_conditions_stay():
    sight = Sight(init=[], main=[View(name="c", image="", state=RUNS, ready=True)], address="127.1.0.1", since=NOW)
    first = pod_status(POD, sight, NOW)
    foreign = {"type": "example.com/gate", "status": "True"}
    later = pod_status(
        POD | {"status": first | {"conditions": [*first["conditions"], foreign]}}, sight, NOW.replace(hour=13)
    )
    assert later["conditions"] == [*first["conditions"], foreign]


def facts(pod, objects):
    return Facts(pod=pod, address="127.1.0.1", lookup=lambda plural, name: objects.get((plural, name)))


def pod_with(*given_volumes):
    return {
        "metadata": {"name": "p", "namespace": "ml", "labels": {"a": "b"}},
        "spec": {"containers": [], "volumes": list(given_volumes)},
    }


def test_volumes_are_folders_with_the_files_of_their_sources(tmp_path: Path):
    objects = {("configmaps", "c"): {"kind": "ConfigMap", "data": {"x": "1", "y": "2"}}}
    pod = pod_with(
        {"name": "scratch", "emptyDir": {}},
        {"name": "some", "configMap": {"name": "c", "items": [{"key": "x", "path": "deep/x.txt"}]}},
        {
            "name": "all",
            "projected": {"sources": [{"configMap": {"name": "c"}}, {"serviceAccountToken": {"path": "t"}}]},
        },
        {"name": "info", "downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
        {"name": "claim", "persistentVolumeClaim": {"claimName": "models"}},
    )
    folders = volumes.prepare(facts(pod, objects), tmp_path / "v", tmp_path / "claims")
    found = {str(file.relative_to(tmp_path)): file.read_text() for file in tmp_path.rglob("*") if file.is_file()}
    assert found == {"v/some/deep/x.txt": "1", "v/all/x": "1", "v/all/y": "2", "v/info/labels": 'a="b"'}
    assert Path(folders["claim"]) == tmp_path / "claims" / "ml" / "models"
    assert Path(folders["scratch"]).is_dir()


def test_a_file_whose_source_is_gone_goes_too(tmp_path: Path):
    volumes.write(tmp_path, {"a": b"1", "b": b"2"})
    volumes.write(tmp_path, {"b": b"3"})
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {"b": b"3"}


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        ({"name": "v", "configMap": {"name": "none"}}, "configmap 'none' does not exist"),
        ({"name": "v", "hostPath": {"path": "/no/such/folder"}}, "does not exist on this machine"),
        ({"name": "v", "nfs": {}}, "nfs is not available on a local node"),
    ],
)
def test_a_volume_that_cannot_be_made_is_named(tmp_path: Path, volume, message):
    with pytest.raises(ConfigError, match=message):
        volumes.prepare(facts(pod_with(volume), {}), tmp_path, tmp_path)


def test_a_path_that_leaves_its_volume_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match="leaves its volume"):
        volumes.write(tmp_path / "v", {"../out": b""})


def command(tmp_path: Path, *words: str) -> Command:
    return Command(argv=words, env={"PATH": os.environ["PATH"]}, folder=tmp_path / "cwd")


async def test_a_process_says_how_it_ended_and_what_it_wrote_last(tmp_path: Path):
    process = await Process.spawn(
        command(tmp_path, "sh", "-c", "echo first; echo last >&2; exit 4"), tmp_path / "log", Records(tmp_path / "r")
    )
    assert await process.wait() == 4
    assert process.tail() == "first\nlast"


async def test_a_process_that_a_signal_ended_has_the_code_that_shells_give(tmp_path: Path):
    process = await Process.spawn(command(tmp_path, "sleep", "100"), tmp_path / "log", Records(tmp_path / "r"))
    assert await process.end(5) == 128 + signal.SIGTERM


async def test_the_children_of_a_process_that_ends_go_with_it(tmp_path: Path, until):
    process = await Process.spawn(
        command(tmp_path, sys.executable, "-c", FAMILY), tmp_path / "log", Records(tmp_path / "r")
    )
    await until(lambda: len(members(process.pid)) == 2)
    os.kill(process.pid, signal.SIGKILL)
    assert await process.wait() == 128 + signal.SIGKILL
    assert members(process.pid) == []


async def test_a_command_that_does_not_exist_is_named(tmp_path: Path):
    with pytest.raises(StartError, match="'no-such-program' is not an executable file"):
        await Process.spawn(command(tmp_path, "no-such-program"), tmp_path / "log", Records(tmp_path / "r"))


def test_records_end_what_an_earlier_run_left_and_spare_a_reused_pid(tmp_path: Path):
    left = subprocess.Popen([sys.executable, "-c", FAMILY], start_new_session=True, stdout=subprocess.PIPE)
    other = subprocess.Popen(["sleep", "300"], start_new_session=True)
    try:
        left.stdout.readline()
        before = Records(tmp_path / "records")
        before.add(left.pid, member(left.pid).started)
        before.add(other.pid, member(other.pid).started - 1)
        assert Records(tmp_path / "records").recover() == 2
        assert left.wait(5) == -signal.SIGTERM
        assert members(left.pid) == []
        assert other.poll() is None
    finally:
        left.stdout.close()
        for process in (left, other):
            process.kill()
            process.wait()


def test_records_of_an_earlier_boot_are_left_alone(tmp_path: Path):
    other = subprocess.Popen(["sleep", "300"], start_new_session=True)
    try:
        leaders = {str(other.pid): member(other.pid).started}
        (tmp_path / "records").write_bytes(orjson.dumps({"boot": "another", "leaders": leaders}))
        Records(tmp_path / "records").recover()
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_the_guard_kills_what_ignores_the_signal():
    deaf = "import signal,time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(300)"
    process = subprocess.Popen([sys.executable, "-c", deaf], start_new_session=True, stdout=subprocess.PIPE)
    try:
        process.stdout.readline()
        guard.end({process.pid: member(process.pid).started}, patience=0.2)
        assert process.wait(5) == -signal.SIGKILL
    finally:
        process.stdout.close()
        process.kill()


def test_a_log_over_the_limit_is_cut_and_kept_once(tmp_path: Path):
    log = tmp_path / "c.log"
    log.write_bytes(b"x" * (LOG_LIMIT + 1))
    rotate(log)
    assert log.stat().st_size == 0
    assert (tmp_path / "c.log.1").stat().st_size == LOG_LIMIT + 1


def test_the_tail_of_a_log_is_its_last_lines(tmp_path: Path):
    log = tmp_path / "c.log"
    log.write_text("".join(f"line {index}\n" for index in range(1000)))
    assert tail(log).splitlines() == [f"line {index}" for index in range(990, 1000)]
    assert tail(tmp_path / "none") == ""
