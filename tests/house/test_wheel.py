"""The wheel: it holds what is ours and nothing else, and works outside the checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = {"controller", "analysis", "orchestrator", "localcluster", "seldon_rollouts"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # The build back end of this environment: a build of its own would ask a registry for what is here already.
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def run(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=installed.parent, env=environment, capture_output=True, text=True, check=False
    )


def test_the_wheel_holds_our_packages_with_types_and_data(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == OURS
    assert {f"{package}/py.typed" for package in OURS} <= set(names)
    assert any(name.startswith("seldon_rollouts/crds/") for name in names)
    assert "seldon_rollouts/manifests/base/kustomization.yaml" in names
    assert "seldon_rollouts/dashboard/static/app.js" in names


def test_the_wheel_names_its_programs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (entry,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        text = archive.read(entry).decode()
    programs = {line.split(" =")[0] for line in text.splitlines() if " = " in line}
    assert programs == {
        "seldon-rollouts", "kubectl-seldon_rollouts", "kubectl_complete-seldon_rollouts",
        "seldon-rollouts-controller", "seldon-rollouts-orchestrator",
    }  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [
        ("-m", "seldon_rollouts", "--version"),
        ("-m", "seldon_rollouts", "--help"),
        ("-m", "controller", "--help"),
        ("-m", "orchestrator", "--help"),
        ("-m", "orchestrator.node", "--help"),
    ],
)
def test_the_programs_start_outside_the_checkout(installed: Path, arguments: tuple[str, ...]) -> None:
    done = run(installed, *arguments)
    assert done.returncode == 0, done.stderr


def test_the_installed_program_finds_its_definitions(installed: Path) -> None:
    code = (
        "import seldon_rollouts.data as d; print(d.__file__); print(sorted(p.name for p in d.folder('crds').iterdir()))"
    )
    done = run(installed, "-c", code)
    assert str(installed) in done.stdout
    assert "rollouts.seldon.io_seldonrollouts.yaml" in done.stdout
