"""A SeldonDeployment that is edited while users ask, and every reply that they get."""

import asyncio
import copy
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp
import grpc
import grpc.aio
import kubernetes
import requests

from orchestrator import protos

SELDON = {"group": "machinelearning.seldon.io", "version": "v1", "plural": "seldondeployments"}

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
MESSAGE = protos.message("seldon.protos.SeldonMessage")
ONE = MESSAGE()
ONE.data.tensor.shape[:] = [1, 1]
ONE.data.tensor.values[:] = [1.0]
BUILT_IN = "0.9,0.05,0.05"
"""What SIMPLE_MODEL answers."""
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

    async def _ask_on(self, by: Any) -> None:
        while not self._stop.is_set():
            await self._ask(by, self.protocol)
            await asyncio.sleep(self._interval)

    async def _ask(self, by: Any, protocol: str) -> None:
        path, body = "api/v1.0/predictions", BODY
        if protocol == "v2":
            entry = {"name": "in", "datatype": "FP64", "shape": [1], "data": [1.0]}
            path, body = "v2/models/model/infer", {"inputs": [entry]}
        status, said = 0, ""
        try:
            async with by.post(f"{self.url}/{path}", json=body) as answer:
                status = answer.status
                said = await answer.text()
                found = await answer.json()
                values = found["data"]["ndarray"][0] if protocol == "seldon" else found["outputs"][0]["data"]
                said = ",".join(f"{value:g}" for value in values)
        except (aiohttp.ClientError, TimeoutError, KeyError, ValueError) as error:
            said = f"{type(error).__name__}: {error} {said[:100]}"
        self._keep(protocol, status, said)

    def _keep(self, protocol: str, status: int, said: str) -> None:
        self.replies[status, said] += 1
        if status != 200 or said not in (FIRST, SECOND, BUILT_IN):
            self.failures.append(f"{protocol} {status} {said}")


class RpcCaller(Caller):
    """The same over gRPC, each connection a channel of its own."""

    def __init__(self, address: str, namespace: str, rate: float = 100, connections: int = 6) -> None:
        super().__init__(address, rate, connections)
        self.protocol = "gRPC"
        self._to = (("seldon", "model"), ("namespace", namespace))

    def is_answered(self) -> bool:
        with grpc.insecure_channel(self.url) as channel:
            try:
                predict(channel)(ONE, metadata=self._to, timeout=10)
            except grpc.RpcError:
                return False
        return True

    async def _run(self) -> None:
        await asyncio.gather(*(self._alone() for _ in range(self._connections)))

    async def _alone(self) -> None:
        async with grpc.aio.insecure_channel(self.url, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            await self._ask_on(channel)

    async def _ask(self, by: Any, protocol: str) -> None:
        status, said = 200, ""
        try:
            answer = await predict(by)(ONE, metadata=self._to, timeout=10)
            said = ",".join(f"{value:g}" for value in answer.data.tensor.values)
        except grpc.aio.AioRpcError as error:
            status, said = error.code().value[0], str(error.details())
        self._keep(protocol, status, said)


def predict(channel: Any) -> Any:
    """The call of the seldon protocol."""
    return channel.unary_unary("/seldon.protos.Seldon/Predict", MESSAGE.SerializeToString, MESSAGE.FromString)


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
    """Write the whole spec, as `kubectl replace` does: a merge would leave in place what an edit takes out.

    Meanwhile the operator may have written the status: then it is read and written again.
    """
    kind = {**SELDON, "version": version}

    def written() -> bool:
        try:
            body["metadata"]["resourceVersion"] = kube.read("model", **kind)["metadata"]["resourceVersion"]
            kube.replace(body, **kind)
        except kubernetes.client.ApiException as error:
            if error.status == 404:
                kube.write(body, **kind)
            elif error.status == 409:
                return False
            else:
                raise
        return True

    kube.until("it is written", written, timeout=10)


@contextmanager
def under_traffic(kube, caller: Caller, spec: dict[str, Any]) -> Iterator[Story]:
    """Deploy, and ask from the first answer on; at the end nothing may have failed."""
    body = {"apiVersion": "machinelearning.seldon.io/v1", "kind": "SeldonDeployment", "metadata": {"name": "model"}}
    kube.write({**body, "spec": spec}, **SELDON)
    made = Story(kube, caller)
    kube.until("it serves", made.available)
    kube.until("the mesh has heard of its first route", caller.is_answered)  # by default Istio does not say when
    thread = threading.Thread(target=caller.run, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        caller.stop()
        thread.join(20)
    assert caller.failures == []
    assert caller.sent > 100
