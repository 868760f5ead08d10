"""The library's example in docs/judge.md, as it is printed there: in a process of its own, without Kubernetes."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROOF = """
import sys
strangers = {name.partition(".")[0] for name in sys.modules} & {"controller", "kubernetes_asyncio", "orchestrator"}
assert not strangers, strangers
"""


def test_the_example_finds_the_worse_canary_and_needs_nothing_of_kubernetes() -> None:
    (example,) = re.findall(
        r"^```python\n(.*?)^```$", (ROOT / "docs" / "judge.md").read_text(), re.MULTILINE | re.DOTALL
    )
    done = subprocess.run(
        [sys.executable, "-c", example + PROOF], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Bad failed requests: 4.0 % against 1.0 % on stable"), done.stdout
