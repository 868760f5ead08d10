"""Commands that ask a rollout for something: each leaves an intent, waits for its answer, and prints it."""

import asyncio
import json
import os
import uuid
from collections.abc import Callable
from typing import Annotated, Any

import typer

from controller import clock
from controller.api.meta import INTENT_ANNOTATION
from controller.api.rollout import RolloutStatus
from controller.kube import resources
from controller.kube.client import Client
from controller.rollout.phases import Event, Phase, legal, refusal
from seldon_rollouts.cli.connect import CONSOLE, Context, Kubeconfig, Namespace, UsageError, run

ANSWER_SECONDS = 15.0
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
        name: str,
        reason: Why = "",
        namespace: Namespace = "default",
        kubeconfig: Kubeconfig = None,
        context: Context = None,
    ) -> None:
        _ask(name, verb, reason, namespace, kubeconfig, context)

    return command


def approve(
    name: str,
    gate: Annotated[str, typer.Option(help="The approval's name; the one that is waited for when absent.")] = "",
    reason: Why = "",
    namespace: Namespace = "default",
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Approve what the gate that the rollout waits at asks for."""
    _ask(name, "approve", reason, namespace, kubeconfig, context, gate=gate)


def rollback(
    name: str,
    revision: Annotated[int, typer.Argument(min=1, help="The revision's number, as in `get`.")],
    reason: Why = "",
    namespace: Namespace = "default",
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Go back to an earlier revision, in the place of the template, until that changes or a retry."""
    _ask(name, "rollback", reason, namespace, kubeconfig, context, revision=revision)


def _ask(
    name: str, verb: str, reason: str, namespace: str, kubeconfig: str | None, context: str | None, **more: Any
) -> None:
    async def work(client: Client) -> str:
        return await ask(client, namespace, name, verb, by=_who(), reason=reason, **more)

    CONSOLE.print(run(kubeconfig, context, work), highlight=False, soft_wrap=True)


def _who() -> str:
    return os.environ.get("USER") or os.environ.get("LOGNAME") or f"uid {os.getuid()}"


async def ask(client: Client, namespace: str, name: str, verb: str, *, by: str, reason: str, **more: Any) -> str:
    """Leave an intent, wait for the controller's answer, and return it.

    Raises:
        UsageError: the verb is not legal now, or the controller refused it or does not answer.
    """
    rollout = await client.get(resources.SELDON_ROLLOUT, namespace, name)
    phase = Phase((rollout.get("status") or {}).get("phase", "Pending"))
    if not legal(phase, Event(verb)):
        raise UsageError(f"{verb} is not possible while {namespace}/{name} is {phase}: {refusal(phase, Event(verb))}")
    number = uuid.uuid4().hex[:12]
    said = {name: value for name, value in more.items() if value}
    text = json.dumps({"id": number, "verb": verb, "by": by, "reason": reason, **said})
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
