"""Commands that look at rollouts: where they are, what happened, why, and how revisions differ."""

import asyncio
import sys
from collections.abc import Awaitable
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from rich.live import Live
from rich.text import Text
from typer.core import TyperCommand

from controller import clock
from controller.api.meta import REVISION_LABEL, ROLLOUT_LABEL
from controller.api.rollout import RolloutStatus
from controller.kube import resources
from controller.kube.client import Client
from controller.kube.errors import ForbiddenError, NotFoundError
from controller.notifications.stuck import MOVING
from seldon_rollouts.cli import finding
from seldon_rollouts.cli.connect import Context, Kubeconfig, Namespace, Rollout, UsageError, run
from seldon_rollouts.cli.console import CONSOLE
from seldon_rollouts.cli.output import Format, Output, data, line, reference
from seldon_rollouts.drawing import drawn
from seldon_rollouts.view.base import asks, stalled, status_of
from seldon_rollouts.view.revisions import DEPLOYMENT_LABEL, diff
from seldon_rollouts.view.tree import Part, tree

Answer = TypeVar("Answer")
EXIT = {"Healthy": 0, "Shadowed": 0, "Degraded": 1, "Invalid": 1, "Paused": 3}
"""Exit codes of `status`, by phase."""
MOVES, ASKS = 2, 3
"""The exit codes of what still moves, and of what waits for a person, as at an approval."""
FAILED = 1
UNREAD = 4
"""The exit code where there is no answer; `app` has it, too, for what goes wrong later."""
LOOK_SECONDS = 0.5


class Answering(TyperCommand):
    """A command of whose exit codes 2 is an answer, so that a wrong use of it ends otherwise."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line."""
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            if getattr(error, "exit_code", 0) == MOVES:
                vars(error).update(exit_code=UNREAD)
            raise


def add_to(app: typer.Typer) -> None:
    """Put the commands into the program."""
    app.command("get")(get)
    app.command("status", cls=Answering)(status)
    app.command("history")(history)
    app.command("explain")(explain)
    app.command("diff")(compare)


def get(
    name: Rollout,
    namespace: Namespace = "",
    output: Output = Format.TEXT,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on showing it as it changes.")] = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Show one rollout as a tree: revisions with weights and verdicts, SeldonDeployments, Deployments and pods."""
    if output not in (Format.TEXT, Format.WIDE):
        rollout = run(kubeconfig, context, lambda client: finding.rollout(client, namespace, name))
        if not data(output, rollout):
            print(reference(resources.SELDON_ROLLOUT, name))
        return
    if not watch:
        shown = run(kubeconfig, context, lambda client: _look(client, namespace, name))
        CONSOLE.print(drawn(*shown), soft_wrap=output is Format.WIDE)
        return
    run(kubeconfig, context, lambda client: _watch(client, namespace, name))


async def _watch(client: Client, namespace: str, name: str) -> None:
    shown = await _look(client, namespace, name)
    if not CONSOLE.is_terminal:
        CONSOLE.print(drawn(*shown))
        await _follow(client, namespace, name, shown)
    with Live(drawn(*shown), console=CONSOLE, auto_refresh=False, vertical_overflow="visible") as live:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            before, shown = shown, await _look(client, namespace, name)
            if shown != before:
                live.update(drawn(*shown), refresh=True)


async def _follow(client: Client, namespace: str, name: str, shown: tuple[Part, RolloutStatus]) -> NoReturn:
    """Print what changed, one tree after another, where no terminal draws over the last one."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        before, shown = shown, await _look(client, namespace, name)
        if shown != before:
            CONSOLE.print()
            CONSOLE.print(drawn(*shown))


async def _look(client: Client, namespace: str, name: str) -> tuple[Part, RolloutStatus]:
    """Read a rollout and what belongs to it: by its name, by the names in its status, and by their labels."""
    rollout = await finding.rollout(client, namespace, name)
    status = status_of(rollout)
    known = (status.stable_revision, status.canary_revision, *status.retired_revisions)
    names = sorted({revision.name for revision in known if revision is not None})
    if not names:
        return tree(rollout), status
    labels = f"{DEPLOYMENT_LABEL} in ({','.join(names)})"
    hidden: set[str] = set()
    (deployments, _), (pods, _), *children = await asyncio.gather(
        _seen(client.list(resources.DEPLOYMENT, namespace, labels=labels), ([], ""), "Deployments", hidden),
        _seen(client.list(resources.POD, namespace, labels=labels), ([], ""), "pods", hidden),
        *(_seen(_standing(client, namespace, each), None, "SeldonDeployments", hidden) for each in names),
    )
    whole = tree(rollout, [each for each in children if each is not None], deployments, pods)
    if hidden:  # what is left out without a word looks as if there were none
        told = Part(kind="not shown:", name=", ".join(sorted(hidden)), state="you may not see them")
        whole = whole.model_copy(update={"parts": (*whole.parts, told)})
    return whole, status


async def _seen(asked: Awaitable[Answer], otherwise: Answer, kind: str, hidden: set[str]) -> Answer:
    """Return an answer; where the person may not have it, note its kind: they see the rest all the same."""
    try:
        return await asked
    except ForbiddenError:
        hidden.add(kind)
        return otherwise


async def _standing(client: Client, namespace: str, name: str) -> dict[str, Any] | None:
    """Return a SeldonDeployment; None where it is gone by now."""
    try:
        return await client.get(resources.SELDON_DEPLOYMENT, namespace, name)
    except NotFoundError:
        return None


def status(
    name: Rollout,
    namespace: Namespace = "",
    wait: Annotated[bool, typer.Option("--wait", help="Return when nothing moves any more.")] = False,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait at most.")] = 3600,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Print where a rollout is.

    Ends with 0 healthy, 1 rolled back, invalid, or a first revision that did not start within progressDeadline, 2 under
    way, 3 waiting for a person, 4 where it cannot be read.
    """

    async def work(client: Client) -> RolloutStatus:
        deadline = clock.now().timestamp() + timeout
        while True:
            rollout = await finding.rollout(client, namespace, name)
            found = RolloutStatus.model_validate(rollout.get("status") or {})
            current = found.observed_generation == rollout["metadata"]["generation"]
            if not wait or (current and _code(found) != MOVES):
                return found
            if clock.now().timestamp() > deadline:
                print(f"it still moves after {timeout:g} s (--timeout)", file=sys.stderr)
                return found
            await asyncio.sleep(LOOK_SECONDS)

    found = run(kubeconfig, context, work)
    line(f"{found.phase}: {found.message}")
    raise typer.Exit(_code(found))


def _code(found: RolloutStatus) -> int:
    if found.phase in MOVING and stalled(found):
        return FAILED
    return EXIT.get(found.phase, ASKS if asks(found) else MOVES)


def history(
    name: Rollout,
    namespace: Namespace = "",
    output: Output = Format.TEXT,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Print what happened to a rollout, newest last."""
    if output not in (Format.TEXT, Format.JSON, Format.YAML):
        raise typer.BadParameter(f"-o {output} does not fit a history; expected text, json or yaml")
    rollout = run(kubeconfig, context, lambda client: finding.rollout(client, namespace, name))
    if data(output, (rollout.get("status") or {}).get("history") or []):
        return
    for entry in status_of(rollout).history:
        line(f"{entry.at:%Y-%m-%d %H:%M:%SZ}  {entry.type:<16} {entry.message}")


def explain(name: Rollout, namespace: Namespace = "", kubeconfig: Kubeconfig = None, context: Context = None) -> None:
    """Say why a rollout is where it is, what comes next, and what a person may do now."""
    from seldon_rollouts.cli import lacking  # these two load the rules of rollouts, and the judge's forecasts
    from seldon_rollouts.explain import sentences

    async def work(client: Client) -> tuple[dict[str, Any], dict[str, str]]:
        rollout = await finding.rollout(client, namespace, name)
        return rollout, await lacking.templates(client, rollout)

    for sentence in sentences(*run(kubeconfig, context, work)):
        line(sentence)


def compare(
    name: Rollout,
    revision: Annotated[int | None, typer.Argument(help="The newest when absent.")] = None,
    against: Annotated[int | None, typer.Option(help="Against which; stable when absent.")] = None,
    namespace: Namespace = "",
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Show how the template of one revision differs from another's."""

    async def work(client: Client) -> tuple[RolloutStatus, list[dict[str, Any]]]:
        rollout = await finding.rollout(client, namespace, name)
        kept, _ = await client.list(resources.CONTROLLER_REVISION, namespace, labels=f"{ROLLOUT_LABEL}={name}")
        return status_of(rollout), kept

    found, kept = run(kubeconfig, context, work)
    numbers = {int(each.get("revision") or 0): each for each in kept}
    stable = found.stable_revision.hash if found.stable_revision else ""
    stables = [number for number, each in numbers.items() if each["metadata"]["labels"].get(REVISION_LABEL) == stable]
    newer = revision if revision is not None else max(numbers, default=0)
    older = against if against is not None else next(iter(stables), 0)
    for number in (older, newer):
        if number not in numbers:
            if not numbers:
                raise UsageError(f"{namespace}/{name} has no revision yet: no controller has made one")
            known = ", ".join(map(str, sorted(numbers)))
            raise UsageError(f"{namespace}/{name} has no revision {number}; the history has {known}")
    lines = diff(numbers[older]["data"]["template"], numbers[newer]["data"]["template"])
    line(f"revision {older} to revision {newer}{'' if lines else ': the same template'}")
    styles = {"added": "green", "removed": "red", "skipped": "cyan", "same": ""}
    signs = {"added": "+", "removed": "-", "skipped": "", "same": " "}
    for each in lines:
        CONSOLE.print(Text(signs[each.kind] + each.text, style=styles[each.kind]), soft_wrap=True)
