"""Acting: the routes that sign people in, and that ask something of a rollout in a person's own name."""

import logging
from collections.abc import Callable
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, HTTPException, Path, Request, Response
from pydantic import ConfigDict, Field, SecretStr

from controller.api.rollout import Verb
from controller.kube.client import Client
from controller.kube.connection import Secret
from controller.kube.errors import ApiError, ForbiddenError, NotFoundError
from seldon_rollouts.asking import Asked, RefusedError, UnansweredError, ask
from seldon_rollouts.dashboard.access import Person
from seldon_rollouts.dashboard.identity import Identity
from seldon_rollouts.view.base import View

audit = logging.getLogger("seldon_rollouts.audit")

AsPerson = Callable[[Secret], Client]
"""A client that asks with a person's own token."""

PROBLEMS: dict[int | str, dict[str, Any]] = {
    401: {"description": "Nobody is signed in."},
    403: {"description": "The person may not change this rollout."},
    404: {"description": "There is no such rollout."},
    409: {"description": "The rollout's phase does not take this verb, or the controller refused it."},
    502: {"description": "The API server did not answer."},
    504: {"description": "The intent stands, and no controller has answered."},
}


class Wish(View):
    """What a person asks for."""

    model_config = ConfigDict(**{**View.model_config, "extra": "forbid"})

    verb: Verb
    reason: Annotated[str, Field(max_length=500)] = ""
    """Why; kept in the history."""
    revision: Annotated[int, Field(ge=0)] = 0
    """With rollback: which revision."""
    gate: Annotated[str, Field(max_length=63)] = ""
    """With approve: which gate; the one that the rollout waits at when empty."""


class Answer(View):
    """What became of it."""

    phase: str
    message: str


class SignIn(View):
    """A Kubernetes bearer token, such as `kubectl create token` makes."""

    token: Annotated[SecretStr, Field(min_length=1, max_length=3800)]


class Session(View):
    """Who is signed in; empty for nobody."""

    person: str
    groups: tuple[str, ...] = ()


def routes(identity: Identity, as_person: AsPerson | None, *, patience: float) -> APIRouter:
    """Return the routes; without `as_person` nothing can be asked for. `patience`: seconds to wait for an answer."""
    router = APIRouter(prefix="/api/v1")
    _sessions(router, identity)
    if as_person is not None:
        _acts(router, identity, as_person, patience)
    return router


def _sessions(router: APIRouter, identity: Identity) -> None:
    @router.get("/session")
    async def session(request: Request) -> Session:
        """Say who is signed in."""
        person = await identity.who(request)
        return Session(person=person.name, groups=person.groups) if person else Session(person="")

    @router.post("/session", responses={401: {"description": "The API server does not know the token."}})
    async def sign_in(request: Request, response: Response, body: SignIn) -> Session:
        """Sign in with a Kubernetes bearer token; it is kept in a cookie that no script can read."""
        person = await identity.remember(request, response, Secret(body.token.get_secret_value()))
        _record(person, "sign-in", "", "done")
        return Session(person=person.name, groups=person.groups)

    @router.delete("/session", status_code=204)
    async def sign_out(request: Request, response: Response) -> None:
        """Sign out."""
        identity.forget(request, response)


def _acts(router: APIRouter, identity: Identity, as_person: AsPerson, patience: float) -> None:
    @router.post("/rollouts/{namespace}/{name}/acts", responses=PROBLEMS)
    async def act(
        request: Request,
        namespace: Annotated[str, Path(max_length=63)],
        name: Annotated[str, Path(max_length=253)],
        wish: Wish,
    ) -> Answer:
        """Ask something of a rollout, and wait for the controller's answer."""
        person = await identity.somebody(request)
        where = f"{namespace}/{name}"
        try:
            if not await identity.access.may(person, "patch", namespace, name):
                raise HTTPException(403, f"{person.name} may not patch SeldonRollout {where}")
            asked = Asked(by=person.name, **wish.model_dump())
            async with as_person(identity.token(request)) as client:
                found = await ask(client, namespace, name, asked, patience=patience)
        except (HTTPException, ApiError, RefusedError, UnansweredError) as error:
            _record(person, wish.verb, where, f"refused: {error}", wish.reason)
            raise _problem(error) from error
        _record(person, wish.verb, where, "done", wish.reason)
        return Answer(phase=found.phase, message=found.message)


def _problem(error: Exception) -> HTTPException:
    match error:
        case HTTPException():
            return error
        case RefusedError():
            return HTTPException(409, str(error))
        case UnansweredError():
            return HTTPException(504, str(error))
        case NotFoundError():
            return HTTPException(404, str(error))
        case ForbiddenError():
            return HTTPException(403, str(error))
        case _:
            return HTTPException(502, f"the API server: {error}")


def _record(person: Person, verb: str, rollout: str, outcome: str, reason: str = "") -> None:
    said = {"person": person.name, "uid": person.uid, "verb": verb, "rollout": rollout}
    audit.info("%s", orjson.dumps({**said, "reason": reason, "outcome": outcome}).decode())
