"""Finding a named object: what is said when there is none, and which names are near."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from controller.kube.client import Client
from controller.kube.errors import ApiError, NotFoundError
from controller.kube.resources import SELDON_ROLLOUT, Resource
from seldon_rollouts.cli.connect import UsageError

SHOWN = 5
"""How many names are told, at most."""
NEAR = 0.7
"""How like a name must be to be meant, between 0 and 1."""
Place = tuple[str, str]
"""Namespace and name."""


async def rollout(client: Client, namespace: str, name: str) -> dict[str, Any]:
    """Read a rollout.

    Raises:
        UsageError: there is none of this name; the text says which there are.
    """
    try:
        return await client.get(SELDON_ROLLOUT, namespace, name)
    except NotFoundError as error:
        raise await missing(client, SELDON_ROLLOUT, (namespace, name), error) from error


async def missing(client: Client, resource: Resource, wanted: Place, error: NotFoundError | None = None) -> Exception:
    """Return what to raise where an object is missing: our own words, or the answer where its kind is not served."""
    try:
        known = await _places(client, resource, wanted[0])
    except NotFoundError as unserved:
        return error or unserved
    return UsageError(sentence(resource.kind, wanted, known))


async def _places(client: Client, resource: Resource, namespace: str) -> list[Place] | None:
    """Return where objects of a kind are: everywhere, else in one namespace; None where none of it may be seen."""
    for where in (None, namespace):
        try:
            rows = await client.table(resource, where)
        except NotFoundError:
            raise
        except ApiError:
            continue
        return [(row["metadata"]["namespace"], row["metadata"]["name"]) for row in rows]
    return None


def sentence(kind: str, wanted: Place, known: Iterable[Place] | None) -> str:
    """Say that an object is not there, and what is instead: the same name elsewhere, a near name, all of them.

    Args:
        kind: of the object.
        wanted: where it was looked for.
        known: where objects of this kind are; None where that may not be seen.
    """
    namespace, name = wanted
    told = f"there is no {kind} {name!r} in namespace {namespace}"
    if known is None:
        return f"{told}; which there are may not be seen"
    places = sorted(known)
    here = [each for space, each in places if space == namespace]
    elsewhere = [space for space, each in places if each == name and space != namespace]
    if elsewhere:
        return f"{told}, but in {_some(elsewhere)}: name it with -n"
    if near := get_close_matches(name, here, n=SHOWN, cutoff=NEAR):
        return f"{told}; did you mean {' or '.join(near)}?"
    listing = f"kubectl get {kind.lower()}s" if kind != SELDON_ROLLOUT.kind else "seldon-rollouts list"
    if here:
        return f"{told}; there {'are' if len(here) > 1 else 'is'} {_some(here)} (`{listing} -n {namespace}`)"
    if places:
        return f"{told}, nor any other; -n may name {_some(dict.fromkeys(space for space, _ in places))}"
    return f"{told}, and none anywhere: make one by `kubectl apply -f FILE`"


def _some(names: Iterable[str]) -> str:
    every = list(names)
    more = len(every) - SHOWN
    return ", ".join(every[:SHOWN]) + (f" and {more} more" if more > 0 else "")
