"""What `doctor` finds, and the remedy for each thing that is missing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controller.kube import resources
from seldon_rollouts.checkup import NEEDED, Facts, Judged, Lease, Series, checkup, lease_of

CONTROLLER: dict[str, Any] = {
    "metadata": {"namespace": "seldon-system", "name": "seldon-rollouts-controller"},
    "spec": {"replicas": 1, "template": {"spec": {"containers": [{"args": ["--prometheus-url=http://p"]}]}}},
    "status": {"readyReplicas": 1},
}
LEASE = Lease(where="seldon-system/lease", holder="pod-1", age=timedelta(seconds=2), alive=True)
STALE = replace(LEASE, age=timedelta(minutes=40), alive=False)
FREE = replace(STALE, holder="")
WHOLE = Facts(
    version="v1.32.4",
    served={resource.name: resource.version for resource in NEEDED},
    gateways=("istio-system/seldon-gateway",),
    leases=(LEASE,),
    controllers=(CONTROLLER,),
    judged=(Judged(where="ml/iris", ready=True, message=""), Judged(where="ml/new", ready=None, message="not yet")),
    may={"list": "all namespaces", "patch": "namespace ml"},
    prometheus=Series(
        served=frozenset({"namespace", "pod", "deployment_name"}),
        gateway=frozenset({"destination_service_name", "response_code"}),
    ),
)
UNJUDGED = [Judged(where=f"ml/{name}", ready=False, message="no series") for name in "abcd"]
UNREADY = {**CONTROLLER, "status": {}}
DEAF = {**CONTROLLER, "spec": {"replicas": 1, "template": {"spec": {"containers": [{}]}}}}


def test_a_whole_installation_lacks_nothing() -> None:
    assert {check.state for check in checkup(WHOLE)} == {"ok"}


@pytest.mark.parametrize(
    ("change", "state", "says"),
    [
        ({"served": {}}, "missing", "is not served"),
        ({"gateways": ()}, "warning", "there is none"),
        ({"controllers": (), "leases": ()}, "missing", "there is no Lease of one, and no Deployment"),
        ({"controllers": (), "leases": None}, "warning", "Leases may not be seen, nor a Deployment"),
        ({"leases": (STALE,)}, "missing", "its last holder is pod-1, renewed 40m ago"),
        ({"leases": (FREE,)}, "missing", "Lease seldon-system/lease: nobody holds it"),
        ({"leases": (LEASE, STALE)}, "warning", "its last holder is pod-1"),
        ({"judged": tuple(UNJUDGED)}, "warning", "ml/a, ml/b, ml/c and 1 more cannot be judged: no series"),
        ({"controllers": (UNREADY,)}, "missing", "0 of 1 ready"),
        ({"controllers": (DEAF,)}, "warning", "nothing can be judged"),
        ({"may": {"patch": ""}}, "warning", "you may not patch"),
        ({"gateways": None}, "warning", "Gateways may not be seen"),
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


def test_a_controller_that_is_no_deployment_is_known_by_its_lease() -> None:
    found = [check for check in checkup(replace(WHOLE, controllers=())) if check.about == "controller"]
    assert [(check.state, check.found) for check in found] == [
        ("ok", "pod-1 leads by Lease seldon-system/lease, renewed 2s ago")
    ]


NOW = datetime(2026, 5, 4, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("spec", "moved", "alive"),
    [
        ({"holderIdentity": "a", "renewTime": "2026-05-04T09:59:50.000000Z", "leaseDurationSeconds": 15}, False, True),
        ({"holderIdentity": "a", "renewTime": "2026-05-04T09:59:40.000000Z", "leaseDurationSeconds": 15}, False, False),
        ({"holderIdentity": "a", "renewTime": "2026-05-04T09:59:40.000000Z", "leaseDurationSeconds": 15}, True, True),
        ({"holderIdentity": "a", "renewTime": "2026-05-04T10:09:00.000000Z", "leaseDurationSeconds": 15}, False, True),
        ({"holderIdentity": "", "renewTime": "2026-05-04T09:59:59.000000Z", "leaseDurationSeconds": 1}, True, False),
        ({}, False, False),
    ],
)
def test_a_lease_is_alive_while_its_term_lasts_or_when_it_was_just_renewed(
    spec: dict[str, Any], moved: bool, alive: bool
) -> None:
    found = {"metadata": {"namespace": "seldon-system", "name": "lease"}, "spec": spec}
    assert lease_of(found, NOW, moved=moved).alive is alive
