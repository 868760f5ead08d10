"""Real nodes and real clients, each in the environment that `make peers` made for it."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PEERS = Path(os.environ.get("PEERS") or ROOT / ".peers")

EVERYTHING = """
class Everything:
    class_names = ["a", "b"]

    def predict(self, X, names=None, meta=None):
        return X * 2

    def transform_input(self, X, names=None, meta=None):
        return X + 1

    def transform_output(self, X, names=None, meta=None):
        return X * 10

    def route(self, X, names=None, meta=None):
        return 1

    def aggregate(self, parts, names=None, meta=None):
        return sum(parts)

    def send_feedback(self, X, names, reward, truth, routing=None):
        return []

    def tags(self):
        return {"by": "everything"}

    def init_metadata(self):
        return {"name": "everything", "versions": ["v1"], "platform": "p", "inputs": [], "outputs": []}
"""
DOUBLES = """
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse


class Doubles(MLModel):
    async def load(self):
        return True

    async def predict(self, payload):
        outputs = [
            NumpyCodec.encode_output(one.name, self.decode(one, default_codec=NumpyCodec) * 2)
            for one in payload.inputs
        ]
        return InferenceResponse(id=payload.id, model_name=self.name, outputs=outputs)
"""


def free_ports(count):
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def python_of(peer):
    """The Python of a peer's environment; skips where there is none."""
    found = PEERS / peer / "bin" / "python"
    if not (PEERS / peer / "requirements.txt").is_file():
        pytest.skip(f"{peer} is not installed: make peers")
    return str(found)


class Peer:
    """A running node: its ports and its process."""

    def __init__(self, command, folder, environment, ports):
        self.http, self.grpc = ports
        self.log = folder / "log.txt"
        with self.log.open("wb") as stream:
            self.process = subprocess.Popen(
                command, cwd=folder, env={**os.environ, **environment}, stdout=stream, stderr=stream
            )
        end = time.monotonic() + 60
        while not all(self._open(port) for port in ports):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.05)

    @staticmethod
    def _open(port):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def unit(self, transport, name, kind="MODEL", children=()):
        """A unit that this node serves over REST, over gRPC, or both."""
        ports = {"rest": {"httpPort": self.http}, "grpc": {"grpcPort": self.grpc}}
        ports["both"] = {**ports["rest"], **ports["grpc"]}
        endpoint = {"service_host": "localhost", "type": "GRPC" if transport == "grpc" else "REST", **ports[transport]}
        return {"name": name, "type": kind, "endpoint": endpoint, "children": list(children)}


def wrapper_peer(name, folder):
    http, remote, metrics = free_ports(3)
    (folder / "Everything.py").write_text(EVERYTHING)
    environment = {
        "PREDICTIVE_UNIT_HTTP_SERVICE_PORT": str(http),
        "PREDICTIVE_UNIT_GRPC_SERVICE_PORT": str(remote),
        "PREDICTIVE_UNIT_METRICS_SERVICE_PORT": str(metrics),
        "PREDICTIVE_UNIT_ID": "node",
        "SELDON_BIND_ADDRESS": "127.0.0.1",
        "SELDON_PODINFO_PATH": "/nowhere",
    }
    command = [sys.executable, "-m", "orchestrator.node", "Everything"]
    if name == "seldon-core":
        launcher = str(ROOT / "localcluster" / "seldon_launcher.py")
        command = [python_of(name), "-P", launcher, "Everything", "--import-path", str(folder)]
    return Peer(command, folder, environment, (http, remote))


def mlserver_peer(folder):
    python = python_of("mlserver")
    http, remote, metrics = free_ports(3)
    (folder / "doubles.py").write_text(DOUBLES)
    settings = {
        "host": "127.0.0.1", "http_port": http, "grpc_port": remote, "metrics_port": metrics, "parallel_workers": 0
    }  # fmt: skip
    (folder / "settings.json").write_text(json.dumps(settings))
    for name in ("first", "second", "joint"):
        (folder / name).mkdir()
        model = {"name": name, "implementation": "doubles.Doubles"}
        (folder / name / "model-settings.json").write_text(json.dumps(model))
    command = [str(Path(python).with_name("mlserver")), "start", "."]
    return Peer(command, folder, {"PYTHONPATH": str(folder)}, (http, remote))


@contextlib.contextmanager
def running(folders):
    """Gives running peers by name; each is started once, and ended with the block."""
    peers = {}

    def start(name):
        if name not in peers:
            folder = folders.mktemp(name)
            peers[name] = mlserver_peer(folder) if name == "mlserver" else wrapper_peer(name, folder)
        return peers[name]

    yield start
    for peer in peers.values():
        peer.process.terminate()
        peer.process.wait(20)
