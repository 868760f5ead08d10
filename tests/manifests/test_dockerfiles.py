"""There is no Docker engine in the tests: the Dockerfiles are read, and held to what a good image needs."""

import json
import re
from pathlib import Path

import pytest

from controller.deployment.configuration import Configuration

ROOT = Path(__file__).parents[2]
FILES = ("Dockerfile.controller", "Dockerfile.orchestrator")
INSTRUCTIONS = {"FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "EXPOSE", "ENTRYPOINT"}


class Stage:
    """One FROM and what follows; `parent` is another stage, or None for an image."""

    def __init__(self, image, name, parent):
        self.image, self.name, self.parent = image, name, parent
        self.steps = []

    def last(self, instruction):
        """Return the value that holds: the stage's own last one, else its parent's."""
        own = [value for found, value in self.steps if found == instruction]
        return own[-1] if own else self.parent.last(instruction) if self.parent else None

    def environment(self):
        found = dict(self.parent.environment()) if self.parent else {}
        for instruction, value in self.steps:
            if instruction == "ENV":
                found |= dict(pair.split("=", 1) for pair in value.split())
        return found


def _stages(file):
    text = re.sub(r"^\s*#.*\n", "", (ROOT / file).read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    stages = []
    for line in filter(None, map(str.strip, text.splitlines())):
        instruction, value = line.split(None, 1)
        assert instruction in INSTRUCTIONS, f"{file}: {instruction}"
        if instruction == "FROM":
            image, _, name = value.partition(" AS ")
            parent = next((stage for stage in stages if stage.name == image), None)
            stages.append(Stage(image, name, parent))
        else:
            stages[-1].steps.append((instruction, " ".join(value.split())))
    return stages


def _images():
    """Return the stages that become images: those with an entry point."""
    return [
        pytest.param(stage, id=f"{file}:{stage.name or 'last'}")
        for file in FILES
        for stage in _stages(file)
        if stage.last("ENTRYPOINT")
    ]


@pytest.mark.parametrize("file", FILES)
def test_every_base_image_has_a_version(file):
    stages = _stages(file)
    names = {stage.name for stage in stages}
    bases = {stage.image for stage in stages} - names
    assert bases == {"python:3.11-slim"}


@pytest.mark.parametrize("file", FILES)
def test_what_is_installed_has_a_version_and_leaves_no_cache(file):
    for stage in _stages(file):
        for instruction, value in stage.steps:
            if instruction == "RUN" and "pip install" in value:
                assert "--no-cache-dir" in value
                assert "-c constraints.txt" in value or "-c /opt/constraints.txt" in value
            if instruction == "RUN" and "apt-get install" in value:
                assert "--no-install-recommends" in value
                assert "rm -rf /var/lib/apt/lists/*" in value
            assert "http://" not in value
            assert "https://" not in value


@pytest.mark.parametrize("stage", _images())
def test_an_image_runs_as_nobody_special(stage):
    assert stage.last("USER") == "8888:8888"
    assert [found for found, _ in stage.steps][-1] == "ENTRYPOINT"
    steps = [found for found, _ in stage.steps]
    assert "RUN" not in steps[steps.index("USER") :], "nothing is installed as the user"


@pytest.mark.parametrize("stage", _images())
def test_an_image_starts_its_program_without_a_shell_in_an_empty_folder(stage):
    assert all(isinstance(word, str) for word in json.loads(stage.last("ENTRYPOINT")))
    assert stage.last("WORKDIR") == "/empty"
    assert stage.environment()["PYTHONSAFEPATH"] == "1"


@pytest.mark.parametrize("stage", _images())
def test_the_last_stage_takes_from_the_build_only_what_it_installed(stage):
    found, at = [], stage
    while at:
        found += [value for instruction, value in at.steps if instruction == "COPY"]
        at = at.parent
    assert set(found) <= {"--from=build /opt/venv /opt/venv", "constraints.txt /opt/"}


def test_the_data_plane_listens_on_every_address_of_its_pod():
    for stage in _stages("Dockerfile.orchestrator"):
        if stage.last("ENTRYPOINT"):
            assert stage.environment()["SELDON_BIND_ADDRESS"] == "0.0.0.0"


def test_there_is_a_target_for_each_of_our_images():
    names = {stage.name for stage in _stages("Dockerfile.orchestrator") if stage.last("ENTRYPOINT")}
    configuration = Configuration()
    images = {configuration.orchestrator_image, configuration.initializer_image}
    images |= {image.reference for servers in configuration.servers.values() for image in servers.values()}
    ours = {image.split("/")[-1].split(":")[0].removeprefix("rollouts-") for image in images if "/rollouts-" in image}
    assert ours | {"node"} == names


def test_the_orchestrator_is_what_a_build_without_a_target_makes():
    assert _stages("Dockerfile.orchestrator")[-1].name == "orchestrator"


@pytest.mark.parametrize("stage", _images())
def test_the_program_of_an_image_exists(stage):
    import importlib.util
    import tomllib

    words = json.loads(stage.last("ENTRYPOINT"))
    if words[:2] == ["python", "-m"]:
        assert importlib.util.find_spec(words[2])
        for served in words[3:]:
            module, _, name = served.rpartition(".")
            assert hasattr(importlib.import_module(module), name)
    else:
        scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
        assert words[0] in scripts


def test_the_build_sees_only_what_the_wheel_is_made_of():
    lines = (ROOT / ".dockerignore").read_text().split()
    assert lines[0] == "*"
    kept = {line.removeprefix("!").removesuffix("/**") for line in lines if line.startswith("!")}
    assert kept >= {"pyproject.toml", "constraints.txt", "controller", "orchestrator", "crds", "manifests"}
    assert not kept & {".git", ".venv", "tests", "e2e"}
    assert all((ROOT / name).exists() for name in kept)
