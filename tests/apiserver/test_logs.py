"""Pods' logs: files of a folder, whole, their end, or as they grow."""

import asyncio

import pytest

from localcluster.apiserver.process import running_api_server

PODS = "/api/v1/namespaces/default/pods"


@pytest.fixture
async def pod(tmp_path):
    """A pod with two containers and a log of one."""
    async with running_api_server(log_dir=tmp_path) as server, server.session() as session:
        containers = [{"name": "main", "image": "i"}, {"name": "side", "image": "i"}]
        async with session.post(PODS, json={"metadata": {"name": "p"}, "spec": {"containers": containers}}) as response:
            assert response.status == 201
        file = tmp_path / "default" / "p" / "main.log"
        file.parent.mkdir(parents=True)
        file.write_text("".join(f"2024-01-01T00:00:0{n}.000000Z line {n}\n" for n in range(5)))
        yield session, file


async def read(session, **query):
    async with session.get(f"{PODS}/p/log", params=query) as response:
        return response.status, await response.text()


async def test_a_log_is_shown_without_its_time_stamps(pod):
    session, _ = pod
    assert await read(session, container="main") == (200, "line 0\nline 1\nline 2\nline 3\nline 4\n")


async def test_time_stamps_are_shown_when_asked_for(pod):
    session, _ = pod
    _, text = await read(session, container="main", timestamps="true", tailLines="1")
    assert text == "2024-01-01T00:00:04.000000Z line 4\n"


@pytest.mark.parametrize(
    ("lines", "expected"), [("2", "line 3\nline 4\n"), ("0", ""), ("9", "line 0\nline 1\nline 2\nline 3\nline 4\n")]
)
async def test_the_tail_is_as_long_as_asked(pod, lines, expected):
    session, _ = pod
    assert await read(session, container="main", tailLines=lines) == (200, expected)


async def test_a_pod_with_two_containers_needs_the_name_of_one(pod):
    session, _ = pod
    status, text = await read(session)
    assert status == 400
    assert "a container name must be specified for pod p, choose one of: [main side]" in text


async def test_a_container_that_is_not_there_is_refused(pod):
    session, _ = pod
    status, text = await read(session, container="nope")
    assert (status, "container nope is not valid for pod p" in text) == (400, True)


async def test_a_container_without_a_log_is_waiting(pod):
    session, _ = pod
    status, text = await read(session, container="side")
    assert (status, "is waiting to start" in text) == (400, True)


async def test_a_log_is_followed_as_it_grows(pod):
    session, file = pod
    async with session.get(
        f"{PODS}/p/log", params={"container": "main", "follow": "true", "tailLines": "1"}
    ) as response:
        assert await asyncio.wait_for(response.content.readline(), 5) == b"line 4\n"
        with file.open("a") as out:
            out.write("2024-01-01T00:00:09Z line ")
            out.flush()
            out.write("9\n")
        assert await asyncio.wait_for(response.content.readline(), 5) == b"line 9\n"


async def test_following_ends_when_the_log_is_taken_away(pod):
    session, file = pod
    async with session.get(f"{PODS}/p/log", params={"container": "main", "follow": "true"}) as response:
        assert await asyncio.wait_for(response.content.readline(), 5) == b"line 0\n"
        file.unlink()
        rest = await asyncio.wait_for(response.content.read(), 5)
    assert rest.endswith(b"line 4\n")
