"""What happens to an object between a client's bytes and the store: reading, isolation, defaults, validation."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from localcluster.apiserver import decoding, errors, metadata
from localcluster.apiserver.fieldset import FieldSet
from localcluster.apiserver.kinds import Kind

JsonObject = dict[str, Any]

_SERVER_OWNED = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "selfLink",
)
_RESET_STATUS: FieldSet = {"f:status": {}}


@dataclass(slots=True)
class Draft:
    """A write that is not yet done: the object as it would be stored, and as it is (None: a creation)."""

    kind: Kind
    new: JsonObject
    old: JsonObject | None


Admission = Callable[[Draft], None]


class Preparation:
    """The steps; none of them knows the store."""

    def read(self, kind: Kind, obj: Any, namespace: str, validation: str, warnings: list[str]) -> JsonObject:
        """Checks that `obj` is an object of this kind, and takes out what its schema does not know.

        Raises ApiError 400 for another kind or namespace, for JSON of the wrong type, and for unknown fields if Strict.
        """
        if not isinstance(obj, dict):
            raise errors.bad_request("couldn't get version/kind; json parse error: the body is not an object")
        _check_kind(kind, obj)
        meta = obj.get("metadata")
        if meta is None:
            meta = obj["metadata"] = {}
        if not isinstance(meta, dict):
            raise errors.bad_request(f"{kind.kind}: json: cannot unmarshal into field metadata of type ObjectMeta")
        self._place(kind, meta, namespace)
        unknown = [f'unknown field "{path}"' for path in decoding.drop_unknown(obj, kind.shape)]
        if unknown and validation == "Strict":
            what = f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}'
            raise errors.bad_request(f"{what}: strict decoding error: {', '.join(unknown)}")
        if validation == "Warn":
            warnings.extend(unknown)
        if kind.custom:
            decoding.check_types(meta, kind.shape.fields["metadata"], kind.kind, "metadata")
        else:
            decoding.check_types(obj, kind.shape, kind.kind)
        decoding.drop_nulls(obj, kind.shape)
        return obj

    @staticmethod
    def _place(kind: Kind, meta: JsonObject, namespace: str) -> None:
        if not kind.namespaced:
            meta.pop("namespace", None)
        elif not meta.get("namespace"):
            meta["namespace"] = namespace
        elif namespace and meta["namespace"] != namespace:
            raise errors.bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )

    def begin(self, kind: Kind, new: JsonObject, *, uid: str, now: str) -> None:
        """Gives a new object its identity. Whatever the client sent for the server's own fields is ignored."""
        meta = new["metadata"]
        for name in (*_SERVER_OWNED, "managedFields", "resourceVersion"):
            meta.pop(name, None)
        meta["uid"] = uid
        meta["creationTimestamp"] = now
        if kind.generations:
            meta["generation"] = 1
        if kind.status:
            new.pop("status", None)

    def check_identity(self, kind: Kind, new: JsonObject, old: JsonObject, *, patched: bool) -> None:
        """Raises ApiError: 409 for a stale resourceVersion or another uid, 400 for another name."""
        mine, theirs = new["metadata"], old["metadata"]
        name = theirs["name"]
        if mine.setdefault("name", name) != name:
            raise errors.bad_request(
                f"the name of the object ({mine['name']}) does not match the name on the URL ({name})"
            )
        version = mine.get("resourceVersion")
        if version and version != theirs["resourceVersion"]:
            raise errors.stale(kind.group, kind.plural, name)
        if not version and not patched and kind.custom:
            cause = errors.Cause(
                "FieldValueInvalid", "Invalid value: 0x0: must be specified for an update", "metadata.resourceVersion"
            )
            raise errors.invalid(kind.group, kind.kind, name, [cause])
        if mine.get("uid") not in (None, "", theirs["uid"]):
            raise errors.failed_precondition(kind.group, kind.plural, name, ("UID", mine["uid"], theirs["uid"]))

    def isolated(self, kind: Kind, new: JsonObject, old: JsonObject, subresource: str) -> JsonObject:
        """`new` with what this endpoint may not write taken from `old`."""
        if subresource == "status":
            kept = decoding.copy({key: value for key, value in old.items() if key != "status"})
            if "status" in new:
                kept["status"] = new["status"]
            return kept  # type: ignore[no-any-return]  # a copy of a JsonObject is one
        if kind.status and subresource != "binding":
            new.pop("status", None)
            if "status" in old:
                new["status"] = decoding.copy(old["status"])
        meta, theirs = new["metadata"], old["metadata"]
        for name in (*_SERVER_OWNED, "generateName"):
            if name in theirs:
                meta[name] = theirs[name]
            else:
                meta.pop(name, None)
        return new

    def default(self, draft: Draft) -> None:
        decoding.put_defaults(draft.new, draft.kind.shape)
        if draft.kind.rules is not None:
            draft.kind.rules.default(draft.new)

    def validate(self, draft: Draft, subresource: str) -> None:
        """Raises ApiError 422 with every cause."""
        kind, new, old = draft.kind, draft.new, draft.old
        causes: list[errors.Cause] = list(metadata.check(new["metadata"], kind.kind))
        if old is not None:
            causes.extend(metadata.check_unchanged(new["metadata"], old["metadata"]))
        if kind.rules is not None:
            found: Iterable[errors.Cause] = kind.rules.validate(new, old)
            causes.extend(found)
        if subresource in ("status", "binding"):
            causes = [cause for cause in causes if not cause.field.startswith("spec")]
        if causes:
            raise errors.invalid(kind.group, kind.kind, new["metadata"].get("name", ""), causes)

    def count_generation(self, kind: Kind, new: JsonObject, old: JsonObject) -> None:
        """The generation grows when anything but metadata and a separate status changes."""
        if not kind.generations:
            return
        ignored = {"metadata", "status"} if kind.status else {"metadata"}
        if any(new.get(key) != old.get(key) for key in (new.keys() | old.keys()) - ignored):
            new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1

    def reset_fields(self, kind: Kind, subresource: str) -> FieldSet:
        """The fields that nobody can own through an endpoint."""
        if subresource == "status":
            return {"f:spec": {}, "f:metadata": {}} if kind.status else {}
        return _RESET_STATUS if kind.status else {}


def _check_kind(kind: Kind, obj: JsonObject) -> None:
    """A built-in object may leave its kind out; one of another kind is refused."""
    for field, label in (("kind", "Kind"), ("apiVersion", "apiVersion")):
        if kind.custom and not obj.get(field):
            raise errors.bad_request(
                f"the object provided is unrecognized (must be of type {kind.kind}): Object '{label}' is missing"
            )
    version, name = obj.setdefault("apiVersion", kind.api_version), obj.setdefault("kind", kind.kind)
    if version != kind.api_version:
        raise errors.bad_request(
            f"the API version in the data ({version}) does not match the expected API version ({kind.api_version})"
        )
    if name != kind.kind:
        raise errors.bad_request(f'{name} in version "{kind.version}" cannot be handled as a {kind.kind}')
