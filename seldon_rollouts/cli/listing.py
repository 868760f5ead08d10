"""`list`: all rollouts in a table, as the server makes its rows. It loads little, so that it answers at once."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from controller import clock
from controller.kube import resources
from seldon_rollouts import phases
from seldon_rollouts.cli.connect import Context, Kubeconfig, Namespace, run
from seldon_rollouts.cli.output import Format, Output, coloured, data, line, reference, width

Everywhere = Annotated[bool, typer.Option("--all-namespaces", "-A", help="All namespaces.")]


def add_to(app: typer.Typer) -> None:
    """Put the command into the program."""
    app.command("list")(list_rollouts)


def list_rollouts(
    namespace: Namespace = "",
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
    found, now = run(kubeconfig, context, lambda client: client.table(resources.SELDON_ROLLOUT, where)), clock.now()
    rows = sorted(({**row, "stuck": phases.stuck(row, now)} for row in found), key=_urgency)
    if output is Format.NAME:
        print("".join(f"{reference(resources.SELDON_ROLLOUT, row['metadata']['name'])}\n" for row in rows), end="")
        return
    if not rows:
        line("no rollouts found" if where is None else f"no rollouts found in namespace {where}; -A lists all")
        return
    _show(rows, wide=output is Format.WIDE)


def _urgency(row: dict[str, Any]) -> tuple[int, str, str]:
    meta = row["metadata"]
    return phases.urgency(row, stuck=row["stuck"]), meta["namespace"], meta["name"]


UNSEEN = "no controller has looked at it yet; see `doctor`"
STUCK = ", stuck"
_HEADINGS = ("NAMESPACE", "NAME", "PHASE", "STEP", "WEIGHT", "VERDICT", "AGE", "MESSAGE")
_PHASE = _HEADINGS.index("PHASE")


def _show(rows: Sequence[dict[str, Any]], *, wide: bool) -> None:
    """Print lines of our own making: a table of rich costs a millisecond a row."""
    cells = [_HEADINGS, *(_cells(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)][:-1]
    columns = None if wide else width()
    room = None if columns is None else columns - sum(widths) - 2 * len(widths)
    colours = coloured()
    print("".join(f"{_line(row, widths, room, colours=colours)}\n" for row in cells), end="")


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    moving = row.get("Canary") is not None and row.get("Stable") is not None
    return (
        row["metadata"]["namespace"],
        row["metadata"]["name"],
        f"{row.get('Phase') or 'Pending'}{STUCK if row['stuck'] else ''}",
        str(row.get("Step") or ""),
        f"{row.get('Weight') or 0:g}%" if moving else "",
        str(row.get("Verdict") or "") if moving else "",
        str(row.get("Age") or ""),
        " ".join(str(row.get("Message") or "").split()) if row.get("Phase") else UNSEEN,
    )


def _line(cells: Sequence[str], widths: Sequence[int], room: int | None, *, colours: bool) -> str:
    """Return one line; the message, which comes last, fills the room that is left on a terminal."""
    message = cells[-1]
    if room is not None and len(message) > room:
        message = f"{message[: room - 1]}…" if room > 0 else ""
    padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=False)]
    phase = cells[_PHASE]
    if (colour := phases.style(phase.removesuffix(STUCK), stuck=phase.endswith(STUCK))) and colours:
        padded[_PHASE] = typer.style(padded[_PHASE], fg=colour)
    return "  ".join((*padded, message)).rstrip()
