"""Commands on rollouts: look at them, explain them, and ask for what one wants."""

import asyncio
import json
import os
import uuid
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

import typer
import yaml
from rich.console import Console
from rich.table import Table

from controller import clock
from controller.api.meta import INTENT_ANNOTATION
from controller.api.rollout import RolloutStatus
from controller.errors import ControllerError
from controller.kube import resources
from controller.kube.client import Client
from controller.kube.connection import connector
from controller.rollout.phases import Event, Phase, legal, refusal
from seldon_rollouts import explain as words

Result = TypeVar("Result")
Namespace = Annotated[str, typer.Option("--namespace", "-n", help="The namespace.")]
Everywhere = Annotated[bool, typer.Option("--all-namespaces", "-A", help="All namespaces.")]
Kubeconfig = Annotated[str | None, typer.Option("--kubeconfig", help="Path of the kubeconfig.")]
Context = Annotated[str | None, typer.Option("--context", help="The kubeconfig's context.")]
Output = Annotated[str, typer.Option("--output", "-o", help="text, json or yaml.")]
ANSWER_SECONDS = 15.0
_console = Console()
EXIT = {"Healthy": 0, "Degraded": 1, "Invalid": 1, "Paused": 3}
"""Exit codes of `status`; anything still moving is 2."""


class UsageError(ControllerError):
    """A command cannot do what was asked; the message says what would be right."""


def add_to(app: typer.Typer) -> None:
    """Put the commands into the program."""
    app.command("list")(list_rollouts)
    app.command("get")(get)
    app.command("status")(status)
    app.command("history")(history)
    app.command("explain")(explain)
    for verb, about in VERBS.items():
        app.command(verb, help=about)(_verb(verb))


def _run(kubeconfig: str | None, context: str | None, work: Callable[[Client], Awaitable[Result]]) -> Result:
    async def go() -> Result:
        async with Client(connector(kubeconfig, context, now=clock.now)) as client:
            return await work(client)

    return asyncio.run(go())


def list_rollouts(
    namespace: Namespace = "default",
    everywhere: Everywhere = False,
    output: Output = "text",
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """List rollouts: phase, step, weight, verdict; those that need attention first."""

    async def work(client: Client) -> list[dict[str, Any]]:
        found, _ = await client.list(resources.SELDON_ROLLOUT, None if everywhere else namespace)
        return found

    found = sorted(_run(kubeconfig, context, work), key=words.urgency)
    if output != "text":
        _print(output, {"items": found})
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("NAMESPACE", "NAME", "PHASE", "STEP", "WEIGHT", "VERDICT", "MESSAGE"):
        table.add_column(heading, overflow="fold")
    for rollout in found:
        table.add_row(*words.row(rollout))
    _console.print(table if found else "no rollouts found")


def get(
    name: str,
    namespace: Namespace = "default",
    output: Output = "text",
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on showing it as it changes.")] = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Show one rollout: revisions, weights, verdicts and reasons."""

    async def work(client: Client) -> None:
        last = ""
        while True:
            rollout = await client.get(resources.SELDON_ROLLOUT, namespace, name)
            version = rollout["metadata"]["resourceVersion"]
            if version != last:
                if output == "text":
                    _console.print(words.tree(rollout))
                else:
                    _print(output, rollout)
            last = version
            if not watch:
                return
            await asyncio.sleep(0.5)

    _run(kubeconfig, context, work)


def status(
    name: str,
    namespace: Namespace = "default",
    wait: Annotated[bool, typer.Option("--wait", help="Return when nothing moves any more.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait at most.")] = 3600,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Print where a rollout is. Ends with 0 healthy, 1 rolled back or invalid, 2 under way, 3 waiting for a person."""

    async def work(client: Client) -> RolloutStatus:
        deadline = clock.now().timestamp() + timeout
        while True:
            rollout = await client.get(resources.SELDON_ROLLOUT, namespace, name)
            found = RolloutStatus.model_validate(rollout.get("status") or {})
            current = found.observed_generation == rollout["metadata"]["generation"]
            if not wait or (current and found.phase in EXIT) or clock.now().timestamp() > deadline:
                return found
            await asyncio.sleep(0.5)

    found = _run(kubeconfig, context, work)
    _console.print(f"{found.phase}: {found.message}", highlight=False, soft_wrap=True)
    raise typer.Exit(EXIT.get(found.phase, 2))


def history(
    name: str, namespace: Namespace = "default", kubeconfig: Kubeconfig = None, context: Context = None
) -> None:
    """Print what happened to a rollout, newest last."""
    found = _status(name, namespace, kubeconfig, context)
    for entry in found.history:
        _console.print(
            f"{entry.at:%Y-%m-%d %H:%M:%S}  {entry.type:<16} {entry.message}", highlight=False, soft_wrap=True
        )


def explain(
    name: str, namespace: Namespace = "default", kubeconfig: Kubeconfig = None, context: Context = None
) -> None:
    """Say why a rollout is where it is, what comes next, and what a person may do now."""
    found = _status(name, namespace, kubeconfig, context)
    for line in words.sentences(found):
        _console.print(line, highlight=False, soft_wrap=True)


def _status(name: str, namespace: str, kubeconfig: str | None, context: str | None) -> RolloutStatus:
    async def work(client: Client) -> dict[str, Any]:
        return await client.get(resources.SELDON_ROLLOUT, namespace, name)

    return RolloutStatus.model_validate(_run(kubeconfig, context, work).get("status") or {})


VERBS = {
    "promote": "Go on from where the rollout waits; after the last step, without the judge's consent.",
    "promote-full": "Give the new revision all traffic now, without the steps that are left and without the judge.",
    "skip": "Go to the next step.",
    "pause": "Hold the rollout where it is; the judge goes on.",
    "resume": "Go on after a pause.",
    "abort": "Take all traffic back to the stable revision.",
    "retry": "Try a rejected revision again from its first step.",
    "approve": "Approve what the gate that the rollout waits at asks for.",
}


def _verb(verb: str) -> Callable[..., None]:
    def command(
        name: str,
        reason: Annotated[str, typer.Option("--reason", "-r", help="Why; kept in the history.")] = "",
        namespace: Namespace = "default",
        kubeconfig: Kubeconfig = None,
        context: Context = None,
    ) -> None:
        async def work(client: Client) -> str:
            return await ask(client, namespace, name, verb, by=_who(), reason=reason)

        _console.print(_run(kubeconfig, context, work), highlight=False, soft_wrap=True)

    return command


def _who() -> str:
    return os.environ.get("USER") or os.environ.get("LOGNAME") or f"uid {os.getuid()}"


async def ask(client: Client, namespace: str, name: str, verb: str, *, by: str, reason: str) -> str:
    """Leave an intent, wait for the controller's answer, and return it.

    Raises:
        UsageError: the verb is not legal now, or the controller refused it or does not answer.
    """
    rollout = await client.get(resources.SELDON_ROLLOUT, namespace, name)
    phase = Phase((rollout.get("status") or {}).get("phase", "Pending"))
    if not legal(phase, Event(verb)):
        raise UsageError(f"{verb} is not possible while {namespace}/{name} is {phase}: {refusal(phase, Event(verb))}")
    number = uuid.uuid4().hex[:12]
    text = json.dumps({"id": number, "verb": verb, "by": by, "reason": reason})
    patch = {"metadata": {"annotations": {INTENT_ANNOTATION: text}}}
    await client.merge_patch(resources.SELDON_ROLLOUT, namespace, name, patch)
    deadline = clock.now().timestamp() + ANSWER_SECONDS
    while clock.now().timestamp() < deadline:
        rollout = await client.get(resources.SELDON_ROLLOUT, namespace, name)
        found = RolloutStatus.model_validate(rollout.get("status") or {})
        if found.last_intent is not None and found.last_intent.id == number:
            if found.last_intent.outcome == "refused":
                raise UsageError(f"{verb} was refused: {found.last_intent.message}")
            return f"{verb}: {found.phase}: {found.message}"
        await asyncio.sleep(0.2)
    raise UsageError(
        f"the intent is on {namespace}/{name}, but no controller answered within {ANSWER_SECONDS:g} s; is one running?"
    )


def _print(output: str, value: Any) -> None:
    if output == "json":
        print(json.dumps(value, indent=2))
    elif output == "yaml":
        print(yaml.safe_dump(value, sort_keys=False), end="")
    else:
        raise UsageError(f"--output: {output!r} is not one of text, json, yaml")
