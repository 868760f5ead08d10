"""The guide's pages can be followed: blocks parse, links lead somewhere, commands and flags exist."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
import yaml
from blocks import Command, File, PageError, agrees, fences, steps

from controller.api.rollout import Blocker
from seldon_rollouts.cli.app import program as whole
from seldon_rollouts.documents import documents
from seldon_rollouts.lint import lint

ROOT = Path(__file__).parents[2]
GUIDE = sorted((ROOT / "docs" / "guide").glob("*.md"))
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")
INVOCATION = re.compile(r"(?:\bkubectl )?\bseldon-rollouts ([a-z][^`\n|;)]*)")


def _name(path: Path) -> str:
    return path.name


def _slug(heading: str) -> str:
    words = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower())
    return words.strip().replace(" ", "-")


def _anchors(page: Path) -> set[str]:
    prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return {_slug(line) for line in re.findall(r"^#+ (.+)$", prose, re.MULTILINE)}


@pytest.mark.parametrize("page", DOCS, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{target} does not exist"
        assert not anchor or found.suffix != ".md" or anchor in _anchors(found), f"{target}: no such heading"


@pytest.mark.parametrize("page", GUIDE, ids=_name)
def test_blocks_parse_and_manifests_are_valid(page: Path, tmp_path: Path) -> None:
    for step in steps(page):
        if isinstance(step, File):
            file = tmp_path / step.name
            file.write_text(step.text)
            if file.suffix == ".yaml":
                assert lint(list(documents([file]))) == [], step.where
            if file.suffix == ".py":
                compile(step.text, step.name, "exec")
    for info, body, number in fences(page):
        if info == "yaml":
            assert yaml.safe_load(body), f"{page.name}:{number}"


def _invocations(page: Path) -> Iterator[list[str]]:
    text = page.read_text()
    for found in INVOCATION.finditer(text):
        before = text[: found.start()].rpartition("\n")[2]
        if before.rstrip(" $").endswith(("`", "(", "|")) or not before.strip(" $"):
            yield shlex.split(found[1].replace('"', "").replace("'", ""), comments=True)


@pytest.mark.parametrize("page", GUIDE, ids=_name)
def test_commands_and_flags_exist(page: Path) -> None:
    program = typer.main.get_command(whole())
    for words in _invocations(page):
        command: Any = program
        rest = list(words)
        while (commands := getattr(command, "commands", None)) and rest:
            assert rest[0] in commands, f"seldon-rollouts {' '.join(words)}: there is no {rest[0]}"
            command = commands[rest.pop(0)]
        known = {flag for each in command.params for flag in (*each.opts, *each.secondary_opts)} | {"--help"}
        for word in rest:
            flag = word.partition("=")[0]
            assert not flag.startswith("-") or flag in known, f"seldon-rollouts {' '.join(words)}: no flag {flag}"


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        (("a",), "a\n", True),
        (("a",), "b\n", False),
        (("a",), "a\nb\n", False),
        ((), "", True),
        ((), "a\n", False),
        (("a ... c",), "a b c\n", True),
        (("a ... c",), "a b\nc\n", False),
        (("a", "..."), "a\nb\nc\n", True),
        (("a", "..."), "a\n", True),
        (("...", "c"), "a\nb\nc\n", True),
        (("...", "c"), "a\nb\n", False),
        (("a    b",), "a b  \n", True),
        (("a (1) [2]",), "a (1) [2]\n", True),
    ],
)
def test_output_agrees_with_what_a_page_shows(expected: tuple[str, ...], printed: str, same: bool) -> None:
    assert agrees(expected, printed) is same


def test_a_page_says_files_commands_and_which_exit_codes_are_asked_for(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```yaml a.yaml\nx: 1\n```\n```sh\nnot run\n```\n```console\n$ one\nsaid\n$ echo $?\n1\n```\n")
    assert list(steps(page)) == [
        File("page.md:2", "a.yaml", "x: 1\n"),
        Command("page.md:8", "one", ("said",), checked=False),
        Command("page.md:10", "echo $?", ("1",), checked=True),
    ]


@pytest.mark.parametrize("text", ["```console\nno command\n```\n", "```console\n$ one\n"])
def test_a_block_that_cannot_be_read_is_named(text: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(PageError, match=r"page\.md"):
        list(steps(page))


def test_troubleshooting_has_every_kind_of_blocker() -> None:
    headings = _anchors(ROOT / "docs" / "guide" / "troubleshooting.md")
    assert set(get_args(Blocker)) <= headings
