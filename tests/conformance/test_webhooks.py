"""Admission webhooks: who is asked, what they see, and what their answers do."""

import asyncio
import base64
import ssl

import orjson
import pytest
from aiohttp import web

from localcluster.apiserver import certificates

HOOKS = "/apis/admissionregistration.k8s.io/v1"


class Listener:
    """A webhook on the loopback. `answer` decides; everything that was asked is kept."""

    def __init__(self):
        self.asked = []
        self.answer = lambda request: {"allowed": True}

    async def serve(self, request):
        review = orjson.loads(await request.read())
        self.asked.append(review["request"])
        response = {"uid": review["request"]["uid"], **self.answer(review["request"])}
        return web.json_response({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})

    @property
    def names(self):
        return [request["name"] for request in self.asked]


@pytest.fixture
async def listener(tmp_path):
    found = Listener()
    made = certificates.ensure(tmp_path / "hook")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, made.key)
    application = web.Application()
    application.router.add_post("/hook", found.serve)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    found.url = f"https://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/hook"
    found.authority = base64.b64encode(made.certificate.read_bytes()).decode()
    yield found
    await runner.cleanup()


@pytest.fixture
async def register(api, listener):
    """Registers the listener for ConfigMaps of this namespace, and waits until the server asks it."""
    made = []

    async def register_(kind, **more):
        plural = f"{kind}webhookconfigurations"
        rule = {
            "apiGroups": [""],
            "apiVersions": ["v1"],
            "operations": ["CREATE", "UPDATE", "DELETE"],
            "resources": ["configmaps"],
        }
        hook = {
            "name": "hook.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"], "rules": [rule],
            "clientConfig": {"url": listener.url, "caBundle": listener.authority},
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": api.namespace}}, **more,
        }  # fmt: skip
        name = f"{kind}-{api.namespace}"
        answer = await api.post(f"{HOOKS}/{plural}", {"metadata": {"name": name}, "webhooks": [hook]})
        assert answer.code == 201, answer.body
        made.append(f"{HOOKS}/{plural}/{name}")
        if not more:
            await heard(api, listener)

    yield register_
    for path in made:
        await api.delete(path)


async def heard(api, listener):
    """A real server learns of a webhook a moment later."""
    for _ in range(200):
        await api.post(api.core("configmaps"), {"metadata": {"name": "probe"}}, dryRun="All")
        if listener.asked:
            listener.asked.clear()
            return
        await asyncio.sleep(0.05)
    pytest.fail("the webhook was not asked within 10 seconds")


def patch(*operations):
    return {"allowed": True, "patchType": "JSONPatch", "patch": base64.b64encode(orjson.dumps(operations)).decode()}


async def test_a_webhook_sees_what_is_to_be_written(api, listener, register):
    await register("validating")
    await api.post(api.core("configmaps"), {"metadata": {"name": "a"}, "data": {"k": "v"}})
    await api.patch(api.core("configmaps", "a"), {"data": {"k": "w"}})
    await api.delete(api.core("configmaps", "a"))
    create, update, delete = listener.asked
    assert [r["operation"] for r in listener.asked] == ["CREATE", "UPDATE", "DELETE"]
    assert (create["name"], create["namespace"], create["userInfo"]["username"]) == ("a", api.namespace, "admin")
    assert create["kind"] == {"group": "", "version": "v1", "kind": "ConfigMap"}
    assert create["resource"] == {"group": "", "version": "v1", "resource": "configmaps"}
    assert (create["object"]["data"], create["oldObject"]) == ({"k": "v"}, None)
    assert (update["object"]["data"], update["oldObject"]["data"]) == ({"k": "w"}, {"k": "v"})
    assert (delete["object"], delete["oldObject"]["data"]) == (None, {"k": "w"})


async def test_a_webhook_can_refuse(api, listener, register):
    await register("validating")
    listener.answer = lambda request: {"allowed": False, "status": {"message": "not on a Monday"}}
    answer = await api.post(api.core("configmaps"), {"metadata": {"name": "a"}})
    assert answer.code == 400
    assert answer["message"] == 'admission webhook "hook.example.com" denied the request: not on a Monday'
    assert (await api.get(api.core("configmaps", "a"))).code == 404


async def test_a_refusal_may_say_its_own_code(api, listener, register):
    await register("validating")
    listener.answer = lambda request: {"allowed": False, "status": {"message": "no", "code": 422, "reason": "Invalid"}}
    answer = await api.post(api.core("configmaps"), {"metadata": {"name": "a"}})
    assert (answer.code, answer["reason"]) == (422, "Invalid")


async def test_a_webhook_can_change_what_is_written(api, listener, register):
    await register("mutating")
    listener.answer = lambda request: patch({"op": "add", "path": "/metadata/labels", "value": {"seen": "yes"}})
    made = await api.post(api.core("configmaps"), {"metadata": {"name": "a"}, "data": {"k": "v"}})
    assert (made.code, made["metadata"]["labels"]) == (201, {"seen": "yes"})
    assert (await api.get(api.core("configmaps", "a")))["metadata"]["labels"] == {"seen": "yes"}
    listener.answer = lambda request: patch({"op": "add", "path": "/data/more", "value": "x"})
    updated = await api.patch(api.core("configmaps", "a"), {"data": {"k": "w"}})
    assert updated["data"] == {"k": "w", "more": "x"}


async def test_a_webhook_can_change_what_is_applied(api, listener, register):
    await register("mutating")
    listener.answer = lambda request: patch({"op": "add", "path": "/data/more", "value": "x"})
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "v"}}
    made = await api.apply(api.core("configmaps", "a"), body, "m")
    assert (made.code, made["data"]) == (201, {"k": "v", "more": "x"})
    again = await api.apply(api.core("configmaps", "a"), {**body, "data": {"k": "w"}}, "m")
    assert (again.code, again["data"]) == (200, {"k": "w", "more": "x"})


async def test_a_webhook_can_warn(api, listener, register):
    await register("validating")
    listener.answer = lambda request: {"allowed": True, "warnings": ["think twice"]}
    answer = await api.post(api.core("configmaps"), {"metadata": {"name": "a"}})
    assert (answer.code, "think twice" in answer.headers["Warning"]) == (201, True)


async def test_a_webhook_is_asked_of_what_it_selects_alone(api, listener, register):
    await register("validating", objectSelector={"matchLabels": {"ask": "me"}})
    for _ in range(200):
        await api.post(api.core("configmaps"), {"metadata": {"name": "probe", "labels": {"ask": "me"}}}, dryRun="All")
        if listener.asked:
            break
        await asyncio.sleep(0.05)
    listener.asked.clear()
    await api.post(api.core("configmaps"), {"metadata": {"name": "a"}})
    await api.post(api.core("configmaps"), {"metadata": {"name": "b", "labels": {"ask": "me"}}})
    await api.post(api.core("secrets"), {"metadata": {"name": "c", "labels": {"ask": "me"}}})
    assert listener.names == ["b"]


@pytest.mark.parametrize(("policy", "code"), [("Fail", 500), ("Ignore", 201)])
async def test_a_webhook_that_cannot_be_asked_follows_its_policy(api, listener, register, policy, code):
    await register("validating")
    await register("mutating", failurePolicy=policy, clientConfig={"url": "https://127.0.0.1:1/nobody"})
    for at in range(100):
        answer = await api.post(api.core("configmaps"), {"metadata": {"name": f"a{at}"}})
        if answer.code == code:
            break
        await asyncio.sleep(0.05)
    assert answer.code == code
    if code == 500:
        assert 'failed calling webhook "hook.example.com"' in answer["message"]


async def test_a_dry_run_asks_only_webhooks_that_do_nothing_else(api, listener, register):
    await register("validating")
    await api.post(api.core("configmaps"), {"metadata": {"name": "a"}}, dryRun="All")
    assert [request["dryRun"] for request in listener.asked] == [True]
    assert (await api.get(api.core("configmaps", "a"))).code == 404
