"""Any bytes, by hypothesis: bytes that are nearly right, and changes of them. `make fuzz` looks longer, and with an eye
on which lines it reaches.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seeds import SEEDS
from targets import TARGETS


def changed(seeds):
    """A seed, cut and with other bytes put in, or none."""
    cuts = st.tuples(st.sampled_from(seeds), st.integers(0, 400), st.integers(0, 400), st.binary(max_size=12))
    return st.binary(max_size=200) | cuts.map(lambda cut: cut[0][: cut[1]] + cut[3] + cut[0][cut[1] + cut[2] % 9 :])


@pytest.mark.parametrize("name", TARGETS)
def test_any_bytes_are_taken_or_refused_in_words(name):
    @settings(max_examples=80, deadline=None)
    @given(changed(SEEDS[name]))
    def holds(data):
        TARGETS[name](data)

    holds()


@pytest.mark.parametrize("name", TARGETS)
def test_what_a_fuzzer_begins_with_is_taken(name):
    for seed in SEEDS[name]:
        TARGETS[name](seed)
