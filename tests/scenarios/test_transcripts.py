"""Each scenario reads as it did. `python tests/scenarios --update` writes the transcripts anew, to be reviewed."""

from pathlib import Path

import pytest
from telling import SCENARIOS, tell


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_a_scenario_reads_as_before(path: Path) -> None:
    assert tell(path) == path.with_suffix(".txt").read_text()


def test_every_transcript_has_its_scenario() -> None:
    assert {path.stem for path in Path(__file__).parent.glob("*.txt")} == {path.stem for path in SCENARIOS}


def test_the_stories_that_matter_most_are_told() -> None:
    assert len(SCENARIOS) >= 11
