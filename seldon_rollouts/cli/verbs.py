"""Commands that ask a rollout for something: each leaves an intent, waits for its answer, and prints it."""

import getpass
import os
from collections.abc import Callable
from typing import Annotated, Any

import typer

from controller.api.rollout import RolloutStatus
from controller.kube.client import Client
from controller.kube.errors import NotFoundError
from controller.kube.resources import SELDON_ROLLOUT
from seldon_rollouts.asking import Asked, ask
from seldon_rollouts.cli import finding
from seldon_rollouts.cli.connect import Context, Kubeconfig, Namespace, Rollout, run
from seldon_rollouts.cli.output import line

Why = Annotated[str, typer.Option("--reason", "-r", help="Why; kept in the history.")]

VERBS = {
    "promote": "Go on from where the rollout waits; after the last step, without the judge's consent.",
    "promote-full": "Give the new revision all traffic now, without the steps that are left and without the judge.",
    "skip": "Go to the next step.",
    "pause": "Hold the rollout where it is; the judge goes on.",
    "resume": "Go on after a pause.",
    "abort": "Take all traffic back to the stable revision.",
    "retry": "Try a rejected revision again from its first step; or leave a revision that was gone back to.",
    "restart": "Replace the pods of the stable revision, and of the canary, one after another; no request is lost.",
    "pass": "The analysis that is waited for counts as good, once.",
    "fail": "The analysis counts as bad: all traffic goes back to the stable revision.",
}
"""Those that need nothing but a name and a reason."""


def add_to(app: typer.Typer) -> None:
    """Put the commands into the program."""
    for verb, about in VERBS.items():
        app.command(verb, help=about)(_plain(verb))
    app.command("approve")(approve)
    app.command("rollback")(rollback)


def _plain(verb: str) -> Callable[..., None]:
    def command(
        name: Rollout,
        reason: Why = "",
        namespace: Namespace = "",
        kubeconfig: Kubeconfig = None,
        context: Context = None,
    ) -> None:
        _ask(name, verb, reason, namespace, kubeconfig, context)

    return command


def approve(
    name: Rollout,
    gate: Annotated[str, typer.Option(help="The approval's name; the one that is waited for when absent.")] = "",
    reason: Why = "",
    namespace: Namespace = "",
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Approve what the gate that the rollout waits at asks for."""
    _ask(name, "approve", reason, namespace, kubeconfig, context, gate=gate)


def rollback(
    name: Rollout,
    revision: Annotated[int, typer.Argument(min=1, help="The revision's number, as in `get`.")],
    reason: Why = "",
    namespace: Namespace = "",
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Go back to an earlier revision, in the place of the template, until that changes or a retry."""
    _ask(name, "rollback", reason, namespace, kubeconfig, context, revision=revision)


def _ask(
    name: str, verb: str, reason: str, namespace: str, kubeconfig: str | None, context: str | None, **more: Any
) -> None:
    async def work(client: Client) -> RolloutStatus:
        try:
            return await ask(client, namespace, name, Asked(verb=verb, by=who(), reason=reason, **more))
        except NotFoundError as error:
            raise await finding.missing(client, SELDON_ROLLOUT, (namespace, name), error) from error

    found = run(kubeconfig, context, work)
    line(f"{verb}: {found.phase}: {found.message}")


def who() -> str:
    """Return the name of whoever runs the command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user that no file names
        return f"uid {os.getuid()}"
