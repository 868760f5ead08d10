"""docs/seldondeployment.md says what is: each difference has a test, and each annotation its line."""

from pathlib import Path

from controller.deployment.annotations import INTEGERS, SWITCHES
from controller.deployment.render.openings import ALLOW_ANNOTATION, MTLS_ANNOTATION
from controller.deployment.render.workloads import MAX_SURGE_ANNOTATION, MAX_UNAVAILABLE_ANNOTATION

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "seldondeployment.md").read_text()
ROWS = [
    line
    for line in TEXT.split("## Differences from Seldon Core v1")[1].splitlines()
    if line.startswith("| ") and "::" in line
]


def test_every_difference_names_what_shows_it() -> None:
    lines = TEXT.split("| upstream | here | shown by |")[1].split("\n\n")[0].splitlines()[2:]
    assert len(lines) == len(ROWS) > 20


def test_every_annotation_that_is_read_is_told_of() -> None:
    known = {*INTEGERS, *SWITCHES, MAX_SURGE_ANNOTATION, MAX_UNAVAILABLE_ANNOTATION}
    known |= {ALLOW_ANNOTATION, MTLS_ANNOTATION}
    assert {each for each in known if f"`{each}`" not in TEXT} == set()
