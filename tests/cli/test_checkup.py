"""What `doctor` finds, and the remedy for each thing that is missing."""

from dataclasses import replace
from typing import Any

import pytest

from controller.kube import resources
from seldon_rollouts.checkup import NEEDED, Facts, Series, checkup

CONTROLLER: dict[str, Any] = {
    "metadata": {"namespace": "seldon-system", "name": "seldon-rollouts-controller"},
    "spec": {"replicas": 1, "template": {"spec": {"containers": [{"args": ["--prometheus-url=http://p"]}]}}},
    "status": {"readyReplicas": 1},
}
WHOLE = Facts(
    version="v1.32.4",
    served={resource.name: resource.version for resource in NEEDED},
    gateways=("istio-system/seldon-gateway",),
    controllers=(CONTROLLER,),
    may={"list": True, "patch": True},
    prometheus=Series(
        served=frozenset({"namespace", "pod", "deployment_name"}),
        gateway=frozenset({"destination_service_name", "response_code"}),
    ),
)
UNREADY = {**CONTROLLER, "status": {}}
DEAF = {**CONTROLLER, "spec": {"replicas": 1, "template": {"spec": {"containers": [{}]}}}}


def test_a_whole_installation_lacks_nothing() -> None:
    assert {check.state for check in checkup(WHOLE)} == {"ok"}


@pytest.mark.parametrize(
    ("change", "state", "says"),
    [
        ({"served": {}}, "missing", "is not served"),
        ({"gateways": ()}, "warning", "there is none"),
        ({"controllers": ()}, "missing", "no Deployment"),
        ({"controllers": (UNREADY,)}, "missing", "0 of 1 ready"),
        ({"controllers": (DEAF,)}, "warning", "nothing can be judged"),
        ({"may": {"patch": False}}, "warning", "you may not patch"),
        ({"prometheus": None}, "warning", "was not asked"),
        ({"prometheus": None, "prometheus_problem": "no answer"}, "missing", "no answer"),
        ({"prometheus": replace(WHOLE.prometheus, served=frozenset())}, "warning", "no series yet"),
        ({"prometheus": replace(WHOLE.prometheus, served=frozenset({"namespace"}))}, "missing", "no label pod"),
    ],
)
def test_what_is_missing_is_named_with_a_remedy(change: dict[str, Any], state: str, says: str) -> None:
    wrong = [check for check in checkup(replace(WHOLE, **change)) if check.state != "ok"]
    assert next(check.state for check in wrong if says in check.found) == state
    assert all(check.remedy for check in wrong)


def test_without_istio_nobody_asks_for_its_gateways() -> None:
    served = {resources.SELDON_ROLLOUT.name: "v1alpha1"}
    assert "Gateway" not in {check.about for check in checkup(replace(WHOLE, served=served))}
