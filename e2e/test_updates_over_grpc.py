"""Updates of a SeldonDeployment while users ask over gRPC, through Envoy: every reply is accounted for."""

from typing import Any
from urllib.parse import urlsplit

import pytest

from e2e.updating import BUILT_IN, RpcCaller, sdep, under_traffic

pytestmark = pytest.mark.long


def predictor(name: str = "default", **more: Any) -> dict[str, Any]:
    """A model that the orchestrator answers for by itself."""
    graph = {"name": "model", "type": "MODEL", "implementation": "SIMPLE_MODEL"}
    return {"name": name, "replicas": 1, "graph": graph, **more}


def test_workloads_are_edited_without_a_failed_call(world, kube) -> None:
    caller = RpcCaller(urlsplit(world.gateway_url).netloc, kube.namespace)
    with under_traffic(kube, caller, sdep(predictor())) as edited:
        before = edited.pods()
        edited.apply(sdep(predictor(labels={"owner": "fraud"})), "labels, so other pods", answers=BUILT_IN)
        assert not before.items() & edited.pods().items()
        edited.apply(sdep(predictor(labels={"owner": "fraud"}, replicas=2)), "more replicas", answers=BUILT_IN)
        both = predictor("p1", traffic=60), predictor("p2", traffic=40)
        edited.apply(sdep(*both), "one predictor to two", answers=BUILT_IN)
        edited.apply(sdep(predictor()), "two to one", answers=BUILT_IN)
        edited.kube.until("what was replaced is gone", lambda: not any("p1" in name for name in edited.deployments()))
        edited.more("after the old ones went")
