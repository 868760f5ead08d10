"""An operator that is started anew and told other ports, names and images, while a model of before serves."""

from collections.abc import Callable
from typing import Any

Make = Callable[..., dict[str, Any]]
SDEP = ("machinelearning.seldon.io/v1", "seldondeployments")
OTHERWISE = {
    "executor_http_port": 8100,
    "executor_grpc_port": 5101,
    "executor_metrics_port_name": "http-metrics",
    "node_metrics_port_name": "prom",
    "metrics_path": "/metrics",
    "sklearn_server_image": "certified/sk:9",
}


async def test_a_model_moves_to_the_other_ports_and_what_others_noted_in_its_status_stays(
    lab: Any, make_model: Make
) -> None:
    async with lab.running():
        await lab.apply(make_model())
        await lab.state("Available")
    noted = {"status": {"annotations": {"team.example.com/seen": "yes"}}}
    await lab.client.patch(*SDEP, "iris", noted, namespace=lab.namespace, sub="status")
    lab.told = OTHERWISE

    async def moved() -> Any:
        status = (await lab.get()).get("status") or {}
        url = f"http://iris-default.{lab.namespace}.svc.cluster.local:8100/api/v1.0/predictions"
        found = await lab.children()
        routes = found["VirtualService", "iris"]["spec"]["http"]
        led = [each["route"][0]["destination"]["port"]["number"] for each in routes]
        open_ports = [each["port"] for each in found["Service", "iris-default"]["spec"]["ports"]]
        there = status.get("state") == "Available" and (led, open_ports) == ([8100, 5101], [8100, 5101])
        return (found, status) if there and status["address"]["url"] == url else None

    async with lab.running():
        found, status = await lab.eventually(moved, "the model to be served at the other ports")
    assert status["annotations"] == noted["status"]["annotations"]
    template = found["Deployment", "iris-default-0-classifier"]["spec"]["template"]
    node, engine = template["spec"]["containers"]
    assert node["image"] == "certified/sk:9"
    assert [each["name"] for each in (*node["ports"], *engine["ports"])] == [
        *("http", "grpc", "prom"),
        *("http-metrics", "grpc"),
    ]
    assert template["metadata"]["annotations"]["prometheus.io/path"] == "/metrics"
