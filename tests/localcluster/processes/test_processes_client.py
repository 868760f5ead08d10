"""The client and its cache: what a kubeconfig says, what the server answers, and news in order."""

from pathlib import Path

import pytest

from localcluster import kubeconfig
from localcluster.client import ApiClient
from localcluster.kubeconfig import KubeconfigError
from localcluster.objects import ApiError, ConflictError, NotFoundError, error_of, path_of
from localcluster.reflector import Reflector

GOOD = """
current-context: one
contexts: [{name: one, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "http://127.0.0.1:1/"}}]
users: [{name: u, user: {%s}}]
"""


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "config"
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("user", "header"),
    [
        ("token: abc", ("Authorization", "Bearer abc")),
        ("tokenFile: secret", ("Authorization", "Bearer from-file")),
        ("username: a, password: b", ("Authorization", "Basic YTpi")),
    ],
)
def test_a_kubeconfig_gives_the_server_and_the_credentials(tmp_path, user, header):
    (tmp_path / "secret").write_text("from-file\n")
    connection = kubeconfig.load(write(tmp_path, GOOD % user))
    assert connection.server == "http://127.0.0.1:1"
    assert connection.headers == (header,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "not a readable kubeconfig"),
        ("- a", "expected a mapping, got list"),
        ("{}", "current-context is not set"),
        ("current-context: two\ncontexts: [{name: one}]", "contexts has no 'two'; it has one"),
        (GOOD % "exec: {command: aws}", "credential plugins"),
        (GOOD.replace("server:", "serfer:") % "", r"clusters\[c\]\.cluster\.server is not set"),
    ],
)
def test_a_kubeconfig_that_cannot_be_used_is_named_with_its_field(tmp_path, text, message):
    with pytest.raises(KubeconfigError, match=message):
        kubeconfig.load(write(tmp_path, text))


@pytest.mark.parametrize(
    ("group_version", "options", "path"),
    [
        ("v1", {"namespace": "a", "name": "b"}, "/api/v1/namespaces/a/pods/b"),
        ("apps/v1", {"namespace": "a", "name": "b", "sub": "status"}, "/apis/apps/v1/namespaces/a/pods/b/status"),
        ("apps/v1", {}, "/apis/apps/v1/pods"),
    ],
)
def test_paths_are_those_of_the_api(group_version, options, path):
    assert path_of(group_version, "pods", **options) == path


def test_an_answer_that_is_no_status_is_an_error_all_the_same():
    error = error_of(502, b"<html>bad gateway</html>")
    assert (error.status, error.message) == (502, "<html>bad gateway</html>")


async def test_a_server_that_is_not_there_is_an_error_with_status_zero(tmp_path):
    async with ApiClient.from_kubeconfig(write(tmp_path, GOOD % "token: x")) as client:
        with pytest.raises(ApiError) as caught:
            await client.get("v1", "pods", "a", namespace="b")
    assert caught.value.status == 0


def config_map(name, namespace, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}


async def test_a_reflector_follows_what_others_do(room, until):
    news = []
    namespace, client = room.namespace, room.client
    await client.create("v1", "configmaps", config_map("a", namespace, x="1"))
    cache = Reflector(client, "v1", "configmaps", namespace, on_change=lambda new, old: news.append((new, old)))
    await cache.synced()
    assert cache.objects[namespace, "a"]["data"] == {"x": "1"}
    assert "managedFields" not in cache.objects[namespace, "a"]["metadata"]
    news.clear()
    await client.patch("v1", "configmaps", "a", {"data": {"x": "2"}}, namespace=namespace)
    await client.create("v1", "configmaps", config_map("b", namespace))
    await client.delete("v1", "configmaps", "a", namespace=namespace)
    await until(lambda: len(news) == 3)
    await cache.stop()
    assert [(new and new["metadata"]["name"], old and old["data"]) for new, old in news] == [
        ("a", {"x": "1"}), ("b", None), (None, {"x": "2"}),
    ]  # fmt: skip
    assert list(cache.objects) == [(namespace, "b")]


async def test_a_reflector_never_goes_back_behind_our_own_write(room):
    namespace, client = room.namespace, room.client
    old = await client.create("v1", "configmaps", config_map("a", namespace, x="1"))
    new = await client.patch("v1", "configmaps", "a", {"data": {"x": "2"}}, namespace=namespace)
    cache = Reflector(client, "v1", "configmaps", namespace)
    cache.observe(new)
    cache.observe(old)
    assert cache.objects[namespace, "a"]["data"] == {"x": "2"}
    cache.forget(new)
    cache.observe(new)
    assert cache.objects == {}


async def test_a_kind_that_is_not_served_is_empty_and_synced_when_it_is_optional(room):
    cache = Reflector(room.client, "nobody.example/v1", "things", optional=True)
    await cache.synced()
    await cache.stop()
    assert (cache.served, cache.objects) == (False, {})


async def test_the_errors_of_the_server_have_their_kind(room):
    namespace, client = room.namespace, room.client
    with pytest.raises(NotFoundError):
        await client.get("v1", "configmaps", "none", namespace=namespace)
    made = await client.create("v1", "configmaps", config_map("a", namespace))
    with pytest.raises(ConflictError) as caught:
        await client.create("v1", "configmaps", config_map("a", namespace))
    assert caught.value.reason == "AlreadyExists"
    await client.patch("v1", "configmaps", "a", {"data": {"x": "1"}}, namespace=namespace)
    stale = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}, "data": {"x": "2"}}
    with pytest.raises(ConflictError):
        await client.patch("v1", "configmaps", "a", stale, namespace=namespace)
    assert await client.delete("v1", "configmaps", "a", namespace=namespace, uid="another") is False
    assert await client.delete("v1", "configmaps", "a", namespace=namespace) is True
    assert await client.delete("v1", "configmaps", "a", namespace=namespace) is False


async def test_a_list_is_read_page_by_page(room, monkeypatch):
    monkeypatch.setattr("localcluster.client.PAGE", 2)
    for name in "abcde":
        await room.client.create("v1", "configmaps", config_map(name, room.namespace))
    items, version = await room.client.list("v1", "configmaps", namespace=room.namespace)
    assert [item["metadata"]["name"] for item in items] == list("abcde")
    assert {item["kind"] for item in items} == {"ConfigMap"}
    assert int(version) > 0
