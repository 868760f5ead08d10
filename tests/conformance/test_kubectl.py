"""The real kubectl, without `--validate=false`: what people type works."""

import asyncio
import json
import os
import shutil

import pytest
import yaml

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on PATH")


@pytest.fixture
def kubectl(server, api, tmp_path):
    """Runs kubectl in this test's namespace; gives what it printed, and fails with its own words."""

    async def run(*arguments, stdin="", fails=False, env=None):
        process = await asyncio.create_subprocess_exec(
            "kubectl", f"--kubeconfig={server.kubeconfig_path}", f"--cache-dir={tmp_path / 'cache'}",
            "-n", api.namespace, *arguments,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **(env or {})},
        )  # fmt: skip
        out, error = await asyncio.wait_for(process.communicate(stdin.encode()), 60)
        assert (process.returncode != 0) == fails, (out + error).decode()
        return (out + error).decode() if fails else out.decode()

    return run


def deployment(image="i:1", **spec):
    template = {"metadata": {"labels": {"app": "d"}}, "spec": {"containers": [{"name": "c", "image": image}]}}
    body = {"replicas": 1, "selector": {"matchLabels": {"app": "d"}}, "template": template, **spec}
    return yaml.safe_dump({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": body})


async def test_apply_creates_changes_and_sees_nothing_to_do(kubectl):
    assert await kubectl("apply", "-f", "-", stdin=deployment()) == "deployment.apps/d created\n"
    assert await kubectl("apply", "-f", "-", stdin=deployment()) == "deployment.apps/d unchanged\n"
    assert await kubectl("apply", "-f", "-", stdin=deployment("i:2")) == "deployment.apps/d configured\n"
    assert await kubectl("get", "deploy", "d", "-o", "jsonpath={.spec.template.spec.containers[0].image}") == "i:2"


async def test_apply_takes_away_what_was_taken_out_of_the_file(kubectl):
    await kubectl("apply", "-f", "-", stdin=deployment(minReadySeconds=5))
    await kubectl("apply", "-f", "-", stdin=deployment())
    assert await kubectl("get", "deploy", "d", "-o", "jsonpath={.spec.minReadySeconds}") == ""


async def test_server_side_apply_tells_of_conflicts(kubectl):
    await kubectl("apply", "--server-side", "-f", "-", stdin=deployment())
    await kubectl("scale", "deploy/d", "--replicas=3")
    said = await kubectl("apply", "--server-side", "-f", "-", stdin=deployment(), fails=True)
    assert ".spec.replicas" in said
    await kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=deployment())
    assert await kubectl("get", "deploy", "d", "-o", "jsonpath={.spec.replicas}") == "1"


async def test_a_field_that_nobody_knows_is_refused(kubectl):
    said = await kubectl("apply", "-f", "-", stdin=deployment(replica=2), fails=True)
    assert 'unknown field "spec.replica"' in said


async def test_a_list_is_applied_and_what_it_holds_is_looked_at_by_the_server(kubectl):
    def listed(**more):
        items = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **more} for name in "ab"]
        return yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": items})

    assert 'unknown field "dada"' in await kubectl("apply", "-f", "-", stdin=listed(dada={}), fails=True)
    assert await kubectl("apply", "-f", "-", stdin=listed()) == "configmap/a created\nconfigmap/b created\n"
    shown = await kubectl("get", "configmaps", "a", "b", "-o", "yaml")
    assert "configmap/b" in await kubectl("apply", "-f", "-", stdin=shown)


async def test_create_makes_what_its_generators_make(kubectl):
    assert await kubectl("create", "configmap", "c", "--from-literal=k=v") == "configmap/c created\n"
    assert await kubectl("create", "secret", "generic", "s", "--from-literal=k=v") == "secret/s created\n"
    assert await kubectl("create", "deployment", "web", "--image=i", "--port=80") == "deployment.apps/web created\n"
    assert await kubectl("create", "serviceaccount", "sa") == "serviceaccount/sa created\n"
    assert (
        await kubectl("create", "role", "r", "--verb=get", "--resource=pods")
        == "role.rbac.authorization.k8s.io/r created\n"
    )
    assert "created" in await kubectl("create", "rolebinding", "b", "--role=r", "--user=bob")
    assert await kubectl("get", "secret", "s", "-o", "jsonpath={.data.k}") == "dg=="
    assert await kubectl("run", "p", "--image=i") == "pod/p created\n"
    assert await kubectl("expose", "deployment", "web", "--port=80") == "service/web exposed\n"
    assert "created" in await kubectl("create", "poddisruptionbudget", "pdb", "--selector=app=web", "--min-available=1")


async def test_get_prints_columns(kubectl):
    await kubectl("apply", "-f", "-", stdin=deployment())
    lines = (await kubectl("get", "deploy")).splitlines()
    assert lines[0].split() == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert lines[1].split()[:4] == ["d", "0/1", "0", "0"]
    wide = (await kubectl("get", "deploy", "-o", "wide")).splitlines()
    assert wide[0].split() == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE", "CONTAINERS", "IMAGES", "SELECTOR"]
    assert await kubectl("get", "deploy", "-o", "name") == "deployment.apps/d\n"
    assert json.loads(await kubectl("get", "deploy", "d", "-o", "json"))["kind"] == "Deployment"
    assert "deployment.apps/d" in await kubectl("get", "all")
    assert "d" in await kubectl("get", "deploy", "-l", "app!=x", "--sort-by=.metadata.name")


async def test_a_custom_kind_is_shown_by_its_columns_and_explained(kubectl, widgets):
    body = {"apiVersion": f"{widgets}/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"size": 4}}
    assert await kubectl("apply", "-f", "-", stdin=yaml.safe_dump(body)) == f"widget.{widgets}/w created\n"
    lines = (await kubectl("get", f"widgets.{widgets}")).splitlines()
    assert lines[0].split() == ["NAME", "SIZE", "READY", "AGE"]
    assert lines[1].split()[:2] == ["w", "4"]
    said = await kubectl("apply", "-f", "-", stdin=yaml.safe_dump({**body, "spec": {"size": 0}}), fails=True)
    assert "spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1" in said
    for _ in range(50):
        explained = await kubectl("explain", f"widgets.{widgets}.spec.size") if await ready(kubectl, widgets) else ""
        if explained:
            break
    assert "How big it is." in explained
    assert await kubectl("scale", f"widgets.{widgets}/w", "--replicas=4")
    assert await kubectl("get", f"widgets.{widgets}", "w", "-o", "jsonpath={.spec.replicas}") == "4"


async def ready(kubectl, group):
    found = await kubectl("get", "--raw", "/openapi/v3")
    if f"apis/{group}/v1" in found:
        return True
    await asyncio.sleep(0.2)
    return False


async def test_explain_knows_built_in_kinds(kubectl):
    said = await kubectl("explain", "deployment.spec.template.spec.containers.ports.containerPort")
    assert "FIELD: containerPort <integer>" in said
    assert "replicas\t<integer>" in await kubectl("explain", "deployment.spec")


async def test_describe_tells_of_an_object_and_its_events(kubectl, api):
    await kubectl("apply", "-f", "-", stdin=deployment())
    uid = await kubectl("get", "deploy", "d", "-o", "jsonpath={.metadata.uid}")
    involved = {"kind": "Deployment", "name": "d", "namespace": api.namespace, "uid": uid, "apiVersion": "apps/v1"}
    event = {
        "metadata": {"name": "e"}, "involvedObject": involved,
        "reason": "Tried", "message": "it was tried", "type": "Normal",
        "firstTimestamp": "2024-01-01T00:00:00Z", "lastTimestamp": "2024-01-01T00:00:00Z", "source": {"component": "c"},
    }  # fmt: skip
    await api.post(api.core("events"), event)
    said = await kubectl("describe", "deployment", "d")
    assert "Replicas:" in said
    assert "it was tried" in said
    assert "it was tried" in await kubectl("events")


async def test_labels_annotations_and_patches(kubectl):
    await kubectl("apply", "-f", "-", stdin=deployment())
    assert "labeled" in await kubectl("label", "deploy", "d", "x=y")
    assert "annotated" in await kubectl("annotate", "deploy", "d", "x=y")
    assert "unlabeled" in await kubectl("label", "deploy", "d", "x-")
    assert "patched" in await kubectl("patch", "deploy", "d", "-p", '{"spec":{"paused":true}}')
    assert "patched" in await kubectl(
        "patch", "deploy", "d", "--type=json", "-p", '[{"op":"remove","path":"/spec/paused"}]'
    )
    assert "patched" in await kubectl("patch", "deploy", "d", "--type=merge", "-p", '{"spec":{"replicas":2}}')
    assert "image updated" in await kubectl("set", "image", "deploy/d", "c=i:9")
    assert "env updated" in await kubectl("set", "env", "deploy/d", "A=B")


async def test_edit_changes_what_the_editor_changed(kubectl, tmp_path):
    await kubectl("apply", "-f", "-", stdin=deployment())
    editor = tmp_path / "editor.sh"
    editor.write_text('#!/bin/sh\nsed -i "s/replicas: 1/replicas: 5/" "$1"\n')
    editor.chmod(0o755)
    assert "edited" in await kubectl("edit", "deploy", "d", env={"KUBE_EDITOR": str(editor)})
    assert await kubectl("get", "deploy", "d", "-o", "jsonpath={.spec.replicas}") == "5"


async def test_wait_and_rollout_status_see_a_condition(kubectl, api):
    await kubectl("apply", "-f", "-", stdin=deployment())
    waiting = asyncio.create_task(kubectl("wait", "--for=condition=Available", "deploy/d", "--timeout=20s"))
    await asyncio.sleep(0)
    status = {
        "observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1,
        "conditions": [{"type": "Available", "status": "True"}],
    }  # fmt: skip
    await api.patch(api.of("apps/v1", "deployments", "d") + "/status", {"status": status})
    assert "condition met" in await waiting
    assert "successfully rolled out" in await kubectl("rollout", "status", "deploy/d", "--timeout=10s")
    assert "restarted" in await kubectl("rollout", "restart", "deploy/d")


async def test_delete_waits_until_it_is_gone(kubectl):
    await kubectl("create", "configmap", "c")
    assert await kubectl("delete", "configmap", "c") == 'configmap "c" deleted\n'
    said = await kubectl("get", "configmap", "c", fails=True)
    assert 'configmaps "c" not found' in said


async def test_watching_prints_rows_as_they_come(kubectl, api):
    await kubectl("create", "configmap", "c", "--from-literal=k=v")
    said = await kubectl("get", "configmap", "c", "--watch", "--request-timeout=1s")
    assert said.splitlines()[1].split()[:2] == ["c", "1"]


async def test_diff_and_dry_run_change_nothing(kubectl):
    await kubectl("apply", "-f", "-", stdin=deployment())
    said = await kubectl("diff", "-f", "-", stdin=deployment("i:2"), fails=True)
    assert "+      - image: i:2" in said
    assert "(server dry run)" in await kubectl("apply", "--dry-run=server", "-f", "-", stdin=deployment("i:3"))
    assert await kubectl("get", "deploy", "d", "-o", "jsonpath={.spec.template.spec.containers[0].image}") == "i:1"


async def test_what_is_served_is_listed(kubectl):
    said = await kubectl("api-resources", "--api-group=apps")
    assert "deployments" in said
    assert "apps/v1" in await kubectl("api-versions")
    assert await kubectl("auth", "can-i", "create", "deployments") == "yes\n"
    assert "no" in await kubectl("auth", "can-i", "create", "deployments", "--as=bob", fails=True)


async def test_an_autoscaler_can_be_made(kubectl):
    await kubectl("apply", "-f", "-", stdin=deployment())
    assert "autoscaled" in await kubectl("autoscale", "deployment", "d", "--max=3", "--min=1")
    assert "Deployment/d" in await kubectl("get", "hpa")
