"""The same ticks give the same evidence to the last bit in another process, whose hashes of strings are others."""

import subprocess
import sys

TICKS = """
import random
from analysis.checks import PredictionDrift
from analysis.judges.view import View
from analysis.samples import ArmTick, Pair
from analysis.signals import drift
from analysis.signals.terms import Terms
from analysis.spec import Bar

chance, terms, state = random.Random(4), Terms(100, Bar(20, 6, 100)), drift.Drift(PredictionDrift())
classes = [f"class-{number}" for number in range(9)]
for at in range(10, 400, 10):
    arms = [
        ArmTick(signals={("class", each): float(chance.randint(1, most)) for each in classes}) for most in (9, 99)
    ]
    view = View(
        at=at, seconds=10, judged=True, steps=0, copies=0, errors=Pair(), stable=arms[1], canary=arms[0]
    )
    state = state.step(view, terms)
family = state.families[0]
print(state.evidence.hex(), family.index.hex(), family.size.hex(), [part.hex() for part in family.wealth.parts])
"""


def test_drift_is_the_same_to_the_bit_whatever_order_its_classes_are_hashed_in() -> None:
    said = {
        subprocess.run(
            [sys.executable, "-c", TICKS], env={"PYTHONHASHSEED": str(seed)}, capture_output=True, text=True, check=True
        ).stdout
        for seed in range(1, 5)
    }
    assert len(said) == 1, "\n".join(sorted(said))
