"""What docs/why.md says is shown, is shown: every test and transcript that it names exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WHY = (ROOT / "docs" / "why.md").read_text()
TESTS = sorted(set(re.findall(r"`([\w/]+\.py)::(\w+)`", WHY)))
TRANSCRIPTS = sorted(set(re.findall(r"`([\w-]+\.txt)`", WHY)))


@pytest.mark.parametrize(("file", "name"), TESTS, ids=[f"{file}-{name}" for file, name in TESTS])
def test_a_test_that_is_named_exists(file: str, name: str) -> None:
    path = ROOT / file if file.startswith("e2e/") else ROOT / "tests" / file
    assert re.search(rf"^(async )?(def|class) {name}\b|^{name} = ", path.read_text(), re.MULTILINE)


@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_a_transcript_that_is_named_exists(name: str) -> None:
    assert (ROOT / "tests" / "scenarios" / name).is_file()


def test_all_complaints_have_an_answer() -> None:
    rows = [line.split(" | ") for line in WHY.splitlines() if re.match(r"\| \d+ \|", line)]
    assert [int(row[0].removeprefix("| ")) for row in rows] == list(range(1, 25))
    assert all((len(row) == 5 and "::" in row[4]) or "*not yet*" in row[4] for row in rows)
