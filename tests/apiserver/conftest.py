"""A store in this process, with a clock that stands still until it is moved, and identities that count."""

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from localcluster.apiserver import custom
from localcluster.apiserver.gc import Collector
from localcluster.apiserver.history import History
from localcluster.apiserver.store import Store, Write


class World:
    """A store, its collector, and what a test says of them in few words."""

    def __init__(self, *, keep: int = 2_000, history: History | None = None) -> None:
        self.now = datetime(2024, 1, 1, tzinfo=UTC)
        uids, suffixes = count(1), count(1)
        self.store = Store(
            clock=lambda: self.now,
            uids=lambda: f"uid-{next(uids)}",
            suffixes=lambda: f"{next(suffixes):05}",
            history=history or History(keep=keep),
        )
        self.store.history.listeners.append(custom.Definitions(self.store.kinds).happened)
        self.collector = Collector(self.store)
        self.namespaces = self.store.kind("v1", "Namespace")
        self.configs = self.store.kind("v1", "ConfigMap")
        if self.store.find(self.namespaces, "", "default") is None:
            self.store.create(self.namespaces, {"metadata": {"name": "default"}})

    def later(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def config(self, name="a", data=None, **metadata):
        body = {"metadata": {"name": name, **metadata}, "data": data or {}}
        return self.store.create(self.configs, body, namespace="default", write=Write(manager="test"))

    def names(self):
        return [obj["metadata"]["name"] for obj in self.store.list(self.configs).objects]


@pytest.fixture
def world():
    return World()
