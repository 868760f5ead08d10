"""What the manifests say, as Kubernetes' own kustomize renders it."""

import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
Objects = list[dict[str, Any]]


@cache
def _rendered(folder: str) -> str:
    return subprocess.run(
        ["kubectl", "kustomize", folder], cwd=ROOT, check=True, capture_output=True, text=True, timeout=60
    ).stdout


@pytest.fixture
def kustomize() -> Callable[[str], Objects]:
    """Render a folder with kubectl; skip where there is none."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not on PATH: kustomize cannot be tried")
    return lambda folder: [each for each in yaml.safe_load_all(_rendered(folder)) if each]


@pytest.fixture
def base() -> Objects:
    """The base's own files, read without kubectl."""
    folder = ROOT / "manifests" / "base"
    files = [path for path in sorted(folder.glob("*.yaml")) if path.name != "kustomization.yaml"]
    return [each for path in files for each in yaml.safe_load_all(path.read_text()) if each]
