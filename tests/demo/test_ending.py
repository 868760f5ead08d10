"""However the demo ends, nothing of it is left."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from seldon_rollouts.cli import demo


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_demo_that_is_told_to_end_takes_its_folder_with_it(tmp_path: Path, number: int, code: int) -> None:
    argv = [sys.executable, "-m", "seldon_rollouts", "demo"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True) as demo:
        assert demo.stdout is not None
        assert "training" in demo.stdout.readline()
        demo.send_signal(number)
        _, said = demo.communicate(timeout=60)
    assert (demo.returncode, said, list(tmp_path.glob("seldon-rollouts-demo-*"))) == (code, "", [])


def test_who_presses_ctrl_c_twice_finds_no_folder_either(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "seldon_rollouts", "demo"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True) as demo:
        assert demo.stdout is not None
        assert "training" in demo.stdout.readline()
        demo.send_signal(signal.SIGINT)
        demo.send_signal(signal.SIGINT)
        demo.communicate(timeout=60)
    assert list(tmp_path.glob("seldon-rollouts-demo-*")) == []


def test_a_temporary_folder_that_cannot_be_used_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    there, missing = tmp_path / "there", tmp_path / "missing"
    there.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(there))  # what the standard library fell back to
    monkeypatch.setenv("TMPDIR", str(missing))
    made = demo.place(None)
    assert made.parent == there
    assert capsys.readouterr().err == (f"TMPDIR {missing}: nothing can be written there; the demo is kept in {made}\n")
    monkeypatch.setenv("TMPDIR", str(there))
    demo.place(None)
    assert capsys.readouterr().err == ""
