"""What docs/behaviours.md says is held by a test, is: every test that it names exists, and every row has an answer."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "behaviours.md").read_text()
TESTS = sorted(set(re.findall(r"`([\w/]+\.py)::(\w+)(?:::(\w+))?`", TEXT)))
TRANSCRIPTS = sorted(set(re.findall(r"`([\w-]+\.txt)`", TEXT)))


@pytest.mark.parametrize(("file", "name", "method"), TESTS, ids=["-".join(filter(None, each)) for each in TESTS])
def test_a_test_that_is_named_exists(file: str, name: str, method: str) -> None:
    text = (ROOT / file if file.startswith("e2e/") else ROOT / "tests" / file).read_text()
    assert re.search(rf"^(async )?(def|class) {name}\b|^{name} = ", text, re.MULTILINE)
    assert not method or re.search(rf"^    (async )?def {method}\b", text, re.MULTILINE)


@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_a_transcript_that_is_named_exists(name: str) -> None:
    assert (ROOT / "tests" / "scenarios" / name).is_file()


def test_all_forty_have_a_row_with_a_test_or_a_reason() -> None:
    rows = [line.split(" | ") for line in TEXT.splitlines() if re.match(r"\| \d+ \|", line)]
    assert [int(row[0].removeprefix("| ")) for row in rows] == list(range(1, 41))
    assert all(len(row) == 4 and ("::" in row[3] or ".txt" in row[3] or "*not ours*" in row[3]) for row in rows)


def test_every_feature_is_built_with_a_test_or_left_with_a_reason() -> None:
    table = TEXT.split("## Features")[1]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")][2:]
    assert len(rows) >= 40
    assert all(len(row) == 3 and ("::" in row[2] or ".txt" in row[2] or "*not offered*" in row[2]) for row in rows)
