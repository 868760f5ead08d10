"""Envoy takes failing pods of a canary out, as somebody's rule asks: what it hides is told, and the rest counts."""

import os
import signal
from typing import Any

import pytest

from controller.rollout.revisions import template_hash
from e2e import manifests
from e2e.test_stories import phase
from e2e.test_trouble import pods_of

pytestmark = pytest.mark.long

RULES = {"group": "networking.istio.io", "version": "v1", "plural": "destinationrules"}
SERVER = '''
import os, signal, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

broken = []

class Handler(BaseHTTPRequestHandler):
    """A model that answers one digit, and nothing but 500 once it was told to break."""
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.answer(500 if broken else 200, b'{"data": {"ndarray": [[0.1, 0.9]]}, "meta": {}}')

    def do_GET(self):
        self.answer(200, b"{}")

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

signal.signal(signal.SIGUSR1, lambda *_: broken.append(True))
ThreadingHTTPServer.request_queue_size = 128
place = os.environ.get("SELDON_BIND_ADDRESS", "0.0.0.0"), int(os.environ["PREDICTIVE_UNIT_HTTP_SERVICE_PORT"])
ThreadingHTTPServer(place, Handler).serve_forever()
'''


def rollout(note: str) -> dict[str, Any]:
    """Two pods a revision; a canary waits for a person at half, and is judged on its errors meanwhile."""
    made = manifests.rollout(
        "", {"canary": {"steps": [{"setWeight": 50}, {"pause": {}}]}}, replicas=2, note=note,
        analysis={"warmup": "4s", "metrics": [{"errorRate": {}}]},
    )  # fmt: skip
    container = {
        "name": "model", "image": "python:1", "command": ["python", "/opt/code/server.py"],
        "volumeMounts": [{"name": "code", "mountPath": "/opt/code"}],
    }  # fmt: skip
    pod = {"containers": [container], "volumes": [{"name": "code", "configMap": {"name": "breakable"}}]}
    predictor = {"name": "default", "replicas": 2, "graph": {"name": "model"}, "componentSpecs": [{"spec": pod}]}
    made["spec"]["template"]["spec"]["predictors"] = [predictor]
    return made


def rule(kube, digest: str, most: int, **counted: Any) -> dict[str, Any]:
    """Somebody's rule for a revision's host; what is older than the operator's own is in effect."""
    detection = {"interval": "1s", "baseEjectionTime": "300s", "maxEjectionPercent": most, **counted}
    host = f"digits-{digest}-default.{kube.namespace}.svc.cluster.local"
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": "a-strict-one"},
        "spec": {"host": host, "trafficPolicy": {"outlierDetection": detection}},
    }


def told(kube) -> list[str]:
    history = kube.status("digits").get("history", ())
    return [each["message"] for each in history if each["type"] == "RouteHidesFaults"]


def pause_at_half(kube, most: int) -> str:
    """Serve a revision, and bring another half of the requests, with the rule; return the other's hash."""
    kube.core.create_namespaced_config_map(
        kube.namespace, {"metadata": {"name": "breakable"}, "data": {"server.py": SERVER}}
    )
    kube.write(rollout("first"))
    kube.until("the first revision serves", lambda: phase(kube, "digits") == "Healthy")
    second = rollout("second")
    digest = template_hash(second["spec"]["template"])
    kube.write(rule(kube, digest, most, consecutive5xxErrors=2), **RULES)
    kube.write(second)
    return digest


def break_pods(kube, digest: str, count: int) -> None:
    """Have all requests fail in so many pods of a revision: on the local cluster their processes are ours to tell."""
    pods = sorted(pods_of(kube, digest), key=lambda pod: pod.metadata.name)
    for pod in pods[:count]:
        (model,) = [each for each in pod.status.container_statuses if each.name == "model"]
        os.kill(int(model.container_id.removeprefix("process://").split("-")[0]), signal.SIGUSR1)


def answered(kube, users, digest: str, count: int) -> int:
    """Let a revision answer so many requests more; return how many of them failed."""
    tally = users.tallies[digest]
    requests, failed = tally.requests, tally.failed
    kube.until("the canary answers", lambda: tally.requests >= requests + count)
    return tally.failed - failed


def test_a_failing_pod_that_envoy_takes_out_is_hidden_as_told_and_counts_once_the_rule_is_corrected(
    world, kube, crowd
) -> None:
    if world.faults is None:
        pytest.skip("no process of a real cluster is told to fail")
    digest = pause_at_half(kube, most=50)
    with crowd("digits", 200) as users:
        kube.until("it waits for a person", lambda: phase(kube, "digits") == "Paused")
        (said,) = told(kube)
        answered(kube, users, digest, 600)
        break_pods(kube, digest, 1)
        kube.until("users met it", lambda: users.tallies[digest].failed > 0)
        answered(kube, users, digest, 100)  # those that were under way, and the seconds until it is out
        hidden = answered(kube, users, digest, 600)
        unmoved = phase(kube, "digits"), kube.status("digits")["analysis"]["verdict"]
        corrected = {"consecutive5xxErrors": 0, "splitExternalLocalOriginErrors": True}
        kube.write(rule(kube, digest, 50, **corrected), **RULES)
        kube.until("it is rolled back", lambda: phase(kube, "digits") == "Degraded")
    assert f"{kube.namespace}/a-strict-one, spec.trafficPolicy.outlierDetection, takes pods of digits-{digest}" in said
    assert (hidden, unmoved[0]) == (0, "Paused")
    assert unmoved[1] != "Bad"
    (rejected,) = kube.status("digits")["rejected"]
    assert (rejected["hash"], rejected["reason"]["metric"]) == (digest, "errorRate")
    assert {failure.revision for failure in users.failures} == {digest}


def test_when_all_of_its_pods_are_out_the_gateways_own_answers_count(world, kube, crowd) -> None:
    if world.faults is None:
        pytest.skip("no process of a real cluster is told to fail")
    digest = pause_at_half(kube, most=100)
    with crowd("digits", 200) as users:
        kube.until("it waits for a person", lambda: phase(kube, "digits") == "Paused")
        answered(kube, users, digest, 600)
        break_pods(kube, digest, 2)
        kube.until("it is rolled back", lambda: phase(kube, "digits") == "Degraded")
        sent = users.sent
        kube.until("stable goes on serving", lambda: users.sent > sent + 300)
    (rejected,) = kube.status("digits")["rejected"]
    assert (rejected["hash"], rejected["reason"]["metric"]) == (digest, "errorRate")
    out = [failure for failure in users.failures if failure.status == 503]
    assert len(out) > len(users.failures) / 2, "Envoy took the pods out, and answered itself"
    assert {failure.revision for failure in users.failures} <= {digest, "?"}
