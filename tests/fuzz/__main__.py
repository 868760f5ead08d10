"""Look for bytes that break a promise, led by which branches they reach (atheris, libFuzzer).

python tests/fuzz server|client|json|messages [libFuzzer's flags]
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["orchestrator"]):
    from seeds import SEEDS
    from targets import TARGETS


def main() -> None:
    """Run one target until libFuzzer's flags end it, or a promise is broken."""
    name, flags = sys.argv[1], sys.argv[2:]
    target = TARGETS[name]
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(SEEDS[name]):
            (Path(folder) / str(number)).write_bytes(seed)
        atheris.Setup([sys.argv[0], *flags, folder], target)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
