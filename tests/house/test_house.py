"""The house polices itself: import rules, sizes, banned words, names, data in step, commands."""

import ast
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("controller", "analysis", "orchestrator", "localcluster", "seldon_rollouts")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
FILE_LINES, FUNCTION_LINES, PARAMETERS = 400, 70, 7
FORBIDDEN_NAMES = {"utils", "helpers", "common", "misc"}


def test_import_rules_hold() -> None:
    command = str(Path(sys.executable).with_name("lint-imports"))
    done = subprocess.run([command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_fit_in_the_head(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= FILE_LINES
    assert path.stem not in FORBIDDEN_NAMES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno < FUNCTION_LINES, f"{node.name} is long"
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            count = len([each for each in arguments if each.arg not in ("self", "cls")])
            command_line = path.is_relative_to(ROOT / "seldon_rollouts" / "cli")  # options are parameters there
            assert count <= PARAMETERS or node.name == "__init__" or command_line, (
                f"{node.name} takes {count} parameters"
            )


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), "a module docstring is missing"


def test_nothing_in_the_repository_names_a_machine_or_a_registry() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    banned = re.compile("|".join(["/wo" + r"rk/", "/ro" + r"ot/", "pypi" + r"\.org", "files\\.python" + "hosted"]))
    found = []
    for name in listed:
        path = ROOT / name
        if path.suffix in {".png", ".gif"} or not path.is_file():
            continue
        text = path.read_text(errors="replace")
        found += [f"{name}: {line.strip()[:100]}" for line in text.splitlines() if banned.search(line)]
    assert not found, found


@pytest.mark.parametrize("name", PACKAGES)
def test_nobody_else_owns_our_import_names(name: str) -> None:
    owners = importlib.metadata.packages_distributions().get(name, [])
    assert set(owners) <= {"seldon-rollouts"}, owners


def test_crds_is_data_and_never_a_package() -> None:
    assert not (ROOT / "crds" / "__init__.py").exists()


def test_make_help_explains_every_target_in_one_line() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    explained = {line.split()[0] for line in done.stdout.splitlines() if line.strip()}
    written = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert written - explained <= {"browser"}
    assert {"help", "demo", "test", "check", "crds", "e2e"} <= explained


def test_every_dependency_is_pinned_without_an_address() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = [line for line in lines if line and not line.startswith("#")]
    assert pinned
    assert [line for line in pinned if not re.fullmatch(r"[A-Za-z0-9_.\-]+==[A-Za-z0-9.+!]+", line)] == []
