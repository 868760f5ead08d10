"""The server as a process: it starts, keeps what it has, and leaves nothing behind."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest
import yaml

from localcluster.apiserver.process import running_api_server

CONFIGS = "/api/v1/namespaces/default/configmaps"
DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "things.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "things", "kind": "Thing"},
        "versions": [
            {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}},
        ],
    },
}  # fmt: skip


def is_zombie(pid: int) -> bool:
    """Whether a process has ended and nobody has asked how."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z"


async def gone(pid: int, seconds: float = 10.0) -> bool:
    for _ in range(int(seconds / 0.05)):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if is_zombie(pid):
            return True
        await asyncio.sleep(0.05)
    return False


async def test_it_starts_answers_and_ends():
    async with running_api_server() as server:
        async with server.session() as session, session.get("/api/v1/namespaces") as response:
            names = {item["metadata"]["name"] for item in (await response.json())["items"]}
        assert {"default", "kube-system", "kube-public"} <= names
        config = yaml.safe_load(server.kubeconfig_path.read_text())
        assert config["clusters"][0]["cluster"]["server"] == server.url
        assert server.kubeconfig_path.stat().st_mode & 0o077 == 0
        pid = server.pid
    assert await gone(pid)


async def test_it_listens_on_the_loopback_alone():
    async with running_api_server() as server:
        assert server.url.startswith("https://127.0.0.1:")


async def test_definitions_are_installed_from_files_and_folders(tmp_path):
    (tmp_path / "crd.yaml").write_text(yaml.safe_dump(DEFINITION))
    async with (
        running_api_server(crds=[tmp_path]) as server,
        server.session() as session,
        session.get("/apis/example.com/v1/things") as response,
    ):
        assert response.status == 200


async def test_a_definition_that_is_invalid_is_told(tmp_path):
    file = tmp_path / "crd.yaml"
    file.write_text(yaml.safe_dump({**DEFINITION, "metadata": {"name": "wrong"}}))
    with pytest.raises(RuntimeError, match=r"crd\.yaml.*must be spec\.names\.plural"):
        async with running_api_server(crds=[file]):
            pytest.fail("it started")


async def test_a_restart_keeps_objects_definitions_versions_and_the_token(tmp_path):
    (tmp_path / "crd.yaml").write_text(yaml.safe_dump(DEFINITION))
    data = tmp_path / "data"
    async with running_api_server(data, [tmp_path / "crd.yaml"]) as first, first.session() as session:
        async with session.post(CONFIGS, json={"metadata": {"name": "a"}, "data": {"k": "v"}}) as response:
            made = await response.json()
        thing = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t"}}
        async with session.post("/apis/example.com/v1/namespaces/default/things", json=thing) as response:
            assert response.status == 201
        os.kill(first.pid, signal.SIGKILL)
        assert await gone(first.pid)
    async with running_api_server(data) as second, second.session() as session:
        assert second.admin_token == first.admin_token
        assert second.authority == first.authority
        async with session.get(f"{CONFIGS}/a") as response:
            assert await response.json() == made
        async with session.get("/apis/example.com/v1/namespaces/default/things/t") as response:
            assert response.status == 200
        async with session.post(CONFIGS, json={"metadata": {"name": "b"}}) as response:
            later = await response.json()
        assert int(later["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])


async def test_it_ends_with_its_parent():
    script = (
        "import asyncio, sys\n"
        "from localcluster.apiserver.process import running_api_server\n"
        "async def main():\n"
        "    async with running_api_server() as server:\n"
        "        print(server.pid, flush=True)\n"
        "        await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(await asyncio.wait_for(parent.stdout.readline(), 30))
    parent.kill()
    await parent.wait()
    assert await gone(pid)


async def test_a_port_that_is_taken_is_an_error_in_words():
    async with running_api_server() as server:
        port = server.url.rpartition(":")[2]
        other = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "localcluster.apiserver",
            "--port",
            port,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        _, said = await asyncio.wait_for(other.communicate(), 30)
    assert other.returncode == 1
    assert b"address already in use" in said.lower()


async def test_a_token_file_that_is_malformed_is_an_error_in_words(tmp_path):
    file = tmp_path / "tokens.csv"
    file.write_text("only-a-token\n")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "localcluster.apiserver",
        "--tokens",
        str(file),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    _, said = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 1
    assert b"token file, line 1: expected token,user,uid" in said


async def test_plain_http_serves_those_who_send_their_token():
    async with running_api_server(plain_http=True) as server:
        assert server.url.startswith("http://")
        async with server.session() as session, session.get("/api/v1/namespaces") as response:
            assert response.status == 200
        async with aiohttp.ClientSession(server.url) as session, session.get("/api/v1/namespaces") as response:
            assert response.status == 403


async def test_no_token_is_in_the_servers_output(tmp_path):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "localcluster.apiserver", "--kubeconfig", str(tmp_path / "config"),
        stderr=subprocess.STDOUT, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    first = await asyncio.wait_for(process.stdout.readline(), 30)
    token = yaml.safe_load((tmp_path / "config").read_text())["users"][0]["user"]["token"]
    process.terminate()
    rest = await process.stdout.read()
    await process.wait()
    assert token.encode() not in first + rest
