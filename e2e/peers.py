"""Model servers of others, where `make peers` installed them, and models in the forms that they read."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from localcluster import runtimes

FOLDER = Path(os.environ.get("PEERS") or Path(__file__).parents[1] / ".peers")
SELDON_CORE = ("seldonio/sklearnserver", "seldonio/rollouts-xgboostserver", "seldonio/rollouts-mlflowserver")
"""Images that seldon-core's own wrapper serves in the stories: one of upstream, and those that need more libraries."""

TRAIN = """
import sys
from sklearn.datasets import load_iris
x, y = load_iris(return_X_y=True)
kind, target = sys.argv[1:]
if kind == "xgboost":
    import xgboost
    xgboost.XGBClassifier(n_estimators=20).fit(x, y).save_model(f"{target}/model.json")
else:
    from sklearn.linear_model import LogisticRegression
    model = LogisticRegression(max_iter=500).fit(x, y)
    if kind == "mlflow":
        import mlflow.sklearn
        mlflow.sklearn.save_model(model, target)
    else:
        import joblib
        joblib.dump(model, f"{target}/model.joblib")
"""
"""Makes a model of irises in a folder, with the libraries of the server that will read it."""


def installed(name: str) -> bool:
    """Whether a runtime is there, with all that it needs today."""
    known = runtimes.RUNTIMES.get(name)
    return known is not None and runtimes.is_complete(runtimes.whole(known), FOLDER / name)


def arguments(folder: Path) -> tuple[str, ...]:
    """Flags of the local cluster's node, so that it runs what is installed; `folder` takes a file."""
    flags: tuple[str, ...] = ()
    if installed("mlserver"):
        flags += ("--runtime", "mlserver", "--runtimes", str(FOLDER))
    if installed("seldon-core"):
        served = runtimes.seldon_core_images(FOLDER / "seldon-core")
        file = folder / "images.yaml"
        file.write_text(yaml.safe_dump({name: list(served[name].argv) for name in SELDON_CORE}))
        flags += ("--images", str(file))
    return flags


def train(name: str, kind: str, target: Path) -> None:
    """Make a model in a folder, in place of what is there, by the libraries of a runtime; skips where there is none."""
    if not installed(name):
        pytest.skip(f"{name} is not installed: make peers")
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    python = str(FOLDER / name / "bin" / "python")
    words = [python, "-c", TRAIN, kind, str(target)]
    done = subprocess.run(words, cwd=target.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
