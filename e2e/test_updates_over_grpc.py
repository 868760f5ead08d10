"""Updates of a SeldonDeployment while users ask over gRPC, through Envoy: every reply is accounted for."""

from typing import Any
from urllib.parse import urlsplit

import pytest

from e2e.updating import BUILT_IN, FIRST, SECOND, SERVER, RpcCaller, component, sdep, under_traffic
from e2e.updating import predictor as chain_of

pytestmark = pytest.mark.long

RPC = """
import os, sys
from concurrent import futures

import grpc

from orchestrator import protos

MESSAGE = protos.message("seldon.protos.SeldonMessage")

def predict(asked, context):
    reply = MESSAGE()
    reply.data.tensor.values[:] = [float(each) for each in sys.argv[1].split(",")]
    reply.data.tensor.shape[:] = [1, len(reply.data.tensor.values)]
    return reply

def method(work):
    return grpc.unary_unary_rpc_method_handler(work, MESSAGE.FromString, MESSAGE.SerializeToString)

rpc = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
rpc.add_generic_rpc_handlers(
    (grpc.method_handlers_generic_handler("seldon.protos.Model", {"Predict": method(predict)}),)
)
rpc.add_insecure_port(f'{os.environ["SELDON_BIND_ADDRESS"]}:{os.environ["PREDICTIVE_UNIT_GRPC_SERVICE_PORT"]}')
rpc.start()
"""


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


def test_a_chain_grows_and_shrinks_without_a_failed_call(world, kube) -> None:
    """Nodes beside the orchestrator and apart from it change their places, and with them their ports for gRPC."""
    code = {"metadata": {"name": "code"}, "data": {"rpc.py": RPC + SERVER}}
    kube.core.create_namespaced_config_map(kube.namespace, code)

    def node(name: str, values: str) -> dict[str, Any]:
        return component(name, values, container={"command": ["python", "/opt/code/rpc.py", values]})

    first, second, third = node("a", FIRST), node("b", SECOND), node("c", FIRST)
    caller = RpcCaller(urlsplit(world.gateway_url).netloc, kube.namespace)
    with under_traffic(kube, caller, sdep(chain_of(first))) as edited:
        for chain in ((first, second), (second, third), (third, second), (second,)):
            answers = chain[-1]["spec"]["containers"][0]["command"][-1]
            edited.apply(sdep(chain_of(*chain)), f"{len(chain)} nodes, the last says {answers}", answers=answers)
