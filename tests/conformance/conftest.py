"""The server under test: ours, or a real kube-apiserver when KUBEBUILDER_ASSETS names a folder with one and etcd.

Every test gets a namespace of its own and an `Api`: requests in, (status, JSON) out, nothing hidden.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import aiohttp
import orjson
import pytest
import pytest_asyncio
import yaml

from localcluster.apiserver.process import RunningApiServer
from localcluster.testserver import is_real, running_server

JsonObject = dict[str, Any]
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True)
class Answer:
    code: int
    body: Any
    headers: Any

    def __getitem__(self, key: str) -> Any:
        return self.body[key]

    @property
    def version(self) -> str:
        return self.body["metadata"]["resourceVersion"]


class Api:
    """Requests to the server as one user. Paths are written out: they are what is tested."""

    def __init__(self, session: aiohttp.ClientSession, namespace: str) -> None:
        self.session = session
        self.namespace = namespace

    def core(self, plural: str, name: str = "", namespace: str | None = None) -> str:
        return f"/api/v1/namespaces/{namespace or self.namespace}/{plural}" + (f"/{name}" if name else "")

    def of(self, group_version: str, plural: str, name: str = "") -> str:
        return f"/apis/{group_version}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    async def call(
        self, method: str, path: str, body: Any = None, *, kind: str = "application/json", **query: Any
    ) -> Answer:
        headers = {"Content-Type": kind} if body is not None else {}
        accept = query.pop("accept", None)
        headers |= {"Accept": accept} if accept else {}
        headers |= query.pop("headers", {})
        data = body if isinstance(body, bytes) or body is None else orjson.dumps(body)
        asked = {key: str(value) for key, value in query.items()}
        async with self.session.request(method, path, data=data, headers=headers, params=asked) as response:
            raw = await response.read()
            parsed = orjson.loads(raw) if raw.startswith(b"{") else raw.decode()
            return Answer(response.status, parsed, response.headers)

    async def get(self, path: str, **query: Any) -> Answer:
        return await self.call("GET", path, **query)

    async def post(self, path: str, body: Any, **query: Any) -> Answer:
        return await self.call("POST", path, body, **query)

    async def put(self, path: str, body: Any, **query: Any) -> Answer:
        return await self.call("PUT", path, body, **query)

    async def patch(self, path: str, body: Any, *, kind: str = MERGE, **query: Any) -> Answer:
        return await self.call("PATCH", path, body, kind=kind, **query)

    async def apply(self, path: str, body: Any, manager: str, **query: Any) -> Answer:
        return await self.call("PATCH", path, body, kind=APPLY, fieldManager=manager, **query)

    async def delete(self, path: str, body: Any = None, **query: Any) -> Answer:
        return await self.call("DELETE", path, body, **query)

    @contextlib.asynccontextmanager
    async def watch(self, path: str, **query: Any) -> AsyncIterator["Events"]:
        asked = {key: str(value) for key, value in query.items()} | {"watch": "1"}
        accept = asked.pop("accept", "application/json")
        async with self.session.get(path, params=asked, headers={"Accept": accept}) as response:
            yield Events(response)


class Events:
    """A watch's events, one after the other."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self.status = response.status

    async def next(self, seconds: float = 10.0) -> JsonObject:
        """The next event. Raises TimeoutError when none comes, EOFError when the watch has ended."""
        line = await asyncio.wait_for(self.response.content.readline(), seconds)
        if not line:
            raise EOFError
        return orjson.loads(line)

    async def rest(self) -> list[JsonObject]:
        return [orjson.loads(line) async for line in self.response.content]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningApiServer]:
    tokens = tmp_path_factory.mktemp("server") / "tokens.csv"
    tokens.write_text('alice-token,alice,alice-uid,"readers"\nbob-token,bob,bob-uid\n')
    async with running_server(tokens=tokens) as running:
        yield running


@pytest.fixture
async def api(server: RunningApiServer) -> AsyncIterator[Api]:
    """The administrator, in a namespace of this test."""
    async with _session(server, server.admin_token) as session:
        namespace = f"test-{uuid4().hex[:8]}"
        found = Api(session, namespace)
        made = await found.post("/api/v1/namespaces", {"metadata": {"name": namespace}})
        assert made.code == 201, made.body
        yield found
        await found.delete(f"/api/v1/namespaces/{namespace}")


@pytest.fixture
async def bob(server: RunningApiServer, api: Api) -> AsyncIterator[Api]:
    """A user who may do nothing yet, in the same namespace."""
    async with _session(server, "bob-token") as session:
        yield Api(session, api.namespace)


@pytest.fixture
async def nobody(server: RunningApiServer, api: Api) -> AsyncIterator[Api]:
    """Somebody without a token."""
    async with _session(server, "") as session:
        yield Api(session, api.namespace)


def _session(server: RunningApiServer, token: str) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(ssl=server.ssl_context() or False)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return aiohttp.ClientSession(server.url, headers=headers, connector=connector, read_bufsize=4 * 1024 * 1024)


@pytest.fixture
def ours_only() -> None:
    if is_real():
        pytest.skip("in a real cluster kube-controller-manager does this, and it is not running")


@pytest.fixture
async def widgets(api: Api) -> AsyncIterator[str]:
    """A custom kind of this test alone; gives its group. See `widget_definition`."""
    group = f"g{uuid4().hex[:8]}.example.com"
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    made = await api.post(path, widget_definition(group))
    assert made.code == 201, made.body
    await established(api, f"widgets.{group}")
    yield group
    await api.delete(f"{path}/widgets.{group}")


async def established(api: Api, name: str, seconds: float = 20.0) -> None:
    """Waits until a definition is served."""
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}"
    async with asyncio.timeout(seconds):
        while True:
            found = await api.get(path)
            spec = found["spec"]
            conditions = {c["type"]: c["status"] for c in found["status"].get("conditions") or ()}
            version = spec["versions"][0]["name"]
            listed = await api.get(f"/apis/{spec['group']}/{version}/{spec['names']['plural']}")
            if conditions.get("Established") == "True" and listed.code == 200:
                return
            await asyncio.sleep(0.05)


def widget_definition(group: str) -> JsonObject:
    """Two served versions, both subresources, every feature of a schema that we promise."""
    schema = {"openAPIV3Schema": yaml.safe_load(_WIDGET_SCHEMA)}
    version = {
        "served": True,
        "schema": schema,
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        },
        "additionalPrinterColumns": [
            {"name": "Size", "type": "integer", "jsonPath": ".spec.size", "description": "How big."},
            {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
            {"name": "Colour", "type": "string", "jsonPath": ".spec.color", "priority": 1},
            {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
        ],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"], "categories": ["all"]},
            "versions": [{"name": "v1", "storage": True, **version}, {"name": "v1alpha1", "storage": False, **version}],
        },
    }


_WIDGET_SCHEMA = """
type: object
description: A widget of the shop.
properties:
  spec:
    type: object
    description: What it should be.
    required: [size]
    x-kubernetes-validations:
    - {rule: "self.size <= 100 || self.color == 'red'", message: "big widgets are red"}
    properties:
      size: {type: integer, minimum: 1, maximum: 1000, description: How big it is.}
      replicas: {type: integer, default: 1}
      color: {type: string, enum: [red, green, blue], default: blue}
      name:
        type: string
        maxLength: 10
        pattern: "^[a-z]*$"
        x-kubernetes-validations:
        - {rule: "self == oldSelf", message: "name is fixed"}
      ratio: {type: number}
      port: {x-kubernetes-int-or-string: true}
      note: {type: string, nullable: true}
      free: {type: object, x-kubernetes-preserve-unknown-fields: true}
      labels: {type: object, additionalProperties: {type: string}}
      atomic: {type: object, x-kubernetes-map-type: atomic, additionalProperties: {type: string}}
      tags: {type: array, items: {type: string}, x-kubernetes-list-type: set}
      list: {type: array, items: {type: string}}
      parts:
        type: array
        maxItems: 5
        x-kubernetes-list-type: map
        x-kubernetes-list-map-keys: [name]
        items:
          type: object
          required: [name]
          properties:
            name: {type: string}
            count: {type: integer, default: 1}
            unit: {type: string}
  status:
    type: object
    properties:
      replicas: {type: integer}
      selector: {type: string}
      conditions:
        type: array
        x-kubernetes-list-type: map
        x-kubernetes-list-map-keys: [type]
        items:
          type: object
          required: [type, status]
          properties: {type: {type: string}, status: {type: string}, message: {type: string}}
"""
