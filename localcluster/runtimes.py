"""Real model servers in place of our own: each in a virtual environment of its own, under the data directory.

They cannot live in ours: seldon-core wants protobuf below 4 and Flask 2, MLServer an older FastAPI.
"""

from __future__ import annotations

import importlib.util
import logging
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from localcluster.images import SERVERS, Image

log = logging.getLogger(__name__)
_DONE = "requirements.txt"
LAUNCHER = Path(__file__).with_name("seldon_launcher.py")


class RuntimeSetupError(Exception):
    """A runtime's environment cannot be made; the message carries the end of what pip said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """What a runtime installs. `requirements` are pip's words; more of them make a new environment."""

    requirements: tuple[str, ...]
    libraries: tuple[str, ...] = ()
    """What the tests' environment has beside them, a gigabyte: the models of XGBoost and MLflow."""
    newest_python: tuple[int, int] = field(default=(3, 99))


RUNTIMES: Mapping[str, Runtime] = {
    "seldon-core": Runtime(
        requirements=("seldon-core==1.17.1", "setuptools<80", "scikit-learn", "joblib", "orjson"),
        libraries=("xgboost==3.2.0", "mlflow==3.2.0"),
        newest_python=(3, 11),
    ),
    "mlserver": Runtime(
        requirements=("mlserver==1.7.1", "mlserver-sklearn==1.7.1"),
        libraries=("mlserver-xgboost==1.7.1", "mlserver-mlflow==1.7.1"),
        newest_python=(3, 12),
    ),
}
CLIENTS: Mapping[str, Runtime] = {"tritonclient": Runtime(requirements=("tritonclient[http,grpc]==2.73.0", "numpy"))}


def prepare(name: str, folder: Path) -> dict[str, Image]:
    """Make the environment of a runtime where it is missing; the images that it serves. Raises RuntimeSetupError."""
    home = folder / name
    environment(RUNTIMES[name], home)
    return seldon_core_images(home) if name == "seldon-core" else mlserver_images(home)


def is_complete(runtime: Runtime, home: Path) -> bool:
    """Whether the virtual environment `home` has all that a runtime requires."""
    done = home / _DONE
    return done.is_file() and set(runtime.requirements) <= set(done.read_text("utf-8").splitlines())


def whole(runtime: Runtime) -> Runtime:
    """The runtime that requires all its libraries."""
    return replace(runtime, requirements=runtime.requirements + runtime.libraries)


def environment(runtime: Runtime, home: Path) -> None:
    """Make the virtual environment `home`; one that is complete is kept."""
    if is_complete(runtime, home):
        return
    if sys.version_info[:2] > runtime.newest_python:
        newest = ".".join(str(part) for part in runtime.newest_python)
        raise RuntimeSetupError(
            f"{runtime.requirements[0]} runs on Python {newest} at most, this is {sys.version.split()[0]}"
        )
    log.info("making the environment %s: %s", home, ", ".join(runtime.requirements))
    _run([sys.executable, "-m", "venv", "--clear", str(home)])
    _run(
        [
            str(home / "bin" / "python"),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            *runtime.requirements,
        ]
    )
    (home / _DONE).write_text("\n".join(runtime.requirements), "utf-8")


def seldon_core_images(home: Path) -> dict[str, Image]:
    """Images served by seldon-core's wrapper: user classes, and our prepackaged classes, which need nothing of ours."""
    imports = home / "classes"
    imports.mkdir(exist_ok=True)
    link = imports / "orchestrator"
    link.unlink(missing_ok=True)
    found = importlib.util.find_spec("orchestrator")
    if found is None or found.origin is None:
        raise RuntimeSetupError(
            "the package orchestrator, which holds the prepackaged servers' classes, is not installed"
        )
    link.symlink_to(Path(found.origin).parent)
    start = (str(home / "bin" / "python"), "-P", str(LAUNCHER), "--import-path", str(imports))
    images = {"seldonio/rollouts-node": Image(start)}
    for name, served in SERVERS.items():
        images |= {prefix + name: Image((*start, served)) for prefix in ("seldonio/rollouts-", "seldonio/")}
    return images


def mlserver_images(home: Path) -> dict[str, Image]:
    """MLServer's image. One process: its worker processes do not start with the uvloop of today."""
    env = {
        "MLSERVER_HOST": "$(SELDON_BIND_ADDRESS)",
        "MLSERVER_PARALLEL_WORKERS": "0",
        "MLSERVER_MODELS_DIR": "/mnt/models",
    }
    return {"seldonio/mlserver": Image((str(home / "bin" / "mlserver"), "start", "$(MLSERVER_MODELS_DIR)"), env)}


def main() -> None:
    """Make all environments in a folder, for the tests with real model servers and real clients."""
    folder = Path(sys.argv[1])
    logging.basicConfig(level="INFO", format="%(message)s")
    for name, runtime in {**RUNTIMES, **CLIENTS}.items():
        environment(whole(runtime), folder / name)


def _run(words: list[str]) -> None:
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=1200)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RuntimeSetupError(f"{' '.join(words)}: {error}") from error
    if done.returncode:
        raise RuntimeSetupError(
            f"{' '.join(words)} ended with {done.returncode}:\n{(done.stderr or done.stdout)[-2000:]}"
        )


if __name__ == "__main__":
    main()
