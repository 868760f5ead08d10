"""What models answer, as counts: by annotation, of a sample, after the answer was sent."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import BadPayloadError, SettingsError
from orchestrator.podinfo import prediction_metrics
from orchestrator.protocols.openinference import OpenInference
from orchestrator.protocols.payload import Payload
from orchestrator.protocols.seldon import Seldon
from orchestrator.protocols.tensorflow import TensorFlow
from orchestrator.servers.message import Response
from orchestrator.telemetry.metrics import Identity
from orchestrator.telemetry.predictions import Predictions

WANTED = {"seldon.io/prediction-metrics": "class,score,outlier"}
OF = 'deployment_name="iris",predictor_name="main",predictor_version="v1"'


def outcome(codec, message):
    found = codec().outcome(Payload(json.dumps(message).encode()))
    return found.classes, found.scores, found.outliers


@pytest.mark.parametrize(
    ("message", "classes", "scores", "outliers"),
    [
        ({"data": {"names": ["a", "b"], "ndarray": [[0.1, 0.9], [0.8, 0.2]]}}, ["b", "a"], [0.9, 0.8], 0),
        ({"data": {"ndarray": [[0.1, 0.9, 0.0]]}}, ["1"], [0.9], 0),
        ({"data": {"names": ["a", "b"], "tensor": {"shape": [2, 2], "values": [1, 2, 4, 3]}}}, ["b", "a"], [2, 4], 0),
        ({"data": {"names": ["p"], "ndarray": [[0.25], [0.75]]}}, [], [0.25, 0.75], 0),
        ({"data": {"tensor": {"shape": [2], "values": [0.25, 0.75]}}}, [], [0.25, 0.75], 0),
        ({"data": {"ndarray": [0.25, 0.75]}}, [], [0.25, 0.75], 0),
        ({"data": {"ndarray": ["cat", "dog"]}}, ["cat", "dog"], [], 0),
        ({"data": {"ndarray": [["cat"]]}, "meta": {"tags": {"outlier": True}}}, ["cat"], [], 1),
        ({"strData": "cat", "meta": {"tags": {"outlier-predictions": [0, 1, 1]}}}, ["cat"], [], 2),
        ({"data": {"ndarray": [[[0.1, 0.9], [0.2, 0.3]]]}}, ["1", "1"], [0.9, 0.3], 0),
        ({"data": {"ndarray": [[float("nan"), 1.0], [None, 2], [], {}]}}, [], [], 0),
        ({"data": {"ndarray": [[10**400, 1.0], [10**400], [-(10**400)], [0.5]]}}, [], [0.5], 0),
        ({"data": {"tensor": {"shape": [1, float("inf")], "values": [0.5]}}}, [], [0.5], 0),
        ({"data": {"tensor": {"shape": [1, 0], "values": []}}}, [], [], 0),
        ({"jsonData": {"a": 1}}, [], [], 0),
        ([1, 2], [], [], 0),
    ],
)
def test_a_seldon_message_has_classes_scores_and_outliers(message, classes, scores, outliers):
    assert outcome(Seldon, message) == (classes, scores, outliers)


def output(name, datatype, shape, data):
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}


@pytest.mark.parametrize(
    ("outputs", "classes", "scores", "outliers"),
    [
        ([output("predict", "INT64", [2, 1], [1, 0])], ["1", "0"], [], 0),
        ([output("predict", "INT64", [2, 1], [10**400, 0])], ["0"], [], 0),
        ([output("p", "FP64", [2, 2], [0.9, 0.1, 0.2, 0.8])], ["0", "1"], [0.9, 0.8], 0),
        ([output("p", "FP32", [2], [0.5, 0.7])], [], [0.5, 0.7], 0),
        ([output("p", "BYTES", [1], ["cat"]), output("is_outlier", "INT64", [1], [1])], ["cat"], [], 1),
        ([output("c", "INT32", [1], [2]), output("p", "FP64", [1, 2], [0.3, 0.7])], ["2"], [0.7], 0),
        ([output("p", "FP64", "?", None), 3], [], [], 0),
    ],
)
def test_a_v2_reply_has_classes_scores_and_outliers(outputs, classes, scores, outliers):
    assert outcome(OpenInference, {"outputs": outputs}) == (classes, scores, outliers)


@pytest.mark.parametrize(
    ("predictions", "classes", "scores", "outliers"),
    [
        ([[0.1, 0.9]], ["1"], [0.9], 0),
        ([0.3, 0.4], [], [0.3, 0.4], 0),
        ([{"probabilities": [0.2, 0.8], "classes": ["a", "b"], "is_outlier": 1}], ["b"], [0.8], 1),
        ([{"other": 1}, 2], [], [], 0),
        ("no list", [], [], 0),
    ],
)
def test_a_tensorflow_reply_has_classes_and_scores(predictions, classes, scores, outliers):
    assert outcome(TensorFlow, {"predictions": predictions}) == (classes, scores, outliers)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "data",
                    "names",
                    "ndarray",
                    "tensor",
                    "values",
                    "shape",
                    "meta",
                    "tags",
                    "outputs",
                    "predictions",
                    "classes",
                ]
            )
            | st.text(max_size=3),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@given(JSON, st.sampled_from([Seldon, OpenInference, TensorFlow]))
def test_whatever_a_model_answers_is_read_or_a_bad_payload(message, codec):
    try:
        found = codec().outcome(Payload(json.dumps(message).encode()))
    except BadPayloadError:
        return
    assert all(isinstance(name, str) for name in found.classes)
    assert all(isinstance(score, float) for score in found.scores)
    assert found.outliers >= 0


@pytest.mark.parametrize(
    ("annotations", "words"),
    [
        ({"seldon.io/prediction-metrics": "class,speed"}, "expected some of class, score, outlier"),
        ({**WANTED, "seldon.io/prediction-metrics-sample": "2"}, "prediction-metrics-sample: '2' is not valid"),
        ({**WANTED, "seldon.io/prediction-metrics-sample": "x"}, "prediction-metrics-sample: 'x' is not valid"),
        ({**WANTED, "seldon.io/prediction-metrics-bounds": "2,1"}, "expected rising numbers"),
        ({**WANTED, "seldon.io/prediction-metrics-bounds": "1,inf"}, "expected rising numbers"),
    ],
)
def test_an_annotation_that_cannot_be_used_is_said(annotations, words):
    with pytest.raises(SettingsError, match=words):
        prediction_metrics(annotations)


def test_nothing_is_counted_unless_it_is_asked_for():
    assert prediction_metrics({"seldon.io/prediction-metrics-sample": "0.1"}) is None


def test_beyond_fifty_classes_the_rest_is_other():
    seen = Predictions(Identity("d", "p", "v"), prediction_metrics(WANTED), lambda: 0.0)
    found = Seldon().outcome(Payload(json.dumps({"data": {"ndarray": [f"c{at}" for at in range(80)]}}).encode()))

    seen.count(found)

    assert len(seen.classes) == 51
    assert seen.classes["other"] == 30


def probabilities(request):
    return Response(200, b'{"data":{"names":["a","b"],"ndarray":[[0.1,0.9]]},"meta":{"tags":{"is_outlier":1}}}')


async def test_answers_are_counted_by_predictor(node, orchestrate, make_unit, until):
    model = await node(probabilities)
    running = await orchestrate(make_unit("m", model.port), predictor={"annotations": WANTED})

    for _ in range(3):
        await running.wire.predict({})
    await until(lambda: running.application.doors.predictions.sampled == 3)
    samples = await running.wire.metrics()

    assert samples[f'seldon_prediction_class_total{{{OF},class="b"}}'] == 3
    assert samples[f'seldon_prediction_score_bucket{{{OF},le="0.85"}}'] == 0
    assert samples[f'seldon_prediction_score_bucket{{{OF},le="0.9"}}'] == 3
    assert samples[f"seldon_prediction_score_count{{{OF}}}"] == 3
    assert samples[f"seldon_prediction_outlier_total{{{OF}}}"] == 3
    assert samples[f"seldon_prediction_sampled_total{{{OF}}}"] == 3


async def test_a_share_of_the_answers_is_looked_at(node, orchestrate, make_unit, until):
    model = await node(probabilities)
    annotations = {**WANTED, "seldon.io/prediction-metrics-sample": "0.5"}
    running = await orchestrate(make_unit("m", model.port), predictor={"annotations": annotations}, seed=4)

    for _ in range(40):
        await running.wire.predict({})
    await until(lambda: running.application.doors.predictions.sampled > 0)

    assert 8 <= running.application.doors.predictions.sampled <= 32


async def test_what_failed_is_not_looked_at_and_what_cannot_be_read_is_skipped(node, orchestrate, make_unit, until):
    answers = iter([Response(500, b"{}"), Response(200, b"no json")])
    model = await node(lambda request: next(answers))
    running = await orchestrate(make_unit("m", model.port), predictor={"annotations": WANTED})

    assert [(await running.wire.predict({})).status for _ in range(2)] == [500, 200]

    seen = running.application.doors.predictions
    await until(lambda: seen.skipped == 1)
    assert seen.sampled == 0


async def test_without_the_annotation_an_answer_is_never_decoded(node, orchestrate, make_unit, monkeypatch):
    def forbidden(*_):
        raise AssertionError("a body that only passes through was decoded")

    monkeypatch.setattr("orchestrator.protocols.jsontext.read", forbidden)
    model = await node(probabilities)
    running = await orchestrate(make_unit("m", model.port))

    assert (await running.wire.predict({})).status == 200
    assert not [name for name in await running.wire.metrics() if name.startswith("seldon_prediction")]
