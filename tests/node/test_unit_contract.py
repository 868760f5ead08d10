"""A class as a unit of the graph: what its methods get, and what becomes of what they give back."""
# ruff: noqa: N803 — the wrapper's contract names it X

import base64
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from orchestrator.node import NodeRuntimeError, SeldonResponse
from orchestrator.node.payload import Content, content, encoded, message

TENSOR = {"data": {"tensor": {"shape": [2, 2], "values": [1, 2, 3, 4]}}}
NDARRAY = {"data": {"names": ["a", "b"], "ndarray": [[1, 2], [3, 4]]}}


def answer(unit, method, body):
    """The reply as it goes over the wire."""
    return json.loads(encoded(getattr(unit, method)(body)))


class Twice:
    def predict(self, X, names, meta=None):
        self.got = (X, names, meta)
        return X * 2


def test_an_ndarray_comes_as_an_array_and_goes_as_an_ndarray(unit):
    user = Twice()

    reply = answer(unit(user), "predict", NDARRAY)

    assert reply["data"] == {"names": ["t:0", "t:1"], "ndarray": [[2, 4], [6, 8]]}
    assert isinstance(user.got[0], np.ndarray)
    assert user.got[1:] == (["a", "b"], {})


def test_a_tensor_goes_back_as_a_tensor(unit):
    assert answer(unit(Twice()), "predict", TENSOR)["data"] == {
        "names": ["t:0", "t:1"],
        "tensor": {"shape": [2, 2], "values": [2, 4, 6, 8]},
    }


def test_a_tensorflow_tensor_goes_back_as_one(unit):
    tensor = {"dtype": "DT_INT64", "tensorShape": {"dim": [{"size": "1"}, {"size": "2"}]}, "int64Val": ["1", "2"]}

    reply = answer(unit(Twice()), "predict", {"data": {"tftensor": tensor}})

    assert reply["data"]["tftensor"]["tensorShape"] == {"dim": [{"size": "1"}, {"size": "2"}]}
    assert reply["data"]["tftensor"]["doubleVal"] == [2, 4]


@pytest.mark.parametrize(
    ("result", "field", "value"),
    [
        ("text", "strData", "text"),
        (b"\x00\x01", "binData", base64.b64encode(b"\x00\x01").decode()),
        ({"a": np.int64(1), "b": np.array([1.5])}, "jsonData", {"a": 1, "b": [1.5]}),
        ([["x", 1]], "data", {"names": ["t:0", "t:1"], "ndarray": [["x", 1]]}),
        (np.array([["x"]]), "data", {"names": ["t:0"], "ndarray": [["x"]]}),
        ([[1], [2, 3]], "data", {"names": ["t:0"], "ndarray": [[1], [2, 3]]}),
        (np.array([True]), "data", {"names": [], "ndarray": [True]}),
        ((1, 2), "data", {"names": [], "tensor": {"shape": [2], "values": [1, 2]}}),
        (np.float32([[0.5]]), "data", {"names": ["t:0"], "tensor": {"shape": [1, 1], "values": [0.5]}}),
    ],
    ids=["str", "bytes", "dict", "mixed", "text array", "ragged", "bools", "tuple", "float32"],
)
def test_the_form_of_the_answer_follows_what_was_given_back(unit, result, field, value):
    class Says:
        def predict(self, X, names):
            return result

    assert answer(unit(Says()), "predict", TENSOR)[field] == value


@pytest.mark.parametrize(
    ("body", "got"),
    [
        ({"strData": "text"}, "text"),
        ({"binData": base64.b64encode(b"ab").decode()}, b"ab"),
        ({"jsonData": {"a": [1, None]}}, {"a": [1, None]}),
    ],
)
def test_other_payloads_come_as_they_are_and_pass_through_a_class_without_the_method(unit, body, got):
    class Keeps:
        def predict(self, X, names):
            self.got = X
            return X

    user = Keeps()
    reply = answer(unit(user), "predict", body)
    passed = answer(unit(type("Empty", (), {})()), "transform_input", body)

    assert user.got == got
    assert {key: reply[key] for key in body} == body
    assert {key: passed[key] for key in body} == body


def test_json_asks_for_json_whatever_is_given_back(unit):
    class Says:
        def predict(self, X, names):
            return np.array([[1.0]])

    assert answer(unit(Says()), "predict", {"jsonData": {}})["jsonData"] == [[1.0]]


def test_tags_metrics_and_path_are_added_to_those_that_came(unit):
    class Marked:
        def predict(self, X, names):
            return SeldonResponse(X, tags={"one": 1}, metrics=[{"type": "GAUGE", "key": "g", "value": np.float64(2)}])

        def tags(self):
            return {"own": True, "one": 0}

        def metrics(self):
            return [{"type": "COUNTER", "key": "c", "value": 1}]

    user = Marked()
    incoming = {
        "puid": "p",
        "tags": {"own": False, "theirs": 1},
        "requestPath": {"before": "i"},
        "metrics": [{"type": "TIMER", "key": "t", "value": 1}],
        "routing": {"r": 1},
    }

    reply = answer(unit(user), "predict", {**NDARRAY, "meta": incoming})

    assert reply["meta"] == {
        "puid": "p",
        "tags": {"own": True, "theirs": 1, "one": 1},
        "requestPath": {"before": "i", "node": "image:1"},
        "metrics": [
            {"type": "TIMER", "key": "t", "value": 1},
            {"type": "COUNTER", "key": "c", "value": 1},
            {"type": "GAUGE", "key": "g", "value": 2.0},
        ],
    }
    assert [(method, [one["key"] for one in metrics]) for method, metrics in user.recorded] == [("predict", ["c", "g"])]


def test_a_bad_metric_is_an_error_that_shows_it(unit):
    class Bad:
        def predict(self, X, names):
            return X

        def metrics(self):
            return [{"type": "COUNT", "key": "c", "value": 1}]

    with pytest.raises(NodeRuntimeError, match="bad metric"):
        unit(Bad()).predict(NDARRAY)


@pytest.mark.parametrize("names", [["x", "y"], lambda self: ["x", "y"]], ids=["attribute", "method"])
def test_the_class_names_its_columns(unit, names):
    user = type("Named", (Twice,), {"class_names": names, "feature_names": ["f"], "transform_input": Twice.predict})()

    assert answer(unit(user), "predict", NDARRAY)["data"]["names"] == ["x", "y"]
    assert answer(unit(user), "transform_input", NDARRAY)["data"]["names"] == ["f"]


def test_raw_methods_get_and_give_whole_messages(unit):
    class Raw:
        def predict_raw(self, message):
            return {"got": message}

    assert answer(unit(Raw()), "predict", {"any": 1}) == {"got": {"any": 1}}


@pytest.mark.parametrize(
    "method",
    [
        lambda self, X: X,
        lambda self, X, names: X,
        lambda self, X, features_names=None, meta=None: X,
        lambda self, X, *rest, **more: X,
        lambda self, *everything: everything[0],
    ],
)
def test_methods_of_any_age_are_called_with_what_they_know(unit, method):
    user = type("Old", (), {"predict": method})()

    assert answer(unit(user), "predict", NDARRAY)["data"]["ndarray"] == [[1, 2], [3, 4]]


class TestRoute:
    @pytest.mark.parametrize(
        ("given_back", "body", "data"),
        [
            (1, NDARRAY, {"names": ["t:0"], "ndarray": [[1]]}),
            (np.int64(-2), NDARRAY, {"names": ["t:0"], "ndarray": [[-2]]}),
            (0, TENSOR, {"names": ["t:0"], "tensor": {"shape": [1, 1], "values": [0]}}),
            (0, {"strData": "x"}, {"names": ["t:0"], "tensor": {"shape": [1, 1], "values": [0]}}),
        ],
    )
    def test_a_route_is_nested_twice_in_the_form_of_the_request(self, unit, given_back, body, data):
        user = type("Router", (), {"route": lambda self, X, names: given_back})()

        assert answer(unit(user), "route", body)["data"] == data

    @pytest.mark.parametrize("given_back", ["1", 1.5, None, True, [1]])
    def test_what_is_no_int_is_an_error(self, unit, given_back):
        user = type("Router", (), {"route": lambda self, X, names: given_back})()

        with pytest.raises(NodeRuntimeError, match="expected an int"):
            unit(user).route(NDARRAY)


class TestAggregate:
    class Mean:
        def aggregate(self, features, names):
            return np.mean(features, axis=0)

    @pytest.mark.parametrize("wrap", [list, lambda messages: {"seldonMessages": messages}])
    def test_a_list_and_an_object_of_messages_are_combined(self, unit, wrap):
        messages = [
            {**NDARRAY, "meta": {"tags": {"a": 1, "b": 1}, "metrics": [{"key": "x"}], "requestPath": {"m1": "i"}}},
            {**NDARRAY, "meta": {"tags": {"b": 2}, "metrics": [{"key": "y"}], "requestPath": {"m2": "i"}}},
        ]

        reply = answer(unit(self.Mean()), "aggregate", wrap(messages))

        assert reply["data"]["ndarray"] == [[1.0, 2.0], [3.0, 4.0]]
        assert reply["meta"]["tags"] == {"a": 1, "b": 2}
        assert reply["meta"]["requestPath"] == {"node": "image:1", "m1": "i", "m2": "i"}
        assert [metric["key"] for metric in reply["meta"]["metrics"]] == ["x", "y"]

    @pytest.mark.parametrize("body", [[], {}, {"seldonMessages": 1}, "x", None, [1]])
    def test_what_is_no_list_of_messages_is_refused(self, unit, body):
        with pytest.raises(NodeRuntimeError):
            unit(self.Mean()).aggregate(body)


class TestFeedback:
    class Learner:
        def send_feedback(self, features, names, reward, truth, routing=None):
            self.got = (features.tolist(), names, reward, truth.tolist(), routing)

    def test_the_class_gets_all_parts_and_its_own_routing(self, unit):
        user = self.Learner()
        body = {
            "request": NDARRAY,
            "response": {"meta": {"routing": {"node": 1, "other": 0}}},
            "reward": 0.5,
            "truth": {"data": {"ndarray": [[7]]}},
        }

        reply = answer(unit(user), "send_feedback", body)

        assert user.got == ([[1, 2], [3, 4]], ["a", "b"], 0.5, [[7]], 1)
        assert reply["data"] == {"ndarray": []}

    def test_parts_that_are_missing_are_empty(self, unit):
        user = self.Learner()

        answer(unit(user), "send_feedback", {})

        assert user.got == ([], [], 0.0, [], None)

    def test_a_class_without_the_method_takes_it_silently(self, unit):
        assert answer(unit(Twice()), "send_feedback", {"reward": 1})["data"] == {"ndarray": []}


def test_health_and_metadata_have_defaults_that_the_class_and_the_environment_override(unit):
    class Speaks:
        def health_status(self):
            return [[1]]

        def init_metadata(self):
            return {"name": "mine", "versions": ["v1"], "platform": "sklearn"}

    assert unit(Twice()).health()["strData"] == "healthy"
    assert unit(Speaks()).health()["data"]["tensor"]["values"] == [1]
    assert unit(Twice()).metadata() == {
        "name": "image",
        "versions": ["1"],
        "platform": "",
        "inputs": [],
        "outputs": [],
        "custom": {},
    }
    assert unit(Speaks(), metadata={"versions": ["v2"]}).metadata()["versions"] == ["v2"]


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "x",
        {},
        {"data": None},
        {"data": []},
        {"data": {}},
        {"data": {"ndarray": 1}},
        {"data": {"names": 1, "ndarray": [1]}},
        {"data": {"tensor": []}},
        {"data": {"tensor": {"shape": [3], "values": [1, 2]}}},
        {"data": {"tensor": {"values": [1]}}},
        {"data": {"tensor": {"shape": ["x"], "values": [1]}}},
        {"data": {"tftensor": {"tensorShape": {}}}},
        {"data": {"tftensor": {"tensorShape": {"dim": [{"size": "x"}]}, "intVal": [1]}}},
        {"data": {"tftensor": {"tensorShape": 1, "intVal": [1]}}},
        {"binData": "###"},
        {"binData": 7},
    ],
    ids=str,
)
def test_what_is_no_message_is_the_senders_error(body):
    with pytest.raises(NodeRuntimeError) as refused:
        content(body)

    assert (refused.value.status_code, refused.value.reason) == (400, "MICROSERVICE_BAD_DATA")


finite = st.floats(-1e9, 1e9, allow_nan=False)


@given(
    hnp.arrays(np.float64, hnp.array_shapes(min_dims=1, max_dims=3, max_side=4), elements=finite),
    st.sampled_from(["tensor", "ndarray", "tftensor"]),
)
def test_arrays_come_back_as_they_went(array, kind):
    wire = json.loads(encoded(message(array, Content(kind), None)))

    back = content(wire)

    assert back.kind == kind
    assert np.array_equal(np.asarray(back.value), array)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["data", "tensor", "ndarray", "shape", "values", "names", "tftensor", "intVal", "meta"])
                | st.sampled_from(["tensorShape", "dim", "size", "binData", "strData", "jsonData"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=15,
    )
)
def test_any_json_is_a_message_or_the_senders_error(value):
    try:
        read = content(value)
    except NodeRuntimeError as error:
        assert error.status_code == 400  # noqa: PT017 — both ends are right
    else:
        assert read.kind
