"""`seldon-rollouts demo`: the main job, end to end."""

import asyncio
import atexit
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from tempfile import mkdtemp
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
    try:
        account = asyncio.run(_tell(console, place(folder), keep=keep))
    except asyncio.CancelledError:
        raise typer.Exit(128 + signal.SIGTERM) from None
    if as_json:
        print(json.dumps(account, indent=2))
    raise typer.Exit(1 if account["problems"] else 0)


def place(folder: Path | None) -> Path:
    """Return a folder: the one that was named, else one that goes with the demo, however that ends."""
    if folder is not None:
        return folder.absolute()
    made, wanted = Path(mkdtemp(prefix="seldon-rollouts-demo-")), os.environ.get("TMPDIR")
    if wanted and Path(wanted).resolve() != made.parent.resolve():
        print(f"TMPDIR {wanted}: nothing can be written there; the demo is kept in {made}", file=sys.stderr)
    atexit.register(shutil.rmtree, made, ignore_errors=True)  # by then the thread that trains writes there no more
    return made


async def _tell(console: Console, place: Path, *, keep: bool) -> dict[str, object]:
    from seldon_rollouts.demo.run import tell  # scikit-learn is only needed here

    _end_as_by_ctrl_c()
    with Narrator(console) as narrator:
        told = await tell(narrator, place, keep=keep)
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
    elif not keep:
        console.print("to look at what happened: seldon-rollouts demo --keep", highlight=False, soft_wrap=True)
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


def _end_as_by_ctrl_c() -> None:
    """Let SIGTERM, which would leave the folder, end the demo as ctrl-C does: whole."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


async def _until_told_to_end() -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    await ended.wait()
