"""What a shell completes beside commands and flags: rollouts, namespaces and contexts, as far as they can be seen."""

import asyncio
from collections.abc import Awaitable, Callable

import typer

from controller import clock
from controller.errors import ControllerError
from controller.kube import resources
from controller.kube.brief import Brief
from controller.kube.client import Client
from controller.kube.connection import connector, contexts_of, namespace_of

PATIENCE = 3.0
"""Seconds: nobody waits longer for a list of names."""


def rollouts(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return the rollouts of the namespace that is meant, each with its phase."""
    kubeconfig, name = _where(context)
    namespace = str(context.params.get("namespace") or "") or namespace_of(kubeconfig, name)

    async def asked(client: Client) -> list[tuple[str, str]]:
        rows = await client.table(resources.SELDON_ROLLOUT, namespace)
        return [(row["metadata"]["name"], str(row.get("Phase") or "")) for row in rows]

    return _beginning(incomplete, _quietly(kubeconfig, name, asked))


def namespaces(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return the cluster's namespaces."""

    async def asked(client: Client) -> list[tuple[str, str]]:
        return [(row["metadata"]["name"], "") for row in await client.table(resources.NAMESPACE)]

    return _beginning(incomplete, _quietly(*_where(context), asked))


def contexts(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return the kubeconfig's contexts."""
    kubeconfig, _ = _where(context)
    return _beginning(incomplete, [(name, "") for name in contexts_of(kubeconfig)])


def _where(context: typer.Context) -> tuple[str | None, str | None]:
    return context.params.get("kubeconfig"), context.params.get("context")


def _beginning(incomplete: str, found: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return sorted(each for each in found if each[0].startswith(incomplete))


def _quietly(
    kubeconfig: str | None, context: str | None, ask: Callable[[Client], Awaitable[list[tuple[str, str]]]]
) -> list[tuple[str, str]]:
    """Ask; nothing is completed where nobody answers in time, and nothing is said about it."""

    async def go() -> list[tuple[str, str]]:
        connect = connector(kubeconfig, context, now=clock.now)
        async with asyncio.timeout(PATIENCE), Client(connect, transport=Brief) as client:
            return await ask(client)

    try:
        return asyncio.run(go())
    except (ControllerError, TimeoutError):
        return []
