"""The Kubernetes API without HTTP: create, get, list, update, patch, apply, delete and what happened since.

Synchronous and deterministic: time, identity and chance are arguments. A simulation can drive it in its own process as
well as the server does. What it gives is shared and never changed by readers; what it takes is copied.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from localcluster.apiserver import custom, deletion, errors, fieldset, managed, patches, services
from localcluster.apiserver.builtin import builtin_kinds
from localcluster.apiserver.decoding import copy
from localcluster.apiserver.deletion import BACKGROUND, Deletion
from localcluster.apiserver.history import Entry, History, Key
from localcluster.apiserver.kinds import Kind, Kinds
from localcluster.apiserver.listing import Page, Query, page
from localcluster.apiserver.preparation import Admission, Draft, Preparation

JsonObject = dict[str, Any]

_LISTS_WHAT_IT_DELETED = frozenset({"pods", "persistentvolumeclaims", "persistentvolumes", "serviceaccounts"})
_GENERATED_NAME_TRIES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """How to write: as which field manager, for real or dry, through which subresource, how strict with unknown fields.

    `warnings` collects what the server warns the client of; `amend` has the last word on what is stored.
    """

    manager: str = "unknown"
    dry_run: bool = False
    validation: Literal["Ignore", "Warn", "Strict"] = "Warn"
    force: bool = False
    subresource: str = ""
    warnings: list[str] = field(default_factory=list)
    amend: Admission | None = None


class Store:
    """All objects of a cluster.

    `clock` gives the time (aware), `uids` a new uid, `suffixes` the random end of a generated name.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], datetime],
        uids: Callable[[], str],
        suffixes: Callable[[], str],
        history: History | None = None,
    ) -> None:
        self.kinds = Kinds(builtin_kinds())
        definition = self.kind("apiextensions.k8s.io/v1", "CustomResourceDefinition")
        self.kinds.add(replace(definition, rules=custom.DefinitionRules(self.now)))
        self.history = history or History()
        self.admissions: list[Admission] = [services.Addresses(self.history).admit]
        self._clock = clock
        self._uids = uids
        self._suffixes = suffixes
        self._preparation = Preparation()

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def revision(self) -> int:
        return self.history.revision

    def kind(self, api_version: str, kind: str) -> Kind:
        """The kind by name. Raises ApiError 404 when it is not served."""
        found = self.kinds.by_name(api_version, kind)
        if found is None:
            raise errors.no_such_path()
        return found

    def find(self, kind: Kind, namespace: str, name: str) -> JsonObject | None:
        entry = self.history.get(kind.collection, (namespace, name))
        return None if entry is None else kind.at_version(entry.object)

    def get(self, kind: Kind, namespace: str, name: str) -> JsonObject:
        """Raises ApiError 404."""
        return kind.at_version(self.entry(kind, namespace, name).object)

    def entry(self, kind: Kind, namespace: str, name: str) -> Entry:
        entry = self.history.get(kind.collection, (namespace, name))
        if entry is None:
            raise kind.not_found(name)
        return entry

    def list(self, kind: Kind, query: Query | None = None) -> Page:
        """Raises ApiError 410 for a page of a list whose time is forgotten."""
        return page(self.history, kind.collection, query or Query())

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────

    def create(self, kind: Kind, obj: JsonObject, *, namespace: str = "", write: Write | None = None) -> JsonObject:
        """Raises ApiError: 409 when the name is taken, 422 when it is invalid, 404 when its namespace is missing."""
        how = write or Write()
        new = self._incoming(kind, obj, namespace, how)
        metadata = new["metadata"]
        if metadata.get("resourceVersion"):
            raise errors.ApiError(500, "", "resourceVersion should not be set on objects to be created")
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = self._generated_name(kind, metadata)
        metadata.setdefault("name", "")
        self._check_namespace(kind, new)
        return self._create(kind, new, how, None)

    def update(
        self, kind: Kind, namespace: str, name: str, obj: JsonObject, *, write: Write | None = None
    ) -> JsonObject:
        """Replaces an object, or through `write.subresource` a part of it. Raises ApiError 409 when it is stale."""
        how = write or Write()
        entry = self.entry(kind, namespace, name)
        return self._update(kind, entry, self._incoming(kind, obj, namespace, how), how)

    def patch(
        self, kind: Kind, namespace: str, name: str, *, media: str, body: Any, write: Write | None = None
    ) -> JsonObject:
        """Applies a merge, JSON or strategic merge patch, by its media type."""
        how = write or Write()
        entry = self.entry(kind, namespace, name)
        current = kind.at_version(entry.object)
        if media == patches.MERGE:
            changed = patches.merge(current, body)
        elif media == patches.JSON:
            changed = patches.json_patch(current, body)
        elif media == patches.STRATEGIC and not kind.custom:
            changed = patches.strategic(current, body, kind.shape)
        else:
            raise _unknown_patch(kind)
        if not isinstance(changed, dict):
            raise errors.bad_request("the patched object is not an object")
        return self._update(kind, entry, self._incoming(kind, changed, namespace, how), how, patched=True)

    def apply(self, kind: Kind, namespace: str, name: str, config: JsonObject, *, write: Write) -> JsonObject:
        """Server-side apply; creates the object when it is missing. Raises ApiError 409 for conflicts unless forced."""
        entry = self.history.get(kind.collection, (namespace, name))
        if entry is None and write.subresource:
            raise kind.not_found(name)
        wanted = self._incoming(kind, config, namespace, write)
        metadata = wanted["metadata"]
        if metadata.get("managedFields"):
            raise errors.bad_request("metadata.managedFields must be nil")
        if metadata.setdefault("name", name) != name:
            raise _wrong_name(metadata["name"], name)
        live = None if entry is None else entry.object
        version = metadata.pop("resourceVersion", None)
        if version and (entry is None or version != str(entry.revision)):
            raise errors.stale(kind.group, kind.plural, name)
        if live is not None and metadata.pop("uid", None) not in (None, live["metadata"]["uid"]):
            raise errors.conflict(kind.group, kind.plural, name, "Precondition failed: UID in precondition")
        stored = kind.to_stored(wanted)
        writer = self._writer(kind, write, "Apply")
        try:
            result = managed.applied(live, stored, self._storing(kind).shape, writer, force=write.force)
        except fieldset.ListError as error:
            what = f"{namespace}/{name}; {kind.api_version}, Kind={kind.kind}"
            raise errors.ApiError(500, "", f"failed to create typed patch object ({what}): {error}") from error
        new = copy(result.object)
        if entry is None:
            self._check_namespace(kind, new)
            return self._create(kind, new, write, result.claims)
        return self._update(kind, entry, new, write, claims=result.claims)

    def delete(self, kind: Kind, namespace: str, name: str, how: Deletion = BACKGROUND) -> JsonObject:
        """Deletes, or marks for deletion while finalizers or a pod's grace hold it. Gives a Status or the object."""
        entry = self.entry(kind, namespace, name)
        metadata = entry.object["metadata"]
        if how.uid and how.uid != metadata["uid"]:
            raise errors.failed_precondition(kind.group, kind.plural, name, ("UID", how.uid, metadata["uid"]))
        if how.resource_version and how.resource_version != metadata["resourceVersion"]:
            what = ("ResourceVersion", how.resource_version, metadata["resourceVersion"])
            raise errors.failed_precondition(kind.group, kind.plural, name, what)
        marked = deletion.marked(kind, entry.object, how, now=self._clock(), instances=self._instances(kind, name))
        if marked is None:
            removed = entry if how.dry_run else self.history.remove(kind.collection, (namespace, name))
            if kind.plural in _LISTS_WHAT_IT_DELETED and not kind.group:
                return kind.at_version(removed.object)
            return _deleted(kind, entry.object)
        if marked == entry.object or how.dry_run:
            return kind.at_version(marked)
        return kind.at_version(self.history.put(kind.collection, (namespace, name), marked).object)

    def time(self) -> datetime:
        return self._clock()

    def now(self) -> str:
        """The time as objects carry it: UTC, whole seconds."""
        return self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    # ── the steps of a write ─────────────────────────────────────────────────────────────────────────────────

    def _incoming(self, kind: Kind, obj: JsonObject, namespace: str, how: Write) -> JsonObject:
        """A private copy of what a client sent, of the right kind and namespace, without fields that nobody knows."""
        return self._preparation.read(kind, copy(obj), namespace, how.validation, how.warnings)

    def _generated_name(self, kind: Kind, metadata: JsonObject) -> str:
        base: str = metadata["generateName"][:58]
        name = base
        for _ in range(_GENERATED_NAME_TRIES):
            name = base + self._suffixes()
            if (metadata.get("namespace", ""), name) not in self.history.entries(kind.collection):
                break
        return name

    def _check_namespace(self, kind: Kind, new: JsonObject) -> None:
        if not kind.namespaced:
            return
        namespace = new["metadata"].get("namespace", "")
        found = self.history.get("namespaces", ("", namespace))
        if found is None:
            raise errors.not_found("", "namespaces", namespace)
        if found.object["metadata"].get("deletionTimestamp"):
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            cause = errors.Cause(
                "NamespaceTerminating", f"namespace {namespace} is being terminated", "metadata.namespace"
            )
            raise errors.forbidden(kind.group, kind.plural, new["metadata"]["name"], why, [cause])

    def _create(self, kind: Kind, new: JsonObject, how: Write, claims: managed.Claims | None) -> JsonObject:
        key = _key(kind, new)
        if key in self.history.entries(kind.collection):
            raise errors.already_exists(kind.group, kind.plural, key[1])
        self._preparation.begin(kind, new, uid=self._uids(), now=self.now())
        draft = Draft(self._storing(kind), kind.to_stored(new), None)
        self._admit(draft, how)
        stored = draft.new
        if claims is None:
            entries = managed.updated(
                None, {}, stored, shape=draft.kind.shape, writer=self._writer(kind, how, "Update")
            )
        else:
            entries = managed.encode(claims)
        _set_managed(stored, entries)
        if how.dry_run:
            return kind.at_version(stored)
        return kind.at_version(self.history.put(kind.collection, key, stored).object)

    def _update(
        self,
        kind: Kind,
        entry: Entry,
        new: JsonObject,
        how: Write,
        *,
        patched: bool = False,
        claims: managed.Claims | None = None,
    ) -> JsonObject:
        old = entry.object
        key = _key(kind, old)
        self._preparation.check_identity(kind, new, old, patched=patched or claims is not None)
        known = managed.given(new["metadata"].get("managedFields"), old["metadata"].get("managedFields"))
        stored = self._preparation.isolated(kind, kind.to_stored(new), old, how.subresource)
        draft = Draft(self._storing(kind), stored, old)
        self._admit(draft, how)
        stored = draft.new
        self._preparation.count_generation(kind, stored, old)
        if claims is None:
            writer = self._writer(kind, how, "Update")
            entries = managed.updated(known, old, stored, shape=draft.kind.shape, writer=writer)
        else:
            entries = managed.encode(claims)
        _set_managed(stored, entries)
        if _same(stored, old):
            return kind.at_version(old)
        if how.dry_run:
            return kind.at_version(stored)
        if deletion.is_gone(kind, stored):
            return kind.at_version(self._remove_as(kind, key, stored))
        return kind.at_version(self.history.put(kind.collection, key, stored).object)

    def _storing(self, kind: Kind) -> Kind:
        """The kind whose rules and shape hold for what is stored: a built-in kind has one version for that."""
        if kind.custom or kind.stored_version in ("", kind.api_version):
            return kind
        return self.kinds.by_name(kind.stored_version, kind.kind) or kind

    def _admit(self, draft: Draft, how: Write) -> None:
        self._preparation.default(draft)
        for admit in self.admissions:
            admit(draft)
        if how.amend is not None:
            how.amend(draft)
            self._preparation.default(draft)
        self._preparation.validate(draft, how.subresource)

    def _writer(self, kind: Kind, how: Write, operation: str) -> managed.Writer:
        manager = managed.Manager(how.manager, operation, kind.api_version, how.subresource)
        return managed.Writer(
            manager=manager, time=self.now(), reset=self._preparation.reset_fields(kind, how.subresource)
        )

    def _instances(self, kind: Kind, name: str) -> bool:
        """Whether a definition still has objects."""
        return kind.collection == custom.COLLECTION and bool(self.history.entries(name))

    def _remove_as(self, kind: Kind, key: Key, last: JsonObject) -> JsonObject:
        self.history.entries(kind.collection)[key].object = last
        return self.history.remove(kind.collection, key).object


def _key(kind: Kind, obj: JsonObject) -> Key:
    metadata = obj["metadata"]
    return (metadata.get("namespace", "") if kind.namespaced else "", metadata["name"])


def _set_managed(obj: JsonObject, entries: list[JsonObject]) -> None:
    if entries:
        obj["metadata"]["managedFields"] = entries
    else:
        obj["metadata"].pop("managedFields", None)


def _same(new: JsonObject, old: JsonObject) -> bool:
    """Whether a write changes nothing: such a write has no new revision and no event."""
    if any(new.get(key) != old.get(key) for key in new.keys() | old.keys() if key != "metadata"):
        return False
    mine, theirs = dict(new["metadata"]), dict(old["metadata"])
    mine.pop("resourceVersion", None)
    theirs.pop("resourceVersion", None)
    return _without_times(mine) == _without_times(theirs)


def _without_times(metadata: JsonObject) -> JsonObject:
    entries = metadata.get("managedFields")
    if entries:
        metadata["managedFields"] = [{k: v for k, v in entry.items() if k != "time"} for entry in entries]
    return metadata


def _deleted(kind: Kind, obj: JsonObject) -> JsonObject:
    details = {"name": obj["metadata"]["name"], "kind": kind.plural, "uid": obj["metadata"]["uid"]}
    if kind.group:
        details["group"] = kind.group
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def _wrong_name(given: str, wanted: str) -> errors.ApiError:
    return errors.bad_request(f"the name of the object ({given}) does not match the name on the URL ({wanted})")


def _unknown_patch(kind: Kind) -> errors.ApiError:
    accepted = [patches.JSON, patches.MERGE, patches.APPLY]
    if not kind.custom:
        accepted.insert(2, patches.STRATEGIC)
    return errors.unsupported_media_type(
        "the body of the request was in an unknown format - accepted media types include: " + ", ".join(accepted)
    )
