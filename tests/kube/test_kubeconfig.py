"""Kubeconfigs: what is read without the client library is what the library reads, and files merge as kubectl's do."""

import base64
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes_asyncio.client import Configuration
from kubernetes_asyncio.config import load_kube_config

from controller.kube.connection import namespace_of
from controller.kube.kubeconfig import Chosen, KubeconfigError, chosen, plain


def written(path: Path, *, user: dict[str, Any] | None = None, current: str | None = "here", **cluster: Any) -> str:
    config: dict[str, Any] = {
        "contexts": [
            {"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "ml"}},
            {"name": "bare", "context": {"cluster": "c"}},
        ],
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:9/", **cluster}}],
        "users": [{"name": "u", "user": user or {}}],
    }
    path.write_text(yaml.safe_dump(config if current is None else {**config, "current-context": current}))
    return str(path)


def content(path: str | None) -> bytes | None:
    return Path(path).read_bytes() if path else None


PEM = base64.b64encode(b"pem").decode()


@pytest.mark.parametrize(
    ("user", "cluster"),
    [
        ({"token": "hush"}, {}),
        ({"tokenFile": "token"}, {"certificate-authority": "ca.crt"}),
        ({"username": "ada", "password": "hush"}, {"insecure-skip-tls-verify": True}),
        ({"username": "ada"}, {"tls-server-name": "api.example"}),
        ({"client-certificate-data": PEM, "client-key-data": PEM}, {"certificate-authority-data": PEM}),
        ({"client-certificate": "ca.crt", "client-key": "ca.crt"}, {"proxy-url": "http://proxy.example:3128"}),
        ({"token": "hush", "tokenFile": "nowhere"}, {"certificate-authority-data": PEM, "certificate-authority": "x"}),
    ],
)
async def test_a_context_that_says_all_itself_is_read_as_the_library_reads_it(
    tmp_path: Path, user: dict[str, Any], cluster: dict[str, Any]
) -> None:
    (tmp_path / "token").write_text("from a file")
    (tmp_path / "ca.crt").write_text("of a file")
    path = written(tmp_path / "config", user=user, **cluster)
    theirs = Configuration()
    await load_kube_config(path, None, theirs, persist_config=False)
    ours = plain(chosen(path, None))
    assert ours is not None
    paths = (theirs.ssl_ca_cert, theirs.cert_file, theirs.key_file)
    assert (ours.authority, ours.certificate, ours.key) == tuple(map(content, paths))
    assert (ours.server, ours.authorization) == (theirs.host, theirs.api_key.get("BearerToken"))
    assert (ours.verify, ours.server_name, ours.proxy) == (theirs.verify_ssl, theirs.tls_server_name, theirs.proxy)


@pytest.mark.parametrize(
    ("user", "cluster"),
    [({"exec": {"command": "x"}}, {}), ({"auth-provider": {"name": "oidc"}}, {}), ({}, {"something-new": 1})],
)
def test_what_asks_somebody_else_or_is_not_known_is_left_to_the_library(
    tmp_path: Path, user: dict[str, Any], cluster: dict[str, Any]
) -> None:
    assert plain(chosen(written(tmp_path / "config", user=user, **cluster), None)) is None


def test_what_should_be_base64_is_named_where_it_is_not(tmp_path: Path) -> None:
    found = Chosen(
        name="a", namespace=None, cluster={"server": "https://x", "certificate-authority-data": "%%%"},
        cluster_folder=tmp_path,
    )  # fmt: skip
    with pytest.raises(KubeconfigError, match="certificate-authority-data is not base64"):
        plain(found)


def test_of_several_files_the_first_that_says_something_is_right(tmp_path: Path) -> None:
    first = written(tmp_path / "first", user={"token": "first"}, server="https://first")
    second = written(tmp_path / "second", user={"token": "second"}, current="bare", server="https://second")
    found = chosen(os.pathsep.join((str(tmp_path / "none"), first, second)), None)
    assert (found.name, found.cluster["server"], found.user["token"]) == ("here", "https://first", "first")
    assert (found.cluster_folder, found.user_folder) == (tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{contexts: [{name: a}]}", r"no current-context is set; name one with --context\. There are: a"),
        ("{current-context: b, contexts: [{name: a}]}", "there is no context 'b'.* There are: a"),
        ("{current-context: a, contexts: [{name: a, context: {cluster: c}}]}", "names cluster 'c', which is not in"),
        ("{contexts: [a]}", "contexts: expected entries with name and context"),
        ("[1]", "expected a kubeconfig, a YAML object"),
        ("a: b: hush", "line 1: ScannerError; expected YAML"),
    ],
)
def test_a_file_that_leads_nowhere_is_told_without_what_stands_in_it(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "config"
    path.write_text(content)
    with pytest.raises(KubeconfigError, match=said) as caught:
        chosen(str(path), None)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(("context", "namespace"), [(None, "ml"), ("here", "ml"), ("bare", "default")])
def test_the_namespace_that_is_meant_is_the_context_s(tmp_path: Path, context: str | None, namespace: str) -> None:
    assert namespace_of(written(tmp_path / "config"), context) == namespace


def test_in_a_pod_it_is_the_pod_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "namespace").write_text("seldon-system")
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setattr("controller.kube.connection.OWN_NAMESPACE", tmp_path / "namespace")
    assert namespace_of(None, None) == "seldon-system"
