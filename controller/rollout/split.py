"""The split that is wanted, and what it means in weights of destinations."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from controller.api.percent import rest
from controller.api.strategy import HeaderRoute, RouteMatch
from controller.rollout.observed import Observed
from controller.rollout.revisions import Destination, Revision, apportion, destinations

_WHOLE, _FINE = 100, 10_000
"""What the weights of a route sum to: percent, and hundredths of a percent where whole ones cannot say it."""

EARLIER_LIMIT = 20
"""Of the weights at which users were drawn, so many are known."""

Weighted = tuple[Destination, int, str]
"""A destination, its weight, and the hash of its revision."""
Mirror = tuple[Destination, float]
"""A destination, and the percent of requests that it gets copied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Who gets which share of live requests, and who gets copies. Weights sum to 100."""

    stable: str | None
    canary: str | None = None
    weight: float = 0
    """Percent for the canary, with at most two decimals."""
    mirror: float = 0
    """Percent of live requests that the canary gets copied."""
    mirrored: tuple[RouteMatch, ...] = ()
    """Which requests it gets copied: any of these, or all when empty."""
    control: float = 0
    """Percent of live requests that stable gets copied, once the canary has them all."""
    routes: tuple[HeaderRoute, ...] = ()
    """Requests that go to the canary whatever its weight."""
    sticky: bool = False
    """Users stay, as the routing says; nobody stays with a revision that is left."""
    earlier: tuple[float, ...] = ()
    """Weights that the canary had before: users who stay may have been drawn at any of them."""

    def __post_init__(self) -> None:
        if not all(0 <= share <= 100 for share in (self.weight, self.mirror, self.control)):
            raise ValueError(f"{self.weight}, {self.mirror} and {self.control} percent must lie within 0 and 100")
        if self.canary is None and (self.weight or self.mirror or self.control or self.routes):
            raise ValueError("a weight, a mirror or a route needs a canary")
        if self.control and (self.stable is None or self.weight != 100):
            raise ValueError("stable gets copies only while the canary has all requests")
        if self.stable is None and self.weight != 100:
            raise ValueError("without a stable revision the canary takes everything")


def routed(obs: Observed, revision: Revision) -> tuple[Destination, ...]:
    """Return the destinations of one of this rollout's revisions."""
    return destinations(obs.name, obs.namespace, revision, obs.defaults.ports)


def weighted(obs: Observed, shares: Sequence[tuple[str | None, float]]) -> list[Weighted]:
    """Return the destinations of revisions by hash, with weights in proportion to the revisions' percent.

    Istio takes weights as relative whole numbers: they sum to 100, or to 10,000 where percents cannot say it.
    """
    live = [
        (digest, share, [part for part in routed(obs, obs.revisions[digest]) if not part.shadow])
        for digest, share in shares
        if digest is not None and share
    ]
    exact = (share * part.share / 100 for _, share, parts in live for part in parts)
    total = _WHOLE if all(value == int(value) for value in exact) else _FINE
    found: list[Weighted] = []
    for digest, share, parts in live:
        weights = apportion(round(share * total / 100), [part.share for part in parts])
        found += [(part, weight, digest) for part, weight in zip(parts, weights, strict=True) if weight]
    return found


def taken(obs: Observed, split: Split) -> list[Weighted]:
    """Return who answers the requests of a split that no special route takes."""
    return weighted(obs, [(split.stable, rest(split.weight)), (split.canary, split.weight)])


def copied(obs: Observed, split: Split, *, chosen: bool = False) -> list[Mirror]:
    """Return who gets copies: the predictors that are shadows, the canary, and stable once the canary has all.

    Args:
        obs: what was observed.
        split: the split.
        chosen: whether the requests match where only some are copied to the canary.
    """
    found: list[Mirror] = []
    mirror = split.mirror if chosen or not split.mirrored else 0
    copies = ((split.stable, rest(split.weight), split.control), (split.canary, split.weight, mirror))
    for digest, share, percent in copies:
        if digest is None:
            continue
        parts = routed(obs, obs.revisions[digest])
        if share:
            found += [(part, float(part.share)) for part in parts if part.shadow]
        if percent:
            found += [(part, percent * part.share / 100) for part in parts if not part.shadow]
    return found


def all_of(obs: Observed, digest: str) -> tuple[Weighted, ...]:
    """Return the destinations of one revision, where it takes everything."""
    return tuple(weighted(obs, [(digest, 100)]))


def services(obs: Observed, revision: Revision) -> tuple[str, ...]:
    """Return the names of the Services that take a revision's live requests."""
    return tuple(destination.service for destination in routed(obs, revision) if not destination.shadow)


def hosts(parts: Iterable[Destination]) -> frozenset[str]:
    """Return the hosts that take live requests."""
    return frozenset(part.host for part in parts if not part.shadow)


def passed(earlier: Iterable[float], weight: float) -> tuple[float, ...]:
    """Return the weights at which users were drawn who may stay, this one last; nobody is drawn at 0 or 100 percent."""
    known = dict.fromkeys((*earlier, weight))
    return tuple(share for share in known if 0 < share < 100)[-EARLIER_LIMIT:]
