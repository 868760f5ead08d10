"""What is special about each built-in kind."""

from collections.abc import Iterable
from typing import Any

from localcluster.apiserver.errors import Cause
from localcluster.apiserver.kinds import Rules

JsonObject = dict[str, Any]


class NamespaceRules:
    """A namespace is held by its content, through a finalizer in its spec."""

    def default(self, new: JsonObject) -> None:
        metadata = new["metadata"]
        metadata.setdefault("labels", {})["kubernetes.io/metadata.name"] = metadata.get("name", "")
        if "deletionTimestamp" not in metadata:
            new.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
        new.setdefault("status", {}).setdefault("phase", "Active")

    def validate(self, new: JsonObject, old: JsonObject | None) -> Iterable[Cause]:
        return ()


BUILTIN_RULES: dict[tuple[str, str], Rules] = {("", "Namespace"): NamespaceRules()}
