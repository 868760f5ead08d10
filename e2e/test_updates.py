"""Updates of SeldonDeployments under continuous traffic through Envoy: every reply is accounted for, step by step."""

import asyncio
import copy
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp
import kubernetes
import pytest
import requests

SELDON = {"group": "machinelearning.seldon.io", "version": "v1", "plural": "seldondeployments"}
pytestmark = pytest.mark.long

SERVER = '''
import json, os, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VALUES = [float(each) for each in sys.argv[1].split(",")]

class Handler(BaseHTTPRequestHandler):
    """A model of both protocols that always answers the same; a chain adds what it was given."""
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or "{}")
        if self.path.startswith("/v2/"):
            output = {"name": "out", "datatype": "FP64", "shape": [len(VALUES)], "data": VALUES}
            self.answer({"model_name": "model", "outputs": [output]})
        else:
            self.answer({"data": {"ndarray": [VALUES]}, "meta": asked.get("meta", {})})

    def do_GET(self):
        self.answer({})

    def answer(self, body):
        text = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass

ThreadingHTTPServer.request_queue_size = 128
port = int(os.environ.get("PREDICTIVE_UNIT_HTTP_SERVICE_PORT") or sys.argv[2])
ThreadingHTTPServer((os.environ.get("SELDON_BIND_ADDRESS", "0.0.0.0"), port), Handler).serve_forever()
'''
FIRST, SECOND = "1,2,3,4", "5,6,7,8"
KEDA = {"kedaSpec": {"maxReplicaCount": 3, "triggers": [{"type": "cpu", "metadata": {"value": "50"}}]}}
APART = {"seldon.io/engine-separate-pod": "true"}
BODY: dict[str, Any] = {"data": {"ndarray": [[1.0]]}}


def component(name: str = "model", values: str = FIRST, tag: str = "1", **more: Any) -> dict[str, Any]:
    """A component of one container that answers `values`."""
    container = {
        "name": name, "image": f"python:{tag}", "command": ["python", "/opt/code/server.py", values],
        "volumeMounts": [{"name": "code", "mountPath": "/opt/code"}], **more.pop("container", {}),
    }  # fmt: skip
    spec = {"containers": [container], "volumes": [{"name": "code", "configMap": {"name": "code"}}]}
    return {"spec": spec, **more}


def predictor(*components: dict[str, Any], name: str = "default", **more: Any) -> dict[str, Any]:
    """A predictor whose graph is the chain of its components."""
    graph: dict[str, Any] = {}
    for each in reversed(components):
        graph = {"name": each["spec"]["containers"][0]["name"], "children": [graph] if graph else []}
    return {"name": name, "replicas": 1, "graph": graph, "componentSpecs": list(components), **more}


def sdep(*predictors: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"predictors": list(predictors), **spec}


class Caller:
    """Asks at a steady rate from several connections, by either protocol, and keeps every reply."""

    def __init__(self, url: str, rate: float = 100, connections: int = 6) -> None:
        self.url, self._interval, self._connections = url, connections / rate, connections
        self.protocol = "seldon"
        self.replies: Counter[tuple[int, str]] = Counter()
        self.failures: list[str] = []
        self._stop = threading.Event()

    @property
    def sent(self) -> int:
        return sum(self.replies.values())

    def is_answered(self) -> bool:
        """Ask once, before what is counted."""
        return requests.post(f"{self.url}/api/v1.0/predictions", json=BODY, timeout=10).status_code == 200

    def run(self) -> None:
        asyncio.run(self._run())

    def stop(self) -> None:
        self._stop.set()

    async def _run(self) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
            await asyncio.gather(*(self._ask_on(session) for _ in range(self._connections)))

    async def _ask_on(self, session: aiohttp.ClientSession) -> None:
        while not self._stop.is_set():
            await self._ask(session, self.protocol)
            await asyncio.sleep(self._interval)

    async def _ask(self, session: aiohttp.ClientSession, protocol: str) -> None:
        path, body = "api/v1.0/predictions", BODY
        if protocol == "v2":
            entry = {"name": "in", "datatype": "FP64", "shape": [1], "data": [1.0]}
            path, body = "v2/models/model/infer", {"inputs": [entry]}
        status, said = 0, ""
        try:
            async with session.post(f"{self.url}/{path}", json=body) as answer:
                status = answer.status
                said = await answer.text()
                found = await answer.json()
                values = found["data"]["ndarray"][0] if protocol == "seldon" else found["outputs"][0]["data"]
                said = ",".join(f"{value:g}" for value in values)
        except (aiohttp.ClientError, TimeoutError, KeyError, ValueError) as error:
            said = f"{type(error).__name__}: {error} {said[:100]}"
        self.replies[status, said] += 1
        if status != 200 or said not in (FIRST, SECOND):
            self.failures.append(f"{protocol} {status} {said}")


class Story:
    """One SeldonDeployment that is edited while users ask."""

    def __init__(self, kube, caller: Caller) -> None:
        self.kube, self.caller = kube, caller
        self.told: list[str] = []

    def apply(
        self,
        spec: dict[str, Any],
        step: str,
        *,
        answers: str = "",
        version: str = "v1",
        meanwhile: Callable[[], object] = lambda: None,
    ) -> None:
        """Apply, wait until it is available, and ask on; nothing may have failed.

        With `answers`, wait also until only those come: what was replaced answers, too, while it drains.
        """
        body = {
            "apiVersion": f"machinelearning.seldon.io/{version}", "kind": "SeldonDeployment",
            "metadata": {"name": "model"}, "spec": copy.deepcopy(spec),
        }  # fmt: skip
        replace(self.kube, body, version)
        meanwhile()
        self.kube.until(f"{step}: available", self.available)
        self.more(step)
        assert self.caller.failures == [], f"{step}: {len(self.caller.failures)} of {self.caller.sent} failed"
        if answers:
            self.kube.until(f"{step}: only {answers}", lambda: self.only(answers), timeout=60)
            assert self.caller.failures == [], f"{step}: {len(self.caller.failures)} of {self.caller.sent} failed"

    def only(self, answers: str) -> bool:
        """Return whether the next sixty replies are all as wanted."""
        before = Counter(self.caller.replies)
        self.more("answers")
        return {said for _, said in self.caller.replies - before} == {answers}

    def more(self, step: str) -> None:
        sent = self.caller.sent
        self.kube.until(f"{step}: users go on", lambda: self.caller.sent > sent + 60, timeout=30)

    def available(self) -> bool:
        return self.kube.status("model", **SELDON).get("state") == "Available"

    def pods(self) -> dict[str, str]:
        """Return the uids of pods that stay, by name."""
        found = self.kube.core.list_namespaced_pod(self.kube.namespace).items
        return {each.metadata.name: each.metadata.uid for each in found if each.metadata.deletion_timestamp is None}

    def keeps(self, spec: dict[str, Any], step: str, **more: Any) -> None:
        """Apply; every pod of the predictor `default` must run on."""
        before = {name: uid for name, uid in self.pods().items() if name.startswith("model-default-0-")}
        self.apply(spec, step, **more)
        assert before
        assert before.items() <= self.pods().items(), f"{step}: a running pod was restarted"

    def deployments(self) -> set[str]:
        status = self.kube.status("model", **SELDON)
        return set(status.get("deploymentStatus") or {})


def replace(kube, body: dict[str, Any], version: str) -> None:
    """Write the whole spec, as `kubectl replace` does: a merge would leave in place what an edit takes out."""
    kind = {**SELDON, "version": version}
    try:
        body["metadata"]["resourceVersion"] = kube.read("model", **kind)["metadata"]["resourceVersion"]
    except Exception as error:
        if getattr(error, "status", None) != 404:
            raise
        kube.write(body, **kind)
        return
    kube.replace(body, **kind)


@pytest.fixture
def story(world, kube) -> Iterator[Any]:
    kube.core.create_namespaced_config_map(
        kube.namespace, {"metadata": {"name": "code"}, "data": {"server.py": SERVER}}
    )

    @contextmanager
    def begun(spec: dict[str, Any]) -> Iterator[Story]:
        caller = Caller(f"{world.gateway_url}/seldon/{kube.namespace}/model")
        body = {"apiVersion": "machinelearning.seldon.io/v1", "kind": "SeldonDeployment", "metadata": {"name": "model"}}
        kube.write({**body, "spec": spec}, **SELDON)
        made = Story(kube, caller)
        kube.until("it serves", made.available)
        kube.until("the mesh has heard of its first route", caller.is_answered)  # Istio does not say when it has
        thread = threading.Thread(target=caller.run, daemon=True)
        thread.start()
        try:
            yield made
        finally:
            caller.stop()
            thread.join(20)
        assert caller.failures == []
        assert caller.sent > 100

    return begun


@pytest.mark.parametrize("annotations", [{}, APART], ids=["engine in the pod", "engine apart"])
def test_workloads_are_edited_without_a_failed_request(story, annotations) -> None:
    """The rolling updates that Seldon Core tests, and those that it skips as broken (#3857)."""

    def of(*predictors: dict[str, Any]) -> dict[str, Any]:
        return sdep(*predictors, annotations=annotations)

    two = {"container": {"resources": {"requests": {"cpu": "20m"}}}}
    with story(of(predictor(component()))) as edited:
        edited.keeps(of(predictor(component())), "an older version of the API", version="v1alpha2")
        edited.keeps(of(predictor(component())), "another", version="v1alpha3")
        edited.apply(of(predictor(component(values=SECOND, tag="2"))), "image", answers=SECOND)
        edited.apply(of(predictor(component(values=SECOND, tag="2", **two))), "resources")
        edited.apply(of(predictor(component("other", FIRST))), "image and container's name", answers=FIRST)
        edited.apply(of(predictor(component("other", FIRST), component("last", SECOND))), "a chain", answers=SECOND)
        edited.apply(of(predictor(component())), "one node again", answers=FIRST)
        both = predictor(component(), name="p1", traffic=60), predictor(component(), name="p2", traffic=40)
        edited.apply(of(*both), "one predictor to two")
        edited.apply(of(predictor(component(values=SECOND))), "two to one", answers=SECOND)
        edited.kube.until("what was replaced is gone", lambda: not any("p1" in name for name in edited.deployments()))
        edited.more("after the old ones went")


def test_a_controller_that_is_replaced_in_the_middle_of_edits_fails_no_request(story, world) -> None:
    if world.faults is None or "controller" not in world.faults.names():
        pytest.skip("the controller is not ours to kill")

    def kill() -> None:
        world.faults.kill("controller")

    second, other = component(values=SECOND, tag="2"), component("other", FIRST)
    with story(sdep(predictor(component()))) as edited:
        edited.apply(sdep(predictor(second)), "image", answers=SECOND, meanwhile=kill)
        edited.apply(sdep(predictor(second, other)), "a chain", answers=FIRST, meanwhile=kill)
        edited.apply(sdep(predictor(second, name="p1")), "another predictor", answers=SECOND, meanwhile=kill)
        edited.kube.until("what was replaced is gone", lambda: edited.deployments() == {"model-p1-0-model"})
        edited.more("after the old ones went")


def test_replicas_are_edited_without_a_failed_request(story) -> None:
    with story(sdep(predictor(component()))) as edited:
        edited.keeps(sdep(predictor(component(), replicas=3)), "more replicas")
        edited.apply(sdep(predictor(component(values=SECOND, tag="2"), replicas=3)), "image of three", answers=SECOND)
        edited.apply(sdep(predictor(component(values=SECOND, tag="2"), replicas=1)), "fewer replicas", answers=SECOND)
        edited.apply(sdep(predictor(component(tag="3"), replicas=2)), "image and replicas", answers=FIRST)


def test_what_keda_scales_is_left_to_it_without_a_failed_request(story, api) -> None:
    """The test plays KEDA's autoscaler, which writes a Deployment's scale."""
    scales, name = kubernetes.client.AppsV1Api(api), "model-default-0-model"
    with story(sdep(predictor({**component(), **KEDA}, replicas=2))) as edited:

        def told() -> bool:
            found = edited.kube.status("model", **SELDON).get("deploymentStatus", {}).get(name, {})
            return (found.get("replicas"), found.get("availableReplicas")) == (number, number)

        for number in (3, 1, 2):
            scale = {"spec": {"replicas": number}}
            scales.patch_namespaced_deployment_scale(name, edited.kube.namespace, scale)
            edited.kube.until(f"{number} pods are told", told)
            edited.more(f"{number} pods")
            assert edited.caller.failures == [], f"{number} pods"
        step = "image of what KEDA has scaled"
        edited.apply(sdep(predictor({**component(values=SECOND, tag="2"), **KEDA}, replicas=1)), step, answers=SECOND)
        assert told()


@pytest.mark.parametrize("annotations", [{}, APART], ids=["engine in the pod", "engine apart"])
def test_a_chain_grows_and_shrinks_without_a_failed_request(story, annotations) -> None:
    """A node in a pod of its own is behind a proxy that takes connections before the node does."""
    first, second, third = component("a", FIRST), component("b", SECOND), component("c", FIRST)
    steps = ((first, second), (first, second, third), (second, third), (third, second, first), (second,))
    with story(sdep(predictor(first), annotations=annotations)) as edited:
        for chain in steps:
            name, last = (chain[-1]["spec"]["containers"][0][key] for key in ("name", "command"))
            step = f"{len(chain)} nodes, the last is {name}"
            edited.apply(sdep(predictor(*chain), annotations=annotations), step, answers=last[-1])


def test_predictors_come_and_go_and_the_running_one_is_not_restarted(story) -> None:
    main, canary = component(), component(values=SECOND, tag="2")
    explainer = {
        "type": "AnchorTabular",
        "containerSpec": {
            "name": "why", "image": "busybox:1",
            "command": ["sh", "-c", 'exec python3 -m http.server 9000 --bind "$SELDON_BIND_ADDRESS"'],
        },
    }  # fmt: skip
    scaled = {"hpaSpec": {"minReplicas": 1, "maxReplicas": 3}}
    with story(sdep(predictor(main))) as edited:
        both = predictor(main, traffic=80), predictor(canary, name="canary", traffic=20)
        edited.keeps(sdep(*both), "canary added")
        moved = {**both[0], "traffic": 30}, {**both[1], "traffic": 70}
        edited.keeps(sdep(*moved), "traffic moved")
        edited.keeps(sdep({**moved[0], "replicas": 2}, moved[1]), "replicas of one")
        edited.apply(sdep(predictor(main)), "the canary is gone", answers=FIRST)
        shadow = predictor(canary, name="shadow", shadow=True, traffic=100)
        edited.keeps(sdep(predictor(main), shadow), "shadow added", answers=FIRST)
        edited.keeps(sdep(predictor(main, explainer=explainer)), "explainer added", answers=FIRST)
        edited.keeps(sdep(predictor({**main, **scaled}, explainer=explainer)), "autoscaler added", answers=FIRST)
        edited.keeps(sdep(predictor({**main, **KEDA})), "KEDA added, explainer gone", answers=FIRST)
        renamed = predictor(main, name="p1", traffic=60), predictor(canary, name="p2", traffic=40)
        edited.apply(sdep(*renamed), "one predictor to two others (#3857)")
        edited.apply(sdep({**renamed[1], "traffic": 100}), "two to one", answers=SECOND)
        edited.kube.until("what was replaced is gone", lambda: edited.deployments() == {"model-p2-0-model"})
        edited.more("after the old ones went")


def test_a_change_of_protocol_ends_one_and_begins_the_other_without_a_gap(story, kube) -> None:
    """Who asks by the old protocol when it is over is told so (404); nobody is ever left without an answer."""
    with story(sdep(predictor(component()))) as edited:
        replace(
            kube,
            {
                "apiVersion": "machinelearning.seldon.io/v1", "kind": "SeldonDeployment", "metadata": {"name": "model"},
                "spec": sdep(predictor(component(values=SECOND)), protocol="v2"),
            },
            "v1",
        )  # fmt: skip
        kube.until("it is available", edited.available)
        edited.caller.protocol = "v2"
        edited.more("the new protocol")
        refused = {each.split()[1] for each in edited.caller.failures}
        edited.caller.failures.clear()
        edited.more("the new protocol, alone")
        assert refused <= {"404"}
        assert edited.caller.failures == []
        assert edited.caller.replies[200, SECOND] > 50


def test_selectors_and_ports_change_without_a_failed_request(story) -> None:
    fixed = {"metadata": {"name": "fixed"}}
    with story(sdep(predictor(component()))) as edited:
        edited.apply(sdep(predictor(component()), annotations=APART), "engine apart")
        edited.apply(sdep(predictor(component(values=SECOND))), "engine back, other answers", answers=SECOND)
        edited.apply(sdep(predictor(component(), annotations={"seldon.io/svc-name": "mine"})), "service name")
        edited.apply(sdep(predictor(component("a", **fixed))), "a fixed name", answers=FIRST)
        edited.apply(sdep(predictor(component("b", SECOND, **fixed))), "another node, same name", answers=SECOND)
        edited.kube.until("what was replaced is gone", lambda: len(edited.deployments()) == 1)
        edited.more("after the old ones went")


def test_engines_go_and_ports_change_without_a_failed_request(story) -> None:
    """Without an engine the users ask the node itself, at its own path: here it answers at every path."""
    plain = {"seldon.io/no-engine": "true"}
    moved = {"container": {"ports": [{"name": "http", "containerPort": 9100}]}}
    with story(sdep(predictor(component()))) as edited:
        edited.apply(sdep(predictor(component(values=SECOND), annotations=plain)), "engine gone", answers=SECOND)
        edited.apply(sdep(predictor(component(**moved), annotations=plain)), "another port", answers=FIRST)
        edited.apply(sdep(predictor(component(values=SECOND))), "engine back", answers=SECOND)
        edited.kube.until("what was replaced is gone", lambda: len(edited.deployments()) == 1)
        edited.more("after the old ones went")
