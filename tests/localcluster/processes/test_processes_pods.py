"""Pods as processes, from the outside: what the API says of them, and what the processes see."""

import json
from pathlib import Path

import aiohttp
import pytest


def ready(pod):
    return any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions") or ())


def state(pod, kind="containerStatuses"):
    statuses = (pod.get("status") or {}).get(kind) or [{"state": {}}]
    return statuses[0]["state"]


def lines(file):
    return file.read_text().splitlines()


async def fetch(pod, path="/", port=8080):
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{pod['status']['podIP']}:{port}{path}") as answer,
    ):
        return await answer.text()


async def test_a_pod_runs_on_a_loopback_address_of_its_own_and_gets_ready(room):
    await room.pod("one")
    await room.pod("two")
    one, two = await room.until(ready, "one"), await room.until(ready, "two")
    assert one["status"]["podIP"].startswith("127.")
    assert one["status"]["podIP"] != two["status"]["podIP"]
    assert one["status"]["phase"] == "Running"
    assert one["spec"]["nodeName"] == "local"


async def test_a_container_sees_its_environment_and_nothing_of_ours(room):
    client, namespace = room.client, room.namespace
    for plural, kind, data in (
        ("configmaps", "ConfigMap", {"colour": "blue"}),
        ("secrets", "Secret", {"word": "c2VzYW1l"}),
    ):
        obj = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "given", "namespace": namespace}, "data": data}
        await client.create("v1", plural, obj)
    env = [
        {"name": "PLAIN", "value": "a"},
        {"name": "JOINED", "value": "$(PLAIN)-$(NOBODY)-$$(PLAIN)"},
        {"name": "ADDRESS", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "NOTE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['example.com/note']"}}},
        {"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "given", "key": "colour"}}},
        {"name": "WORD", "valueFrom": {"secretKeyRef": {"name": "given", "key": "word"}}},
        {"name": "ABSENT", "valueFrom": {"secretKeyRef": {"name": "given", "key": "none", "optional": True}}},
    ]
    main = room.container(
        args=["serve"],
        env=env,
        envFrom=[{"prefix": "ALL_", "configMapRef": {"name": "given"}}],
        readinessProbe={"tcpSocket": {"port": 8080}},
    )
    await room.pod(main=main, annotations={"example.com/note": "hello"})
    pod = await room.until(ready)
    seen = json.loads(await fetch(pod, "/env"))
    address = pod["status"]["podIP"]
    expected = {
        "PLAIN": "a",
        "JOINED": "a-$(NOBODY)-$(PLAIN)",
        "ADDRESS": address,
        "NOTE": "hello",
        "COLOUR": "blue",
        "WORD": "sesame",
        "ALL_colour": "blue",
        "POD_IP": address,
        "SELDON_BIND_ADDRESS": address,
        "HOSTNAME": "one",
    }
    assert {name: seen.get(name) for name in expected} == expected
    assert "ABSENT" not in seen
    assert "SECRET_OF_THE_CALLER" not in seen


async def test_an_init_container_fills_a_volume_that_the_next_container_reads(room):
    mount = [{"name": "models", "mountPath": "/mnt/models"}]
    write = room.container("init", args=["write", "/mnt/models/model.txt", "42"], volumeMounts=mount)
    copy = room.container(args=["copy", "/mnt/models/model.txt", str(room.folder / "copy")], volumeMounts=mount)
    await room.pod(
        main=copy, initContainers=[write], volumes=[{"name": "models", "emptyDir": {}}], restartPolicy="Never"
    )
    pod = await room.until(lambda pod: pod["status"].get("phase") == "Succeeded")
    assert (room.folder / "copy").read_text() == "42"
    assert state(pod, "initContainerStatuses")["terminated"]["exitCode"] == 0


async def test_downward_files_follow_the_annotations_of_the_running_pod(room):
    item = {"path": "annotations", "fieldRef": {"fieldPath": "metadata.annotations"}}
    main = room.container(
        args=["serve"],
        env=[{"name": "PODINFO", "value": "/etc/podinfo/annotations"}],
        volumeMounts=[{"name": "podinfo", "mountPath": "/etc/podinfo"}],
        readinessProbe={"tcpSocket": {"port": 8080}},
    )
    await room.pod(
        main=main, annotations={"a": 'say "hi"\n'}, volumes=[{"name": "podinfo", "downwardAPI": {"items": [item]}}]
    )
    pod = await room.until(ready)
    file = Path(json.loads(await fetch(pod, "/env"))["PODINFO"])
    assert lines(file) == ['a="say \\"hi\\"\\n"']
    await room.client.patch("v1", "pods", "one", {"metadata": {"annotations": {"b": "2"}}}, namespace=room.namespace)
    await room.until(lambda _: 'b="2"' in "".join(lines(file)))


async def test_an_image_without_a_local_command_is_named_with_what_to_do(room):
    await room.pod(main={"name": "main", "image": "example.com/team/model:1.2"})
    pod = await room.until(lambda pod: state(pod).get("waiting", {}).get("reason") == "ImageNotFound")
    message = state(pod)["waiting"]["message"]
    assert "example.com/team/model:1.2" in message
    assert "local.rollouts.seldon.io/command.main" in message
    assert pod["status"]["phase"] == "Pending"


async def test_the_annotation_gives_any_container_a_command(room):
    line = f"python3 -c \"open('{room.folder}/said','w').write('$(POD_IP)')\""
    await room.pod(
        main={"name": "main", "image": "example.com/team/model:1.2"},
        annotations={"local.rollouts.seldon.io/command.main": line},
        restartPolicy="Never",
    )
    pod = await room.until(lambda pod: pod["status"].get("phase") == "Succeeded")
    assert (room.folder / "said").read_text() == pod["status"]["podIP"]


async def test_a_missing_secret_is_named_and_the_container_starts_once_it_is_there(room):
    source = {"secretKeyRef": {"name": "later", "key": "word"}}
    await room.pod(main=room.container(env=[{"name": "WORD", "valueFrom": source}]))
    pod = await room.until(lambda pod: state(pod).get("waiting", {}).get("reason") == "CreateContainerConfigError")
    assert "secret 'later' does not exist" in state(pod)["waiting"]["message"]
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "later", "namespace": room.namespace}}
    await room.client.create("v1", "secrets", secret | {"stringData": {"word": "x"}, "data": {"word": "eA=="}})
    await room.until(ready)


async def test_a_crashing_container_backs_off_with_its_exit_code_and_last_words(room):
    await room.pod(main=room.container(args=["exit", "3"]))
    pod = await room.until(lambda pod: (pod["status"].get("containerStatuses") or [{}])[0].get("restartCount", 0) >= 1)
    pod = await room.until(lambda pod: state(pod).get("waiting", {}).get("reason") == "CrashLoopBackOff")
    [status] = pod["status"]["containerStatuses"]
    ended = status["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"], ended["message"]) == (3, "Error", "the last words")
    assert not ready(pod)


@pytest.mark.parametrize(("code", "phase"), [("0", "Succeeded"), ("7", "Failed")])
async def test_a_pod_that_is_not_restarted_ends_with_its_container(room, code, phase):
    await room.pod(main=room.container(args=["exit", code]), restartPolicy="Never")
    pod = await room.until(lambda pod: pod["status"].get("phase") == phase)
    assert state(pod)["terminated"]["exitCode"] == int(code)


async def test_a_failing_init_container_keeps_the_pod_pending_and_is_tried_again(room):
    await room.pod(initContainers=[room.container("init", args=["exit", "1"])])
    pod = await room.until(
        lambda pod: (pod["status"].get("initContainerStatuses") or [{}])[0].get("restartCount", 0) >= 1
    )
    assert pod["status"]["phase"] == "Pending"
    assert state(pod)["waiting"]["reason"] == "PodInitializing"


async def test_a_sidecar_runs_beside_the_containers_and_does_not_keep_the_pod(room):
    sidecar = room.container("side", args=["serve"], env=room.environment, restartPolicy="Always")
    await room.pod(main=room.container(args=["exit", "0"]), initContainers=[sidecar], restartPolicy="Never")
    await room.until(lambda pod: pod["status"].get("phase") == "Succeeded")
    assert room.noted()[0] == "serving"


async def test_a_container_that_fails_its_liveness_probe_is_started_again(room):
    probe = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1, "failureThreshold": 1}
    await room.pod(main=room.container(args=["serve"], livenessProbe=probe, readinessProbe=probe))
    pod = await room.until(ready)
    await fetch(pod, "/sick")
    await room.until(lambda pod: pod["status"]["containerStatuses"][0]["restartCount"] == 1 and ready(pod))


async def test_readiness_waits_for_the_startup_probe(room):
    gate = room.folder / "gate"
    startup = {"exec": {"command": ["test", "-e", str(gate)]}, "periodSeconds": 1, "failureThreshold": 60}
    await room.pod(main=room.container(args=["serve"], startupProbe=startup))
    pod = await room.until(lambda pod: "running" in state(pod))
    assert not ready(pod)
    assert pod["status"]["containerStatuses"][0]["started"] is False
    gate.touch()
    await room.until(ready)


async def test_a_readiness_gate_keeps_the_pod_unready_until_someone_opens_it(room):
    await room.pod(readinessGates=[{"conditionType": "example.com/checked"}])
    pod = await room.until(lambda pod: "running" in state(pod))
    assert not ready(pod)
    conditions = [*pod["status"]["conditions"], {"type": "example.com/checked", "status": "True"}]
    patch = {"status": {"conditions": conditions}}
    await room.client.patch("v1", "pods", "one", patch, namespace=room.namespace, sub="status")
    await room.until(ready)


async def test_kubectl_shows_logs_of_this_run_and_the_last(room, kubectl):
    await room.pod(main=room.container(args=["exit", "3"]))
    await room.until(lambda pod: (pod["status"].get("containerStatuses") or [{}])[0].get("restartCount", 0) >= 1)
    assert kubectl("-n", room.namespace, "logs", "one") == "the last words\n"
    assert "BackOff" in kubectl("-n", room.namespace, "get", "events", "-o", "jsonpath={.items[*].reason}")
