"""Where the real programs are, and what is said when they are not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from localcluster import programs, realserver


def test_a_missing_prometheus_is_an_error_that_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(programs.MissingProgramError, match=r"localcluster\.programs --install"):
        programs.find_prometheus()


def test_what_is_missing_is_printed_and_the_exit_code_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["programs"])
    assert programs.main() == 1
    said = capsys.readouterr()
    assert "envoy: /" in said.out
    assert "Prometheus is not on PATH" in said.err


def test_services_are_kept_from_starting_while_a_package_is_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """apt-get is a program that notes whether the rule stood while it ran."""
    policy, noted = tmp_path / "policy-rc.d", tmp_path / "noted"
    for name, script in (
        ("apt-get", f"/bin/cat {policy} > {noted}; /bin/cp {tmp_path}/apt-get {tmp_path}/prometheus\n"),
        ("systemctl", "exit 0\n"),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(programs, "POLICY", policy)
    monkeypatch.setattr(programs.os, "geteuid", lambda: 0)
    assert programs.install_prometheus() == str(tmp_path / "prometheus")
    assert "exit 101" in noted.read_text()
    assert not policy.exists()


def test_a_real_server_without_its_assets_is_an_error_that_says_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(realserver.ASSETS, raising=False)
    with pytest.raises(programs.MissingProgramError, match="KUBEBUILDER_ASSETS to name a folder"):
        realserver.programs(tmp_path, port=1, etcd_port=2, etcd_peer_port=3)
