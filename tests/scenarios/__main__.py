"""Write the transcripts anew: python tests/scenarios --update. Without it, say which ones differ."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "simulation"), str(HERE.parents[1])]

from telling import SCENARIOS, tell  # noqa: E402 - its folder is on the path only now


def main() -> int:
    """Return 1 when a transcript differs and is not to be written."""
    update, differing = "--update" in sys.argv[1:], 0
    for path in SCENARIOS:
        told, golden = tell(path), path.with_suffix(".txt")
        if golden.is_file() and golden.read_text() == told:
            continue
        differing += 1
        print(f"{golden.name} {'is written' if update else 'differs'}")
        if update:
            golden.write_text(told)
    return 1 if differing and not update else 0


if __name__ == "__main__":
    sys.exit(main())
