"""What a deletion does to an object: it goes at once, or it is marked and waits for finalizers or a pod's grace."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from localcluster.apiserver import custom
from localcluster.apiserver.kinds import Kind

JsonObject = dict[str, Any]

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """How to delete. `propagation` is Background, Foreground or Orphan; `grace` in seconds concerns pods alone."""

    propagation: str = ""
    uid: str = ""
    resource_version: str = ""
    grace: int | None = None
    dry_run: bool = False


BACKGROUND = Deletion()


def marked(kind: Kind, obj: JsonObject, how: Deletion, *, now: datetime, instances: bool) -> JsonObject | None:
    """The object marked for deletion, or None when nothing holds it. `instances`: it defines objects that exist."""
    metadata = dict(obj["metadata"])
    finalizers = _finalizers(metadata, how)
    if instances and custom.CLEANUP not in finalizers:
        finalizers.append(custom.CLEANUP)
    grace = _grace(kind, obj, how)
    if not finalizers and not grace and not _holds_itself(kind, obj):
        return None
    if finalizers:
        metadata["finalizers"] = finalizers
    else:
        metadata.pop("finalizers", None)
    known = metadata.get("deletionGracePeriodSeconds")
    if "deletionTimestamp" not in metadata or (known is not None and grace < known):
        metadata["deletionGracePeriodSeconds"] = grace
        metadata["deletionTimestamp"] = _later(now, grace)
        if metadata.get("generation"):
            metadata["generation"] += 1
    result = {**obj, "metadata": metadata}
    if kind.collection == "namespaces":
        result["status"] = {**obj.get("status", {}), "phase": "Terminating"}
    return result


def _finalizers(metadata: JsonObject, how: Deletion) -> list[str]:
    """The finalizers that a propagation leaves: naming one replaces what an earlier deletion asked for."""
    held: list[str] = list(metadata.get("finalizers") or ())
    if not how.propagation:
        return held
    kept = [name for name in held if name not in (FOREGROUND, ORPHAN)]
    added = {"Foreground": [FOREGROUND], "Orphan": [ORPHAN]}.get(how.propagation, [])
    return kept + added


def is_gone(kind: Kind, obj: JsonObject) -> bool:
    """An object that was waiting for its finalizers, and has none left."""
    metadata = obj["metadata"]
    if "deletionTimestamp" not in metadata or metadata.get("finalizers"):
        return False
    return not metadata.get("deletionGracePeriodSeconds") and not _holds_itself(kind, obj)


def _grace(kind: Kind, obj: JsonObject, how: Deletion) -> int:
    """Seconds that a pod may take to end: only one that runs on a node needs any."""
    if kind.collection != "pods" or not obj.get("spec", {}).get("nodeName"):
        return 0
    if obj.get("status", {}).get("phase") in ("Succeeded", "Failed"):
        return 0
    wanted = how.grace if how.grace is not None else obj["spec"].get("terminationGracePeriodSeconds", 30)
    return max(int(wanted), 0)


def _holds_itself(kind: Kind, obj: JsonObject) -> bool:
    return kind.collection == "namespaces" and bool(obj.get("spec", {}).get("finalizers"))


def _later(now: datetime, seconds: int) -> str:
    return (now.astimezone(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
