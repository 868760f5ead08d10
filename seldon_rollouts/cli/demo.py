"""`seldon-rollouts demo`: the main job, end to end."""

import asyncio
import json
import signal
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from seldon_rollouts import local
from seldon_rollouts.demo.narrate import Narrator


def add_to(app: typer.Typer) -> None:
    """Put the command into the program."""
    app.command("demo")(demo)


def demo(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the account as JSON at the end; tell on stderr.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running until ctrl-C.")] = False,
    folder: Annotated[Path | None, typer.Option("--data-dir", help="Where the cluster keeps its files.")] = None,
) -> None:
    """Serve a real model, promote a better one under traffic, roll two bad ones back.

    Ends with 0 only if all of it was observed.
    """
    # A terminal that is not there, such as a log of CI, gets wide lines: reasons are long.
    console = Console(stderr=as_json, width=None if Console().is_terminal else 160)
    account = asyncio.run(_tell(console, keep=keep, folder=folder))
    if as_json:
        print(json.dumps(account, indent=2))
    raise typer.Exit(1 if account["problems"] else 0)


async def _tell(console: Console, *, keep: bool, folder: Path | None) -> dict[str, object]:
    from seldon_rollouts.demo.run import tell  # scikit-learn is only needed here

    with Narrator(console) as narrator:
        told = await tell(narrator, folder=folder, keep=keep)
    account = told.account
    console.print(
        f"{account['requests']} requests sent, {account['failed']} failed, {account['lost']} of them not by a bad "
        f"revision itself; controller killed at step {account['controllerKilledAtStep']}, "
        f"went on at step {account['controllerWentOnAtStep']}; {account['seconds']} s",
        highlight=False,
        soft_wrap=True,
    )
    for problem in account["problems"]:
        console.print(f"[red]not as promised:[/red] {problem}", highlight=False, soft_wrap=True)
    if not account["problems"]:
        console.print("[green]all as promised[/green]")
    if told.cluster is not None:
        at = told.cluster.addresses
        console.print(
            f"kept running: KUBECONFIG={at.kubeconfig} gateway {at.gateway_url} "
            f"dashboard {local.dashboard_url(told.cluster)}; ctrl-C ends it",
            soft_wrap=True,
        )
        try:
            await _until_told_to_end()
        finally:
            await told.cluster.down()
    return account


async def _until_told_to_end() -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    await ended.wait()
