"""The command line against a real API server: what it prints, its exit codes, and errors that say what to do."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from controller import clock
from controller.kube import resources
from controller.kube.client import Client
from controller.kube.connection import connector
from localcluster.testserver import running_server
from seldon_rollouts import phases

pytestmark = pytest.mark.asyncio(loop_scope="module")
ROOT = Path(__file__).parents[2]
SPEC = {"template": {"spec": {"predictors": [{"name": "default", "graph": {"name": "c"}}]}}}


class Shell:
    """Runs the command line on a cluster with one rollout."""

    def __init__(self, kubeconfig: str, client: Client) -> None:
        self.kubeconfig, self.client = kubeconfig, client

    async def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "seldon_rollouts", *arguments, "--kubeconfig", self.kubeconfig]
        return await asyncio.to_thread(
            subprocess.run, command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
        )

    async def analyse(self, templates: list[dict[str, Any]] | None) -> None:
        patch = {"spec": {"analysis": {"templates": templates}}}
        await self.client.merge_patch(resources.SELDON_ROLLOUT, "default", "iris", patch)

    async def say(self, **status: Any) -> None:
        live = await self.client.get(resources.SELDON_ROLLOUT, "default", "iris")
        meta = live["metadata"]
        whole = {"observedGeneration": meta["generation"], **status}
        await self.client.patch_status(
            resources.SELDON_ROLLOUT, "default", "iris", whole, resource_version=meta["resourceVersion"]
        )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster() -> AsyncIterator[Shell]:
    async with running_server(crds=[ROOT / "crds"]) as server:
        kubeconfig = str(server.kubeconfig_path)
        async with Client(connector(kubeconfig, None, now=clock.now)) as client:
            await client.create(
                resources.SELDON_ROLLOUT,
                {
                    "apiVersion": "rollouts.seldon.io/v1alpha1",
                    "kind": "SeldonRollout",
                    "metadata": {"name": "iris", "namespace": "default"},
                    "spec": SPEC,
                },
            )
            yield Shell(kubeconfig, client)


@pytest_asyncio.fixture(loop_scope="module")
async def shell(cluster: Shell) -> Shell:
    """The cluster, with the rollout as it was at the start."""
    patch = {"metadata": {"annotations": {"rollouts.seldon.io/intent": None}}}
    await cluster.client.merge_patch(resources.SELDON_ROLLOUT, "default", "iris", patch)
    await cluster.say()
    return cluster


REVISION = {"hash": "bbb", "number": 2, "name": "iris-bbb", "replicas": 2, "readyReplicas": 1, "weight": 4.5}
STABLE = {"hash": "aaa", "number": 1, "name": "iris-aaa", "role": "stable", "weight": 95.5}
MOVING = {
    "phase": "Progressing", "message": "revision 2 is progressing", "stableRevision": STABLE,
    "canaryRevision": REVISION, "stepCount": 6, "step": "1/6",
    "weights": {"stable": 95, "canary": 5}, "blockedOn": {"kind": "metric", "message": "not enough requests"},
}  # fmt: skip


async def test_list_get_explain_and_history_say_where_a_rollout_is(shell: Shell) -> None:
    await shell.say(
        **MOVING, history=[{"at": "2026-01-01T00:00:00Z", "type": "RevisionCreated", "message": "2 begins"}]
    )
    listed, got = await shell.run("list", "-A"), await shell.run("get", "iris")
    explained, told = await shell.run("explain", "iris"), await shell.run("history", "iris")
    assert "Progressing" in listed.stdout
    assert " 1/6 " in listed.stdout
    assert "4.5" in listed.stdout.splitlines()[-1]
    assert "canary 4.5 %" in got.stdout
    assert "has 4.5% of requests, and is to have 5%" in explained.stdout
    assert "iris-bbb" in got.stdout
    assert "1/2 pods ready" in got.stdout
    assert "waits for evidence on a metric: not enough requests" in explained.stdout
    assert "abort" in explained.stdout
    assert "RevisionCreated" in told.stdout


FIRST = {"phase": "Pending", "canaryRevision": {**REVISION, "number": 1, "weight": 0}, "stepCount": 6}
STALLED = {"type": "Stalled", "status": "True", "reason": "ProgressDeadlineExceeded"}
LONG_AGO = "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(("conditions", "code"), [([STALLED], 1), ([], 2)])
@pytest.mark.parametrize("waiting", [(), ("--wait", "--timeout", "0")])
async def test_a_first_revision_is_waited_for_until_it_is_stalled(
    shell: Shell, conditions: list[dict[str, str]], code: int, waiting: tuple[str, ...]
) -> None:
    await shell.say(**FIRST, conditions=conditions)
    done = await shell.run("status", "iris", *waiting)
    assert done.returncode == code, done.stderr


async def test_the_list_has_a_first_revision_without_a_step_and_a_verdict(shell: Shell) -> None:
    await shell.say(**FIRST, message="the first revision is starting")
    heading, row = (await shell.run("list", "-n", "default")).stdout.splitlines()
    assert heading.split()[:6] == ["NAMESPACE", "NAME", "PHASE", "STEP", "WEIGHT", "VERDICT"]
    assert row.split()[:3] == ["default", "iris", "Pending"]
    assert "the first revision" in row
    assert not any(word in row for word in ("/6", "%", "NoData", "stuck"))


@pytest.mark.parametrize(
    "status",
    [
        {**FIRST, "conditions": [STALLED]},
        {"phase": "Progressing", "blockedOn": {"kind": "mesh", "since": LONG_AGO}},
    ],
)
async def test_the_list_says_what_is_stuck(shell: Shell, status: dict[str, Any]) -> None:
    await shell.say(**status)
    listed = await shell.run("list", "-n", "default")
    assert f"{status['phase']}, stuck" in listed.stdout


@pytest.mark.parametrize(
    ("status", "is_stuck"),
    [
        ({**FIRST, "conditions": [STALLED]}, True),
        (FIRST, False),
        ({"phase": "Degraded", "conditions": [STALLED]}, False),
        ({"phase": "Progressing", "blockedOn": {"kind": "mesh", "since": LONG_AGO}}, True),
        ({"phase": "Progressing", "blockedOn": {"kind": "person", "since": LONG_AGO}}, False),
        ({"phase": "Progressing", "blockedOn": {"kind": "mesh", "since": "2999-01-01T00:00:00Z"}}, False),
        ({"phase": "Healthy", "blockedOn": {"kind": "mesh", "since": LONG_AGO}}, False),
    ],
)
async def test_what_is_stuck_leads_the_list(shell: Shell, status: dict[str, Any], is_stuck: bool) -> None:
    await shell.say(**status)
    (row,) = await shell.client.table(resources.SELDON_ROLLOUT, "default")
    found = phases.stuck(row, datetime(2026, 6, 1, tzinfo=UTC))
    assert found is is_stuck
    assert (phases.urgency(row, stuck=found) == phases.urgency({"Phase": "Degraded"}, stuck=False)) is (
        is_stuck or status["phase"] == "Degraded"
    )


@pytest.mark.parametrize(("phase", "code"), [("Healthy", 0), ("Degraded", 1), ("Progressing", 2), ("Paused", 3)])
async def test_status_has_exit_codes_for_pipelines(shell: Shell, phase: str, code: int) -> None:
    await shell.say(phase=phase, message="so it is")
    done = await shell.run("status", "iris")
    assert (done.returncode, done.stdout.strip()) == (code, f"{phase}: so it is")


async def test_an_approval_that_is_waited_for_ends_the_waiting_and_leads_the_list(shell: Shell) -> None:
    asks = {"kind": "person", "message": "waiting for somebody to approve owner"}
    await shell.say(phase="Progressing", message="so it is", blockedOn=asks)
    done = await shell.run("status", "iris", "--wait", "--timeout", "30")
    assert (done.returncode, done.stdout.strip()) == (3, "Progressing: so it is")
    first, second, last = (
        phases.urgency({"Phase": phase, "Waits": waits}, stuck=False)
        for phase, waits in [("Progressing", "person"), ("Paused", ""), ("Progressing", "pods")]
    )
    assert first == second < last


@pytest.mark.parametrize(
    ("output", "said"),
    [("name", "seldonrollout.rollouts.seldon.io/iris\n"), ("wide", "Progressing"), ("json", '"kind": "List"')],
)
async def test_the_list_has_forms_for_pipes(shell: Shell, output: str, said: str) -> None:
    await shell.say(**MOVING)
    done = await shell.run("list", "-o", output)
    assert (done.returncode, said in done.stdout) == (0, True)


async def test_the_namespace_is_the_context_s_when_none_is_given(shell: Shell, tmp_path: Path) -> None:
    config = yaml.safe_load(await asyncio.to_thread(Path(shell.kubeconfig).read_text))
    for each in config["contexts"]:
        each["context"]["namespace"] = "elsewhere"
    await asyncio.to_thread((tmp_path / "config").write_text, yaml.safe_dump(config))
    there = Shell(str(tmp_path / "config"), shell.client)
    done, named = await asyncio.gather(there.run("get", "iris"), there.run("get", "iris", "-n", "default"))
    assert (done.returncode, "in namespace elsewhere" in done.stderr) == (1, True)
    assert named.returncode == 0


async def test_kubectl_completes_rollouts_by_our_program(shell: Shell, tmp_path: Path) -> None:
    kubectl = shutil.which(
        "kubectl", path=os.pathsep.join((os.environ.get("KUBEBUILDER_ASSETS", ""), os.environ["PATH"]))
    )
    await shell.say(**MOVING)
    for name, module in (("-seldon_rollouts", "cli"), ("_complete-seldon_rollouts", "cli.kubectl")):
        program = tmp_path / f"kubectl{name}"
        script = f"#!{sys.executable}\nfrom seldon_rollouts.{module} import main\nmain()\n"
        await asyncio.to_thread(program.write_text, script)
        program.chmod(0o755)
    words = ["get", "--kubeconfig", shell.kubeconfig, "-n", "default", "ir"]
    asked = (
        [kubectl, "__complete", "seldon-rollouts"] if kubectl else [str(tmp_path / "kubectl_complete-seldon_rollouts")]
    )
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = await asyncio.to_thread(
        subprocess.run, [*asked, *words], capture_output=True, text=True, check=False, timeout=60, env=environment
    )
    assert done.stdout.splitlines() == ["iris\tProgressing", ":4"], done.stderr


NONE = "there is no AnalysisTemplate"


async def test_explain_names_the_templates_that_are_missing(shell: Shell) -> None:
    named = [{"templateName": "rates"}, {"templateName": "everywhere", "clusterScope": True}]
    kind = {"apiVersion": "rollouts.seldon.io/v1alpha1", "kind": "AnalysisTemplate"}
    rate = {
        **kind,
        "metadata": {"name": "rate", "namespace": "default"},
        "spec": {"templates": [{"templateName": "base"}]},
    }
    await shell.client.create(resources.ANALYSIS_TEMPLATE, rate)
    await shell.analyse([*named, {"templateName": "rate"}])
    await shell.say(phase="Healthy", message="revision 1 serves all traffic")
    told = (await shell.run("explain", "iris")).stdout.splitlines()
    mended = [each.partition("before this is mended: ")[2] for each in told if "before this is mended" in each]
    assert mended == [
        f"{NONE} 'rates' in namespace default; did you mean rate?",
        "there is no ClusterAnalysisTemplate 'everywhere': create it, or correct the name",
        f"{NONE} 'base' in namespace default; there is rate (`kubectl get analysistemplates -n default`)",
    ]
    await shell.analyse(None)


async def test_in_a_pipe_no_line_is_folded(shell: Shell) -> None:
    sentence = "many words of a judge " * 20
    await shell.say(**{**MOVING, "message": sentence.strip()})
    done = await shell.run("get", "iris")
    assert sentence.strip() in done.stdout.splitlines()[0]


async def test_who_waited_too_long_is_told_so(shell: Shell) -> None:
    await shell.say(**MOVING)
    done = await shell.run("status", "iris", "--wait", "--timeout", "0")
    assert (done.returncode, done.stdout.strip()) == (2, "Progressing: revision 2 is progressing")
    assert "it still moves after 0 s (--timeout)" in done.stderr


async def test_get_as_json_is_the_object_itself(shell: Shell) -> None:
    done = await shell.run("get", "iris", "-o", "json")
    assert json.loads(done.stdout)["metadata"]["name"] == "iris"


async def test_a_verb_is_left_as_an_intent_and_its_answer_is_printed(shell: Shell) -> None:
    await shell.say(**MOVING)
    asking = asyncio.create_task(shell.run("abort", "iris", "--reason", "not today"))
    async with asyncio.timeout(20):
        while True:
            live = await shell.client.get(resources.SELDON_ROLLOUT, "default", "iris")
            if text := live["metadata"].get("annotations", {}).get("rollouts.seldon.io/intent"):
                break
            await asyncio.sleep(0.05)
    intent = json.loads(text)
    await shell.say(phase="RollingBack", message="going back", lastIntent={**intent, "outcome": "done"})
    done = await asking
    assert (intent["verb"], intent["reason"], bool(intent["by"])) == ("abort", "not today", True)
    assert (done.returncode, done.stdout.strip()) == (0, "abort: RollingBack: going back")


async def test_a_rollback_names_its_revision(shell: Shell) -> None:
    await shell.say(phase="Healthy", message="revision 3 serves all traffic")
    asking = asyncio.create_task(shell.run("rollback", "iris", "2", "-r", "slow"))
    async with asyncio.timeout(20):
        while True:
            live = await shell.client.get(resources.SELDON_ROLLOUT, "default", "iris")
            if text := live["metadata"].get("annotations", {}).get("rollouts.seldon.io/intent"):
                break
            await asyncio.sleep(0.05)
    intent = json.loads(text)
    answer = {**intent, "outcome": "refused", "message": "revision 2 is not in the history (any more); there are 3"}
    await shell.say(phase="Healthy", message="revision 3 serves all traffic", lastIntent=answer)
    done = await asking
    assert (intent["verb"], intent["revision"], intent["reason"]) == ("rollback", 2, "slow")
    assert (done.returncode, "revision 2 is not in the history" in done.stderr) == (1, True)


async def test_an_illegal_verb_is_refused_before_anything_is_written(shell: Shell) -> None:
    await shell.say(phase="Healthy", message="revision 1 serves all traffic")
    done = await shell.run("resume", "iris")
    live = await shell.client.get(resources.SELDON_ROLLOUT, "default", "iris")
    assert (done.returncode, "no rollout is under way" in done.stderr) == (1, True)
    assert not live["metadata"].get("annotations")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("get", "nothing"), 1, "there is no SeldonRollout 'nothing' in namespace default"),
        (("get", "iris", "-o", "xml"), 2, "'xml' is not one of 'text', 'wide', 'name', 'json', 'yaml'"),
        (("diff", "iris", "7"), 1, "default/iris has no revision"),
    ],
)
async def test_errors_say_what_is_wrong_and_what_would_be_right(
    shell: Shell, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = await shell.run(*arguments)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


async def alone(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "seldon_rollouts", *arguments]
    return await asyncio.to_thread(subprocess.run, command, cwd=ROOT, capture_output=True, text=True, check=False)


async def test_without_a_kubeconfig_the_error_says_how_to_give_one(tmp_path: Path) -> None:
    done = await alone("list", "--kubeconfig", str(tmp_path / "none"))
    assert (done.returncode, "--kubeconfig" in done.stderr, "Traceback" in done.stderr) == (1, True, False)


@pytest.mark.parametrize(("verb", "code"), [("status", 1), ("down", 0)])
async def test_without_a_local_cluster_status_and_down_say_so(tmp_path: Path, verb: str, code: int) -> None:
    done = await alone("local", verb, "--data-dir", str(tmp_path))
    assert (done.returncode, "no local cluster runs" in done.stdout) == (code, True)


async def test_doctor_says_what_is_missing_and_how_to_get_it(shell: Shell) -> None:
    done = await shell.run("doctor", "-o", "json")
    found = {check["about"]: check for check in json.loads(done.stdout)}
    assert (done.returncode, found["SeldonRollout"]["state"]) == (1, "ok")
    assert (found["VirtualService"]["state"], "install Istio" in found["VirtualService"]["remedy"]) == ("missing", True)
    assert found["controller"]["state"] == "missing"


async def test_install_prints_what_can_be_applied() -> None:
    done = await alone("install", "--controllers", "rollout", "--dashboard")
    kinds = [each["kind"] for each in yaml.safe_load_all(done.stdout)]
    assert (done.returncode, kinds[0], kinds.count("Deployment")) == (0, "CustomResourceDefinition", 2)
    wrong = await alone("install", "--gateway", "nowhere")
    assert (wrong.returncode, "expected namespace/name" in wrong.stderr) == (1, True)


async def test_a_dashboard_whose_port_is_taken_says_so_and_promises_nothing(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = await shell.run("dashboard", "--port", str(port))
    assert (done.returncode, done.stdout) == (1, "")
    assert f"--port {port}: Address already in use; name another" in done.stderr
