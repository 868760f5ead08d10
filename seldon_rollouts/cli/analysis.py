"""`analyze` and `lint`: templates tried and looked at from a terminal."""

import asyncio
import signal
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console, Group
from rich.live import Live
from rich.table import Column, Table
from rich.text import Text

from analysis.runs.model import Phase, Run
from controller.api.faults import faults
from seldon_rollouts.analyze import measured, plans, run_of
from seldon_rollouts.cli.prometheus import PrometheusAccess, PrometheusToken, PrometheusUrl, door
from seldon_rollouts.documents import documents
from seldon_rollouts.lint import lint as lint_documents

EXIT = {Phase.SUCCESSFUL: 0, Phase.FAILED: 1, Phase.INCONCLUSIVE: 3, Phase.ERROR: 4}


def _present(files: list[Path]) -> list[Path]:
    for each in files:
        if str(each) != "-" and not each.exists():
            raise typer.BadParameter(f"{each} does not exist")
    return files


Files = Annotated[
    list[Path],
    typer.Option(
        "-f",
        "--file",
        help="A YAML file, a folder of them, or - for standard input; may be given several times.",
        callback=_present,  # `exists` with `allow_dash` refuses a dash
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("analyze")(analyze)
    app.command("lint")(lint)


def analyze(
    file: Files,
    arg: Annotated[list[str] | None, typer.Option("--arg", help="An argument, as name=value.")] = None,
    template: Annotated[str, typer.Option("--template", help="Which of the files' templates.")] = "",
    prometheus_url: PrometheusUrl = "",
    prometheus_access: PrometheusAccess = "",
    prometheus_token: PrometheusToken = "",
) -> None:
    """Run an AnalysisTemplate from here.

    Ends with 0 when successful, 1 failed, 3 inconclusive, 4 error, 2 when files and arguments make no run.
    """
    given, asked = dict(_pair(one) for one in arg or ()), door(prometheus_access, prometheus_token)
    try:
        metrics = plans(run_of(list(documents(file)), template, given))
    except ValidationError as error:
        raise typer.BadParameter(f"{next(faults(error, ()))}; `lint` names file and line") from None
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None

    async def watch() -> Run:
        stop, last = asyncio.Event(), None
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)
        console = Console()
        with Live(console=console, auto_refresh=False) as live:
            async for run in measured(metrics, prometheus_url, stop, asked):
                live.update(shown(run), refresh=True)
                last = run
        if not console.is_terminal:
            console.print()  # there the table ends without a line break
        if last is None:
            raise RuntimeError("a run gives at least its beginning")
        return last

    run = asyncio.run(watch())
    Console().print(f"{run.phase}{f': {run.message}' if run.message else ''}", highlight=False, soft_wrap=True)
    raise typer.Exit(EXIT[run.phase])


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise typer.BadParameter(f"{text!r} is no argument; expected name=value, such as --arg service=iris")
    return name, value


def shown(run: Run) -> Group:
    """Return a run as a table, a row for each metric, and below it what each says: a terminal is seldom wide."""
    made = Table("metric", Column("phase", no_wrap=True), "value", "good", "bad", "unclear", "errors")
    said: list[Text] = []
    for one in run.metrics:
        last = one.last
        counts = (one.successful, one.failed, one.inconclusive, one.error)
        name = f"{one.name} (dry run)" if one.dry_run else one.name
        made.add_row(name, one.phase, last.value if last is not None else "", *map(str, counts))
        if message := one.message or (last.message if last is not None else ""):
            said.append(Text(f"{name}: {message}"))
    return Group(made, *said)


def lint(file: Files) -> None:
    """Look at templates, runs and rollouts without a cluster. Ends with 1 when something is wrong."""
    try:
        found = list(documents(file))
    except ValueError as error:
        print(error)
        raise typer.Exit(1) from None
    if not found:
        print(f"{', '.join(str(each) for each in file)}: expected Kubernetes objects, found none")
        raise typer.Exit(1)
    problems = lint_documents(found)
    for one in problems:
        print(f"{one.file}:{one.line}: {'warning: ' if one.warning else ''}{one.message}")
    wrong = [one for one in problems if not one.warning]
    print(f"{len(found)} objects, {len(wrong)} problems, {len(problems) - len(wrong)} warnings")
    raise typer.Exit(1 if wrong else 0)
