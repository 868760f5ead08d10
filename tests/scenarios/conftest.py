"""Makes the simulation's parts, and the telling of scenarios, importable."""

import sys
from pathlib import Path

for folder in (Path(__file__).parent, Path(__file__).parents[1] / "simulation"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
