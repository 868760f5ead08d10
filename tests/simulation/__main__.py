"""Play stories until so many steps were taken; a broken promise prints its seed and its shortest story.

python tests/simulation --steps 1000000 --seed 1
"""

import argparse
import logging
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from simulated.promises import BrokenPromiseError
from simulated.shrink import shrink
from simulated.story import draw
from simulated.storybook import as_yaml
from simulated.world import play

REGRESSIONS = Path(__file__).parent / "regressions"


def main() -> int:
    """Return 1 when a promise was broken."""
    parser = argparse.ArgumentParser(
        prog="simulate", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=50_000, help="steps to take; a step is one event of the world")
    parser.add_argument("--seed", type=int, default=0, help="the first story's seed; each story has the next")
    parser.add_argument("--keep-going", action="store_true", help="go on after a broken promise")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    began, steps, seed, failed = time.monotonic(), 0, options.seed, 0
    while steps < options.steps:
        story = draw(seed)
        try:
            steps += play(story).timeline.steps
        except BrokenPromiseError as problem:
            failed += 1
            print(f"\nBROKEN seed {seed}: {problem}\nlooking for its shortest story ...")
            shortest = shrink(story, problem.promise)
            print(shortest)
            path = REGRESSIONS / f"seed-{seed}.yaml"
            path.write_text(as_yaml(shortest, promise=problem.promise))
            print(f"kept as {path.name} among the regressions", flush=True)
            if not options.keep_going:
                return 1
        seed += 1
        if sys.stderr.isatty():
            print(f"\r{steps} steps, {seed - options.seed} stories", end="", file=sys.stderr, flush=True)
    took = time.monotonic() - began
    print(f"{steps} steps in {seed - options.seed} stories, {took:.0f} s, {failed} broken promises")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
