"""The guide's pages as data: files to write and commands to run, with what they should print."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^```(?P<info>[^`\n]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
ANY = "..."


class PageError(ValueError):
    """A page cannot be read; the message names page and line."""


@dataclass(frozen=True, slots=True)
class File:
    """A file that the reader saves: a block with a name after its language."""

    where: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Command:
    """A command that the reader types, and what it prints; `...` stands for what differs."""

    where: str
    line: str
    expected: tuple[str, ...]
    checked: bool
    """Its exit code must be 0: the next command does not ask for it."""


Step = File | Command


def fences(page: Path) -> Iterator[tuple[str, str, int]]:
    """Yield each fenced block: its info string, its text, and the number of its first line of text.

    Raises:
        PageError: a fence is not closed.
    """
    text = page.read_text("utf-8")
    if len(re.findall(r"^```", text, re.MULTILINE)) % 2:
        raise PageError(f"{page.name}: a block is not closed")
    for found in FENCE.finditer(text):
        yield found["info"].strip(), found["body"], text.count("\n", 0, found.start()) + 2


def steps(page: Path) -> Iterator[Step]:
    """Yield what a page has its reader do, in order. Raises PageError."""
    for info, body, number in fences(page):
        language, _, name = info.partition(" ")
        if language == "console":
            yield from _commands(page, body, number)
        elif name:
            yield File(f"{page.name}:{number}", name, body)


def _commands(page: Path, body: str, number: int) -> Iterator[Command]:
    lines = body.splitlines()
    starts = [index for index, line in enumerate(lines) if line.startswith("$ ")]
    if not starts or starts[0] != 0:
        raise PageError(f"{page.name}:{number}: a console block begins with a command: `$ ...`")
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        after = lines[end] if end < len(lines) else ""
        yield Command(
            where=f"{page.name}:{number + start}",
            line=lines[start][2:],
            expected=tuple(lines[start + 1 : end]),
            checked=after != "$ echo $?",
        )


def agrees(expected: tuple[str, ...], printed: str) -> bool:
    """Say whether output is as a page shows it.

    `...` within a line stands for anything in that line, a line of `...` alone for any lines; blanks may be more.
    """
    return re.fullmatch(_pattern(expected), "".join(f"{line.rstrip()}\n" for line in printed.splitlines())) is not None


def _pattern(expected: tuple[str, ...]) -> str:
    made = ""
    for line in expected:
        if line.strip() == ANY:
            made += r"(?:[^\n]*\n)*?"
            continue
        parts = [r"[ \t]+".join(re.escape(word) for word in re.split(r"[ \t]+", part)) for part in line.split(ANY)]
        made += r"[^\n]*".join(parts) + r"[ \t]*\n"
    return made
