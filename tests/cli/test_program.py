"""The program as a whole: one command loads no other's modules, shells complete it, and it tells its versions."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from controller import clock
from controller.kube import resources
from controller.kube.client import Client
from controller.kube.connection import connector
from localcluster.testserver import running_server
from seldon_rollouts import __version__
from seldon_rollouts.cli import kubectl
from seldon_rollouts.cli.app import ROOMS, program

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def commands(first: str = "") -> set[str]:
    return set(get_command(program(first)).commands)


@pytest.mark.parametrize("room", ROOMS)
def test_each_command_is_in_the_room_that_is_loaded_for_it(room: str) -> None:
    assert commands(ROOMS[room][0]) == set(ROOMS[room])


def test_what_is_no_command_has_all_of_them() -> None:
    every = {name for names in ROOMS.values() for name in names}
    assert commands("--help") == commands("no-such-thing") == every


@pytest.mark.parametrize(("command", "more"), [("list", ("pydantic",)), ("get", ()), ("promote", ())])
def test_a_quick_command_loads_neither_the_dashboard_nor_the_local_cluster(command: str, more: tuple[str, ...]) -> None:
    heavy = (
        "fastapi",
        "localcluster.cluster",
        "numpy",
        "prometheus_api_client",
        "kubernetes_asyncio",
        "aiohttp",
        *more,
    )
    code = (
        f"import sys; from seldon_rollouts.cli.app import program; program('{command}');"
        f"print([name for name in {(*heavy, *more)} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("command", [("list",), ("get", "iris"), ("local", "status")])
def test_an_output_that_there_is_not_is_refused_in_plain_words(command: tuple[str, ...]) -> None:
    done = CliRunner().invoke(program(command[0]), [*command, "-o", "csv"])
    assert done.exit_code == 2
    assert "Value error" not in done.output
    assert command[0] == "local" or "-o': 'csv' is not one of 'text', 'wide', 'name', 'json', 'yaml'" in done.output


def test_bash_completes_commands() -> None:
    script = (
        f'export PATH="{BIN}:$PATH"; source <(seldon-rollouts completion bash);'
        "complete -p seldon-rollouts >/dev/null || exit 3;"
        "COMP_WORDS=(seldon-rollouts prom) COMP_CWORD=1;"
        "f=$(complete -p seldon-rollouts | sed 's/.*-F \\([^ ]*\\).*/\\1/'); $f seldon-rollouts prom;"
        "echo ${COMPREPLY[@]}"
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout.split()) == (0, ["promote", "promote-full"]), done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["pro"], ["promote", "promote-full"]),
        (["get", "-o", "j"], ["json"]),
        (["get", "--context", "o"], ["one", "other"]),
        (["completion", "z"], ["zsh"]),
        (["no-such-thing", "x"], []),
    ],
)
def test_kubectl_completes_our_plugin(
    words: list[str],
    said: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "config").write_text("contexts: [{name: other}, {name: one}, {name: mine}]")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    monkeypatch.setattr(sys, "argv", ["kubectl_complete-seldon_rollouts", *words])
    kubectl.main()
    *choices, directive = capsys.readouterr().out.splitlines()
    assert [each.partition("\t")[0] for each in choices] == said
    assert directive == ":4"


ZSH = """
autoload -U compinit && compinit -u -D
source <(seldon-rollouts completion zsh)
_arguments() { print -r -- $1 }
words=(seldon-rollouts prom) CURRENT=2
${_comps[seldon-rollouts]}
"""
"""Does what zsh does when Tab is pressed, and prints what it would offer."""
FISH = 'seldon-rollouts completion fish | source; complete -C "seldon-rollouts prom"'


@pytest.mark.parametrize(("shell", "flag", "script"), [("zsh", "-f", ZSH), ("fish", "--no-config", FISH)])
def test_other_shells_complete_commands(shell: str, flag: str, script: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} on this machine")
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    done = subprocess.run(
        [shell, flag, "-c", script], capture_output=True, text=True, check=False, timeout=60, env=environment
    )
    offered = re.findall(r'(?:^|[(\s])"?([a-z-]+)(?:":|\t)', done.stdout)
    assert offered == ["promote", "promote-full"], done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script_of_its_own(shell: str) -> None:
    done = CliRunner().invoke(program("completion"), ["completion", shell])
    assert done.exit_code == 0
    assert f"complete_{shell}" in done.output
    assert "_SELDON_ROLLOUTS_COMPLETE" in done.output


def test_another_shell_is_refused_with_those_that_it_knows() -> None:
    done = CliRunner().invoke(program("completion"), ["completion", "powershell"])
    assert done.exit_code == 2
    assert "'fish'" in done.output


DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {
        "name": "seldon-rollouts-controller", "namespace": "default",
        "labels": {"app.kubernetes.io/name": "seldon-rollouts-controller"},
    },
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "controller"}},
        "template": {
            "metadata": {"labels": {"app": "controller"}},
            "spec": {"containers": [{"name": "controller", "image": "registry.example:5000/controller:0.0.9"}]},
        },
    },
}  # fmt: skip


async def test_versions_of_the_client_the_controller_and_the_kinds() -> None:
    async with running_server(crds=[ROOT / "crds"]) as server:
        at = str(server.kubeconfig_path)
        async with Client(connector(at, None, now=clock.now)) as client:
            await client.create(resources.DEPLOYMENT, DEPLOYMENT)

        def asked(*words: str) -> str:
            done = CliRunner().invoke(
                program("version"), ["version", "--kubeconfig", at, *words], catch_exceptions=False
            )
            return done.output

        told = await asyncio.to_thread(asked)
        found = json.loads(await asyncio.to_thread(asked, "-o", "json"))
    assert f"client: {__version__}" in told
    assert "controller: 0.0.9 (default/seldon-rollouts-controller, 0 of 2 ready)" in told
    assert "this program is another version" in told
    assert "seldonrollouts.rollouts.seldon.io: v1alpha1" in told
    assert found["client"] == __version__
    assert found["controllers"][0]["version"] == "0.0.9"
    assert found["kinds"]["seldondeployments.machinelearning.seldon.io"] == "v1"


def test_without_a_cluster_the_clients_version_is_told() -> None:
    done = CliRunner().invoke(program("version"), ["version", "--client"])
    assert (done.exit_code, done.output) == (0, f"client: {__version__}\n")
