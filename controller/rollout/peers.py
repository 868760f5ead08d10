"""Peers: what a rollout waits for of other rollouts before a new revision begins. Pure."""

from controller.rollout import group
from controller.rollout.observed import Observed
from controller.rollout.phases import Phase

RESTING = frozenset({Phase.PENDING, Phase.HEALTHY, Phase.DEGRADED, Phase.SHADOWED})
"""Where a new revision may be held back. One that takes the place of a half-way canary is not: that one must go."""


def waits(obs: Observed) -> str:
    """Say which rollout is waited for, and where it stands; empty when a new revision may begin."""
    if obs.status.stable_revision is not None and (wrong := group.trouble(obs)):
        return wrong
    if obs.spec is None or not obs.spec.depends_on:
        return ""
    if circle := _circle(obs):
        return f"spec.dependsOn goes round in a circle: {', '.join(circle)}; take one of them out"
    for name in (each.name for each in obs.spec.depends_on):
        peer, about = obs.peers.get(name), f"waits for rollout {obs.namespace}/{name}"
        if peer is None:
            return f"{about}, which does not exist"
        if not peer.current:
            return f"{about}, which has not looked at its newest spec yet"
        if peer.phase != Phase.HEALTHY:
            return f"{about}: {peer.phase}: {peer.message}"
        if peer.pinned is not None:
            who = peer.pinned.by or "a person"
            return f"{about}, which {who} went back with to revision {peer.pinned.number}: its template is not in force"
    return ""


def _circle(obs: Observed) -> tuple[str, ...]:
    """Return the way from this rollout back to itself, if there is one."""
    ways: list[tuple[str, ...]] = [(obs.name, each.name) for each in obs.spec.depends_on] if obs.spec else []
    seen: set[str] = set()
    while ways:
        way = ways.pop()
        if way[-1] == obs.name:
            return way
        if way[-1] not in seen and way[-1] in obs.peers:
            seen.add(way[-1])
            ways += [(*way, name) for name in obs.peers[way[-1]].depends_on]
    return ()
