"""Manifests of others as SeldonRollouts: each is one that our own models take, and nothing is lost without a word."""

from typing import Any

import pytest
import yaml

from controller.api.rollout import RolloutSpec
from seldon_rollouts.conversion import ConversionError, Converted, convert

PODS: dict[str, Any] = {
    "metadata": {"labels": {"app": "iris"}},
    "spec": {"containers": [{"name": "model", "image": "me/iris:2"}]},
}
DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "iris"}, "spec": {"template": PODS}}


def argo(strategy: dict[str, Any], **spec: Any) -> dict[str, Any]:
    meta = {"name": "iris", "namespace": "ml"}
    spec = {"replicas": 3, "template": PODS, "strategy": strategy, **spec}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": meta, "spec": spec}


def flagger(analysis: dict[str, Any], **spec: Any) -> dict[str, Any]:
    spec = {"targetRef": {"kind": "Deployment", "name": "iris"}, "analysis": analysis, **spec}
    return {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": {"name": "iris"}, "spec": spec}


def one(*documents: dict[str, Any]) -> Converted:
    (made,) = convert(documents)
    RolloutSpec.model_validate(made.rollout["spec"])
    return made


def steps(made: Converted) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = made.rollout["spec"]["strategy"]["canary"]["steps"]
    return found


ROUTE = {"name": "Beta", "match": [{"headerName": "x-beta", "headerValue": {"exact": "yes"}}]}


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ({"setWeight": 20}, {"setWeight": 20}),
        ({"pause": {}}, {"pause": {}}),
        ({"pause": {"duration": 30}}, {"pause": {"duration": "30s"}}),
        ({"pause": {"duration": "1h"}}, {"pause": {"duration": "1h"}}),
        ({"setCanaryScale": {"replicas": 2}}, {"setScale": {"replicas": 2}}),
        ({"setCanaryScale": {"weight": 25}}, {"setScale": {"percent": 25}}),
        ({"setCanaryScale": {"matchTrafficWeight": True}}, {"setScale": {"matchWeight": True}}),
        ({"setMirrorRoute": {"name": "m", "percentage": 35, "match": [{}]}}, {"setMirror": {"percentage": 35}}),
        (
            {
                "setMirrorRoute": {
                    "name": "m",
                    "match": [
                        {"method": {"exact": "GET"}, "path": {"prefix": "/v1/"}},
                        {"headers": {"x": {"regex": "a.*"}}},
                    ],
                }
            },
            {
                "setMirror": {
                    "percentage": 100,
                    "match": [
                        {"path": {"prefix": "/v1/"}, "method": "GET"},
                        {"headers": {"x": {"regex": "a.*"}}},
                    ],
                }
            },
        ),
        ({"setMirrorRoute": {"name": "m"}}, {"setMirror": {"percentage": 0}}),
        (
            {"setHeaderRoute": ROUTE},
            {"setHeaderRoute": {"name": "beta", "match": [{"headers": {"x-beta": {"exact": "yes"}}}]}},
        ),
    ],
)
def test_a_step_of_argo_is_the_same_step_here(theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    made = one(argo({"canary": {"steps": [theirs], "trafficRouting": {"istio": {}}}}))
    assert steps(made) == [ours]


def test_what_argo_has_and_we_have_not_is_said() -> None:
    made = one(argo({"canary": {"steps": [{"experiment": {}}, {"setWeight": 5}], "pingPong": {}}}, paused=True))
    assert steps(made) == [{"setWeight": 5}]
    told = " ".join(made.notes)
    assert all(word in told for word in ("step experiment", "spec.paused: use the verb pause", "shares of pods"))


def test_copies_of_requests_that_we_cannot_tell_are_left_out_and_said() -> None:
    theirs = {"setMirrorRoute": {"name": "m", "match": [{"path": {"regex": "/v[12]/.*"}}]}}
    made = one(argo({"canary": {"steps": [theirs], "trafficRouting": {"istio": {}}}}))
    assert steps(made) == [{"setMirror": {"percentage": 0}}]
    assert any("setMirrorRoute m: its match has no counterpart" in note for note in made.notes)


def test_templates_of_argo_come_along_and_those_that_are_missing_are_named() -> None:
    template = {
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate", "metadata": {"name": "checks", "uid": "u"},
        "spec": {"metrics": [{"name": "m", "provider": {"prometheus": {"query": "up"}}}]},
    }  # fmt: skip
    named = [{"templateName": "checks"}, {"templateName": "checks", "clusterScope": True}]
    rollout, carried = convert([argo({"canary": {"analysis": {"templates": named}}}), template])
    assert carried.rollout["apiVersion"] == "rollouts.seldon.io/v1alpha1"
    assert (carried.rollout["metadata"], carried.rollout["spec"]) == ({"name": "checks"}, template["spec"])
    missing = [note for note in rollout.notes if "is not among the files" in note]
    assert missing == ["ClusterAnalysisTemplate checks is not among the files: give its manifest, too"]


def test_steps_that_are_left_out_are_not_counted_by_an_analysis_that_starts_later() -> None:
    theirs = [{"setWeight": 5}, {"experiment": {}}, {"pause": {}}, {"setWeight": 20}]
    analysis = {"templates": [{"templateName": "checks"}], "startingStep": 3}
    made = one(argo({"canary": {"steps": theirs, "analysis": analysis}}))
    assert made.rollout["spec"]["analysis"]["startingStep"] == 2


@pytest.mark.parametrize(("routing", "said"), [("istio", "give routing.virtualService"), ("nginx", "no counterpart")])
def test_where_requests_were_split_before_is_told(routing: str, said: str) -> None:
    made = one(argo({"canary": {"trafficRouting": {routing: {"virtualService": {"name": "v"}}, "managedRoutes": []}}}))
    assert any(routing in note and said in note for note in made.notes)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [({"type": "Percent", "value": 90}, {"percent": 90}), ({"type": "Pod", "value": 3}, {"replicas": 3})],
)
def test_the_threshold_of_argo_is_kept(theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    made = one(argo({"canary": {"steps": [{"setWeight": 5}], "replicaProgressThreshold": theirs}}))
    assert made.rollout["spec"]["strategy"]["canary"]["replicaProgressThreshold"] == ours
    assert not any("replicaProgressThreshold: no counterpart" in note for note in made.notes)


def test_weights_of_another_whole_become_percents() -> None:
    """As they stood, 5 of 1,000 became ten times as many users."""
    routing = {"istio": {"virtualService": {"name": "v"}}, "maxTrafficWeight": 1000}
    made = one(argo({"canary": {"trafficRouting": routing, "steps": [{"setWeight": 5}, {"setWeight": 200}]}}))
    assert steps(made) == [{"setWeight": 0.5}, {"setWeight": 20}]
    assert not any("maxTrafficWeight" in note for note in made.notes)

    routing["maxTrafficWeight"] = 100_000_000
    made = one(argo({"canary": {"trafficRouting": routing, "steps": [{"setWeight": 1}, {"setWeight": 100_000_000}]}}))
    assert steps(made) == [{"setWeight": 0.01}, {"setWeight": 100}]
    assert any("step setWeight 1 of 100000000: 0.01 %" in note for note in made.notes)


def test_limits_of_argo_are_kept_or_said_to_be_left_out() -> None:
    spec = {
        "analysis": {"successfulRunHistoryLimit": 3, "unsuccessfulRunHistoryLimit": 7},
        "minReadySeconds": 30,
        "template": {**PODS, "metadata": {"annotations": {"sidecar.istio.io/inject": "true"}}},
    }
    canary = {"dynamicStableScale": True, "maxSurge": 1, "maxUnavailable": 0}
    made = one(argo({"canary": canary}, **spec))
    (predictor,) = made.rollout["spec"]["template"]["spec"]["predictors"]

    assert made.rollout["spec"]["analysis"] == spec["analysis"]
    assert made.rollout["spec"]["strategy"]["canary"]["dynamicStableScale"] is True
    assert predictor["componentSpecs"][0]["metadata"]["annotations"] == {"sidecar.istio.io/inject": "true"}
    said = {note.split(":")[0] for note in made.notes}
    assert said >= {"spec.minReadySeconds", "strategy.canary.maxSurge", "strategy.canary.maxUnavailable"}


@pytest.mark.parametrize("kind", ["canary", "blueGreen"])
def test_delays_of_argo_are_kept(kind: str) -> None:
    theirs = {"scaleDownDelaySeconds": 90, "abortScaleDownDelaySeconds": 60, "scaleDownDelayRevisionLimit": 2}
    made = one(argo({kind: theirs})).rollout["spec"]
    kept = {"scaleDownDelay": "90s", "abortScaleDownDelay": "60s", "scaleDownDelayRevisionLimit": 2}
    assert {name: made[name] for name in kept} == kept
    without = one(argo({kind: {"abortScaleDownDelaySeconds": 0}}))
    assert "abortScaleDownDelay" not in without.rollout["spec"]
    assert any(note.startswith("abortScaleDownDelaySeconds: 0 kept") for note in without.notes)


def test_what_flagger_writes_into_its_route_is_kept_or_said_to_be_left_out() -> None:
    service = {"port": 80, "retries": {"attempts": 3}, "timeout": "15s", "rewrite": {"uri": "/"}}
    analysis = {"stepWeight": 50, "sessionAffinity": {"cookieName": "c", "maxAge": 600, "primaryCookieName": "p"}}
    made = one(flagger(analysis, service=service), DEPLOYMENT)

    assert made.rollout["spec"]["routing"] == {"sticky": {"cookie": {"name": "c", "ttl": "600s"}}}
    left = {note.split(":")[0] for note in made.notes if "no counterpart, left out" in note}
    affinity = "analysis.sessionAffinity.primaryCookieName"
    assert left == {"service.retries", "service.timeout", "service.rewrite", affinity}


def test_a_threshold_of_another_type_is_refused() -> None:
    with pytest.raises(ConversionError, match=r"replicaProgressThreshold\.type is 'Pods'; expected Percent or Pod"):
        convert([argo({"canary": {"replicaProgressThreshold": {"type": "Pods", "value": 3}}})])


def test_blue_green_of_argo_keeps_its_delays_and_replicas() -> None:
    spec = {"previewReplicaCount": 1, "autoPromotionSeconds": 60, "scaleDownDelaySeconds": 90, "activeService": "a"}
    made = one(argo({"blueGreen": spec}, progressDeadlineSeconds=300)).rollout["spec"]
    assert made["strategy"] == {"blueGreen": {"previewReplicas": 1, "autoPromotionSeconds": 60}}
    assert (made["scaleDownDelay"], made["progressDeadline"]) == ("90s", "300s")


def test_pods_become_a_model_with_their_labels_and_replicas() -> None:
    (predictor,) = one(argo({"canary": {}})).rollout["spec"]["template"]["spec"]["predictors"]
    assert (predictor["graph"], predictor["replicas"]) == ({"name": "model", "type": "MODEL"}, 3)
    assert predictor["componentSpecs"] == [{"spec": PODS["spec"], "metadata": {"labels": {"app": "iris"}}}]


def test_a_workload_reference_is_looked_up_among_the_documents() -> None:
    referring = argo({"canary": {}}, workloadRef={"kind": "Deployment", "name": "iris"}, template=None)
    assert one(referring, DEPLOYMENT).rollout["metadata"] == {"name": "iris", "namespace": "ml"}
    with pytest.raises(ConversionError, match="names Deployment iris; give its manifest"):
        convert([referring])


@pytest.mark.parametrize(
    ("analysis", "weights"),
    [
        ({"stepWeight": 20, "maxWeight": 60}, [20, 40, 60]),
        ({"stepWeights": [1, 2, 80]}, [1, 2, 80]),
        ({"stepWeight": 50, "maxWeight": 100}, [50]),
    ],
)
def test_the_ramp_of_flagger_becomes_judged_steps(analysis: dict[str, Any], weights: list[int]) -> None:
    made = one(flagger({"interval": "30s", **analysis}), DEPLOYMENT)
    assert [step["setWeight"] for step in steps(made) if "setWeight" in step] == weights
    assert [step for step in steps(made) if "analysis" in step] == [{"analysis": {"minDuration": "30s"}}] * len(weights)


def test_gates_mirror_match_and_metrics_of_flagger_have_their_places() -> None:
    analysis = {
        "interval": "1m", "stepWeight": 50, "mirror": True, "mirrorWeight": 80, "threshold": 5,
        "match": [{"headers": {"cookie": {"regex": "^beta$"}}}],
        "webhooks": [
            {"name": "ok", "type": "confirm-promotion", "url": "http://gate/ok"},
            {"name": "load", "url": "http://tester/"},
        ],
        "metrics": [
            {"name": "request-success-rate", "thresholdRange": {"min": 99}},
            {"name": "request-duration", "thresholdRange": {"max": 500}},
            {"name": "mine", "templateRef": {"name": "mine"}},
        ],
    }  # fmt: skip
    made = one(flagger(analysis, service={"hosts": ["iris.example"], "gateways": ["mesh"]}), DEPLOYMENT)
    kinds = [next(iter(step)) for step in steps(made)]
    assert kinds == ["setMirror", "pause", "setMirror", "setHeaderRoute", "analysis", "setWeight", "analysis", "gate"]
    spec = made.rollout["spec"]
    assert spec["routing"] == {"hosts": ["iris.example"], "gateways": ["mesh"]}
    assert spec["analysis"] == {"metrics": [{"errorRate": {"max": 0.01}}, {"latency": {}}]}
    told = " ".join(made.notes)
    assert all(word in told for word in ("webhook load (rollout)", "metric mine", "request-duration", "threshold"))


def test_a_seldondeployment_becomes_the_template_of_a_rollout_that_adopts_it() -> None:
    spec = {"predictors": [{"name": "default", "graph": {"name": "c", "implementation": "SKLEARN_SERVER"}}]}
    meta = {"name": "iris", "annotations": {"seldon.io/engine-separate-pod": "true", "kubectl.kubernetes.io/x": "y"}}
    api = "machinelearning.seldon.io/v1"
    made = one({"apiVersion": api, "kind": "SeldonDeployment", "metadata": meta, "spec": spec}).rollout["spec"]
    assert made["adopt"] is True
    assert made["template"] == {"spec": spec, "metadata": {"annotations": {"seldon.io/engine-separate-pod": "true"}}}


def test_what_is_none_of_them_is_refused_in_words() -> None:
    with pytest.raises(ConversionError, match="found Deployment; expected a SeldonDeployment, an Argo Rollout"):
        convert([DEPLOYMENT])


def test_a_list_of_kubectl_is_read_too(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    from seldon_rollouts.cli.convert import convert as command

    file = tmp_path / "all.yaml"
    file.write_text(yaml.safe_dump({"kind": "List", "items": [argo({"canary": {}})]}))
    command([file])
    told = capsys.readouterr()
    assert yaml.safe_load(told.out)["kind"] == "SeldonRollout"
    assert "Rollout iris:" in told.err
