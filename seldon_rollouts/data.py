"""Where the data that we ship is: beside us in a checkout, inside the package when installed."""

from pathlib import Path


def folder(name: str) -> Path:
    """Return the folder of `crds` or `manifests`.

    Raises:
        FileNotFoundError: it is in neither place; the installation is broken.
    """
    here = Path(__file__).parent
    for candidate in (here / name, here.parent / name):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"{name}: neither packaged nor in a checkout; install seldon-rollouts again")
