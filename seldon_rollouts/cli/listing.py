"""`list`: all rollouts in a table, as the server makes its rows. It loads little, so that it answers at once."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from controller.kube import resources
from seldon_rollouts import phases
from seldon_rollouts.cli.connect import CONSOLE, Context, Kubeconfig, Namespace, run
from seldon_rollouts.cli.output import Format, Output, data, line

Everywhere = Annotated[bool, typer.Option("--all-namespaces", "-A", help="All namespaces.")]


def add_to(app: typer.Typer) -> None:
    """Put the command into the program."""
    app.command("list")(list_rollouts)


def list_rollouts(
    namespace: Namespace = "default",
    everywhere: Everywhere = False,
    output: Output = Format.TEXT,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """List rollouts: phase, step, weight, verdict; those that need attention first."""
    where = None if everywhere else namespace
    if output in (Format.JSON, Format.YAML):
        objects, _ = run(kubeconfig, context, lambda client: client.list(resources.SELDON_ROLLOUT, where))
        data(output, {"apiVersion": "v1", "kind": "List", "items": objects})
        return
    rows = sorted(run(kubeconfig, context, lambda client: client.table(resources.SELDON_ROLLOUT, where)), key=_urgency)
    if output is Format.NAME:
        print("".join(f"{resources.SELDON_ROLLOUT.name}/{row['metadata']['name']}\n" for row in rows), end="")
        return
    _show(rows, wide=output is Format.WIDE)


def _urgency(row: dict[str, Any]) -> tuple[int, str, str]:
    meta = row["metadata"]
    return phases.urgency(str(row.get("Phase") or "")), meta["namespace"], meta["name"]


def _show(rows: Sequence[dict[str, Any]], *, wide: bool) -> None:
    if not rows:
        line("no rollouts found")
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("NAMESPACE", "NAME", "PHASE", "STEP", "WEIGHT", "VERDICT", "AGE"):
        table.add_column(heading, no_wrap=True)
    table.add_column("MESSAGE", overflow="fold" if wide else "ellipsis", no_wrap=not wide)
    for row in rows:
        moving = row.get("Canary") is not None
        phase = str(row.get("Phase") or "")
        table.add_row(
            row["metadata"]["namespace"],
            row["metadata"]["name"],
            Text(phase, style=phases.style(phase)),
            f"{min((row.get('Step') or 0) + 1, row.get('Steps') or 0)}/{row.get('Steps') or 0}" if moving else "",
            f"{row.get('Weight') or 0:g}%" if moving else "",
            str(row.get("Verdict") or "") if moving else "",
            str(row.get("Age") or ""),
            Text(str(row.get("Message") or "")),
        )
    CONSOLE.print(table)
