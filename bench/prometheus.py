"""A Prometheus that is made up: it answers the judge's queries over HTTP out of counters that were given to it."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import inf
from threading import Thread
from typing import Any
from urllib.parse import parse_qs

from analysis.samples import ArmReading, PodReading, Reading
from analysis.spec import Arm as JudgedArm
from analysis.spec import Comparison

NAMESPACE, GATEWAY, INSTANCE = "ml", "gateway", "10.0.0.1:8000"
_DEPLOYMENTS = re.compile(r'deployment_name=~"([^"]*)"')
_SERVICES = re.compile(r'destination_service_name=~"([^"]*)"')
Series = tuple[dict[str, str], float]


@dataclass(frozen=True)
class Arm:
    """The counters of one arm at one instant."""

    pods: Mapping[str, PodReading]
    outcomes: Mapping[tuple[str, str, str], float]
    """At the gateway: by response code, flags and gRPC status."""


@dataclass
class Scraped:
    """What was scraped of every arm, by instant."""

    arms: dict[int, dict[str, Arm]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """By the name of a SeldonDeployment: the arm that it is."""
    down: bool = False
    """It answers nobody."""

    def reading(self, comparison: Comparison, at: int) -> Reading:
        """What the judge should make of an instant, without asking."""
        return Reading(at, self._reading(comparison.stable, at), self._reading(comparison.canary, at))

    def _reading(self, asked: JudgedArm, at: int) -> ArmReading:
        arm = self.arm(asked.deployment, at)
        if arm is None:
            return ArmReading({})
        pods = {f"{pod}/{INSTANCE}": reading for pod, reading in arm.pods.items()}
        return ArmReading(pods, {f"{GATEWAY}/{INSTANCE}/{service}": arm.outcomes for service in asked.services})

    def arm(self, deployment: str, at: int) -> Arm | None:
        """The counters of a SeldonDeployment at an instant."""
        return self.arms.get(at, {}).get(self.names.get(deployment, ""))

    def series(self, query: str, at: int) -> Iterator[Series]:
        """The series that a query of the judge finds at an instant.

        Raises:
            ValueError: the query is none of the judge's.
        """
        if names := _SERVICES.search(query):
            for service in _split(names[1]):
                if (arm := self.arm(service.removesuffix("-default"), at)) is not None:
                    yield from _at_gateway(arm, service)
        elif names := _DEPLOYMENTS.search(query):
            for name in _split(names[1]):
                if (arm := self.arm(name, at)) is not None:
                    yield from _in_pods(arm, name, buckets="_bucket{" in query)
        else:
            raise ValueError(f"no query of the judge: {query}")


def _split(pattern: str) -> list[str]:
    return pattern.replace("\\", "").split("|")


def _in_pods(arm: Arm, name: str, *, buckets: bool) -> Iterator[Series]:
    for pod, reading in arm.pods.items():
        labels = {"namespace": NAMESPACE, "pod": pod, "instance": INSTANCE, "deployment_name": name}
        if buckets:
            for edge, count in reading.buckets.items():
                yield {**labels, "le": "+Inf" if edge == inf else repr(float(edge))}, count
        else:
            for code, count in reading.codes.items():
                yield {**labels, "code": code}, count


def _at_gateway(arm: Arm, service: str) -> Iterator[Series]:
    where = {"destination_service_namespace": NAMESPACE, "destination_service_name": service}
    for (code, flags, grpc), count in arm.outcomes.items():
        outcome = {"response_code": code, "response_flags": flags, "grpc_response_status": grpc}
        yield {"pod": GATEWAY, "instance": INSTANCE, **where, **outcome}, count


def answer(scraped: Scraped, asked: dict[str, str]) -> dict[str, Any]:
    """The answer to an instant query (`time`) or a range query (`start`, `end`, `step`)."""
    if "time" in asked:
        at = int(float(asked["time"]))
        found = [{"metric": labels, "value": [at, str(value)]} for labels, value in scraped.series(asked["query"], at)]
        return {"resultType": "vector", "result": found}
    rows: dict[str, dict[str, Any]] = {}
    for at in range(int(float(asked["start"])), int(float(asked["end"])) + 1, int(asked["step"])):
        for labels, value in scraped.series(asked["query"], at):
            row = rows.setdefault(json.dumps(labels, sort_keys=True), {"metric": labels, "values": []})
            row["values"].append([at, str(value)])
    return {"resultType": "matrix", "result": list(rows.values())}


@contextmanager
def serving(scraped: Scraped) -> Iterator[str]:
    """Serve on a free loopback port; give the address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            form = self.rfile.read(int(self.headers["Content-Length"])).decode()
            asked = {key: values[0] for key, values in parse_qs(form).items()}
            try:
                body = {"status": "success", "data": answer(scraped, asked)}
                code = 503 if scraped.down else 200
            except (KeyError, ValueError) as error:
                code, body = 400, {"status": "error", "errorType": "bad_data", "error": str(error)}
            text = json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
