"""A minute of rest: nothing is written, and no status says anything new, whatever the graph."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from controller.deployment.status import as_json
from controller.deployment.subject import Subject

Read = Callable[..., Subject]


def test_a_minute_of_rest_has_nothing_to_write(world: Any, sample: Path, subject_for: Read) -> None:
    subject = subject_for(yaml.safe_load(sample.read_text()))
    status = world.converge(subject)
    assert status.state == "Available"
    written = len(world.writes)
    for _ in range(12):
        world.wait(5)
        assert world.step(subject).actions == ()
        assert as_json(world.status(subject, previous=status)) == as_json(status)
    assert len(world.writes) == written
