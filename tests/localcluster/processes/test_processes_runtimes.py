"""Real model servers: which images they serve, and where their environments are."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from localcluster import runtimes, seldon_launcher
from localcluster.images import Catalogue, Image
from localcluster.runtimes import RUNTIMES, RuntimeSetupError


def test_an_environment_that_is_complete_is_kept(tmp_path: Path):
    runtime = RUNTIMES["mlserver"]
    (tmp_path / "requirements.txt").write_text("\n".join(runtime.requirements))
    runtimes.environment(runtime, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["requirements.txt"]


@pytest.mark.parametrize("lacking", [0, 1])
def test_an_environment_is_complete_with_all_that_is_required_and_may_have_more(tmp_path: Path, lacking: int):
    runtime = RUNTIMES["mlserver"]
    there = runtimes.whole(runtime).requirements
    (tmp_path / "requirements.txt").write_text("\n".join(there[: len(there) - lacking]))
    assert runtimes.is_complete(runtime, tmp_path)
    assert runtimes.is_complete(runtimes.whole(runtime), tmp_path) == (lacking == 0)


def test_a_runtime_that_knows_no_python_as_new_as_ours_says_so(tmp_path: Path):
    with pytest.raises(RuntimeSetupError, match=r"seldon-core==1\.17\.1 runs on Python 3\.1 at most"):
        runtimes.environment(replace(RUNTIMES["seldon-core"], newest_python=(3, 1)), tmp_path)


@pytest.mark.parametrize("image", ["seldonio/rollouts-sklearnserver:0.1", "seldonio/sklearnserver:1.17.1"])
def test_seldon_core_serves_the_prepackaged_classes_from_an_environment_of_its_own(tmp_path: Path, image: str):
    catalogue = Catalogue.default().extended(runtimes.seldon_core_images(tmp_path))
    words = catalogue.resolve({"name": "c", "image": image}, None).argv
    assert words[0] == str(tmp_path / "bin" / "python")
    assert words[-1] == "orchestrator.node.sklearnserver.SKLearnServer"
    assert (tmp_path / "classes" / "orchestrator" / "node" / "sklearnserver.py").is_file()


def test_mlserver_binds_the_address_of_the_pod_only(tmp_path: Path):
    found = Catalogue.default().extended(runtimes.mlserver_images(tmp_path)).find("seldonio/mlserver:1.7.1-sklearn")
    assert isinstance(found, Image)
    assert found.env["MLSERVER_HOST"] == "$(SELDON_BIND_ADDRESS)"


def test_the_launcher_gives_a_class_its_typed_parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "launched_model.py").write_text(
        "class Model:\n"
        "    def __init__(self, **given): self.given, self.loaded = given, False\n"
        "    def load(self): self.loaded = True\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    text = '[{"name":"a","type":"INT","value":"3"},{"name":"b","type":"BOOL","value":"true"},{"name":"c","value":"x"}]'
    model = seldon_launcher.load("launched_model.Model", seldon_launcher.parameters(text))
    assert (model.given, model.loaded) == ({"a": 3, "b": True, "c": "x"}, True)
    sys.modules.pop("launched_model")
