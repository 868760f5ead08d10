"""Whether two answers agree: classes, numbers within a tolerance, and anything else value by value."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.application import _CODECS
from orchestrator.errors import SettingsError
from orchestrator.podinfo import Address, Compared, compared
from orchestrator.protocols.agreement import agree, answered, near, same
from orchestrator.protocols.payload import Payload


def said(protocol, message):
    return answered(_CODECS[protocol](), Payload(json.dumps(message).encode()))


def rows(*rows, names=(), **meta):
    return {"data": {"names": list(names), "ndarray": list(rows)}, "meta": meta}


def output(datatype, shape, *data, name="p"):
    return {
        "model_name": name,
        "id": name,
        "outputs": [{"name": "y", "datatype": datatype, "shape": shape, "data": data}],
    }


def rated(**scores):
    return {"predictions": [{"classes": list(scores), "scores": list(scores.values())}]}


@pytest.mark.parametrize(
    ("protocol", "one", "other", "agrees"),
    [
        ("seldon", rows([0.1, 0.9]), rows([0.4, 0.6]), True),
        ("seldon", rows([0.1, 0.9]), rows([0.6, 0.4]), False),
        ("seldon", rows([0.1, 0.9], names="ab"), rows([0.1, 0.9], names="ac"), False),
        ("seldon", rows([0.1, 0.9], puid="1"), rows([0.1, 0.9], puid="2"), True),
        ("seldon", rows([0.1, 0.9]), rows([0.1, 0.9], [0.1, 0.9]), False),
        ("seldon", rows([0.500]), rows([0.509]), True),
        ("seldon", rows([0.500]), rows([0.511]), False),
        ("seldon", rows([1000.0]), rows([1009.0]), True),
        ("seldon", rows([1000.0]), rows([1011.0]), False),
        ("seldon", rows([0.5]), rows([0.5], [0.5]), False),
        ("seldon", rows(["cat"]), rows(["dog"]), False),
        ("seldon", rows([0.5]), {"strData": "0.5"}, False),
        ("seldon", {"strData": "cat"}, {"strData": "cat", "meta": {"puid": "2"}}, True),
        ("seldon", {"jsonData": {"a": [1.0, "x"]}}, {"jsonData": {"a": [1.001, "x"]}, "meta": {"puid": "2"}}, True),
        ("seldon", {"jsonData": {"a": [1.0, "x"]}}, {"jsonData": {"a": [1.1, "x"]}}, False),
        ("seldon", {"jsonData": {"a": 1}}, {"jsonData": {"a": True}}, False),
        ("v2", output("INT64", [1, 1], 2, name="a"), output("INT64", [1, 1], 2, name="b"), True),
        ("v2", output("INT64", [1, 1], 2), output("INT64", [1, 1], 1), False),
        ("v2", output("FP32", [1, 2], 0.2, 0.8), output("FP32", [1, 2], 0.3, 0.7), True),
        ("v2", output("FP32", [1], 0.2), output("FP32", [1], 0.3), False),
        ("v2", output("BOOL", [1], True), output("BOOL", [1], False), False),
        ("tensorflow", {"predictions": [[0.2, 0.8]]}, {"predictions": [[0.4, 0.6]]}, True),
        ("tensorflow", {"predictions": [0.2]}, {"predictions": [0.3]}, False),
        ("tensorflow", {"outputs": {"y": [1]}}, {"outputs": {"y": [2]}}, False),
        ("tensorflow", rated(a=0.1, b=0.9), rated(b=0.9, a=0.1), True),
    ],
)  # fmt: skip
def test_answers_agree_when_they_say_the_same(protocol, one, other, agrees):
    assert agree(said(protocol, one), said(protocol, other), 0.01) is agrees
    assert agree(said(protocol, other), said(protocol, one), 0.01) is agrees


numbers = st.floats(allow_nan=False, allow_infinity=False, width=32)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=10,
)


@given(values, values, st.floats(min_value=0, max_value=1))
def test_agreement_is_the_same_from_both_sides_and_everything_agrees_with_itself(one, other, tolerance):
    assert same(one, one, 0)
    assert same(one, other, tolerance) == same(other, one, tolerance)


@given(numbers, numbers, st.floats(min_value=0, max_value=1), st.floats(min_value=0, max_value=1))
def test_what_is_near_stays_near_with_more_tolerance(one, other, tolerance, more):
    assert not near(one, other, tolerance) or near(one, other, min(1.0, tolerance + more))


def test_numbers_that_are_none_or_too_great_are_told_apart():
    assert near(float("nan"), float("nan"), 0)
    assert near(float("inf"), float("inf"), 0)
    assert not near(float("inf"), 1e308, 1)
    assert not near(10**400, 1.5, 0.5)


def test_what_lies_too_deep_is_no_agreement():
    deep = []
    for _ in range(500):
        deep = [deep]

    assert not same(deep, deep, 0)


WITH = "seldon.io/compare-with"


def test_with_whom_is_an_annotation():
    assert compared({}) is None
    assert compared({WITH: "http://iris-1.ml:8000"}) == Compared(Address("iris-1.ml", 8000))
    more = {"seldon.io/compare-tolerance": "0", "seldon.io/compare-per-second": "20", "seldon.io/compare-share": "0.5"}
    assert compared({WITH: "https://iris-1.ml:8000", **more}) == Compared(
        Address("iris-1.ml", 8000, True), None, 0.0, 20.0, 0.5
    )
    both = {WITH: "http://iris-1.ml:8000", f"{WITH}-grpc": "https://iris-1.ml:5001"}
    assert compared(both).grpc == Address("iris-1.ml", 5001, True)


@pytest.mark.parametrize(
    ("annotations", "words"),
    [
        ({WITH: "iris-1.ml:8000"}, "compare-with: 'iris-1.ml:8000' is not valid; expected such as http://iris.ml:8000"),
        ({WITH: "http://iris-1.ml"}, "compare-with"),
        ({WITH: "http://iris-1.ml:x"}, "compare-with"),
        ({WITH: "http://iris-1.ml:80/path"}, "compare-with"),
        ({WITH: "ftp://iris-1.ml:80"}, "compare-with"),
        ({WITH: "http://i:1", f"{WITH}-grpc": "iris-1.ml:5001"}, "compare-with-grpc: 'iris-1.ml:5001' is not valid"),
        ({WITH: "http://i:1", "seldon.io/compare-tolerance": "2"}, "tolerance: '2' is not valid; expected 0 to 1"),
        ({WITH: "http://i:1", "seldon.io/compare-per-second": "0"}, "compare-per-second: '0' is not valid"),
        ({WITH: "http://i:1", "seldon.io/compare-share": "all"}, "compare-share: 'all' is not valid"),
    ],
)  # fmt: skip
def test_an_annotation_that_cannot_be_used_is_said(annotations, words):
    with pytest.raises(SettingsError, match=words):
        compared(annotations)
