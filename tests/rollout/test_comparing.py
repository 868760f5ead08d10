"""Whom a canary compares its answers with: told by annotations, before any request reaches it, and never afterwards."""

import pytest

from analysis.checks import ShadowAgreement
from controller.api.rollout import Analysis, RolloutSpec
from controller.rollout import comparing, judging, validity

AGREEMENT = {"analysis": {"metrics": [{"errorRate": {}}, {"shadowAgreement": {"perSecond": 5}}]}}
WITH = "seldon.io/compare-with"


def notes(world, uri):
    """What the child of a revision says of each predictor."""
    parts = world.children[world.hash_of(uri)]["spec"]["predictors"]
    return {part["name"]: part.get("annotations") or {} for part in parts}


def address(world, uri, predictor="default"):
    return f"http://iris-{world.hash_of(uri)}-{predictor}.ml.svc.cluster.local:8000"


@pytest.fixture
def compared(world):
    """A world with v1 serving and v2 asked for as a shadow whose answers are compared."""
    world.strategy = {"shadow": {"percentage": 100, "then": {"steps": [{"setWeight": 50}, {"analysis": {}}]}}}
    world.spec_extra = AGREEMENT
    world.serving().upgrade()
    return world


def test_a_canary_is_told_where_stable_is(compared) -> None:
    compared.run(10)
    assert notes(compared, "m/v2")["default"] == {
        WITH: address(compared, "m/v1"),
        f"{WITH}-grpc": address(compared, "m/v1").replace(":8000", ":5001"),
        "seldon.io/compare-tolerance": "0.01",
        "seldon.io/compare-per-second": "5",
        "seldon.io/compare-share": "1",
    }
    assert notes(compared, "m/v1")["default"] == {}


def test_the_hash_of_a_revision_does_not_depend_on_it(compared) -> None:
    without = compared.hash_of("m/v2")
    compared.run(10)
    assert list(compared.children)[1] == without
    assert WITH not in str(compared.stored[without].template)


def test_nothing_changes_on_pods_that_serve_however_far_it_goes(compared) -> None:
    compared.run(10)
    told = notes(compared, "m/v2")
    for _ in range(4):
        compared.good().settle()
        assert notes(compared, "m/v2") == told
    assert (compared.status.phase, compared.status.stable_revision.number) == ("Healthy", 2)
    compared.upgrade("m/v3")
    compared.run(10)
    assert notes(compared, "m/v2") == told
    assert notes(compared, "m/v3")["default"][WITH] == address(compared, "m/v2")


def test_a_spec_that_changes_half_way_restarts_nobody(compared) -> None:
    compared.run(10)
    told = notes(compared, "m/v2")
    compared.spec_extra = {"analysis": {"metrics": [{"errorRate": {}}, {"shadowAgreement": {"perSecond": 50}}]}}
    compared.generation += 1
    compared.run(10)
    assert notes(compared, "m/v2") == told


def test_before_the_first_copy_a_change_is_taken(compared) -> None:
    compared.starts = False
    compared.run(10)
    compared.spec_extra = {"analysis": {"metrics": [{"errorRate": {}}, {"shadowAgreement": {"tolerance": 0}}]}}
    compared.generation += 1
    compared.run(10)
    assert notes(compared, "m/v2")["default"]["seldon.io/compare-tolerance"] == "0"


def test_a_revision_that_is_tried_again_asks_the_stable_of_then(compared) -> None:
    compared.run(10)
    compared.bad().settle()
    compared.upgrade("m/v3")
    for _ in range(4):
        compared.good().settle()
    assert compared.status.stable_revision.number == 3
    compared.upgrade("m/v2")
    compared.run(10)
    compared.ask("retry")
    compared.run(10)
    assert notes(compared, "m/v2")["default"][WITH] == address(compared, "m/v3")


def test_without_the_check_nobody_is_told_anything(compared) -> None:
    compared.spec_extra = {}
    compared.run(10)
    assert notes(compared, "m/v2")["default"] == {}


def parsed(strategy, **predictors):
    return {
        "template": {"spec": {"predictors": [{"name": "default", "graph": {"name": "m"}}]}},
        "strategy": strategy,
        **AGREEMENT,
    }


@pytest.mark.parametrize(
    ("strategy", "right"),
    [
        ({"shadow": {"percentage": 100}}, True),
        ({"canary": {"steps": [{"setMirror": {"percentage": 20}}, {"analysis": {}}, {"setWeight": 50}]}}, True),
        ({"blueGreen": {}}, True),
        ({"canary": {"steps": [{"setWeight": 50}]}}, False),
        ({"blueGreen": {"prePromotionAnalysis": {"skip": True}}}, False),
    ],
)
def test_answers_are_compared_only_where_requests_are_copied(strategy, right) -> None:
    spec, message = validity.read({"spec": parsed(strategy)})
    assert (spec is not None) is right
    assert right or message.startswith("spec.analysis.metrics[1].shadowAgreement: ")
    assert right or "a strategy that copies requests: shadow, setMirror" in message


@pytest.mark.parametrize(
    ("agreement", "field"),
    [({"max": 1}, "max"), ({"tolerance": -1}, "tolerance"), ({"perSecond": 0}, "perSecond"), ({"share": 2}, "share")],
)
def test_a_value_that_cannot_be_is_named(agreement, field) -> None:
    metrics = {"analysis": {"metrics": [{"shadowAgreement": agreement}]}}
    spec, message = validity.read({"spec": {**parsed({"shadow": {"percentage": 100}}), **metrics}})
    assert spec is None
    assert f"shadowAgreement.{field}" in message


def test_it_is_judged_as_asked() -> None:
    metric = {"shadowAgreement": {"max": 0.05}, "action": "abort"}
    (found,) = judging.plan(Analysis.model_validate({"metrics": [metric]})).metrics
    assert found == ShadowAgreement(max=0.05, action="abort")


def test_several_predictors_ask_their_namesakes_or_the_greatest_and_tls_is_heeded(compared) -> None:
    one = {"name": "default", "traffic": 30, "ssl": {"certSecretName": "tls"}, "graph": {"name": "m"}}
    two = {"name": "other", "traffic": 70, "graph": {"name": "m"}}
    third = {"name": "new", "graph": {"name": "m"}}
    obs = compared.observe()
    stable = obs.revisions[compared.hash_of("m/v1")]
    old = {"spec": {"predictors": [one, two, {**two, "name": "copy", "shadow": True}]}}
    obs.revisions[stable.hash] = type(stable)(hash=stable.hash, number=1, template=old)
    made = type(stable)(hash="fresh", number=2, template={"spec": {"predictors": [one, third]}})
    obs.revisions["fresh"] = made
    found = comparing.told(obs, compared.status, made, "canary", made.template["spec"])["predictors"]
    where = f"iris-{stable.hash}"
    assert [each["annotations"][WITH] for each in found] == [
        f"https://{where}-default.ml.svc.cluster.local:8000",
        f"http://{where}-other.ml.svc.cluster.local:8000",
    ]


def test_the_spec_says_it_once() -> None:
    twice = {"analysis": {"metrics": [{"shadowAgreement": {}}, {"shadowAgreement": {"max": 0.1}}]}}
    spec, message = validity.read({"spec": {**parsed({"shadow": {"percentage": 100}}), **twice}})
    assert spec is None
    assert "shadowAgreement" in message
    assert RolloutSpec.model_validate(parsed({"shadow": {"percentage": 100}})) is not None
