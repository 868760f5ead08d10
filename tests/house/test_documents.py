"""What the documents name is there: tests, files, modules, flags, variables, targets, rooms and dependencies."""

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from analysis.spec import Arm, Comparison, ErrorRate, Latency, Plan
from analysis.verdict import Finding, Judgement
from controller.kube.watches import Change, Watch
from localcluster.cluster import Options
from localcluster.state import Addresses
from localcluster.supervise import Program

ROOT = Path(__file__).parents[2]
LISTED = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
FILES = [name for name in LISTED if (ROOT / name).is_file()]
PAGES = [name for name in FILES if name.endswith(".md")]
PACKAGES = ("controller", "analysis", "orchestrator", "localcluster", "seldon_rollouts")
KINDS = (".py", ".js", ".yaml", ".toml", "Makefile", "Dockerfile")
CODE = "\n".join((ROOT / name).read_text() for name in FILES if name.endswith(KINDS))
TESTS = {name: (ROOT / name).read_text() for name in FILES if re.match(r"(tests|e2e)/.*\.py$", name)}
OTHERS = {"--cascade", "--add-scram"}  # flags of kubectl and of Kafka


def named(page: str, pattern: str) -> list[str]:
    """What stands in a page's code, in a line or in a block, and looks like this."""
    text = (ROOT / page).read_text()
    code = re.findall(r"^```.*?^```$|`[^`\n]+`", text, re.MULTILINE | re.DOTALL)
    return sorted({each for part in code for each in re.findall(pattern, part)})


@pytest.mark.parametrize("page", PAGES)
def test_tests_that_are_named_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    for file, name in re.findall(r"`([\w/]+\.py)::(\w+)", text):
        found = TESTS[file if file.startswith("e2e/") else f"tests/{file}"]
        assert re.search(rf"^(async )?(def|class) {name}\b|^{name} = ", found, re.MULTILINE), f"{file}::{name}"
    for name in re.findall(r"`(test_\w+)`", text):
        assert any(re.search(rf"\bdef {name}\b", found) for found in TESTS.values()), name


@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_named_exist(page: str) -> None:
    for path in named(page, rf"(?<![\w./])(?:{'|'.join(PACKAGES)}|tests|e2e|bench|docs|manifests)/[\w./-]*\w"):
        places = (ROOT / path, ROOT / f"{path}.py", ROOT / "tests" / path)  # a test is named from `tests` on
        assert path.startswith("bench/results") or any(place.exists() for place in places), path
    for module in named(page, r"python3? -m ([\w.]+)"):
        path = ROOT.joinpath(*module.split("."))
        ours = module.split(".")[0] in (*PACKAGES, "bench")
        assert not ours or path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module


@pytest.mark.parametrize("page", PAGES)
def test_flags_variables_and_targets_that_are_named_exist(page: str) -> None:
    flags = {re.sub("^--(no-)?", "", flag) for flag in set(named(page, r"(?<![\w-])--[a-z][a-z0-9_-]+")) - OTHERS}
    assert not {flag for flag in flags if flag not in CODE and flag.replace("-", "_") not in CODE}
    variables = named(page, r"\b(?:SELDON|KAFKA|LOGGER|ENGINE|PREDICTIVE|GUNICORN|CORS)_[A-Z_]*[A-Z]\b")
    settings = {re.sub("^(SELDON_ROLLOUTS|KAFKA)_", "", each) for each in variables}  # the rest names a setting
    assert not {each for each in settings if each not in CODE and each.lower() not in CODE}
    targets = re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(named(page, r"\bmake ([a-z][a-z0-9-]+)")) <= set(targets)


def test_every_room_of_the_house_has_a_line() -> None:
    table = (ROOT / "docs" / "architecture.md").read_text().split("| room |")[1].split("\n\n")[0]
    rooms = set(re.findall(r"^\| `([\w/]+)` \|", table, re.MULTILINE))
    packages = {str(path.parent.relative_to(ROOT)) for path in (ROOT / "controller").glob("*/__init__.py")}
    assert rooms == packages | set(PACKAGES) - {"controller"}


PROGRAMS = re.findall(
    r"^\| .*? \| `python -m ([\w.]+)(?: [^`]*)?`.*? \| (.*--.*) \|$",
    (ROOT / "docs" / "architecture.md").read_text(),
    re.MULTILINE,
)


@pytest.mark.parametrize(("module", "told"), PROGRAMS, ids=[module for module, _ in PROGRAMS])
def test_a_program_has_the_flags_that_others_rely_on(module: str, told: str) -> None:
    command = [sys.executable, "-m", module, "--help"]
    wide = {**os.environ, "COLUMNS": "200"}
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env=wide).stdout
    flags = set(re.findall(r"--[a-z][\w-]*[a-z]", told)) - {"--help"}
    assert flags
    assert {flag for flag in flags if not re.search(rf"{flag}\b(?!-)", said)} == set()


TOLD = (Change, Watch, Arm, Comparison, Plan, ErrorRate, Latency, Finding, Judgement, Addresses, Program, Options)


@pytest.mark.parametrize("told", TOLD, ids=lambda told: str(told.__name__))
def test_what_passes_between_rooms_is_told_with_every_field(told: type) -> None:
    page = (ROOT / "docs" / "architecture.md").read_text().split("## Contracts between rooms")[1]
    place = re.search(rf"\b(?:class )?{told.__name__}(?:\(|: )", page)
    assert place is not None
    words = re.findall(r"\w+", page[place.end() : place.end() + 500])
    assert {field.name for field in dataclasses.fields(told)} - set(words) == set()


def test_every_dependency_is_justified_and_no_other() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = {**project["project"]["optional-dependencies"], **project["dependency-groups"]}
    asked = [*project["project"]["dependencies"], *(each for group in groups.values() for each in group)]
    names = {re.split(r"[<>=;\[ ]", each)[0].lower() for each in asked}
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", (ROOT / "docs" / "dependencies.md").read_text(), re.MULTILINE)
    told = {name.strip().lower() for row in rows[1:] for name in re.sub(r"\(.*?\)", "", row).split(",")}
    types, plugins = "types-*", "pytest and its plugins"
    assert {types, plugins} <= told
    ours = {name for name in names if not name.startswith(("types-", "pytest"))}
    assert ours == told - {types, plugins}
