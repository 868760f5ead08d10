"""Pages of a list: a snapshot at one revision, cut by `limit`, continued by an opaque token."""

import base64
from dataclasses import dataclass
from typing import Any

import orjson

from localcluster.apiserver.errors import bad_request
from localcluster.apiserver.history import Entry, History, Key
from localcluster.apiserver.selectors import ANY_FIELD, EVERYTHING, FieldSelector, Selector

JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What a list or a watch asks for. `revision` None means now; `fields` are judged on the version asked for."""

    namespace: str | None = None
    labels: Selector = EVERYTHING
    fields: FieldSelector = ANY_FIELD
    limit: int = 0
    token: str = ""
    revision: int | None = None

    def matches(self, key: Key, shown: JsonObject) -> bool:
        if self.namespace is not None and key[0] != self.namespace:
            return False
        return self.labels.matches(shown["metadata"].get("labels")) and self.fields.matches(shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some entries of a list at one revision. `token` is "" on the last page."""

    entries: list[Entry]
    revision: int
    token: str = ""
    remaining: int | None = None

    @property
    def objects(self) -> list[JsonObject]:
        return [entry.object for entry in self.entries]


def page(history: History, collection: str, query: Query) -> Page:
    """One page. Raises ApiError 400 for a token that is not ours, 410 for one that is too old."""
    revision, start = (query.revision or history.revision, None) if not query.token else _read(query.token)
    found = history.entries(collection)
    keys = history.keys(collection)
    if revision != history.revision and (query.token or query.revision is not None):
        found = history.at(collection, revision)
        keys = sorted(found)
    name = query.fields.name()
    if name is not None and query.namespace is not None:
        keys = [key for key in ((query.namespace, name),) if key in found]
    entries: list[Entry] = []
    last: Key | None = None
    selects = bool(query.labels or query.fields)
    for at, key in enumerate(keys):
        if (start is not None and key <= start) or (query.namespace is not None and key[0] != query.namespace):
            continue
        entry = found[key]
        if selects and not query.matches(key, entry.object):
            continue
        if query.limit and len(entries) == query.limit:
            remaining = None if selects else sum(1 for k in keys[at:] if query.namespace in (None, k[0]))
            return Page(entries=entries, revision=revision, token=_write(revision, last), remaining=remaining)
        entries.append(entry)
        last = key
    return Page(entries=entries, revision=revision)


def _write(revision: int, last: Key | None) -> str:
    return base64.urlsafe_b64encode(orjson.dumps({"v": 1, "rv": revision, "after": last})).rstrip(b"=").decode()


def _read(token: str) -> tuple[int, Key]:
    try:
        read = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        namespace, name = read["after"]
        return int(read["rv"]), (str(namespace), str(name))
    except (ValueError, KeyError, TypeError) as error:
        raise bad_request(f"continue key is not valid: {error}") from error
