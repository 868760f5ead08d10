"""Who of the mesh may ask: mutual TLS and callers by annotation, and what Prometheus and the kubelet still read."""

from collections.abc import Callable
from typing import Any

import pytest

from controller.deployment.configuration import Configuration
from controller.deployment.render import render
from controller.deployment.subject import Subject
from controller.deployment.validation import check, parse

Make = Callable[..., dict[str, Any]]
Read = Callable[..., Subject]
MTLS, ALLOW = "rollouts.seldon.io/istio-mtls", "rollouts.seldon.io/istio-allow"
PEER, POLICY = ("PeerAuthentication", "iris"), ("AuthorizationPolicy", "iris")
FOR_ANYBODY = {
    "to": [
        {"operation": {"ports": ["6000"], "methods": ["GET"], "paths": ["/prometheus"]}},
        {"operation": {"ports": ["8000"], "methods": ["GET"], "paths": ["/live", "/prometheus", "/ready"]}},
    ]
}


def _guarded(make_model: Make, **notes: str) -> dict[str, Any]:
    raw = make_model()
    keys = {"mtls": MTLS, "allow": ALLOW}
    raw["metadata"]["annotations"] = {keys[name]: value for name, value in notes.items()}
    return raw


def _rendered(subject: Subject) -> dict[tuple[str, str], dict[str, Any]]:
    objects = render(subject, Configuration()).objects()
    return {(each["kind"], each["metadata"]["name"]): each["spec"] for each in objects}


def _conditions(status: Any) -> dict[str, Any]:
    return {each.type: each for each in status.conditions}


def test_strict_leaves_metrics_and_probes_open_and_nothing_else(subject_for: Read, make_model: Make) -> None:
    found = _rendered(subject_for(_guarded(make_model, mtls="strict")))
    assert found[PEER]["mtls"] == {"mode": "STRICT"}
    assert found[PEER]["portLevelMtls"] == {"6000": {"mode": "PERMISSIVE"}, "8000": {"mode": "PERMISSIVE"}}
    assert found[POLICY]["rules"] == [{"from": [{"source": {"principals": ["*"]}}]}, FOR_ANYBODY]
    assert found[PEER]["selector"] == found[POLICY]["selector"] == {"matchLabels": {"seldon-deployment-id": "iris"}}


def test_callers_are_namespaces_and_principals(subject_for: Read, make_model: Make) -> None:
    found = _rendered(subject_for(_guarded(make_model, allow="istio-system, cluster.local/ns/web/sa/shop")))
    assert PEER not in found
    sources = [{"namespaces": ["istio-system"]}, {"principals": ["cluster.local/ns/web/sa/shop"]}]
    assert found[POLICY]["rules"] == [{"from": [{"source": each} for each in sources]}, FOR_ANYBODY]


@pytest.mark.parametrize("mode", ["permissive", "disable"])
def test_a_lenient_mode_has_no_exceptions_and_keeps_nobody_out(subject_for: Read, make_model: Make, mode: str) -> None:
    found = _rendered(subject_for(_guarded(make_model, mtls=mode)))
    assert found[PEER]["mtls"] == {"mode": mode.upper()}
    assert "portLevelMtls" not in found[PEER]
    assert POLICY not in found


def test_pods_that_ask_each_other_may(subject_for: Read, make_model: Make) -> None:
    raw = _guarded(make_model, allow="istio-system")
    raw["spec"]["predictors"][0]["explainer"] = {"type": "AnchorTabular", "serviceAccountName": "explains"}
    sources = _rendered(subject_for(raw))[POLICY]["rules"][0]["from"]
    own = ["cluster.local/ns/ml/sa/default", "cluster.local/ns/ml/sa/explains"]
    assert sources == [{"source": {"namespaces": ["istio-system"]}}, {"source": {"principals": own}}]


def test_what_is_encrypted_by_the_pod_itself_has_no_exception(subject_for: Read, make_model: Make) -> None:
    raw = _guarded(make_model, mtls="strict")
    raw["spec"]["predictors"][0]["ssl"] = {"certSecretName": "tls"}
    found = _rendered(subject_for(raw))
    assert found[PEER]["portLevelMtls"] == {"6000": {"mode": "PERMISSIVE"}}


def test_what_is_not_scraped_has_no_exception_for_metrics(subject_for: Read, make_model: Make) -> None:
    raw = _guarded(make_model, mtls="strict")
    raw["spec"]["predictors"][0]["annotations"] = {"prometheus.io/scrape": "false"}
    (_, anybody) = _rendered(subject_for(raw))[POLICY]["rules"]
    assert [each["operation"]["paths"] for each in anybody["to"]] == [["/live", "/ready"]]


def test_an_annotation_that_goes_takes_both_with_it_and_restarts_nothing(
    world: Any, subject_for: Read, make_model: Make
) -> None:
    status = world.converge(subject_for(_guarded(make_model, mtls="strict")))
    assert _conditions(status)["istioSecurityReady"].status == "True"
    assert {PEER, POLICY} <= world.objects.keys()
    pods = set(world.pods)
    status = world.converge(subject_for(make_model()))
    assert not {PEER, POLICY} & world.objects.keys()
    assert set(world.pods) == pods
    assert "istioSecurityReady" not in _conditions(status)


def test_without_istios_kinds_the_model_serves_and_a_condition_says_that_nobody_is_kept_out(
    world: Any, subject_for: Read, make_model: Make
) -> None:
    world.security = False
    subject = subject_for(_guarded(make_model, mtls="strict"))
    status = world.converge(subject)
    found = _conditions(status)
    assert (status.state, PEER in world.objects) == ("Available", False)
    assert (found["istioSecurityReady"].reason, found["Ready"].status) == ("NoSecurity", "False")
    assert "nobody is kept out" in found["istioSecurityReady"].message
    world.security = True
    assert _conditions(world.converge(subject))["Ready"].status == "True"
    assert {PEER, POLICY} <= world.objects.keys()


def test_the_policy_stands_before_mutual_tls_is_demanded(world: Any, subject_for: Read, make_model: Make) -> None:
    world.converge(subject_for(_guarded(make_model, mtls="strict")))
    written = [each for each in world.writes if "Authentication" in each or "Policy" in each]
    assert written == ["create AuthorizationPolicy iris", "create PeerAuthentication iris"]


@pytest.mark.parametrize(
    ("notes", "field", "value", "expected"),
    [
        ({"mtls": "on"}, MTLS, "on", "one of strict, permissive, disable"),
        ({"allow": "istio-system,Web Shop"}, ALLOW, "Web Shop", "namespaces, and principals"),
        ({"allow": "web/shop"}, ALLOW, "web/shop", "namespaces, and principals"),
    ],
)
def test_a_value_that_istio_would_not_know_is_refused_in_words(
    make_model: Make, notes: dict[str, str], field: str, value: str, expected: str
) -> None:
    subject = parse(_guarded(make_model, **notes))
    assert isinstance(subject, Subject)
    (problem,) = check(subject, Configuration())
    assert (problem.field, problem.value) == (f"annotation {field}", value)
    assert problem.expected.startswith(expected)


def test_who_asks_for_no_sidecar_gets_pods_that_say_so(subject_for: Read, make_model: Make) -> None:
    raw = make_model()
    component = {
        "metadata": {"labels": {"sidecar.istio.io/inject": "false"}},
        "spec": {"containers": [{"name": "classifier"}]},
    }
    raw["spec"]["predictors"][0]["componentSpecs"] = [component]
    spec = _rendered(subject_for(raw))["Deployment", "iris-default-0-classifier"]
    assert spec["template"]["metadata"]["labels"]["sidecar.istio.io/inject"] == "false"
