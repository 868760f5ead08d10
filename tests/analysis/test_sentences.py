"""Figures as people read them."""

import pytest

from analysis.judges import sentences


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 %"),
        (0.021, "2.1 %"),
        (0.009, "0.90 %"),
        (0.00034, "0.034 %"),
        (0.4321, "43 %"),
        (1.0, "100 %"),
        (0.0996, "10 %"),
        (0.0994, "9.9 %"),
        (1.23e-06, "0.00012 %"),
    ],
)
def test_a_share_has_two_telling_digits(value, text):
    assert sentences.share(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0:1"),
        (0.44, "0.4:1"),
        (1, "1.0:1"),
        (9.96, "10:1"),
        (312.4, "312:1"),
        (4310, "4,310:1"),
        (1e9, "more than a million:1"),
    ],
)
def test_evidence_is_told_as_odds(value, text):
    assert sentences.odds(value) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.25, "250 ms"), (0.005, "5 ms"), (1.0, "1 s"), (2.5, "2.5 s")])
def test_an_edge_has_its_unit(seconds, text):
    assert sentences.edge(seconds) == text
