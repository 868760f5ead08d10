"""How pods end: in good order, for certain, and with nothing left."""

import os
import signal

import pytest

from localcluster.reflector import Reflector


def ready(pod):
    return any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions") or ())


async def delete(room, name="one", **options):
    await room.client.delete("v1", "pods", name, namespace=room.namespace, **options)


@pytest.mark.parametrize(
    ("hook", "expected"),
    [
        ({"exec": {"command": ["sh", "-c", "echo hook >> $NOTES"]}}, ["serving", "hook", "term"]),
        ({"httpGet": {"path": "/hook", "port": 8080}}, ["serving", "hook", "term"]),
        ({"sleep": {"seconds": 1}}, ["serving", "term"]),
    ],
)
async def test_the_hook_runs_before_the_signal_and_the_pod_is_gone_after(room, hook, expected):
    await room.pod(
        main=room.container(
            env=room.environment, lifecycle={"preStop": hook}, readinessProbe={"tcpSocket": {"port": 8080}}
        )
    )
    await room.until(ready)
    await delete(room)
    await room.gone()
    assert room.noted() == expected
    assert room.marked() == []


async def test_a_hook_that_sleeps_is_not_waited_for_when_the_process_is_gone(room):
    hook = {"exec": {"command": ["sleep", "30"]}}
    main = room.container(env=room.environment, lifecycle={"preStop": hook})
    await room.pod(main=main, terminationGracePeriodSeconds=60)
    await room.until_noted("serving")
    await delete(room)
    await room.until(lambda pod: "deletionTimestamp" in pod["metadata"])
    for pid in room.marked():
        os.kill(pid, signal.SIGKILL)
    await room.gone(seconds=10)


async def test_what_ignores_the_signal_is_killed_with_all_its_children_after_the_grace_period(room):
    await room.pod(main=room.container(args=["stubborn"], env=room.environment), terminationGracePeriodSeconds=1)
    await room.until_noted("stubborn")
    assert len(room.marked()) == 2
    await delete(room)
    await room.gone()
    assert room.noted() == ["stubborn", "term"]
    assert room.marked() == []


async def test_a_pod_deleted_by_force_leaves_no_process(room, until):
    await room.pod(main=room.container(args=["stubborn"], env=room.environment))
    await room.until_noted("stubborn")
    await delete(room, grace=0)
    await until(lambda: not room.marked())


async def test_a_pod_leaves_its_services_before_it_is_told_to_end(room, until):
    history = []

    def changed(new, old):
        endpoints = (new or {}).get("endpoints") or [{"conditions": None}]
        history.append((endpoints[0]["conditions"], "term" in room.noted()))

    cache = Reflector(room.client, "discovery.k8s.io/v1", "endpointslices", room.namespace, on_change=changed)
    await cache.synced()
    await room.service("one")
    main = room.container(
        env=room.environment,
        ports=[{"name": "http", "containerPort": 8080}],
        readinessProbe={"tcpSocket": {"port": 8080}},
        lifecycle={"preStop": {"sleep": {"seconds": 1}}},
    )
    await room.pod(main=main)
    serving = {"ready": True, "serving": True, "terminating": False}
    await until(lambda: (serving, False) in history)
    history.clear()
    await delete(room)
    await room.gone()
    await until(lambda: history[-1][0] is None)
    await cache.stop()
    assert history[0] == ({"ready": False, "serving": True, "terminating": True}, False)
    assert "term" in room.noted()


async def test_when_the_node_is_told_to_end_every_process_is_gone_and_the_pods_come_back_with_the_next(own_room):
    room = own_room
    await room.pod(main=room.container(env=room.environment, readinessProbe={"tcpSocket": {"port": 8080}}))
    before = await room.until(ready)
    room.servers.node.terminate()
    assert room.servers.node.wait(15) == 0
    assert room.marked() == []
    room.servers.start_node()
    after = await room.until(lambda pod: pod["status"]["containerStatuses"][0]["restartCount"] == 1 and ready(pod))
    assert after["status"]["podIP"] == before["status"]["podIP"]
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


async def test_when_the_node_is_killed_nothing_of_its_pods_is_left(own_room, until):
    room = own_room
    await room.pod(main=room.container(args=["stubborn"], env=room.environment))
    await room.until_noted("stubborn")
    room.servers.node.kill()
    room.servers.node.wait(5)
    await until(lambda: not room.marked())
    room.servers.start_node()
    await room.until(lambda pod: pod["status"]["containerStatuses"][0]["restartCount"] == 1)


async def test_a_pod_that_is_ending_slowly_is_killed_when_its_object_is_deleted_by_force(room, until):
    main = room.container(args=["stubborn"], env=room.environment)
    await room.pod(main=main, terminationGracePeriodSeconds=600)
    await room.until_noted("stubborn")
    await delete(room)
    await room.until_noted("term")
    await delete(room, grace=0)
    await until(lambda: not room.marked())


async def test_an_api_server_that_is_away_for_a_while_costs_no_pod(own_room):
    room = own_room
    await room.pod(main=room.container(env=room.environment, readinessProbe={"tcpSocket": {"port": 8080}}))
    await room.until(ready)
    before = room.marked()
    room.servers.api.kill()
    room.servers.api.wait(5)
    room.servers.start_api()
    await room.answering()
    await room.pod("two")
    await room.until(ready, "two")
    assert before[0] in room.marked()
    await delete(room)
    await room.gone()
    assert room.noted() == ["serving", "term"]
