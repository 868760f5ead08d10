"""The REST verbs: a request on a resource, answered from the store."""

from collections.abc import Callable
from typing import Any

import orjson

from localcluster.apiserver import asked, errors, negotiation, patches, scaling, tables
from localcluster.apiserver.decoding import copy
from localcluster.apiserver.history import Entry
from localcluster.apiserver.http import Request, Response, Stream
from localcluster.apiserver.kinds import Kind
from localcluster.apiserver.listing import Page
from localcluster.apiserver.negotiation import Wanted
from localcluster.apiserver.preparation import Admission as Admit
from localcluster.apiserver.store import Store, Write
from localcluster.apiserver.target import Target
from localcluster.apiserver.watch import Failed, Hub, Watch, WatchOptions

JsonObject = dict[str, Any]

_DEFAULT_WATCH_SECONDS = 1800.0


class Resources:
    """Answers for kinds; knows no paths but through `Target`."""

    def __init__(self, store: Store, hub: Hub) -> None:
        self.store = store
        self.hub = hub

    def answer(self, request: Request, target: Target, kind: Kind, *, amend: Admit | None = None) -> Response | Stream:
        """Raises ApiError. `amend` has the last word on what a write stores."""
        if target.verb not in kind.verbs and not target.subresource:
            raise errors.method_not_allowed(kind.group, kind.plural)
        wanted = negotiation.accepted(request.headers.get("accept", ""))
        if target.subresource == "scale":
            return self._scale(request, target, kind, wanted, amend)
        if target.subresource not in ("", "status") or (target.subresource == "status" and not kind.status):
            raise errors.no_such_path()
        match target.verb:
            case "get":
                return self._get(request, target, kind, wanted)
            case "list":
                return self._list(request, target, kind, wanted)
            case "watch":
                return self._watch(request, target, kind, wanted)
            case "create" if not target.name:
                return self._create(request, target, kind, wanted, amend)
            case "update" if target.name:
                return self._update(request, target, kind, wanted, amend)
            case "patch" if target.name:
                return self._patch(request, target, kind, wanted, amend)
            case "delete" if not target.subresource:
                return self._delete(request, target, kind, wanted)
            case "deletecollection":
                return self._delete_all(request, target, kind)
            case _:
                raise errors.method_not_allowed(kind.group, kind.plural)

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────

    def _get(self, request: Request, target: Target, kind: Kind, wanted: Wanted) -> Response:
        entry = self.store.entry(kind, target.namespace or "", target.name)
        return self._shown(kind, entry, wanted, request)

    def _shown(self, kind: Kind, entry: Entry, wanted: Wanted, request: Request) -> Response:
        obj = kind.at_version(entry.object)
        if wanted.form == "object" and not wanted.yaml and obj is entry.object:
            return Response(200, entry.raw)
        return self._rendered(kind, obj, wanted, request, 200, [])

    def _rendered(
        self, kind: Kind, obj: JsonObject, wanted: Wanted, request: Request, code: int, warnings: list[str]
    ) -> Response:
        if obj.get("kind") != "Status":
            obj = tables.render_one(kind, obj, wanted.form, _include(request), self.store.time())
        body, content_type = negotiation.encode(obj, wanted)
        return Response(code, body, content_type, tuple(("Warning", f'299 - "{_quoted(text)}"') for text in warnings))

    def _list(self, request: Request, target: Target, kind: Kind, wanted: Wanted) -> Response:
        found = self.store.list(kind, asked.query(request, target, kind))
        metadata: JsonObject = {"resourceVersion": str(found.revision)}
        if found.token:
            metadata["continue"] = found.token
            if found.remaining is not None:
                metadata["remainingItemCount"] = found.remaining
        if wanted.form == "object" and not wanted.yaml:
            return Response(200, _raw_list(kind, found, metadata))
        shown = [kind.at_version(entry.object) for entry in found.entries]
        body, content_type = negotiation.encode(
            tables.render_list(kind, shown, metadata, wanted.form, _include(request), self.store.time()), wanted
        )
        return Response(200, body, content_type)

    def _watch(self, request: Request, target: Target, kind: Kind, wanted: Wanted) -> Stream:
        said = request.query
        revision = asked.number(said, "resourceVersion")
        options = WatchOptions(
            query=asked.query(request, target, kind),
            revision=revision or None,
            seconds=float(asked.number(said, "timeoutSeconds") or _DEFAULT_WATCH_SECONDS),
            bookmarks=said.get("allowWatchBookmarks") in asked.TRUE,
            initial_events=said.get("sendInitialEvents") in asked.TRUE,
            render=self._render(kind, wanted, request),
        )
        try:
            return Watch(self.hub, kind, options)
        except errors.ApiError as error:
            if error.code == 410:
                return Failed(error)
            raise

    def _render(self, kind: Kind, wanted: Wanted, request: Request) -> Callable[[JsonObject], JsonObject] | None:
        if wanted.form == "object":
            return None
        first = True

        def render(obj: JsonObject) -> JsonObject:
            nonlocal first
            shown = tables.render_one(kind, obj, wanted.form, _include(request), self.store.time())
            if wanted.form == "table" and not first:
                shown["columnDefinitions"] = None
            first = False
            return shown

        return render

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────

    def _create(self, request: Request, target: Target, kind: Kind, wanted: Wanted, amend: Admit | None) -> Response:
        write = asked.write(request, target, amend)
        created = self.store.create(kind, asked.object_of(request), namespace=target.namespace or "", write=write)
        return self._written(kind, created, wanted, request, write, 201)

    def _written(
        self, kind: Kind, obj: JsonObject, wanted: Wanted, request: Request, write: Write, code: int = 200
    ) -> Response:
        """The object as it was written: its bytes are those of the store, if it got there."""
        key = (obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        entry = self.store.history.get(kind.collection, key)
        if (
            entry is not None
            and entry.object is obj
            and wanted.form == "object"
            and not wanted.yaml
            and not write.warnings
        ):
            return Response(code, entry.raw)
        return self._rendered(kind, obj, wanted, request, code, write.warnings)

    def _update(self, request: Request, target: Target, kind: Kind, wanted: Wanted, amend: Admit | None) -> Response:
        write = asked.write(request, target, amend)
        body = asked.object_of(request)
        updated = self.store.update(kind, target.namespace or "", target.name, body, write=write)
        return self._written(kind, updated, wanted, request, write)

    def _patch(self, request: Request, target: Target, kind: Kind, wanted: Wanted, amend: Admit | None) -> Response:
        write = asked.write(request, target, amend)
        media = negotiation.media_type(request.headers.get("content-type", ""))
        body, namespace = asked.body_of(request), target.namespace or ""
        if media != patches.APPLY:
            patched = self.store.patch(kind, namespace, target.name, media=media, body=body, write=write)
            return self._written(kind, patched, wanted, request, write)
        if not request.query.get("fieldManager"):
            cause = errors.Cause("FieldValueRequired", "Required value: is required for apply patch", "fieldManager")
            raise errors.invalid("meta.k8s.io", "PatchOptions", "", [cause])
        known = self.store.find(kind, namespace, target.name) is not None
        applied = self.store.apply(kind, namespace, target.name, asked.as_object(body), write=write)
        return self._written(kind, applied, wanted, request, write, 200 if known else 201)

    def _delete(self, request: Request, target: Target, kind: Kind, wanted: Wanted) -> Response:
        deleted = self.store.delete(kind, target.namespace or "", target.name, asked.deletion(request))
        return self._rendered(kind, deleted, wanted, request, 200, [])

    def _delete_all(self, request: Request, target: Target, kind: Kind) -> Response:
        how = asked.deletion(request)
        found = self.store.list(kind, asked.query(request, target, kind))
        for entry in found.entries:
            metadata = entry.object["metadata"]
            if self.store.find(kind, metadata.get("namespace", ""), metadata["name"]) is not None:
                self.store.delete(kind, metadata.get("namespace", ""), metadata["name"], how)
        return Response(200, _raw_list(kind, found, {"resourceVersion": str(self.store.revision)}))

    def _scale(self, request: Request, target: Target, kind: Kind, wanted: Wanted, amend: Admit | None) -> Response:
        if kind.scale is None:
            raise errors.no_such_path()
        namespace, name = target.namespace or "", target.name
        current = self.store.get(kind, namespace, name)
        shown = scaling.read(kind, current)
        if target.verb in ("update", "patch"):
            write = asked.write(request, target, amend)
            body = asked.body_of(request)
            if target.verb == "patch":
                media = negotiation.media_type(request.headers.get("content-type", ""))
                body = patches.json_patch(shown, body) if media == patches.JSON else patches.merge(shown, body)
            changed = scaling.written(kind, copy(current), asked.as_object(body))
            shown = scaling.read(kind, self.store.update(kind, namespace, name, changed, write=write))
        elif target.verb != "get":
            raise errors.method_not_allowed(kind.group, kind.plural)
        body_bytes, content_type = negotiation.encode(shown, wanted)
        return Response(200, body_bytes, content_type)


def _raw_list(kind: Kind, found: Page, metadata: JsonObject) -> bytes:
    items = []
    for entry in found.entries:
        shown = kind.at_version(entry.object)
        items.append(entry.raw if shown is entry.object else orjson.dumps(shown))
    return b'{"kind":"%b","apiVersion":"%b","metadata":%b,"items":[%b]}' % (
        kind.list_kind.encode(), kind.api_version.encode(), orjson.dumps(metadata), b",".join(items),
    )  # fmt: skip


def _include(request: Request) -> str:
    return request.query.get("includeObject", "Metadata")


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
