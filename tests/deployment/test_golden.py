"""Every sample renders to the objects that were reviewed; `UPDATE_GOLDEN=1` writes them anew, for review."""

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from controller.deployment.configuration import Configuration
from controller.deployment.drift import HASH_ANNOTATION
from controller.deployment.render import render


def _readable(objects: Any) -> Any:
    """Decode ENGINE_PREDICTOR, so that a golden file shows it, and leave out the hash, which does not."""
    done = json.loads(json.dumps(objects))
    for obj in done:
        notes = obj["metadata"]["annotations"]
        del notes[HASH_ANNOTATION]
        if not notes:
            del obj["metadata"]["annotations"]
        pod = obj["spec"].get("template", {}).get("spec", {})
        for container in pod.get("containers", ()):
            for each in container.get("env", ()):
                if each["name"] == "ENGINE_PREDICTOR":
                    each["value"] = json.loads(base64.b64decode(each["value"]))
    return done


def test_a_sample_renders_to_its_golden_file(sample: Path, subject_for: Callable[..., Any]) -> None:
    raw = yaml.safe_load(sample.read_text())
    objects = _readable(render(subject_for(raw), Configuration()).objects())
    golden = sample.parent.parent / "golden" / sample.name
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(yaml.safe_dump_all(objects, sort_keys=False, width=160))
    assert objects == list(yaml.safe_load_all(golden.read_text()))
