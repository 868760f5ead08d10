"""The notifier on a real API server, with a real web service and a real mail dialogue."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from controller import clock
from controller.health import Health
from controller.kube import resources
from controller.kube.client import Client
from controller.kube.cluster import Cluster
from controller.kube.connection import connector
from controller.manager import Manager
from controller.metrics import Metrics
from controller.notifications.configuration import Email
from controller.notifications.messages import Mail, message
from controller.notifications.reconciler import CURSOR, Notifier
from controller.notifications.sending import Failure, send
from controller.startup import parse_settings
from localcluster.testserver import running_server

from .test_notices import NOTICE, WHOLE, parse

pytestmark = pytest.mark.asyncio(loop_scope="module")
ROOT = Path(__file__).parents[2]


class Listener:
    """A web service that takes what it is told, or refuses it."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.refuse = 0
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        if self.refuse:
            self.refuse -= 1
            return web.Response(status=503)
        self.told.append(await request.json())
        return web.Response()


@pytest_asyncio.fixture(loop_scope="module")
async def listener() -> AsyncIterator[Listener]:
    made = Listener()
    app = web.Application()
    app.router.add_post("/hook", made.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield made
    await runner.cleanup()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[Client]:
    async with (
        running_server(crds=[ROOT / "crds"]) as server,
        Client(connector(str(server.kubeconfig_path), None, now=clock.now)) as made,
    ):
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "seldon-system"}}
        await made.create(resources.NAMESPACE, namespace)
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def client(server: Client) -> AsyncIterator[Client]:
    """Of a server without rollouts: a notifier also tells what happened a minute ago."""
    yield server
    left, _ = await server.list(resources.SELDON_ROLLOUT, "default")
    for each in left:
        await server.delete(resources.SELDON_ROLLOUT, "default", each["metadata"]["name"])


async def happen(client: Client, kind: str, number: int) -> None:
    """Write an entry into the history of a rollout, as the controller would."""
    name = f"iris-{number}"
    spec = {"template": {"spec": {"predictors": [{"name": "default", "graph": {"name": "c"}}]}}}
    obj = {
        "apiVersion": "rollouts.seldon.io/v1alpha1", "kind": "SeldonRollout",
        "metadata": {"name": name, "namespace": "default"}, "spec": spec,
    }  # fmt: skip
    made = await client.create(resources.SELDON_ROLLOUT, obj)
    entry = {"at": clock.now().isoformat(), "type": kind, "message": f"event {number}", "revision": number}
    version = made["metadata"]["resourceVersion"]
    status = {"phase": "Healthy", "history": [entry]}
    await client.patch_status(resources.SELDON_ROLLOUT, "default", name, status, resource_version=version)


async def test_what_happens_is_told_once_also_after_a_refusal_and_a_restart(
    client: Client, listener: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, until: Any
) -> None:
    monkeypatch.setattr("controller.notifications.reconciler.KEEP_EVERY", clock.now() - clock.now())
    file = tmp_path / "notifications.yaml"
    file.write_text(
        f"services: {{hook: {{webhook: {{url: '{listener.url}'}}}}}}\nsubscriptions: [{{services: [hook]}}]\n"
    )
    settings = parse_settings(["--notifications-file", str(file)], {})

    async def run(work: Any) -> None:
        cluster, stop = Cluster(client), asyncio.Event()
        manager = Manager(cluster, [Notifier(cluster, settings)], health=Health(Metrics()), workers=2)
        task = asyncio.create_task(manager.run(stop))
        await work()
        stop.set()
        await task
        client.metrics = Metrics()  # as in a new process

    async def first() -> None:
        listener.refuse = 1
        await happen(client, "Promoted", 1)
        await until(lambda: len(listener.told) == 1)
        async with asyncio.timeout(10):
            while True:
                kept, _ = await client.list(resources.CONFIG_MAP, "seldon-system")
                if any(each["metadata"]["name"] == CURSOR for each in kept):
                    break
                await asyncio.sleep(0.05)

    await run(first)
    await happen(client, "RolledBack", 2)  # while nobody is there

    await run(lambda: until(lambda: any(told["name"] == "iris-2" for told in listener.told)))
    assert {(told["name"], told["trigger"]) for told in listener.told} == {
        ("iris-1", "promoted"), ("iris-2", "rolledBack"),
    }  # fmt: skip
    assert len({told["id"] for told in listener.told}) == 2


async def test_what_happened_before_an_end_that_came_too_early_is_told_by_the_next_one(
    client: Client, listener: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, until: Any
) -> None:
    monkeypatch.setattr("controller.notifications.reconciler.MARGIN", timedelta())
    file = tmp_path / "notifications.yaml"
    file.write_text(
        f"services: {{hook: {{webhook: {{url: '{listener.url}'}}}}}}\nsubscriptions: [{{services: [hook]}}]\n"
    )
    own = "never-led-before"
    await client.create(resources.NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": own}})
    settings = parse_settings(["--notifications-file", str(file)], {"POD_NAMESPACE": own})
    sending = asyncio.Event()

    async def silent(_message: Any) -> Failure | None:
        sending.set()
        await asyncio.Event().wait()
        return None

    async def noted() -> bool:
        kept, _ = await client.list(resources.CONFIG_MAP, own)
        return any(each["metadata"]["name"] == CURSOR for each in kept)

    cluster = Cluster(client)
    manager = Manager(cluster, [Notifier(cluster, settings, send=silent)], health=Health(Metrics()), workers=2)
    killed = asyncio.create_task(manager.run(asyncio.Event()))
    await until(noted)  # at once, and not only when something was told
    await happen(client, "Promoted", 7)
    await sending.wait()
    killed.cancel()
    await asyncio.gather(killed, return_exceptions=True)
    client.metrics = Metrics()  # as in a new process
    cluster, stop = Cluster(client), asyncio.Event()
    manager = Manager(cluster, [Notifier(cluster, settings)], health=Health(Metrics()), workers=2)
    task = asyncio.create_task(manager.run(stop))
    await until(lambda: [told["name"] for told in listener.told] == ["iris-7"])
    stop.set()
    await task
    client.metrics = Metrics()


async def test_a_mail_is_handed_to_its_server() -> None:
    heard: list[str] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example\r\n")
        in_data = False
        while line := (await reader.readline()).decode().rstrip("\r\n"):
            heard.append(line)
            if in_data and line != ".":
                continue
            word = "." if in_data else line.split()[0].upper()
            in_data = word == "DATA"
            writer.write({"DATA": b"354 go on\r\n", "QUIT": b"221 bye\r\n"}.get(word, b"250 ok\r\n"))
            if word == "DATA":
                text = await reader.readuntil(b"\r\n.\r\n")
                heard.append(text.decode())
                in_data = False
                writer.write(b"250 taken\r\n")
            if word == "QUIT":
                break
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    whole = parse(WHOLE)
    made = message(NOTICE, whole.services["mail"], whole)
    assert isinstance(made, Mail)
    through = Email(host="127.0.0.1", port=port, security="none", sender="a@example.org", to=("b@example.org",))
    assert await send(Mail(through, made.message)) is None
    server.close()
    assert any("5 % failed" in text for text in heard)


@pytest.mark.parametrize("service", ["team", "mail"])
async def test_what_cannot_be_sent_is_told_without_any_secret(service: str) -> None:
    text = WHOLE.replace("https://hooks.example/T/secret", "http://127.0.0.1:9/secret").replace(
        "host: mail.example", "host: 127.0.0.1, port: 9, security: none"
    )
    whole = parse(text)
    failure = await send(message(NOTICE, whole.services[service], whole))
    assert failure is not None
    assert failure.problem in ("ConnectError", "ConnectionRefusedError")


async def test_a_service_that_never_answers_delays_no_other(client: Client, tmp_path: Path, until: Any) -> None:
    file = tmp_path / "notifications.yaml"
    file.write_text(
        "services: {dead: {webhook: {url: 'http://dead'}}, good: {webhook: {url: 'http://good'}}}\n"
        "subscriptions: [{services: [dead, good]}]\n"
    )
    told, asked, silence = list[str](), list[str](), asyncio.Event()

    async def deliver(post: Any) -> Failure | None:
        url = post.to.url.get_secret_value()
        asked.append(url)
        if url == "http://dead":
            await silence.wait()
        told.append(post.body["name"])
        return None

    stop, settings = asyncio.Event(), parse_settings(["--notifications-file", str(file)], {})
    notifier = Notifier(Cluster(client), settings, send=deliver)
    manager = Manager(notifier._cluster, [notifier], health=Health(Metrics()), workers=2)
    task = asyncio.create_task(manager.run(stop))
    for number in (11, 12):
        await happen(client, "Promoted", number)
        await until(lambda number=number: f"iris-{number}" in told)
    stop.set()
    await task
    client.metrics = Metrics()
    for number in (11, 12):
        await client.delete(resources.SELDON_ROLLOUT, "default", f"iris-{number}")
    assert asked.count("http://dead") == 1, "and it is asked once at a time"
