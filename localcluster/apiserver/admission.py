"""Asking admission webhooks: the write is drafted, they see it and may change it, then it is done for real."""

import asyncio
import base64
import ssl
import uuid
from dataclasses import replace
from typing import Any

import aiohttp
import orjson

from localcluster.apiserver import webhooks
from localcluster.apiserver.auth import User
from localcluster.apiserver.decoding import copy
from localcluster.apiserver.http import Request, Response, Stream
from localcluster.apiserver.kinds import Kind
from localcluster.apiserver.preparation import Draft
from localcluster.apiserver.resources import Resources
from localcluster.apiserver.target import Target
from localcluster.apiserver.webhooks import Hook, Write

JsonObject = dict[str, Any]

_TRIES = 5


class _Drafted(Exception):  # noqa: N818 - it ends a draft, it is no error
    """Carries the draft of a write out of the store, which has changed nothing yet."""

    def __init__(self, draft: Draft) -> None:
        super().__init__()
        self.draft = draft


def _stop(draft: Draft) -> None:
    raise _Drafted(draft)


class Admission:
    """Writes with webhooks around them."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._store = resources.store

    def concerned(self, kind: Kind, target: Target) -> list[Hook]:
        return webhooks.concerned(self._store.history, kind, target)

    async def answer(
        self, request: Request, target: Target, kind: Kind, user: User, hooks: list[Hook]
    ) -> Response | Stream:
        """Raises ApiError."""
        dry_run = request.query.get("dryRun") == "All"
        for _ in range(_TRIES):
            draft = self._draft(request, target, kind)
            if draft is None:
                break
            found = webhooks.operation(target) or "UPDATE"
            if draft.old is None:
                found = "CREATE"
            shown = None if draft.new is draft.old else kind.at_version(draft.new)
            old = None if draft.old is None else kind.at_version(draft.old)
            write = Write(kind=kind, target=target, operation=found, user=user, new=shown, old=old, dry_run=dry_run)
            warnings: list[str] = []
            changed = await self._ask_all(write, hooks, warnings)
            answer = self._commit(request, target, kind, draft, changed)
            if answer is not None:
                return _warned(answer, warnings)
        return self._resources.answer(request, target, kind)

    def _draft(self, request: Request, target: Target, kind: Kind) -> Draft | None:
        """What the write would store; None for one that is refused or changes nothing that webhooks see."""
        if target.verb == "delete":
            entry = self._store.entry(kind, target.namespace or "", target.name)
            return Draft(kind, entry.object, entry.object)
        try:
            self._resources.answer(request, target, kind, amend=_stop)
        except _Drafted as stopped:
            return stopped.draft
        return None

    def _commit(
        self, request: Request, target: Target, kind: Kind, seen: Draft, changed: JsonObject | None
    ) -> Response | Stream | None:
        """Does the write as the webhooks left it; None when the object changed meanwhile: they must see it again."""
        if target.verb == "delete" or changed is None:
            return self._resources.answer(request, target, kind)
        if target.verb == "create":
            headers = {**request.headers, "content-type": "application/json"}
            done = Request(request.method, request.path, request.query, headers, orjson.dumps(changed))
            return self._resources.answer(done, target, kind)

        def amend(draft: Draft) -> None:
            before = None if seen.old is None else seen.old["metadata"]["resourceVersion"]
            now = None if draft.old is None else draft.old["metadata"]["resourceVersion"]
            if before != now:
                raise _Drafted(draft)
            identity = {name: draft.new["metadata"][name] for name in ("uid", "creationTimestamp")}
            draft.new = kind.to_stored(copy(changed))
            draft.new["metadata"].update(identity)

        try:
            return self._resources.answer(request, target, kind, amend=amend)
        except _Drafted:
            return None

    async def _ask_all(self, write: Write, hooks: list[Hook], warnings: list[str]) -> JsonObject | None:
        namespace = self._store.history.get("namespaces", ("", write.target.namespace or ""))
        labels = None if namespace is None else namespace.object["metadata"].get("labels")
        for hook in hooks:
            if webhooks.selects(hook, write, labels):
                if write.dry_run:
                    webhooks.check_dry_run(hook)
                write = replace(write, new=await _ask(hook, write, warnings))
        return write.new


def _warned(answer: Response | Stream, warnings: list[str]) -> Response | Stream:
    if isinstance(answer, Response) and warnings:
        told = tuple(("Warning", f'299 - "{text}"') for text in warnings)
        return Response(answer.code, answer.body, answer.content_type, (*answer.headers, *told))
    return answer


async def _ask(hook: Hook, write: Write, warnings: list[str]) -> JsonObject | None:
    """The object as one webhook leaves it. Raises ApiError when it refuses, or fails and its policy is Fail."""
    uid = str(uuid.uuid4())
    try:
        answer = await _post(hook, webhooks.review(write, uid))
        return webhooks.answered(hook, uid, answer, write.new, warnings)
    except (aiohttp.ClientError, TimeoutError, ValueError, OSError) as error:
        failure = webhooks.failed(hook, str(error) or type(error).__name__)
        if failure is not None:
            raise failure from error
        return write.new


async def _post(hook: Hook, body: JsonObject) -> Any:
    authority = (hook.spec.get("clientConfig") or {}).get("caBundle")
    context = ssl.create_default_context(cadata=base64.b64decode(authority).decode()) if authority else True
    headers = {"Content-Type": "application/json"}
    async with (
        asyncio.timeout(hook.seconds),
        aiohttp.ClientSession(headers=headers) as session,
        session.post(webhooks.url(hook), data=orjson.dumps(body), ssl=context) as response,
    ):
        if response.status != 200:
            raise ValueError(f"it answered {response.status}")
        return orjson.loads(await response.read())
