"""Written: what the server made of the SeldonDeployments that were written last.

Upstream's operator of old, and other admission webhooks, fill in what a spec leaves out: a container for a model
server, ports, labels. Held against what was asked for that would be drift, to be written over for ever. So it is
remembered which generation a write led to: while that stands, nobody changed anything since.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from controller.api import names
from controller.queue import Key
from controller.rollout.observed import Observed


@dataclass(frozen=True, slots=True)
class _Made:
    uid: str
    generation: int
    asked: str


class Written:
    """By rollout and child. After a restart each child that was filled in is written once more: it changes nothing."""

    def __init__(self) -> None:
        self._made: dict[Key, dict[str, _Made]] = {}

    def note(self, key: Key, asked: Mapping[str, Any], made: Mapping[str, Any]) -> None:
        """Note what the server answered to a write."""
        meta = made["metadata"]
        found = _Made(meta.get("uid", ""), meta.get("generation", 0), names.stable_hash(asked["spec"]))
        self._made.setdefault(key, {})[meta["name"]] = found

    def told(self, key: Key, obs: Observed) -> Observed:
        """Return what was observed, with what each child that stands as it was written was asked to be."""
        made = self._made.get(key)
        if made is None:
            return obs
        standing = {child.name for child in obs.children.values()}
        self._made[key] = made = {name: each for name, each in made.items() if name in standing}
        children = {}
        for digest, child in obs.children.items():
            meta, known = child.live["metadata"], made.get(child.name)
            same = known is not None and (known.uid, known.generation) == (meta.get("uid"), meta.get("generation"))
            children[digest] = replace(child, asked=known.asked) if known is not None and same else child
        return replace(obs, children=children)

    def forget(self, key: Key) -> None:
        """A rollout is gone."""
        self._made.pop(key, None)
