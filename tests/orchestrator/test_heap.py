"""What the C library does with memory that is freed."""

import ctypes
import subprocess
import sys

import pytest

_ROUNDS = """
import resource, sys
if sys.argv[1] == "kept":
    from orchestrator import heap
    heap.keep()
def one():
    pieces = [bytes(range(256)) * 1024 for _ in range(4)]
    return sum(map(len, pieces))
one()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(200):
    one()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", _ROUNDS, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="the C library is none that can be told")
def test_the_pieces_of_a_body_get_the_memory_of_those_before_them():
    kept, otherwise = faults("kept"), faults("otherwise")

    assert kept < 2000  # 200 MiB have 51,200 pages
    assert otherwise > 5 * kept
