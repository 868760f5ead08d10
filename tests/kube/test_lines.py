"""Lines are found however the bytes are cut."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from controller.kube.lines import MAX_LINE, Lines


@given(st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line)), st.lists(st.integers(0, 200)))
def test_the_cuts_of_the_network_do_not_matter(lines: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    reader = Lines()
    found = [line for start, end in itertools.pairwise(edges) for line in reader.feed(stream[start:end])]
    assert found == [line for line in lines if line]
    assert reader.dropped == 0


@given(st.lists(st.sampled_from([b"ok", b"x" * 11, b"y" * 50])), st.integers(1, 13))
def test_a_line_that_is_too_long_costs_only_itself(lines: list[bytes], step: int) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    reader = Lines(limit=10)
    found = [line for start in range(0, len(stream), step) for line in reader.feed(stream[start : start + step])]
    assert found == [line for line in lines if len(line) <= 10]
    assert reader.dropped == sum(len(line) > 10 for line in lines)


def test_a_line_of_four_mebibytes_passes_and_one_more_byte_does_not() -> None:
    reader = Lines()
    whole = b"x" * MAX_LINE
    assert reader.feed(whole + b"\n") == [whole]
    assert reader.feed(whole + b"x\nnext\n") == [b"next"]
    assert reader.dropped == 1


def test_an_unfinished_line_waits_for_its_end() -> None:
    reader = Lines()
    assert reader.feed(b'{"a"') == []
    assert reader.feed(b": 1}") == []
    assert reader.feed(b"\n") == [b'{"a": 1}']
