"""What the API server asks and is answered: by the rooms' rules, and nothing that is stored already is held up."""

import base64
import json
from pathlib import Path
from typing import Any

import jsonpatch
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from controller.admission.review import Opinion, ReviewError, answer, opinion
from controller.api.meta import ROLLOUT_LABEL
from controller.deployment.configuration import Configuration
from controller.deployment.defaults import complete
from controller.deployment.render import render
from controller.deployment.subject import Subject
from controller.deployment.validation import check, parse

CONFIGURATION = Configuration()
SAMPLES = sorted((Path(__file__).parents[2] / "manifests" / "samples").glob("*.yaml"))
SDEP = {"group": "machinelearning.seldon.io", "version": "v1alpha2", "kind": "SeldonDeployment"}
ROLLOUT = {"group": "rollouts.seldon.io", "version": "v1alpha1", "kind": "SeldonRollout"}
SERVER = {"name": "m", "implementation": "SKLEARN_SERVER", "modelUri": "gs://m"}


def _sdep(**spec: Any) -> dict[str, Any]:
    predictors = spec.pop("predictors", [{"name": "p", "graph": SERVER}])
    return {"metadata": {"name": "iris", "namespace": "ml"}, "spec": {"predictors": predictors, **spec}}


def _rollout(strategy: dict[str, Any], graph: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    template = {"spec": {"predictors": [{"name": "p", "graph": graph or SERVER}]}}
    return {
        "metadata": {"name": "iris", "namespace": "ml"},
        "spec": {"template": template, "strategy": strategy, **spec},
    }


def _asked(kind: dict[str, str], obj: Any, old: Any = None, *, mutating: bool = False) -> dict[str, Any]:
    request = {"uid": "u-1", "kind": kind, "operation": "UPDATE" if old else "CREATE", "object": obj, "oldObject": old}
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    found = answer(review, CONFIGURATION, mutating=mutating)
    assert (found["kind"], found["response"]["uid"]) == ("AdmissionReview", "u-1")
    response: dict[str, Any] = found["response"]
    return response


def test_a_good_object_is_taken_without_a_word() -> None:
    assert _asked(SDEP, _sdep()) == {"uid": "u-1", "allowed": True}


def test_a_bad_object_is_refused_with_field_value_and_what_would_be_right() -> None:
    found = _asked(SDEP, _sdep(predictors=[{"name": "p", "graph": SERVER, "traffic": 42}]))
    assert not found["allowed"]
    assert found["status"]["code"] == 422
    assert found["status"]["message"] == (
        "spec.predictors[0].traffic: 42 is not valid; expected 100 or nothing for the only predictor"
    )


def test_what_is_stored_already_may_be_annotated_and_finalized() -> None:
    bad = _sdep(protocol="smoke-signals")
    noted = {**bad, "metadata": {**bad["metadata"], "annotations": {"rollouts.seldon.io/intent": "{}"}}}
    assert _asked(SDEP, noted, bad)["allowed"]
    assert not _asked(SDEP, {**noted, "spec": {**noted["spec"], "replicas": 2}}, bad)["allowed"]


def test_what_is_being_deleted_is_let_through() -> None:
    bad = _sdep(protocol="smoke-signals")
    ending = {**bad, "metadata": {**bad["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}}
    assert _asked(SDEP, ending)["allowed"]


def test_an_annotation_that_nobody_knows_is_warned_of() -> None:
    notes = {"seldon.io/rest-timout": "5", "seldon.io/ambassador-id": "x", "seldon.io/engine-log-level": "INFO"}
    found = _asked(SDEP, _sdep(annotations=notes))
    assert found["allowed"]
    assert found["warnings"] == [
        "spec.annotations[seldon.io/ambassador-id]: Ambassador is not supported; the annotation does nothing",
        "spec.annotations[seldon.io/rest-timout]: unknown annotation; it does nothing",
    ]


def test_what_counts_answers_is_known_where_pods_get_it_and_warned_of_elsewhere() -> None:
    notes = {"seldon.io/prediction-metrics": "class", "seldon.io/compare-with": "http://iris-1-default.ml:8000"}
    assert "warnings" not in _asked(SDEP, _sdep(annotations=notes))
    found = _sdep()
    found["metadata"] = {**found["metadata"], "annotations": notes}
    assert _asked(SDEP, found)["warnings"] == [
        f"metadata.annotations[{key}]: does nothing here; pods have spec.annotations and the predictors'"
        for key in sorted(notes)
    ]


LEARNER = {"name": "r", "implementation": "EPSILON_GREEDY", "children": [SERVER, {**SERVER, "name": "n"}]}
LOGGER = {**SERVER, "logger": {"mode": "all"}}


@pytest.mark.parametrize(
    ("graph", "said"), [(LEARNER, "(r): learns from feedback"), (LOGGER, "sees each request twice")]
)
def test_a_graph_with_side_effects_in_a_shadow_is_warned_of(graph: dict[str, Any], said: str) -> None:
    shadow = _sdep(predictors=[{"name": "p", "graph": SERVER}, {"name": "s", "shadow": True, "graph": graph}])
    assert [each for each in _asked(SDEP, shadow)["warnings"] if said in each]
    assert "warnings" not in _asked(SDEP, _sdep(predictors=[{"name": "p", "graph": graph}]))
    for strategy in ({"shadow": {"duration": "1h"}}, {"canary": {"steps": [{"setMirror": {"percentage": 10}}]}}):
        found = _asked(ROLLOUT, _rollout(strategy, graph))
        assert found["allowed"], found
        assert [each for each in found["warnings"] if said in each and each.startswith("spec.template.spec.")]
    assert "warnings" not in _asked(ROLLOUT, _rollout({"canary": {"steps": [{"setWeight": 10}]}}, graph))


@pytest.mark.parametrize(
    ("rollout", "said"),
    [
        (_rollout({"canary": {"steps": [{"setWeight": 300}]}}), "spec.strategy.canary.steps[0].setWeight"),
        (_rollout({"blueGreen": {}}, {"name": "m"}), "spec.template.spec.predictors[0].graph.name: 'm'"),
        (_rollout({"blueGreen": {}}, {**SERVER, "implementation": "NO_SERVER"}), "NO_SERVER"),
        (_rollout({"blueGreen": {}}, {**SERVER, "modelUri": "s3//m"}), "graph.modelUri: 's3//m' is not valid"),
        (
            _rollout({"blueGreen": {}}, routing={"gateways": ["Front door"]}),
            "spec.routing.gateways[0]: 'Front door' is not valid; expected mesh, or the name of a Gateway",
        ),
        (
            _rollout(
                {"blueGreen": {}},
                template={"spec": {"serverType": "kafka", "predictors": [{"name": "p", "graph": SERVER}]}},
            ),
            "spec.template.spec.serverType: 'kafka' is not valid; expected rpc",
        ),
    ],
)
def test_a_rollout_that_cannot_be_done_is_refused(rollout: dict[str, Any], said: str) -> None:
    found = _asked(ROLLOUT, rollout)
    assert not found["allowed"]
    assert said in found["status"]["message"]


def test_what_another_operator_looks_after_is_not_judged() -> None:
    rollout = _rollout({"blueGreen": {}}, {**SERVER, "implementation": "THEIR_SERVER"})
    assert opinion(ROLLOUT, rollout, CONFIGURATION, operator=False) == Opinion()
    assert opinion(SDEP, _sdep(protocol="theirs"), CONFIGURATION, operator=False) == Opinion()


def test_an_object_whose_name_the_server_makes_is_judged() -> None:
    obj = _sdep()
    obj["metadata"] = {"generateName": "iris-", "namespace": "ml"}
    assert _asked(SDEP, obj)["allowed"]


def test_another_kind_is_none_of_our_business() -> None:
    assert _asked({"group": "apps", "kind": "Deployment"}, {"metadata": {}, "spec": 3})["allowed"]


@pytest.mark.parametrize("review", [None, [], {}, {"request": {}}, {"request": {"object": {}}}])
def test_what_is_no_review_is_refused(review: Any) -> None:
    with pytest.raises(ReviewError, match=r"request\.uid"):
        answer(review, CONFIGURATION, mutating=False)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 300) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["spec", "metadata", "predictors", "graph", "template", "name"]), inner)
    ),
    max_leaves=10,
)


@given(kind=st.sampled_from([SDEP, ROLLOUT]), spec=JSON, mutating=st.booleans())
def test_whatever_is_sent_is_answered(kind: dict[str, str], spec: Any, mutating: bool) -> None:
    found = _asked(kind, {"metadata": {"name": "x", "namespace": "y"}, "spec": spec}, mutating=mutating)
    assert isinstance(found["allowed"], bool)


def _completed(obj: dict[str, Any]) -> dict[str, Any]:
    found = _asked(SDEP, obj, mutating=True)
    assert found["allowed"]
    if "patch" not in found:
        return obj
    assert found["patchType"] == "JSONPatch"
    done: dict[str, Any] = jsonpatch.apply_patch(obj, json.loads(base64.b64decode(found["patch"])))
    return done


def test_defaults_are_filled_in_and_what_is_set_stays() -> None:
    done = _completed(_sdep(transport="grpc", protocol=""))["spec"]
    assert (done["protocol"], done["transport"], done["serverType"]) == ("seldon", "grpc", "rpc")
    assert _completed(_completed(_sdep())) == _completed(_sdep())


def test_a_revision_of_a_rollout_stays_as_its_rollout_wrote_it() -> None:
    obj = _sdep()
    obj["metadata"]["labels"] = {ROLLOUT_LABEL: "iris"}
    assert _completed(obj) == obj


def _deployments() -> list[Any]:
    found = [each for path in SAMPLES for each in yaml.safe_load_all(path.read_text())]
    return [pytest.param(each, id=each["metadata"]["name"]) for each in found if each["kind"] == "SeldonDeployment"]


def _rendered(raw: dict[str, Any]) -> Any:
    raw = {**raw, "metadata": {"namespace": "ml", "uid": "u", **raw["metadata"]}}
    subject = parse(raw)
    assert isinstance(subject, Subject)
    assert check(subject, CONFIGURATION) == ()
    return render(complete(subject, CONFIGURATION), CONFIGURATION)


@pytest.mark.parametrize("raw", _deployments())
def test_completing_an_object_changes_nothing_of_what_is_rendered(raw: dict[str, Any]) -> None:
    assert _rendered(_completed(raw)) == _rendered(raw)
