"""Commands that look at rollouts: where they are, what happened, and why."""

import asyncio
import json
from typing import Annotated, Any

import typer
import yaml
from rich.table import Table

from controller import clock
from controller.api.rollout import RolloutStatus
from controller.kube import resources
from controller.kube.client import Client
from seldon_rollouts import explain as words
from seldon_rollouts.cli.connect import CONSOLE, Context, Kubeconfig, Namespace, UsageError, run

Everywhere = Annotated[bool, typer.Option("--all-namespaces", "-A", help="All namespaces.")]
Output = Annotated[str, typer.Option("--output", "-o", help="text, json or yaml.")]
EXIT = {"Healthy": 0, "Degraded": 1, "Invalid": 1, "Paused": 3}
"""Exit codes of `status`; anything still moving is 2."""


def add_to(app: typer.Typer) -> None:
    """Put the commands into the program."""
    app.command("list")(list_rollouts)
    app.command("get")(get)
    app.command("status")(status)
    app.command("history")(history)
    app.command("explain")(explain)


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

    found = sorted(run(kubeconfig, context, work), key=words.urgency)
    if output != "text":
        _print(output, {"items": found})
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("NAMESPACE", "NAME", "PHASE", "STEP", "WEIGHT", "VERDICT", "MESSAGE"):
        table.add_column(heading, overflow="fold")
    for rollout in found:
        table.add_row(*words.row(rollout))
    CONSOLE.print(table if found else "no rollouts found")


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
                    CONSOLE.print(words.tree(rollout))
                else:
                    _print(output, rollout)
            last = version
            if not watch:
                return
            await asyncio.sleep(0.5)

    run(kubeconfig, context, work)


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

    found = run(kubeconfig, context, work)
    CONSOLE.print(f"{found.phase}: {found.message}", highlight=False, soft_wrap=True)
    raise typer.Exit(EXIT.get(found.phase, 2))


def history(
    name: str, namespace: Namespace = "default", kubeconfig: Kubeconfig = None, context: Context = None
) -> None:
    """Print what happened to a rollout, newest last."""
    found = _status(name, namespace, kubeconfig, context)
    for entry in found.history:
        CONSOLE.print(
            f"{entry.at:%Y-%m-%d %H:%M:%S}  {entry.type:<16} {entry.message}", highlight=False, soft_wrap=True
        )


def explain(
    name: str, namespace: Namespace = "default", kubeconfig: Kubeconfig = None, context: Context = None
) -> None:
    """Say why a rollout is where it is, what comes next, and what a person may do now."""
    found = _status(name, namespace, kubeconfig, context)
    for line in words.sentences(found):
        CONSOLE.print(line, highlight=False, soft_wrap=True)


def _status(name: str, namespace: str, kubeconfig: str | None, context: str | None) -> RolloutStatus:
    async def work(client: Client) -> dict[str, Any]:
        return await client.get(resources.SELDON_ROLLOUT, namespace, name)

    return RolloutStatus.model_validate(run(kubeconfig, context, work).get("status") or {})


def _print(output: str, value: Any) -> None:
    if output == "json":
        print(json.dumps(value, indent=2))
    elif output == "yaml":
        print(yaml.safe_dump(value, sort_keys=False), end="")
    else:
        raise UsageError(f"--output: {output!r} is not one of text, json, yaml")
